"""`faceorch top`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from faceorch.runs.living import GpuNow, Live, Now, RunnerNow

_PAUSE_S = 1.0


@click.command()
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--once", is_flag=True, help="Look once and leave; so it does when the output is not a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per second, for machines.")
def command(run: str | None, once: bool, as_json: bool) -> None:
    """Watch what the networks that run now use of this machine: CPU, memory, and of each GPU.

    RUN is a run folder, or the name of one: only its networks are shown. Ctrl-C leaves, and stops nothing.

    \b
    Examples:
      faceorch top
      faceorch top results/20260131-120000-face-clip
      faceorch top --json --once
    """
    from rich.console import Console

    from faceorch.runs.living import Live
    from faceorch.runtimes.docker import DockerRuntime
    from faceorch.runtimes.venv import VenvRuntime
    from faceorch.telemetry.nvml import read_gpus

    docker, venv = DockerRuntime(), VenvRuntime()
    found = read_gpus()
    name = None if run is None else Path(run).resolve().name
    console = Console(highlight=False, soft_wrap=True)
    once = once or not (console.is_terminal or as_json)
    with Live((docker, venv), found.gpus, no_gpu=found.reason, run=name) as live:
        if as_json:
            _print_json(live, once=once)
        elif once:
            console.print(_page(_second(live), name))
        else:
            _show(live, console, name)


def _second(live: Live) -> Now:
    """Sample twice, half a second apart: CPU use is a rate."""
    import time

    live.look()
    time.sleep(_PAUSE_S / 2)
    return live.look()


def _print_json(live: Live, *, once: bool) -> None:
    import time

    import msgspec

    now = _second(live)
    while True:
        click.echo(json.dumps(msgspec.to_builtins(now)))
        if once:
            return
        time.sleep(_PAUSE_S)
        now = live.look()


def _show(live: Live, console: object, name: str | None) -> None:
    import time

    from rich.console import Console
    from rich.live import Live as Screen

    assert isinstance(console, Console)
    with Screen(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            screen.update(_page(live.look(), name), refresh=True)
            time.sleep(_PAUSE_S)


def _page(now: Now, name: str | None) -> RenderableType:
    from rich.console import Group
    from rich.table import Table

    runners = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("network", "up", "CPU cores", "memory", "VRAM", "threads", "run"):
        runners.add_column(title, no_wrap=True, justify="left" if title in ("network", "run") else "right")
    for runner in now.runners:
        runners.add_row(*_runner_cells(runner))
    gpus = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("GPU", "busy", "memory", "power", "SM clock", "heat", "others", "name"):
        gpus.add_column(title, no_wrap=True, justify="left" if title == "name" else "right")
    for gpu in now.gpus:
        gpus.add_row(*_gpu_cells(gpu))
    nobody = "no network runs now" if name is None else f"no network of {name} runs now"
    reasons = sorted({r.vram_note for r in now.runners if r.vram_bytes is None and r.vram_note and now.gpus})
    return Group(
        runners if now.runners else nobody,
        "",
        gpus if now.gpus else f"GPUs: n/a: {now.no_gpu}",
        *(f"VRAM: n/a: {reason}" for reason in reasons),
    )


def _runner_cells(runner: RunnerNow) -> tuple[str, ...]:
    from datetime import datetime, timezone

    from rich.markup import escape

    from faceorch.words import duration, size

    up_s = (datetime.now(timezone.utc) - runner.started).total_seconds()
    cores = "n/a" if runner.cpu_cores is None else f"{runner.cpu_cores:.2f}"
    threads = "n/a" if runner.threads is None else str(runner.threads)
    return (
        escape(runner.network),
        duration(max(0.0, up_s)),
        cores,
        size(runner.memory_bytes),
        size(runner.vram_bytes),
        threads,
        escape(runner.run),
    )


def _gpu_cells(now: GpuNow) -> tuple[str, ...]:
    from rich.markup import escape

    from faceorch.words import size

    sample = now.sample

    def number(value: float | None, unit: str) -> str:
        return "n/a" if value is None else f"{value:.0f} {unit}"

    return (
        str(now.gpu.index),
        number(sample.utilisation_percent, "%"),
        f"{size(sample.used_bytes)} of {size(sample.total_bytes)}",
        number(sample.power_w, "W"),
        number(sample.sm_clock_mhz, "MHz"),
        number(sample.temperature_c, "°C"),
        "n/a" if now.foreign is None else str(now.foreign),
        escape(now.gpu.name),
    )
