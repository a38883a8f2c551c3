"""Real containers: the sandbox holds, every end is told apart, nothing is left behind."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from faceorch.engine import client
from faceorch.engine.client import endpoint
from faceorch.engine.facts import read_facts
from faceorch.engine.sandbox import sandbox
from faceorch.errors import EngineError
from faceorch.images import built
from faceorch.images import recipe as images
from faceorch.images.assembly import Assembly
from faceorch.images.options import Builder, BuildOptions, find_builder
from faceorch.owner import Owner
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.runtimes import Exit, Launch, Stream
from faceorch.runtimes import docker as docker_runtime
from faceorch.runtimes.docker import DockerRuntime
from faceorch_runner import Event, EventKind, EventParser
from tests.conftest import FOR_EVER_S, LIMIT_S
from tests.engine.conftest import Probe

DRAIN = b'{"op":"drain"}\n'


def run(launch: Launch) -> tuple[Exit, list[Event], str]:
    """Run a container to its end; return how it ended, its events and its log."""
    parser, events, log = EventParser(), [], b""
    with DockerRuntime().start(launch) as process:
        process.send(DRAIN)
        while (piece := process.output.get(timeout=LIMIT_S)) is not None:
            if piece[0] is Stream.STDOUT:
                events += [item for item in parser.feed(piece[1]) if isinstance(item, Event)]
            else:
                log += piece[1]
        end = process.wait(LIMIT_S)
        assert end is not None
        return end, events, log.decode()


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
    user = (os.getuid(), os.getgid()) if os.getuid() else (65534, 65534)
    assert (facts["uid"], facts["gid"]) == user
    assert facts["files"] == 16384
    assert facts["first_process"] == "docker-init"
    assert (probe.out / "x").stat().st_uid == user[0]


def test_a_container_runs_as_root_only_where_that_is_asked_for(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    probe.portrait.chmod(0o600)  # whoever the container runs as, it can read its inputs
    probe.write("job.portrait.read_bytes(); print('I am', __import__('os').getuid())")
    probe.build()
    assert f"I am {os.getuid() or 65534}\n" in run(probe.launch())[2]
    if os.getuid() == 0:
        monkeypatch.setenv("FACEORCH_CONTAINER_USER", "0:0")
        assert "I am 0\n" in run(probe.launch())[2]
    monkeypatch.setenv("FACEORCH_CONTAINER_USER", "root")
    with pytest.raises(EngineError, match="FACEORCH_CONTAINER_USER is 'root', UID:GID needed"):
        run(probe.launch())


def test_the_proxies_of_the_docker_cli_stay_outside(
    probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").mkdir()
    proxy = {"httpProxy": "http://me:secret@proxy:3128", "httpsProxy": "http://me:secret@proxy:3128"}
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"proxies": {"default": proxy}}), "utf-8")
    probe.write("print('seen', sorted(k for k in __import__('os').environ if 'proxy' in k.lower()))")
    probe.build()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    client._connect.cache_clear()
    try:
        assert client.connect()._proxy_configs, "the client has read them"  # type: ignore[attr-defined]
        assert "seen []\n" in run(probe.launch())[2]
    finally:
        client._connect.cache_clear()


def test_an_image_with_our_labels_and_another_name_is_not_run(probe: Probe) -> None:
    tag = probe.build()
    recipe = images.make_recipe(probe.network, "cpu", probe.base)
    probe.api.tag(tag, "evil", "latest")
    probe.api.remove_image(recipe.tag)
    try:
        found = DockerRuntime().ready(probe.network, "cpu")
        assert isinstance(found, Reason)
        assert found.text == "an image with its labels is called evil:latest, which is not its name"
        assert found.remedy == "faceorch build probe"
        assert Assembly.of([recipe], built.ours(probe.api), BuildOptions.of(), jobs=1).items[-1].state == "waiting"
    finally:
        probe.api.remove_image("evil:latest")


def test_events_and_log_arrive_apart_and_the_exit_code_is_told(probe: Probe) -> None:
    probe.write("print('hello from upstream')\nraise ValueError('wrong')")
    probe.build()
    end, events, log = run(probe.launch())
    assert end == Exit(code=1)
    assert events[-1].kind is EventKind.ERROR
    assert events[-1].data == {"kind": "crash", "message": "ValueError: wrong"}
    assert "hello from upstream" in log


def test_the_engine_keeps_nothing_of_what_is_printed(probe: Probe) -> None:
    probe.write(
        """
        import os, sys, time
        line = b"x" * 1023 + b"\\n"
        for _ in range(64):
            os.write(2, line * 1024)
        print("the end")
        sys.stdout.flush()
        time.sleep(300)
        """
    )
    probe.build()
    seen = b""
    with DockerRuntime().start(probe.launch()) as process:
        process.send(DRAIN)
        heard = 0
        while b"the end" not in seen:
            piece = process.output.get(timeout=60)
            assert piece is not None
            heard, seen = heard + len(piece[1]), (seen + piece[1])[-1000:]
        assert heard > 64 * 2**20, "all of it arrives here"
        (entry,) = probe.api.containers(filters={"label": f"{images.LABEL}.run={probe.run}"})
        found = probe.api.inspect_container(entry["Id"])
        assert (found["HostConfig"]["LogConfig"]["Type"], found["LogPath"]) == ("none", "")
        process.stop()


def test_a_log_that_the_engine_is_to_keep_has_a_limit(probe: Probe) -> None:
    probe.build()
    facts = read_facts(probe.api, endpoint())
    host_config = sandbox(probe.api, facts, mounts=[], memory_bytes=2**28, gpus=[], log_bytes=2**14)
    flood = "import os\nfor i in range(100): os.write(1, b'x' * 9999 + b'\\n')\nos.write(1, b'the end')"
    container = probe.api.create_container(
        probe.ready().identity, entrypoint=["/opt/faceorch/env/bin/python", "-c", flood], host_config=host_config
    )
    try:
        probe.api.start(container)
        assert probe.api.wait(container)["StatusCode"] == 0
        kept = probe.api.logs(container)
        assert kept.endswith(b"the end")
        assert len(kept) <= 2**14 + 10_000, "a line past the limit begins a new file"
    finally:
        probe.api.remove_container(container)


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
    probe.write(f"import time; time.sleep({FOR_EVER_S})")
    probe.build()
    with DockerRuntime().start(probe.launch()) as process:
        process.output.get(timeout=LIMIT_S)
        (entry,) = probe.api.containers(filters={"label": f"{images.LABEL}.run={probe.run}"})
        probe.api.remove_container(entry["Id"], force=True)
        while process.output.get(timeout=LIMIT_S) is not None:
            pass
        assert process.wait(LIMIT_S) == Exit(code=None, signal=9)


def test_a_kill_for_memory_is_seen(probe: Probe) -> None:
    probe.write("keep = bytearray(600 * 2**20)\nfor i in range(0, len(keep), 4096): keep[i] = 1")
    probe.build()
    end, _, _ = run(probe.launch())
    assert end.oom_killed


def test_a_hang_can_be_stopped(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes first is enough: so it gets all the time that a busy machine needs."""
    (gentle, _), *rest = docker_runtime._STOP_STEPS
    monkeypatch.setattr(docker_runtime, "_STOP_STEPS", ((gentle, LIMIT_S), *rest))
    probe.write(f"import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep({FOR_EVER_S})")
    probe.build()
    with DockerRuntime().start(probe.launch()) as process:
        process.send(DRAIN)
        process.output.get(timeout=LIMIT_S)
        process.stop()
        assert process.wait(LIMIT_S) == Exit(code=75), "the lifeline ends it, before any signal"


