"""Real containers: the sandbox holds, every end is told apart, nothing is left behind."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faceorch import images
from faceorch.builders import Builder, find_builder
from faceorch.errors import EngineError
from faceorch.owner import Owner
from faceorch.runtimes import Exit, Launch, NotReady, Stream
from faceorch.runtimes.docker import DockerRuntime
from faceorch_runner import Event, EventKind, EventParser
from tests.engine.conftest import Probe

DRAIN = b'{"op":"drain"}\n'


def run(launch: Launch) -> tuple[Exit, list[Event], str]:
    """Run a container to its end; return how it ended, its events and its log."""
    parser, events, log = EventParser(), [], b""
    with DockerRuntime().start(launch) as process:
        process.send(DRAIN)
        while (piece := process.output.get(timeout=60)) is not None:
            if piece[0] is Stream.STDOUT:
                events += [item for item in parser.feed(piece[1]) if isinstance(item, Event)]
            else:
                log += piece[1]
        return process.wait(), events, log.decode()


def test_the_sandbox_holds(probe: Probe) -> None:
    probe.write(
        """
        import json, os, socket, resource
        def can_write(path):
            try:
                with open(path, "w"):
                    return True
            except OSError as error:
                return error.strerror
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        found = {
            "interfaces": sorted(os.listdir("/sys/class/net")),
            "root": can_write("/x"), "job": can_write("/job/job.json"), "code": can_write("/opt/faceorch/network/x"),
            "tmp": can_write("/tmp/x"), "out": can_write("/out/x"),
            "capabilities": [status[k].strip() for k in ("CapEff", "CapPrm", "CapBnd")],
            "no_new_privileges": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
            "uid": os.getuid(), "gid": os.getgid(), "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "first_process": open("/proc/1/comm").read().strip(),
        }
        (facts / "facts.json").write_text(json.dumps(found))
        """
    )
    probe.build()
    run(probe.launch())
    facts = json.loads((probe.out / "facts.json").read_text("utf-8"))
    assert facts["interfaces"] == ["lo"]
    assert (facts["root"], facts["job"], facts["code"]) == ("Read-only file system",) * 3
    assert (facts["tmp"], facts["out"]) == (True, True)
    assert facts["capabilities"] == ["0" * 16] * 3
    assert (facts["no_new_privileges"], facts["seccomp"]) == ("1", "2")
    assert (facts["uid"], facts["gid"]) == (os.getuid(), os.getgid())
    assert facts["files"] == 16384
    assert facts["first_process"] == "docker-init"
    assert (probe.out / "x").stat().st_uid == os.getuid()


def test_events_and_log_arrive_apart_and_the_exit_code_is_told(probe: Probe) -> None:
    probe.write("print('hello from upstream')\nraise ValueError('wrong')")
    probe.build()
    end, events, log = run(probe.launch())
    assert end == Exit(code=1)
    assert events[-1].kind is EventKind.ERROR
    assert events[-1].data == {"kind": "crash", "message": "ValueError: wrong"}
    assert "hello from upstream" in log


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("import os; os._exit(3)", Exit(code=3)),
        ("import os; os.kill(os.getpid(), 9)", Exit(code=137, signal=9)),
        ("import os; os.kill(os.getpid(), 11)", Exit(code=139, signal=11)),
    ],
)
def test_every_end_is_told_apart(probe: Probe, body: str, end: Exit) -> None:
    probe.write(body)
    probe.build()
    assert run(probe.launch())[0] == end


def test_a_container_that_somebody_removes_counts_as_killed(probe: Probe) -> None:
    probe.write("import time; time.sleep(300)")
    probe.build()
    with DockerRuntime().start(probe.launch()) as process:
        process.output.get(timeout=60)
        (entry,) = probe.api.containers(filters={"label": f"{images.LABEL}.run=test-run"})
        probe.api.remove_container(entry["Id"], force=True)
        while process.output.get(timeout=60) is not None:
            pass
        assert process.wait() == Exit(code=None, signal=9)


def test_a_kill_for_memory_is_seen(probe: Probe) -> None:
    probe.write("keep = bytearray(600 * 2**20)\nfor i in range(0, len(keep), 4096): keep[i] = 1")
    probe.build()
    end, _, _ = run(probe.launch())
    assert end.oom_killed


def test_a_hang_can_be_stopped(probe: Probe) -> None:
    probe.write("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(300)")
    probe.build()
    with DockerRuntime().start(probe.launch()) as process:
        process.send(DRAIN)
        process.output.get(timeout=60)
        begun_s = time.monotonic()
        process.stop()
        assert time.monotonic() - begun_s < 8
        assert process.wait().code == 75, "the lifeline ends it, before any signal"


def test_ctrl_c_leaves_nothing(probe: Probe) -> None:
    probe.write("import time; time.sleep(300)")
    probe.build()

    def interrupted() -> None:
        with DockerRuntime().start(probe.launch()) as process:
            process.output.get(timeout=60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert probe.api.containers(all=True, filters={"label": f"{images.LABEL}.run"}) == []


OWNER = """
import pickle, sys, dataclasses
from faceorch.owner import Owner
from faceorch.runtimes.docker import DockerRuntime
launch = dataclasses.replace(pickle.load(open(sys.argv[1], "rb")), owner=Owner.me())
with DockerRuntime().start(launch) as process:
    process.send(b'{"op":"drain"}\\n')
    process.output.get()
    print("started", flush=True)
    while process.output.get() is not None: pass
