"""`faceorch weights`."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from faceorch.cli.options import confirmed, parse_settings
from faceorch.cli.types import FolderName, SettingName
from faceorch.words import plural, size

if TYPE_CHECKING:
    from faceorch.networks.discover import Network
    from faceorch.weights.manifest import Weights
    from faceorch.weights.store import FileStatus, Store

_dir = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The store; default: FACEORCH_WEIGHTS, or `weights` in FACEORCH_HOME.",
)
_mirror = click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    envvar="FACEORCH_MIRROR",
    metavar="URL|PREFIX=URL",
    help="Address that stands in for the hub (or for another PREFIX); hashes must match all the same.",
)


@click.group()
def command() -> None:
    """Download, list, verify and remove the weights of the networks.

    \b
    Examples:
      faceorch weights pull
      faceorch weights ls
    """


@command.command()
@click.argument("networks", nargs=-1, type=FolderName())
@_dir
@click.option(
    "--from",
    "from_",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Take files from below DIR where their hashes are right; download the rest.",
)
@_mirror
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Files at the same time.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    type=SettingName(),
    metavar="NETWORK.KEY=VALUE",
    help="As for run: download what this setting needs.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Download what any setting may need, and for networks that this host cannot run too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per event, for machines.")
@click.option("--quiet", "-q", is_flag=True, help="Print only errors.")
def pull(
    networks: tuple[str, ...],
    folder: Path | None,
    from_: Path | None,
    mirrors: tuple[str, ...],
    jobs: int,
    settings: tuple[tuple[str, str], ...],
    everything: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Download the weights of NETWORKS (default: those that this host can run).

    Interrupted or killed, the same command continues where it stopped. Verified files are not downloaded again, and a
    file that two networks need is stored once. HF_TOKEN, HF_ENDPOINT, HTTPS_PROXY and ~/.netrc are honoured;
    HF_HUB_OFFLINE=1 forbids downloads.

    \b
    Examples:
      faceorch weights pull
      faceorch weights pull --from ~/old-weights --mirror https://hub.example.org
    """
    from faceorch.cli.show.pull import make_pull_observer
    from faceorch.weights.pull import PullOptions, Wanted
    from faceorch.weights.pull import pull as pull_weights
    from faceorch.weights.remote import parse_mirrors
    from faceorch.weights.store import Store

    chosen = _chosen(networks)
    if not (networks or everything):
        chosen = _runnable(chosen, say=not as_json and not quiet)
    given = parse_settings(settings)
    wanted = []
    for network, weights in chosen:
        values = network.settings(given.get(network.name, {}))
        files = weights.files if everything else weights.needed(values)
        wanted.append(Wanted(network=network.name, files=files, known=weights.paths))
    if not wanted:
        return
    store = Store(folder)
    options = PullOptions(mirrors=parse_mirrors(mirrors), folder=from_, jobs=jobs)
    try:
        with (observer := make_pull_observer(as_json=as_json, quiet=quiet)):
            pull_weights(wanted, store, options, observer)
    except KeyboardInterrupt:
        click.echo("interrupted; the same command continues the download", err=True)
        raise
    if not as_json and not quiet:
        click.echo(f"weights of {', '.join(network.name for network, _ in chosen)}: ready in {store.root}")


