"""What a container uses, by its control group or by the engine's counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.telemetry.container import CgroupProbe, usage
from tests.fake_nvml import MIB
from tests.unit.telemetry.conftest import OURS


class TestUsage:
    def test_a_control_group_of_version_2_is_read(self, tmp_path: Path) -> None:
        proc, folder = tmp_path / "proc" / "7", tmp_path / "cgroup" / "system.slice" / f"docker-{OURS}.scope"
        (proc / "net").mkdir(parents=True)
        folder.mkdir(parents=True)
        (proc / "cgroup").write_text(f"0::/system.slice/docker-{OURS}.scope\n", "ascii")
        (proc / "net" / "dev").write_text(NET, "ascii")
        for name, text in {
            "memory.current": f"{100 * MIB}\n",
            "memory.stat": f"anon 5\nfile 9\ninactive_anon 3\ninactive_file {30 * MIB}\n",
            "memory.peak": f"{120 * MIB}\n",
            "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\n",
            "io.stat": "8:0 rbytes=100 wbytes=200 rios=1 wios=1\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n",
            "pids.current": "5\n",
        }.items():
            (folder / name).write_text(text, "ascii")
        probe = CgroupProbe(7, proc=tmp_path / "proc", root=tmp_path / "cgroup")
        found = probe.read()
        assert probe.readable
        assert found is not None
        assert (found.memory_bytes, found.high_water_bytes, found.cpu_s) == (70 * MIB, 120 * MIB, 2.5)
        assert (found.read_bytes, found.write_bytes, found.threads) == (101, 202, 5)
        assert (found.received_bytes, found.sent_bytes) == (1000, 2000)
        (folder / "memory.current").unlink()
        assert probe.read() is None, "the container is gone"

    def test_a_control_group_of_version_1_is_read_and_its_blind_spot_said(self, tmp_path: Path) -> None:
        proc = tmp_path / "proc" / "7"
        (proc / "net").mkdir(parents=True)
        (proc / "net" / "dev").write_text(NET, "ascii")
        lines = []
        for number, (controllers, files) in enumerate(V1.items()):
            lines.append(f"{number}:{controllers}:/docker/{OURS}")
            folder = tmp_path / "cgroup" / controllers.partition(",")[0] / "docker" / OURS
            folder.mkdir(parents=True)
            for name, text in files.items():
                (folder / name).write_text(text, "ascii")
        (proc / "cgroup").write_text("\n".join(lines) + "\n", "ascii")
        probe = CgroupProbe(7, proc=tmp_path / "proc", root=tmp_path / "cgroup")
        found = probe.read()
        assert found is not None
        assert (found.memory_bytes, found.high_water_bytes, found.cpu_s) == (70 * MIB, 120 * MIB, 2.5)
        assert (found.read_bytes, found.write_bytes, found.threads) == (300, None, 5)
        assert probe.reasons == {"write_bytes": "control groups of version 1 do not count buffered writes"}

    @pytest.mark.parametrize(
        ("memory", "held", "peak"),
        [
            ({"usage": 100, "stats": {"inactive_file": 30}}, 70, None),
            ({"usage": 100, "max_usage": 120, "stats": {"total_inactive_file": 40, "inactive_file": 30}}, 60, 120),
            ({"usage": 100, "stats": {"inactive_file": 100}}, 100, None),
            ({}, None, None),
        ],
    )
    def test_memory_is_counted_as_docker_stats_does(
        self, memory: dict[str, object], held: int | None, peak: int | None
    ) -> None:
        found = usage({"read": "2026-01-01T00:00:00Z", "memory_stats": memory}, 1.0)
        assert found is not None
        assert (found.memory_bytes, found.high_water_bytes) == (held, peak)

    def test_the_engines_counters_are_read(self) -> None:
        entries = [{"op": "read", "value": 5}, {"op": "write", "value": 7}, {"op": "Read", "value": 1}]
        raw = {
            "read": "2026-01-01T00:00:00Z",
            "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
            "memory_stats": {"usage": 10, "stats": {"inactive_file": 0}},
            "blkio_stats": {"io_service_bytes_recursive": entries},
            "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
            "pids_stats": {"current": 3},
        }
        found = usage(raw, 1.0)
        assert found is not None
        assert (found.cpu_s, found.read_bytes, found.write_bytes, found.threads) == (1.5, 6, 7, 3)
        assert (found.received_bytes, found.sent_bytes) == (11, 22)

    def test_a_container_that_does_not_run_has_none(self) -> None:
        assert usage({"read": "0001-01-01T00:00:00Z", "memory_stats": {}}, 1.0) is None

    def test_what_the_engine_leaves_out_is_unknown_and_not_zero(self) -> None:
        found = usage({"read": "2026-01-01T00:00:00Z", "blkio_stats": {"io_service_bytes_recursive": None}}, 1.0)
        assert found is not None
        assert (found.cpu_s, found.memory_bytes, found.read_bytes, found.write_bytes) == (None,) * 4


NET = """Inter-|   Receive                   |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 5000 1 0 0 0 0 0 0 5000 1 0 0 0 0 0 0
  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0
"""
V1 = {
    "memory": {
        "memory.usage_in_bytes": f"{100 * MIB}\n",
        "memory.stat": f"inactive_file 1\ntotal_inactive_file {30 * MIB}\n",
        "memory.max_usage_in_bytes": f"{120 * MIB}\n",
    },
    "cpuacct": {"cpuacct.usage": "2500000000\n"},
    "blkio": {"blkio.throttle.io_service_bytes": "8:0 Read 300\n8:0 Write 0\n8:0 Total 300\nTotal 300\n"},
    "pids": {"pids.current": "5\n"},
}