"""


def test_a_container_leaves_when_its_owner_is_killed_and_is_swept(probe: Probe, tmp_path: Path) -> None:
    probe.write("import time; time.sleep(300)")
    probe.build()
    file = tmp_path / "launch.pickle"
    file.write_bytes(pickle.dumps(probe.launch()))
    with subprocess.Popen([sys.executable, "-c", OWNER, str(file)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        (entry,) = probe.api.containers(filters={"label": f"{images.LABEL}.run=test-run"})
        assert DockerRuntime().sweep() == [], "a living owner's container is not touched"
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert probe.api.wait(entry["Id"], timeout=30)["StatusCode"] == 75
    assert DockerRuntime().sweep() == [f"removed container {entry['Names'][0].lstrip('/')} of a faceorch that died"]


def test_the_sweep_leaves_foreign_containers_alone(probe: Probe) -> None:
    probe.build()
    foreign = probe.api.create_container(probe.ready().identity, labels={f"{images.LABEL}.owner": "not an owner"})
    elsewhere = probe.api.create_container(
        probe.ready().identity, labels={f"{images.LABEL}.owner": str(Owner("elsewhere/boot", 1, 1.0))}
    )
    try:
        assert DockerRuntime().sweep() == []
    finally:
        for made in (foreign, elsewhere):
            probe.api.remove_container(made["Id"])


def test_a_missing_input_is_an_error_and_makes_no_folder(probe: Probe, tmp_path: Path) -> None:
    probe.build()
    probe.portrait = tmp_path / "gone.png"

    def start() -> None:
        with DockerRuntime().start(probe.launch()):
            raise AssertionError("it must not start")

    with pytest.raises(EngineError, match="the engine does not see a file of the run"):
        start()
    assert not probe.portrait.exists()


class TestReady:
    def test_without_an_image_it_says_how_to_build_one(self, probe: Probe) -> None:
        assert DockerRuntime().ready(probe.network, "cpu") == NotReady(
            kind="not_built", reason="its image is not built", remedy="faceorch build probe"
        )

    def test_an_image_of_other_inputs_is_not_run(self, probe: Probe) -> None:
        probe.build()
        probe.write("raise ValueError('newer')")
        found = DockerRuntime().ready(probe.network, "cpu")
        assert isinstance(found, NotReady)
        assert found.reason == "its image is older than what it is made of"
        probe.build()
        assert probe.ready().base == "cpu"

    def test_a_given_image_is_used_and_recorded(self, probe: Probe) -> None:
        identity = probe.build()
        tag = probe.ready().name
        found = DockerRuntime({"probe": tag}).ready(probe.network, "cpu")
        assert (found.identity, found.given, found.name) == (identity, True, tag)  # type: ignore[union-attr]

    def test_a_given_image_that_is_not_there_is_named(self, probe: Probe) -> None:
        found = DockerRuntime({"probe": "no/such:image"}).ready(probe.network, "cpu")
        assert isinstance(found, NotReady)
        assert found.reason == "the engine has no image no/such:image"

    def test_the_engine_is_described(self, probe: Probe) -> None:
        facts = DockerRuntime().facts
        assert facts is not None
        assert facts.version == probe.api.version()["Version"]


class TestBuild:
    @pytest.mark.parametrize("builder", ["classic", "buildx"])
    def test_both_builders_make_the_labels_of_the_recipe(self, probe: Probe, builder: Builder) -> None:
        if builder == "buildx" and find_builder() != "buildx":
            pytest.skip("the Docker CLI has no buildx plugin")
        probe.build(builder)
        recipe = images.make_recipe(probe.network, "cpu", probe.base)
        labels = probe.api.inspect_image(recipe.tag)["Config"]["Labels"]  # type: ignore[no-untyped-call]
        assert labels[f"{images.LABEL}.inputs"] == recipe.inputs
        assert labels[f"{images.LABEL}.base-image"] == probe.base
        assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert probe.ready().name == recipe.tag

    def test_a_failed_step_shows_its_last_line_and_keeps_the_log(self, probe: Probe) -> None:
        from faceorch.errors import BuildError

        with (probe.network.folder / "Dockerfile").open("a", encoding="utf-8") as file:
            file.write("RUN echo no space left on device >&2; exit 7\n")
        with pytest.raises(BuildError) as caught:
            probe.build()
        assert caught.value.message == "probe was not built: no space left on device"
        assert caught.value.remedy == "free some disk: faceorch clean, docker system prune"
        assert "Step 2/" in (probe.out.parent / "build.log").read_text("utf-8")
