"""What will run, what cannot and why."""

from __future__ import annotations

import pytest

from faceorch.errors import CannotRun
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.runs.plan import demand, make_plan, select_gpus
from faceorch.runtimes import Ready, Runtime
from faceorch.telemetry.nvml import Gpus
from faceorch.weights.source import StandIn
from faceorch.weights.store import Store
from tests.conftest import MakeNetwork
from tests.unit.runs.conftest import NO_GPUS, READY, FakeRuntime, gpu, plan

NOT_BUILT = Reason(kind=OutcomeKind.NOT_BUILT, found="its image is not built", remedy="faceorch build grey")
NO_VENV = Reason(kind=OutcomeKind.NO_ENGINE, found="it runs only in a container", remedy="install Docker")
TWO_GPUS = Gpus((gpu(0), gpu(1)), "580.1")


@pytest.mark.parametrize(
    ("docker", "venv", "runtime"), [(READY, READY, "docker"), (NOT_BUILT, READY, "venv"), (READY, NO_VENV, "docker")]
)
def test_the_first_ready_runtime_is_taken(
    make_network: MakeNetwork, docker: Ready | Reason, venv: Ready | Reason, runtime: str
) -> None:
    (planned,) = plan(make_network("grey"), docker, venv).planned
    assert planned.runtime.name == runtime


def test_the_reason_is_that_of_the_runtime_the_network_can_use(make_network: MakeNetwork) -> None:
    network = make_network("grey", runtimes=["docker"])
    (network.folder / "Dockerfile").touch()
    (obstacle,) = plan(network, NOT_BUILT, NO_VENV).obstacles
    assert obstacle.reason == NOT_BUILT


def test_an_interpreter_that_the_user_has_named_is_what_a_refusal_is_about(make_network: MakeNetwork) -> None:
    network = make_network("grey", runtimes=["docker", "venv"])
    (network.folder / "Dockerfile").touch()
    wrong = Reason(kind=OutcomeKind.NO_PYTHON, found="wrong is not a Python interpreter", remedy="give its path")
    (obstacle,) = plan(network, NOT_BUILT, wrong).obstacles
    assert obstacle.reason == wrong


def test_a_network_without_its_files_says_so(make_network: MakeNetwork) -> None:
    network = make_network("grey", runtimes=["docker"])
    (obstacle,) = plan(network, READY, READY).obstacles
    assert obstacle.reason.kind is OutcomeKind.NOT_AVAILABLE
    assert obstacle.reason.text.endswith("yet: Dockerfile missing")


def test_a_gpu_network_needs_a_gpu_and_never_falls_back(make_network: MakeNetwork) -> None:
    network = make_network("heavy", gpu=True, bases=["cu121"])
    (obstacle,) = plan(network, READY, READY).obstacles
    assert (obstacle.reason.kind, obstacle.reason.text) == (
        OutcomeKind.NO_GPU,
        "needs an NVIDIA GPU: no NVIDIA driver is installed",
    )
    (planned,) = plan(network, READY, READY, TWO_GPUS).planned
    assert planned.gpus == ("GPU-0abc", "GPU-1abc")


def test_only_a_network_that_gets_gpus_needs_a_way_to_them(make_network: MakeNetwork) -> None:
    heavy, light = make_network("heavy", gpu=True, bases=["cu121"]), make_network("light")
    for networks, gpus, weights, asked in (
        ([heavy], TWO_GPUS, Store(), [True]),
        ([light], TWO_GPUS, Store(), [False]),
        ([heavy], NO_GPUS, StandIn(full=False), [False]),  # with stand-ins, on the CPU
    ):
        runtime = FakeRuntime("docker", READY)
        make_plan(networks, runtimes={"docker": runtime}, gpus=gpus, selected=gpus.gpus, weights=weights)
        assert runtime.gpu == asked


def test_a_cpu_network_gets_no_gpu(make_network: MakeNetwork) -> None:
    (planned,) = plan(make_network("grey"), READY, READY, TWO_GPUS).planned
    assert planned.gpus == ()


