"""A pull as bars on a terminal."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import MakeNetwork
from tests.unit.weights.conftest import DATA, entry, write_manifest
from tests.unit.weights.server import Server


def test_bars_on_a_terminal(server: Server, make_network: MakeNetwork, store: Path) -> None:
    """Rate, remaining time and what fails, on a screen."""
    import io

    from rich.console import Console

    from faceorch.cli.show.pull import _Bars
    from faceorch.weights.pull import Task

    screen = io.StringIO()
    display = _Bars(Console(file=screen, force_terminal=True, width=120))
    network = make_network("grey")
    write_manifest(network, entry(server.host("/f", DATA)))
    from faceorch.weights.manifest import load_weights

    weights = load_weights(network)
    assert weights is not None
    task = Task(files=[weights.files[0]], networks=["grey"])
    with display:
        display.started([task])
        display.moved(task, 150_000)
        display._progress.refresh()
        display.note(task, "cut off; trying again in 1 s")
        display.ended(task)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert "0 of 1 files are there; 300.0 kB to bring" in shown
    assert "150.0/300.0 kB" in shown
    assert "grey/a/b.bin: cut off; trying again in 1 s" in shown
    assert "grey/a/b.bin: there and verified" in shown
