"""Whose memory and energy it was, as tables: made-up samples in, figures and reasons out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from faceorch.telemetry.attribution import Attribution, Foreign, attribute, energy, growth
from faceorch.telemetry.samples import Target
from tests.fake_nvml import MIB
from tests.unit.telemetry.conftest import TARGET, THEIRS, process, sample


def mib(found: Attribution) -> list[int | None]:
    return [None if value is None else value // MIB for value in found.own_bytes]


IDLE = [sample(0.0)]


def test_a_process_of_the_container_is_its_memory() -> None:
    found = attribute(IDLE, [sample(1), sample(2, process(7, 900)), sample(3, process(7, 700))], TARGET)
    assert (mib(found), found.method, found.note) == ([0, 900, 700], "per_process", "")
    assert (found.exclusive, found.doubt, found.foreign) == (True, "", ())
    assert found.peak_bytes == 900 * MIB


def test_several_processes_of_the_container_add_up() -> None:
    found = attribute(IDLE, [sample(1, process(7, 900), process(8, 300))], TARGET)
    assert mib(found) == [1200]


def test_two_containers_on_one_gpu_are_told_apart() -> None:
    samples = [sample(1, process(7, 900)), sample(2, process(7, 900), process(9, 2000, THEIRS))]
    first = attribute(IDLE, samples, TARGET)
    second = attribute([samples[0]], samples[1:], Target(container=THEIRS))
    assert (mib(first), mib(second)) == ([900, 900], [2000])
    assert (first.method, second.method) == ("per_process", "per_process")
    assert first.note == "other processes used the GPU too; their memory is not counted"
    assert first.foreign == (Foreign(9, 2000 * MIB, before=False),)
    assert second.foreign == (Foreign(7, 900 * MIB, before=True),)
    assert (first.exclusive, first.doubt) == (False, "the GPU was shared: process 9 used it while it ran")
    assert (second.exclusive, second.doubt) == (False, "the GPU was shared: process 7 used it before it began")


def test_a_process_from_before_stays_somebody_else() -> None:
    desktop = process(3, 50, "")
    found = attribute([sample(0, desktop)], [sample(1, desktop, process(7, 900))], TARGET)
    assert mib(found) == [900]
    assert found.foreign == (Foreign(3, 50 * MIB, before=True),)


def test_a_process_that_vanished_before_it_was_looked_up_is_what_it_was_before() -> None:
    gone = process(7, 900, started=None)
    found = attribute(IDLE, [sample(1, process(7, 900)), sample(2, gone), sample(3)], TARGET)
    assert (mib(found), found.method, found.exclusive) == ([900, 900, 0], "per_process", True)
    theirs = attribute(
        IDLE,
        [sample(1, process(7, 1), process(9, 5, THEIRS)), sample(2, process(7, 1), process(9, 5, started=None))],
        TARGET,
    )
    assert mib(theirs) == [1, 1]
    assert theirs.foreign == (Foreign(9, 5 * MIB, before=False),)


def test_a_process_that_nobody_ever_knew_is_not_counted_and_ends_exclusiveness() -> None:
    stray = process(9, 400, started=None)
    found = attribute(IDLE, [sample(1, process(7, 900)), sample(2, process(7, 900), stray)], TARGET)
    assert (mib(found), found.method) == ([900, 900], "per_process")
    assert found.note == "one sample had a process that ended before its owner could be determined; it is not counted"
    assert found.exclusive is None
    assert found.doubt == "process 9 used it for a moment, and ended before its owner could be determined"


def test_a_reused_process_id_is_another_process() -> None:
    again = process(7, 3000, THEIRS, started=2000)
    found = attribute(IDLE, [sample(1, process(7, 900)), sample(2, again)], TARGET)
    assert mib(found) == [900, 0]
    assert found.foreign == (Foreign(7, 3000 * MIB, before=False),)


def test_an_id_that_was_gone_and_came_back_is_not_trusted() -> None:
    found = attribute(IDLE, [sample(1, process(7, 900)), sample(2), sample(3, process(7, 800, started=None))], TARGET)
    assert mib(found) == [900, 0, 0]
    assert found.exclusive is None


def test_processes_of_the_host_are_known_by_their_session() -> None:
    ours, other = process(7, 900, "", session=70), process(8, 100, "", session=80)
    found = attribute(IDLE, [sample(1, ours, other)], Target(session=70))
    assert mib(found) == [900]
    assert [foreign.pid for foreign in found.foreign] == [8]


@pytest.mark.parametrize("scrambled", [0, 4294967295, 2**22 + 1])
def test_process_ids_that_cannot_exist_are_not_used(scrambled: int) -> None:
    found = attribute(IDLE, [sample(1, process(scrambled, 900, started=None), process(7, 900))], TARGET)
    assert (mib(found), found.method) == ([None], "unavailable")
    assert found.note == (
        f"the driver's process list is scrambled (process id {scrambled}): update the driver or nvidia-ml-py"
    )
    assert found.exclusive is None


def test_more_memory_than_the_gpu_has_is_a_scrambled_list() -> None:
    found = attribute(IDLE, [sample(1, process(7, 9000))], TARGET)
    assert (found.method, found.peak_bytes) == ("unavailable", None)
    assert "scrambled" in found.note


def test_process_ids_that_mean_nothing_here_are_named() -> None:
    far = [sample(t, process(4242, 900, started=None)) for t in range(1, 6)]
    found = attribute(IDLE, far, TARGET)
    assert (found.method, found.note) == ("unavailable", "process id 4242 on the GPU cannot be looked up from here")
    assert found.doubt == f"it is unknown whether the GPU was shared: {found.note}"


def test_wsl2_lists_no_memory_and_nobody_of_ours() -> None:
    lists_none = [replace(sample(t), processes=None) for t in (1, 2)]
    found = attribute([lists_none[0]], lists_none, TARGET, wsl2=True)
    assert (found.method, found.note) == ("unavailable", "the driver lists no processes under WSL2")
    empty = attribute(IDLE, [sample(1, used=3000)], TARGET, wsl2=True)
    assert (empty.method, empty.note) == ("unavailable", "the driver listed no process of this job (WSL2)")
    assert empty.exclusive is None


def test_without_permission_the_drivers_own_words_are_the_reason() -> None:
    silent = [replace(sample(t), processes=None) for t in (1, 2)]
    found = attribute([], silent, TARGET, refusal="Insufficient Permissions")
    assert (found.method, found.note) == ("unavailable", "the driver lists no processes: Insufficient Permissions")


def test_without_memory_per_process_an_exclusive_gpu_still_tells() -> None:
    samples = [sample(1, used=500), sample(2, process(7, None), used=1500), sample(3, process(7, None), used=1400)]
    found = attribute(IDLE, samples, TARGET)
    assert (mib(found), found.method) == ([0, 1000, 900], "device_delta")
    assert found.note == (
        "the whole GPU's memory less what was used before: the driver does not report memory per process"
    )


def test_without_memory_per_process_a_shared_gpu_tells_nothing() -> None:
    found = attribute(IDLE, [sample(1, process(7, None), process(9, None, THEIRS), used=1500)], TARGET)
    assert (found.method, found.peak_bytes) == ("unavailable", None)
    assert found.note == (
        "the driver does not report memory per process, and the GPU was shared: process 9 used it while it ran"
    )


def test_a_split_gpu_is_never_exclusive_and_its_delta_is_not_used() -> None:
    told = attribute(IDLE, [sample(1, process(7, 900))], TARGET, mig=True)
    assert (mib(told), told.method, told.exclusive) == ([900], "per_process", None)
    assert told.doubt == "the GPU is partitioned (MIG): its other instances are not visible"
    silent = attribute(IDLE, [sample(1, process(7, None), used=1500)], TARGET, mig=True)
    assert (silent.method, silent.note) == (
        "unavailable",
        "the driver does not report memory per process on a partitioned GPU (MIG)",
    )


def test_a_sample_without_processes_is_unknown_and_not_zero() -> None:
    between = replace(sample(2), processes=None)
    gone = process(7, 900, started=None)
    found = attribute(IDLE, [sample(1, process(7, 900)), between, sample(3, gone)], TARGET)
    assert (mib(found), found.method, found.exclusive) == ([900, None, 900], "per_process", True)


def test_no_sample_is_no_figure() -> None:
    found = attribute(IDLE, [], TARGET)
    assert (found.method, found.note, found.peak_bytes) == ("unavailable", "no sample was taken", None)


def test_a_job_that_never_showed_up_holds_no_zero() -> None:
    found = attribute(IDLE, [sample(1), sample(2)], TARGET)
    assert (mib(found), found.method) == ([None, None], "unavailable")
    assert found.note == "the driver listed no process of this job"


class TestEnergy:
    def test_the_counter_tells(self) -> None:
        found = energy([sample(1), sample(2), sample(5)], True, "")
        assert (found.joules, found.method, found.note) == (400.0, "energy_counter", "of the whole board")

    def test_a_counter_that_was_reset_is_not_used(self) -> None:
        samples = [sample(1), replace(sample(2), energy_j=3.0), replace(sample(3), energy_j=100.0)]
        found = energy(samples, True, "")
        assert (found.joules, found.method) == (200.0, "power_integral")
        assert found.note == "of the whole board, from its power readings: the energy counter was reset"

    def test_without_a_counter_power_is_summed(self) -> None:
        samples = [replace(sample(t), energy_j=None, power_w=p) for t, p in ((0.0, 100.0), (1.0, 200.0), (3.0, 200.0))]
        found = energy(samples, True, "")
        assert (found.joules, found.method) == (550.0, "power_integral")
        assert found.note == "of the whole board, from its power readings: this GPU has no energy counter"

    @pytest.mark.parametrize("exclusive", [False, None])
    def test_a_gpu_that_may_be_shared_has_none(self, exclusive: bool | None) -> None:
        found = energy([sample(1), sample(2)], exclusive, "why")
        assert (found.joules, found.method, found.note) == (None, "unavailable", "why")

    def test_a_driver_that_tells_nothing_has_none(self) -> None:
        silent = [replace(sample(t), energy_j=None, power_w=None) for t in (1, 2)]
        assert energy(silent, True, "").note == "the driver reports neither energy nor power"


@pytest.mark.parametrize(
    ("values", "grown"),
    [
        ([], None),
        ([None, None], None),
        ([5.0], 0.0),
        ([5.0, 8.0, 8.0], 3.0),
        ([5.0, None, 9.0], 4.0),
        ([4294967290.0, 10.0, 15.0], 15.0),
        ([100.0, 3.0], 3.0),
    ],
)
def test_a_counter_that_wraps_or_begins_anew_still_grows(values: list[float | None], grown: float | None) -> None:
    assert growth(values) == grown
