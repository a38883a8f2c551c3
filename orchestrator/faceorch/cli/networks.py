"""`faceorch networks`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from faceorch.cli.types import NetworkName

if TYPE_CHECKING:
    from faceorch.errors import ManifestError
    from faceorch.networks.discover import Network
    from faceorch.runs.plan import Obstacle, Planned


@click.command()
@click.argument("name", required=False, type=NetworkName())
@click.option("--patches", is_flag=True, help="List what NAME changes in upstream's code, why, and what it expects.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def command(name: str | None, patches: bool, as_json: bool) -> None:
    """List the networks: what they are, what they need, and whether they are ready here; if not, why.

    With NAME, tell everything about that one, its settings included.

    \b
    Examples:
      faceorch networks
      faceorch networks baseline
      faceorch networks baseline --patches
    """
    if patches:
        if name is None:
            raise click.UsageError("--patches lists those of one network: name it")
        _patches(name, as_json)
        return
    from faceorch.networks.discover import load_networks, pick
    from faceorch.runs.plan import make_plan
    from faceorch.runtimes.choose import make_runtimes
    from faceorch.telemetry.nvml import read_gpus
    from faceorch.weights.store import Store

    known = load_networks()
    chosen = list(known.values()) if name is None else [pick(known, name)]
    gpus = read_gpus()
    plan = make_plan(chosen, runtimes=make_runtimes("auto", {}, {}), gpus=gpus, selected=gpus.gpus, weights=Store())
    states: dict[str, Planned | Obstacle] = {planned.network.name: planned for planned in plan.planned}
    states.update({obstacle.network.name: obstacle for obstacle in plan.obstacles})
    if as_json:
        rows = [_as_json(network, states[network.name]) for network in chosen]
        rows += [] if name else [_broken_as_json(unfit, error) for unfit, error in known.broken.items()]
        click.echo(json.dumps(rows if name is None else rows[0], indent=2))
    elif name is None:
        _table(chosen, states)
        for unfit, error in known.broken.items():
            click.echo(f"{unfit}: not ready\n  {error.message} -> {error.remedy or 'fix that file'}")
    else:
        _details(chosen[0], states[name])


def _patches(name: str, as_json: bool) -> None:
    from faceorch.networks.discover import load_networks, pick
    from faceorch.networks.patches import patches_of

    network = pick(load_networks(), name)
    patches = patches_of(network)
    if as_json:
        rows = [{"name": p.name, "file": p.file, "reason": p.reason, "expects": list(p.expects)} for p in patches]
        click.echo(json.dumps(rows, indent=2))
        return
    if not patches:
        click.echo(f"{name} changes nothing in upstream's code")
    for patch in patches:
        click.echo(f"{patch.file}: {patch.name}")
        click.echo(f"  reason   {patch.reason}")
        for expected in patch.expects:
            click.echo(f"  expects  {expected}")


def _state(state: Planned | Obstacle) -> str:
    from faceorch.runs.plan import Planned

    if isinstance(state, Planned):
        note = "" if state.ready.prepared else "; its environment is built at the first run"
        return f"ready ({state.runtime.name}{note})"
    return f"{state.reason.text} -> {state.reason.remedy}"


def _as_json(network: Network, state: Planned | Obstacle) -> dict[str, Any]:
    import msgspec

    from faceorch.runs.plan import Planned

    ready = isinstance(state, Planned)
    return {
        "name": network.name,
        "ready": ready,
        "runtime": state.runtime.name if isinstance(state, Planned) else None,
        "prepared": state.ready.prepared if isinstance(state, Planned) else None,
        "reason": None if isinstance(state, Planned) else msgspec.to_builtins(state.reason),
        **msgspec.to_builtins(network.manifest),
    }


def _broken_as_json(name: str, error: ManifestError) -> dict[str, Any]:
    import msgspec

    from faceorch.runs.plan import unusable

    return {"name": name, "ready": False, "reason": msgspec.to_builtins(unusable(error))}


def _table(networks: list[Network], states: dict[str, Planned | Obstacle]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from faceorch.runs.plan import Planned

    console = Console(highlight=False, soft_wrap=True)
    for network in networks:
        state = states[network.name]
        mark = "[green]ready[/]" if isinstance(state, Planned) else "[yellow]not ready[/]"
        console.print(f"[bold]{network.name}[/] ({escape(network.manifest.title)}): {mark}")
        console.print(f"  {escape(network.manifest.summary)}")
        console.print(f"  {escape(_expected(network))}")
        console.print(f"  {escape(_state(state))}")


def _expected(network: Network) -> str:
    expected = network.manifest.expected
    if expected is None:
        return "nothing published"
    parts = [
        f"{expected.fps:g} fps" if expected.fps is not None else "",
        f"{expected.size}" if expected.size is not None else "",
        f"{expected.steps} steps" if expected.steps is not None else "",
        f"VRAM {expected.vram_gb} GB" if expected.vram_gb is not None else "",
        f"about {expected.seconds_for_15_s:g} s for a 15 s clip" if expected.seconds_for_15_s is not None else "",
        f"head motion: {expected.head_motion}" if expected.head_motion is not None else "",
        f"blinks: {expected.eye_blinks}" if expected.eye_blinks is not None else "",
    ]
    return "; ".join(part for part in parts if part)


def _details(network: Network, state: Planned | Obstacle) -> None:
    manifest = network.manifest
    lines = [
        f"{network.name}: {manifest.title}",
        f"  {manifest.summary}",
        f"  approach  {manifest.approach}",
        f"  licence   {manifest.licence}",
        *([f"  homepage  {manifest.homepage}"] if manifest.homepage else []),
        *(f"  upstream  {code.url} at {code.commit} ({code.licence})" for code in manifest.upstream),
        f"  expected  {_expected(network)}",
        *([f"            ({manifest.expected.source})"] if manifest.expected else []),
        f"  needs     {_needs(network)}",
        f"  folder    {network.folder}",
        f"  state     {_state(state)}",
        "  settings (--set " + network.name + ".KEY=VALUE):" if manifest.settings else "  no settings",
    ]
    for key, setting in manifest.settings.items():
        lines.append(f"    {key} = {setting.default}  ({setting.allowed})")
        lines.append(f"        {setting.help}")
    for line in lines:
        click.echo(line)


def _needs(network: Network) -> str:
    needs = network.manifest.needs
    gpu = f"an NVIDIA GPU with {needs.vram_gb:g} GB" if needs.gpu and needs.vram_gb else "no GPU"
    where = " or ".join(needs.runtimes)
    return f"{gpu}; {needs.ram_gb:g} GB of memory; {where}; clips of {needs.shortest_clip_s:g} s or more"
