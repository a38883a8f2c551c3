"""`faceorch weights convert`: pickles -> safetensors, by the network's own environment, in its sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from faceorch.errors import WeightsError
from faceorch.files import Refused, remove, scratch, sha256_of, take
from faceorch.owner import Owner
from faceorch.runs.attempt import attempt
from faceorch.runs.events import Event
from faceorch.runs.joblog import JobLog
from faceorch.runs.plan import Planned
from faceorch.runtimes import Launch, Preparing
from faceorch.weights.manifest import File, load_weights
from faceorch.weights.store import Seen, State, Store
from faceorch.weights.tensors import Invalid, Tensor, read_tensors
from faceorch_runner import Conversion, Convert

# Tensors that share their storage in a pickle come apart, so what is written may be larger than the original.
_GROWTH, _HEADER_BYTES = 2, 2**20


class Repacked(Struct, frozen=True):
    """One file that was converted, and what that changed."""

    file: File
    before: int
    after: int


def repack(plan: Planned, store: Store, *, drop: bool, line: Callable[[str], None]) -> list[Repacked]:
    """Convert every file of the network whose manifest says how, and that is there; return what was done.

    The environment has checked each tensor against the original. What it wrote is hostile all the same (a pickle may
    run any code there): a copy of it is checked here and hashed into the store. With `drop` the originals go.
    """
    network = plan.network.name
    weights = load_weights(plan.network)
    files = [f for f in (weights.files if weights else ()) if f.convert is not None]
    if not files:
        raise WeightsError(f"{network} has no weights that can be converted", "name another network")
    found = {f.path: store.find(network, f) for f in files}
    absent = [f.path for f in files if found[f.path].state is not State.READY and f.when is None]
    if absent:
        raise WeightsError(
            f"weights of {network} are not there: {', '.join(absent)}", f"faceorch weights pull {network}"
        )
    waiting = [f for f in files if found[f.path].state is State.READY and store.converted(f) is None]
    done: list[Repacked] = []
    if waiting:
        with scratch("convert-", store.root / "partial") as work:
            out = work / "out"
            out.mkdir()
            _convert(plan, store, waiting, out, line)
            for file in waiting:
                done.append(_keep(network, store, file, out))
    if drop:
        with store.locked(network):
            for file in files:
                if store.converted(file) is not None:
                    (store.view(network) / file.path).unlink(missing_ok=True)
        store.collect(partial=False)
    return done


def _convert(plan: Planned, store: Store, files: list[File], out: Path, line: Callable[[str], None]) -> None:
    # Each file is copied once it is there, and the original goes before the next is copied.
    needed, free = sum(f.size for f in files) + max(f.size for f in files), shutil.disk_usage(store.root).free
    if needed > free:
        raise WeightsError(
            f"{store.root} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed",
            "free some (weights rm --unused)",
        )
    ready = plan.ready
    if not ready.prepared:
        ready = plan.runtime.prepare(plan.network, ready, Preparing(out.parent / "prepare.log", line))
    conversions = tuple(
        Conversion(source=f.path, target=f.convert.path, key=f.convert.key, half=f.convert.half)
        for f in files
        if f.convert is not None
    )
    launch = Launch(
        network=plan.network,
        environment=ready,
        owner=Owner.me(),
        run="weights-convert",
        out=out,
        job_file=out.parent / "convert.json",
        weights=store.view(plan.network.name),
        order=Convert(conversions),
    )
    with JobLog(out.parent, 1) as log:
        made = attempt(plan.runtime, launch, log=log, tell=_ignore)
        log.flush()
        for text in log.tail():
            line(text)
    if made.interrupted:
        raise KeyboardInterrupt
    if made.failure is not None:
        raise WeightsError(f"{plan.network.name} cannot be converted: {made.failure.text}", made.failure.remedy)


def _ignore(event: Event) -> None:
    """Ignore the event: the lines are shown when it has ended."""


def _keep(network: str, store: Store, file: File, out: Path) -> Repacked:
    """Check a file that the environment wrote, and put it into the store."""
    assert file.convert is not None
    original = store.view(network) / file.path
    before, made = original.stat().st_size, out.parent / "made.safetensors"
    try:
        size = take(out.parent, f"{out.name}/{file.convert.path}", made, limit=_GROWTH * before + _HEADER_BYTES)
        remove(out / file.convert.path)
        _check(read_tensors(made), file, original)
    except (Refused, Invalid) as error:
        raise WeightsError(
            f"{network} cannot be converted: what its environment made of {file.path} is not used: {error}",
            "go on with the original, which is as it was",
        ) from error
    sha256 = sha256_of(made)
    store.take(made, sha256)
    store.remember_converted(
        file, Seen(source=store.sha256(file) or "", sha256=sha256, size=size, revision=None, how="converted")
    )
    with store.locked(network):
        store.link(network, file.convert.path, sha256)
    return Repacked(file, before, size)


def _check(tensors: dict[str, Tensor], file: File, original: Path) -> None:
    """Raise `Invalid` unless these are the tensors that were asked for, as far as it can be known from here.

    Which tensors a pickle holds only those know who load it. Of safetensors the host knows them itself.
    """
    assert file.convert is not None
    for name, tensor in tensors.items():
        if file.convert.half and tensor.floating and tensor.dtype != "F16":
            raise Invalid(f"{name[:80]!r} is {tensor.dtype}, F16 was asked for")
    if original.suffix != ".safetensors":
        return
    for name, tensor in (promised := read_tensors(original)).items():
        wanted = "F16" if file.convert.half and tensor.floating else tensor.dtype
        found = tensors.get(name)
        if found is None or (found.dtype, found.shape) != (wanted, tensor.shape):
            raise Invalid(f"{name[:80]!r} is not {wanted} of shape {list(tensor.shape)} as in the original")
    if more := tensors.keys() - promised.keys():
        raise Invalid(f"the original has no {min(more)[:80]!r}")