@command.command()
@click.argument("networks", nargs=-1, type=FolderName())
@_dir
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def ls(networks: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    """List the weight files of NETWORKS (default: all): where they stand, how large they are, and their licences.

    \b
    Example:
      faceorch weights ls
    """
    from faceorch.weights.store import Store

    store = Store(folder)
    chosen = _chosen(networks)
    rows = [(network, [store.find(network.name, file) for file in weights.files]) for network, weights in chosen]
    if as_json:
        click.echo(json.dumps({n.name: [_as_json(f, store) for f in found] for n, found in rows}, indent=2))
        return
    for network, found in rows:
        _list(network, found, store)
    click.echo(f"store: {store.root}")


@command.command()
@click.argument("networks", nargs=-1, type=FolderName())
@_dir
def verify(networks: tuple[str, ...], folder: Path | None) -> None:
    """Read every weight file of NETWORKS (default: all) and compare it with its hash.

    \b
    Example:
      faceorch weights verify
    """
    from faceorch.errors import WeightsError
    from faceorch.weights.store import Store

    store = Store(folder)
    wrong: dict[str, int] = {}
    for network, weights in _chosen(networks):
        for file in weights.files:
            places = list(store.places(network.name, file))
            if not places and file.when is None:
                click.echo(f"{network.name}/{file.path}: not there")
            for place, sha256 in places:
                size = file.exact_size if place.name == PurePosixPath(file.path).name else None
                problem = store.verify(sha256, place, size) if sha256 else "not known to the store"
                click.echo(f"{network.name}/{place.relative_to(store.view(network.name))}: {problem or 'right'}")
                if problem is not None:
                    wrong[network.name] = wrong.get(network.name, 0) + 1
    if wrong:
        count = sum(wrong.values())
        raise WeightsError(f"{plural(count, 'file is', 'files are')} wrong", f"faceorch weights pull {' '.join(wrong)}")


@command.command()
@click.argument("networks", nargs=-1, type=FolderName())
@_dir
@click.option("--all", "everything", is_flag=True, help="Remove the weights of every network.")
@click.option("--unused", is_flag=True, help="Remove files that no network holds, and downloads under way.")
@click.option("--yes", "-y", is_flag=True, help="Remove without asking; only --all asks.")
def rm(networks: tuple[str, ...], folder: Path | None, everything: bool, unused: bool, yes: bool) -> None:
    """Remove the weights of NETWORKS; files that another network holds too stay.

    \b
    Examples:
      faceorch weights rm baseline
      faceorch weights rm --all
    """
    from faceorch.networks.discover import load_all, pick
    from faceorch.weights.store import Store

    if not (networks or everything or unused):
        raise click.UsageError("name the networks, or give --all or --unused")
    store = Store(folder)
    question = f"remove the weights of every network from {store.root}?"
    if everything and not yes and not confirmed(question, "faceorch weights rm --all --yes"):
        return
    store.make_folders()
    known = load_all()
    for name in known if everything else [pick(known, name).name for name in networks]:
        store.remove(name)
    count, freed = store.collect(partial=everything or unused)
    click.echo(f"removed {plural(count, 'file')}, {size(freed)}")


@command.command()
@click.argument("network", type=FolderName())
@_dir
def path(network: str, folder: Path | None) -> None:
    """Print the folder that NETWORK sees as its weights; fails when something is missing there.

    \b
    Example:
      ls "$(faceorch weights path baseline)"
    """
    from faceorch.errors import WeightsError
    from faceorch.networks.discover import load_all, pick
    from faceorch.record.reason import Reason
    from faceorch.weights.check import check_weights
    from faceorch.weights.store import Store

    chosen = pick(load_all(), network)
    found = check_weights(chosen, chosen.settings({}), Store(folder))
    if isinstance(found, Reason):
        raise WeightsError(f"{network}: {found.text}", found.remedy)
    if found.folder is None:
        raise WeightsError(f"{network} needs no weights")
    click.echo(found.folder)


@command.command()
@click.argument("networks", nargs=-1, type=FolderName())
@_dir
@_mirror
@click.option("--check", is_flag=True, help="Write nothing; fail when something is still open.")
def lock(networks: tuple[str, ...], folder: Path | None, mirrors: tuple[str, ...], check: bool) -> None:
    """Fill in what the manifests of NETWORKS (default: all) leave open: hashes, sizes and revisions.

    From the hub's own metadata, or from what the first verified download was. Comments and layout stay.

    \b
    Example:
      faceorch weights lock --check
    """
    from faceorch.errors import WeightsError
    from faceorch.weights.lock import lock as lock_manifest
    from faceorch.weights.remote import parse_mirrors
    from faceorch.weights.store import Store

    store, left = Store(folder), 0
    for network, _ in _chosen(networks):
        for found in lock_manifest(network, store, parse_mirrors(mirrors), write=not check):
            if found.reason:
                click.echo(f"{network.name}/{found.file.path}: open: {found.reason}")
            else:
                at = f" at {found.revision}" if found.revision else ""
                click.echo(
                    f"{network.name}/{found.file.path}: sha256 {found.sha256}, {found.size} bytes{at} ({found.how})"
                )
            left += bool(found.reason) or check
    if check and left:
        raise WeightsError(f"{plural(left, 'entry is', 'entries are')} open", "faceorch weights lock")


@command.command()
@click.argument("network", type=FolderName())
@_dir
@click.option("--drop-originals", is_flag=True, help="Remove the files as they came: only the repacked ones stay.")
@click.option("--runtime", type=click.Choice(["auto", "docker", "venv"]), default="auto", show_default=True)
@click.option("--python", metavar="PATH", help="This interpreter instead of the network's own environment.")
@click.option("--use-image", "image", metavar="REF", help="This image instead of the one that faceorch built.")
def convert(
    network: str, folder: Path | None, drop_originals: bool, runtime: str, python: str | None, image: str | None
) -> None:
    """Repack NETWORK's pickled weights as safetensors (as fp16 where it computes in fp16 anyway): quicker to load.

    Done by the network's own environment, in its sandbox, and compared tensor by tensor. Pickles that need more than
    tensors are opened in a container only.

    \b
    Example:
      faceorch weights convert baseline --drop-originals
    """
    from faceorch.networks.discover import load_all, pick
    from faceorch.paths import absolute
    from faceorch.runs.plan import demand, make_plan
    from faceorch.runs.repack import repack
    from faceorch.runtimes.choose import make_runtimes
    from faceorch.telemetry.nvml import Gpus
    from faceorch.weights.store import Store

    chosen = pick(load_all(), network)
    pythons = {} if python is None else {network: str(absolute(python))}
    runtimes = make_runtimes(runtime, pythons, {} if image is None else {network: image})  # type: ignore[arg-type]
    plan = make_plan([chosen], runtimes=runtimes, gpus=Gpus((), None), selected=(), weights=None)
    demand(plan, [network])
    store = Store(folder)
    store.make_folders()
    done = repack(plan.planned[0], store, drop=drop_originals, line=lambda text: click.echo(f"{network}: {text}"))
    for made in done:
        assert made.file.convert is not None
        click.echo(f"{made.file.convert.path}: {size(made.before)} -> {size(made.after)}")
    click.echo(f"{len(done)} converted" if done else "nothing left to convert")


def _chosen(names: tuple[str, ...]) -> list[tuple[Network, Weights]]:
    """Return the named networks with their manifests, or all that have one."""
    from faceorch.errors import WeightsError
    from faceorch.networks.discover import load_all, pick
    from faceorch.weights.manifest import load_weights

    known = load_all()
    chosen = []
    for network in [pick(known, name) for name in dict.fromkeys(names)] or known.values():
        weights = load_weights(network)
        if weights is not None:
            chosen.append((network, weights))
        elif names and not network.missing_files:
            raise WeightsError(f"{network.name} needs no weights", "name another network, or none for all")
        elif names:
            raise WeightsError(f"{network.name} has no weights.yaml yet", "update faceorch when it is released")
    if not chosen:
        raise WeightsError("no network of this faceorch has weights", "nothing is missing: they can run as they are")
    return chosen


def _runnable(chosen: list[tuple[Network, Weights]], *, say: bool) -> list[tuple[Network, Weights]]:
    """Return those of the networks that this host can run, and say which are left out."""
    from faceorch.needs import no_gpu_problem
    from faceorch.telemetry.nvml import read_gpus

    here = read_gpus()
    kept: list[tuple[Network, Weights]] = []
    left: list[tuple[Network, Weights]] = []
    for network, weights in chosen:
        problem = no_gpu_problem(network.manifest.needs, here.gpus, here.reason)
        (kept if problem is None else left).append((network, weights))
    if left and say:
        names = ", ".join(network.name for network, _ in left)
        click.echo(
            f"skipped: {names}: no NVIDIA GPU here: {here.reason} (name them, or --all, to download all the same)"
        )
    if not kept and say:
        click.echo("nothing to download")
    return kept


def _list(network: Network, found: list[FileStatus], store: Store) -> None:
    from faceorch.weights.store import State

    there = sum(f.size for f in found if f.state is State.READY)
    total = sum(f.size for f in found)
    click.echo(f"{network.name}: {size(there)} of {size(total)}; {store.view(network.name)}")
    for finding in found:
        file = finding.file
        terms = {True: "", False: "; not for commercial use", None: "; commercial use unclear"}[file.commercial]
        when = f"; only with {file.when.setting}={'|'.join(map(str, file.when.values))}" if file.when else ""
        about = "" if file.exact_size is not None or finding.state is State.READY else "about "
        click.echo(f"  {finding.state.value:8} {about + size(finding.size):>14}  {file.path}")
        click.echo(f"           {file.why} ({file.licence}{terms}{when})")
        if file.sha256 is None:
            seen = store.seen(file)
            vouched = f"found by {seen.how}" if seen else "not known yet"
            click.echo(f"           its hash is not in the manifest: {vouched}")


def _as_json(finding: FileStatus, store: Store) -> dict[str, Any]:
    import msgspec

    file = finding.file
    return {
        **msgspec.to_builtins(file),
        "state": finding.state.value,
        "sha256": finding.sha256,
        "stated": file.sha256 is not None,
        "location": str(finding.path),
    }