@pytest.mark.parametrize(
    ("capabilities", "base", "asked"),
    [(["9.0"], None, "cu121"), (["9.0", "12.0"], None, "cu128"), (["9.0"], "cu128", "cu128")],
)
def test_the_base_covers_every_selected_gpu(
    make_network: MakeNetwork, capabilities: list[str], base: str | None, asked: str
) -> None:
    network = make_network("heavy", gpu=True, bases=["cu121", "cu128"])
    runtime = FakeRuntime("docker", READY)
    gpus = tuple(gpu(index, capability) for index, capability in enumerate(capabilities))
    make_plan(
        [network], runtimes={"docker": runtime}, gpus=Gpus(gpus, "580.1"), selected=gpus, base=base, weights=Store()
    )
    assert runtime.asked == [asked]


@pytest.mark.parametrize(
    ("capabilities", "base", "reason", "remedy"),
    [
        (
            ["3.5"],
            None,
            "no base of it (cu121, cu128) has kernels for GPU 0 (H200, compute capability 3.5)",
            "choose another GPU with --gpus",
        ),
        (
            ["6.1", "12.0"],
            None,
            "no base of it (cu121, cu128) has kernels for all of GPU 0 (H200, compute capability 6.1), "
            "1 (H200, compute capability 12.0)",
            "choose GPUs of one generation with --gpus",
        ),
        (
            ["12.0"],
            "cu121",
            "the base cu121 does not have kernels for GPU 0 (H200, compute capability 12.0)",
            "leave out --base",
        ),
        (["9.0"], "cpu", "it has no locks for the base cpu", "its bases: cu121, cu128"),
    ],
)
def test_a_gpu_without_kernels_is_an_obstacle(
    make_network: MakeNetwork, capabilities: list[str], base: str | None, reason: str, remedy: str
) -> None:
    network = make_network("heavy", gpu=True, bases=["cu121", "cu128"])
    gpus = tuple(gpu(index, capability) for index, capability in enumerate(capabilities))
    made = make_plan([network], runtimes={}, gpus=Gpus(gpus, "580.1"), selected=gpus, base=base, weights=Store())
    assert [(o.reason.text, o.reason.remedy) for o in made.obstacles] == [(reason, remedy)]


def test_the_cheap_networks_go_first(make_network: MakeNetwork) -> None:
    networks = [make_network("a_heavy", gpu=True, bases=["cu121"]), make_network("z_light")]
    runtimes: dict[str, Runtime] = {"venv": FakeRuntime("venv", READY)}
    made = make_plan(networks, runtimes=runtimes, gpus=TWO_GPUS, selected=TWO_GPUS.gpus, weights=Store())
    assert [p.network.name for p in made.planned] == ["z_light", "a_heavy"]


def test_naming_a_network_that_cannot_run_is_an_error(make_network: MakeNetwork) -> None:
    made = plan(make_network("grey"), NOT_BUILT, NO_VENV)
    with pytest.raises(CannotRun) as caught:
        demand(made, ["grey"])
    assert caught.value.message == "grey cannot run here: it runs only in a container"
    assert caught.value.remedy == "install Docker"


def test_nothing_that_can_run_is_an_error(make_network: MakeNetwork) -> None:
    with pytest.raises(CannotRun, match="no network can run here: grey: "):
        demand(plan(make_network("grey"), NOT_BUILT, NO_VENV), [])


@pytest.mark.parametrize(
    ("wanted", "indices"), [("all", [0, 1]), ("none", []), ("1", [1]), ("1,0", [1, 0]), ("GPU-1", [1]), ("0,0", [0])]
)
def test_gpus_are_selected_by_index_or_uuid(wanted: str, indices: list[int]) -> None:
    assert [g.index for g in select_gpus(wanted, TWO_GPUS)] == indices


@pytest.mark.parametrize("wanted", ["2", "GPU-", "", "0,x"])
def test_a_gpu_that_does_not_exist_is_an_error(wanted: str) -> None:
    with pytest.raises(CannotRun, match=r"this host has 0 \(H200, GPU-0abc\), 1 \(H200, GPU-1abc\)"):
        select_gpus(wanted, TWO_GPUS)


def test_selecting_gpus_where_there_are_none_says_why() -> None:
    with pytest.raises(CannotRun) as caught:
        select_gpus("0", NO_GPUS)
    assert caught.value.message == "--gpus names '0'; this host has none: no NVIDIA driver is installed"
