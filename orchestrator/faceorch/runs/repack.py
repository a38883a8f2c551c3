"""`faceorch weights convert`: pickles -> safetensors, by the network's own environment, in its sandbox."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faceorch.errors import WeightsError
from faceorch.files import sha256_of
from faceorch.owner import Owner
from faceorch.runs.attempt import attempt
from faceorch.runs.events import Event
from faceorch.runs.joblog import JobLog
from faceorch.runs.plan import Planned
from faceorch.runtimes import Launch, Preparing
from faceorch.weights.manifest import File, load_weights
from faceorch.weights.store import Seen, State, Store


@dataclass(frozen=True, slots=True)
class Repacked:
    """One file that was converted, and what that changed."""

    file: File
    before: int
    after: int


def repack(plan: Planned, store: Store, *, drop: bool, line: Callable[[str], None]) -> list[Repacked]:
    """Convert every file of the network whose manifest says how, and that is there; return what was done.

    The environment has checked each tensor; what it wrote is hashed into the store. With `drop` the originals go.
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
        with tempfile.TemporaryDirectory(dir=store.root / "partial", prefix="convert-") as name:
            out = Path(name) / "out"
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
    needed, free = sum(f.size for f in files), shutil.disk_usage(store.root).free
    if needed > free:
        raise WeightsError(
            f"{store.root} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed",
            "free some (weights rm --unused)",
        )
    ready = plan.ready
    if not ready.prepared:
        ready = plan.runtime.prepare(plan.network, ready, Preparing(out.parent / "prepare.log", line))
    task = [
        {"source": f.path, "target": f.convert.path, "key": f.convert.key, "half": f.convert.half}
        for f in files
        if f.convert is not None
    ]
    launch = Launch(
        network=plan.network,
        environment=ready,
        owner=Owner.me(),
        run="weights-convert",
        out=out,
        job_file=out.parent / "convert.json",
        weights=store.view(plan.network.name),
        task={"op": "convert", "files": task},
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
    """Take no notice: its lines are shown when it has ended."""


def _keep(network: str, store: Store, file: File, out: Path) -> Repacked:
    assert file.convert is not None
    made = out / file.convert.path
    sha256, size = sha256_of(made), made.stat().st_size
    store.take(made, sha256)
    store.remember_converted(
        file, Seen(source=store.sha256(file) or "", sha256=sha256, size=size, revision=None, how="converted")
    )
    with store.locked(network):
        store.link(network, file.convert.path, sha256)
    return Repacked(file, (store.view(network) / file.path).stat().st_size, size)
