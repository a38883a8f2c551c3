"""What the record says of a machine that others use too; made-up counters, so that nothing depends on this one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceorch.telemetry.machine import machine_figures, machine_remarks, read_machine
from faceorch.telemetry.samples import MachineSample, UsageSample

PSI = "some avg10=1.00 avg60=0.50 avg300=0.10 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"


def test_the_counters_are_those_of_proc(tmp_path: Path) -> None:
    (tmp_path / "pressure").mkdir()
    (tmp_path / "stat").write_text("cpu  100 20 30 9000 800 4 5 6 100 20\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    for name, total in (("cpu", 2_500_000), ("io", 1_000)):
        (tmp_path / "pressure" / name).write_text(PSI.format(total))
    (tmp_path / "pressure" / "memory").write_text("nonsense")
    seen = read_machine(tmp_path)
    assert seen.busy_s == pytest.approx(165 / os.sysconf("SC_CLK_TCK"))
    assert seen.waited_s == {"cpu": 2.5, "io": 0.001, "memory": None}


def test_a_system_without_them_is_unknown(tmp_path: Path) -> None:
    seen = read_machine(tmp_path)
    assert (seen.busy_s, set(seen.waited_s.values())) == (None, {None})


def machine(
    others: float = 0.0, waited: dict[str, float] | None = None, known: bool = True, seconds: int = 10
) -> list[MachineSample]:
    """A machine of two cores on which the job keeps one busy, others so many, and faceorch a tenth."""
    shares = {"cpu": 0.0, "io": 0.0, "memory": 0.0, **(waited or {})}
    return [
        MachineSample(
            t_s=t,
            cores=2,
            busy_s=(1.1 + others) * t if known else None,
            own_s=0.1 * t,
            waited_s={name: share * t if known else None for name, share in shares.items()},
        )
        for t in range(seconds + 1)
    ]


USAGE = [UsageSample(t_s=t, cpu_s=float(t)) for t in range(11)]


def test_what_others_compute_is_what_is_neither_the_jobs_nor_ours() -> None:
    figures = machine_figures(machine(others=0.6, waited={"cpu": 0.4}), USAGE, None)
    assert figures["others_cpu_cores"].value == pytest.approx(0.6)
    assert (figures["others_cpu_cores"].method, figures["cpu_pressure_percent"].method) == ("proc_stat", "psi")
    assert figures["cpu_pressure_percent"].value == pytest.approx(40.0)


def test_only_the_window_counts() -> None:
    busy_later = [*machine(seconds=4), *machine(others=5.0)[5:]]
    assert machine_figures(busy_later, USAGE, (0.0, 4.0))["others_cpu_cores"].value == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("samples", "usage", "why"),
    [
        ([], USAGE, "the job took less than 1 s"),
        (machine()[:1], USAGE, "the job took less than 1 s"),
        (machine(known=False), USAGE, "this system has no /proc/stat"),
        (machine(), [], "the job's own processor time is not known"),
    ],
)
def test_what_cannot_be_known_is_said(samples: list[MachineSample], usage: list[UsageSample], why: str) -> None:
    figure = machine_figures(samples, usage, None)["others_cpu_cores"]
    assert (figure.value, figure.method, figure.note) == (None, "unavailable", why)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, []),
        ({"others": 0.1, "waited": {"cpu": 0.9}}, []),  # the job's own threads wait for each other
        ({"others": 0.9, "waited": {"cpu": 0.01}}, []),  # there were cores for all
        ({"others": 0.9, "waited": {"cpu": 0.5}}, ["other programs kept 0.9 of 2 cores busy: "]),
        ({"waited": {"io": 0.3}}, ["in 30 % of the time some program waited for a disk: "]),
        ({"waited": {"memory": 0.07}}, ["in 7 % of the time some program waited for memory: "]),
        ({"known": False}, []),
    ],
)
def test_a_busy_machine_is_a_remark(how: dict[str, object], said: list[str]) -> None:
    remarks = machine_remarks(machine_figures(machine(**how), USAGE, None), 2)  # type: ignore[arg-type]
    assert len(remarks) == len(said)
    for remark, begin in zip(remarks, said, strict=True):
        assert remark.startswith(begin)
        assert remark.endswith("run it again")
