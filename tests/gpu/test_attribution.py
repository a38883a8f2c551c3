"""On a real GPU: what containers are known to use is what faceorch says they use."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.conftest import wait_until
from tests.gpu.scenarios import SCENARIOS, Lab, Outcome

Holds = Callable[[Outcome], None]


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "two_gpus"])
def test_what_a_job_of_known_cost_used_is_measured(lab: Lab, holds: Holds, name: str) -> None:
    holds(SCENARIOS[name](lab))


def test_one_container_on_two_gpus_has_the_figures_of_each(lab: Lab, holds: Holds) -> None:
    if len(lab.gpus) < 2:
        pytest.skip("this machine has one GPU")
    holds(SCENARIOS["two_gpus"](lab))


def test_nothing_stays_open_after_a_job_and_after_an_interrupted_one(lab: Lab) -> None:
    import pynvml

    def interrupt(stage: str, process: object) -> None:
        if stage == "load":
            raise KeyboardInterrupt

    lab.measure(load_s=0.5)
    with pytest.raises(KeyboardInterrupt):
        lab.measure(load_s=30.0, on_stage=interrupt)
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlDeviceGetCount()

    def left() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith(("faceorch", "docker"))]

    wait_until(lambda: left() == [], "the end of every thread")
