"""Stand-in weights in the sandbox: written by the image's own environment, then read-only for the runner."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec

from faceorch.record.kinds import JobStatus
from faceorch.record.request import StandIn
from faceorch.smoke import smoke
from tests.conftest import reason_of, write_code
from tests.engine.conftest import Probe
from tests.unit.conftest import Listener
from tests.unit.weights.test_manifest import entry

STANDIN = """
import json, os
def make(weights, *, full):
    def can_write(path):
        try:
            open(path, "w").close()
            return True
        except OSError as error:
            return error.strerror
    found = {"full": full, "root": can_write("/x"), "code": can_write("/opt/faceorch/network/x"), "uid": os.getuid()}
    (weights / "b.bin").write_text(json.dumps({**found, "interfaces": os.listdir("/sys/class/net")}))
"""
RUNNER = """
from faceorch_runner import Network, RunnerError
class Probe(Network):
    def setup(self, weights, device):
        try:
            (weights / "x").write_text("x")
            self.can_write = True
        except OSError as error:
            self.can_write = error.strerror
        self.found = (weights / "b.bin").read_text()
    def animate(self, job, progress):
        raise RunnerError(f"{self.can_write} {self.found}")
"""


def test_stand_in_weights_are_made_and_used_in_the_sandbox(probe: Probe, tmp_path: Path) -> None:
    folder = probe.network.folder
    write_code(probe.network.code, runner=RUNNER, synthetic=STANDIN)
    (folder / "weights.yaml").write_text(json.dumps({"schema": 1, "files": [entry()]}), "utf-8")
    probe.build()
    stand_in = StandIn(size="full", device="cpu")
    job = smoke(stand_in, tmp_path / "r", Listener(), networks=("probe",), runtime="docker").run.job("probe")
    assert job.status is JobStatus.FAILED, "the probe tells what it found in its error"
    can_write, _, found = reason_of(job).text.partition(" {")
    assert can_write == "Read-only file system"
    assert msgspec.json.decode("{" + found) == {
        "full": True,
        "root": "Read-only file system",
        "code": "Read-only file system",
        "uid": os.getuid() or 65534,
        "interfaces": ["lo"],
    }
    assert list((tmp_path / "r").glob("*/probe/weights")) == []