def test_ctrl_c_leaves_nothing(probe: Probe) -> None:
    probe.write(f"import time; time.sleep({FOR_EVER_S})")
    probe.build()

    def interrupted() -> None:
        with DockerRuntime().start(probe.launch()) as process:
            process.output.get(timeout=LIMIT_S)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert probe.api.containers(all=True, filters={"label": f"{images.LABEL}.run={probe.run}"}) == []


OWNER = """
import pickle, sys
from msgspec.structs import replace
from faceorch.owner import Owner
from faceorch.runtimes.docker import DockerRuntime
launch = replace(pickle.load(open(sys.argv[1], "rb")), owner=Owner.me())
with DockerRuntime().start(launch) as process:
    process.send(b'{"op":"drain"}\\n')
    while b"busy" not in process.output.get()[1]: pass
    print("started", flush=True)
    while process.output.get() is not None: pass
"""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f"import time; print('busy', flush=True); time.sleep({FOR_EVER_S})", 75),
        # Native code that holds Python's lock, and does so from the moment on when it says that it is busy.
        (
            f"import ctypes, sys; sys.setswitchinterval({FOR_EVER_S}); native = ctypes.PyDLL(None);"
            f" native.write(1, b'busy', 4); native.sleep({FOR_EVER_S})",
            137,
        ),
    ],
)
def test_a_container_leaves_when_its_owner_is_killed_and_is_swept(
    probe: Probe, tmp_path: Path, body: str, code: int
) -> None:
    probe.write(body)
    probe.build()
    file = tmp_path / "launch.pickle"
    file.write_bytes(pickle.dumps(probe.launch()))
    with subprocess.Popen([sys.executable, "-c", OWNER, str(file)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        (entry,) = probe.api.containers(filters={"label": f"{images.LABEL}.run={probe.run}"})
        assert DockerRuntime().sweep() == [], "a living owner's container is not touched"
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert probe.api.wait(entry["Id"], timeout=int(LIMIT_S))["StatusCode"] == code
    assert DockerRuntime().sweep() == [f"removed container {entry['Names'][0].lstrip('/')} of a faceorch that died"]


@pytest.mark.parametrize(
    "owner",
    [
        "not an owner",
        str(Owner("elsewhere", "boot", 1, 1, 1)),
        str(replace(Owner.me(), namespace=7, pid=2**22 + 1)),
        f"{Owner.me().machine}:{os.getpid()}:1700000000.0",
    ],
    ids=["other text", "other machine", "other PID namespace", "old label"],
)
def test_the_sweep_leaves_foreign_containers_alone(probe: Probe, owner: str) -> None:
    probe.build()
    foreign = probe.api.create_container(probe.ready().identity, labels={f"{images.LABEL}.owner": owner})
    try:
        assert DockerRuntime().sweep() == []
    finally:
        probe.api.remove_container(foreign["Id"])


def test_the_sweep_of_another_pid_namespace_leaves_a_living_container_alone(probe: Probe) -> None:
    """Nor does one after the clock was set, which is what the time of the boot is computed from."""
    probe.write("import time; time.sleep(300)")
    probe.build()
    code = "from faceorch.runtimes.docker import DockerRuntime; print(DockerRuntime().sweep())"
    shifted = "import psutil; psutil.Process.create_time = lambda process: 1e9; " + code
    with DockerRuntime().start(probe.launch()) as process:
        process.output.get(timeout=60)
        commands = [[sys.executable, "-c", shifted]]
        if os.getuid() == 0:
            commands.append(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code])
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
        (entry,) = probe.api.containers(filters={"label": f"{images.LABEL}.run={probe.run}"})
        assert entry["State"] == "running"


def test_a_missing_input_is_an_error_and_makes_no_folder(probe: Probe, tmp_path: Path) -> None:
    probe.build()
    probe.portrait = tmp_path / "gone.png"

    def start() -> None:
        with DockerRuntime().start(probe.launch()):
            raise AssertionError("it must not start")

    with pytest.raises(EngineError, match="the engine cannot see a file of the run"):
        start()
    assert not probe.portrait.exists()


class TestReady:
    def test_without_an_image_it_says_how_to_build_one(self, probe: Probe) -> None:
        assert DockerRuntime().ready(probe.network, "cpu") == Reason(
            kind=OutcomeKind.NOT_BUILT, found="its image is not built", remedy="faceorch build probe"
        )

    def test_an_image_of_other_inputs_is_not_run(self, probe: Probe) -> None:
        probe.build()
        probe.write("raise ValueError('newer')")
        found = DockerRuntime().ready(probe.network, "cpu")
        assert isinstance(found, Reason)
        assert found.text == "its image is older than what it is made of"
        probe.build()
        assert probe.ready().base == "cpu"

    def test_a_given_image_is_used_and_recorded(self, probe: Probe) -> None:
        identity = probe.build()
        tag = probe.ready().name
        found = DockerRuntime({"probe": tag}).ready(probe.network, "cpu")
        assert (found.identity, found.given, found.name) == (identity, True, tag)  # type: ignore[union-attr]

    def test_a_given_image_that_is_not_there_is_named(self, probe: Probe) -> None:
        found = DockerRuntime({"probe": "no/such:image"}).ready(probe.network, "cpu")
        assert isinstance(found, Reason)
        assert found.text == "the engine has no image no/such:image"

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
        assert caught.value.remedy == "free some disk space: faceorch clean, docker system prune"
        assert "Step 2/" in (probe.out.parent / "build.log").read_text("utf-8")
