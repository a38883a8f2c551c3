"""What `faceorch weights` prints."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch.cli.main import cli
from faceorch.telemetry.nvml import Gpus
from tests.conftest import FOR_EVER_S, LIMIT_S, MakeNetwork, wait_until
from tests.unit.weights import server as http
from tests.unit.weights.conftest import DATA, entry, write_manifest
from tests.unit.weights.server import Server


def run(*arguments: str) -> str:
    return CliRunner().invoke(cli, ["weights", *arguments]).output


def test_from_nothing_to_a_folder_and_back(server: Server, make_network: MakeNetwork, store: Path) -> None:
    network = make_network("grey")
    write_manifest(
        network,
        entry(server.host("/f", DATA), commercial=None, licence="unclear"),
        entry(server.host("/g", DATA[:10]), DATA[:10], path="loud", when={"setting": "loud", "equals": True}),
        entry(server.host("/h", DATA[:20]), DATA[:20], path="open", sha256=None, commercial=False),
    )
    listed = run("ls", "grey")
    assert listed == (
        f"grey: 0 B of 300.0 kB; {store}/networks/grey\n"
        "  missing        300.0 kB  a/b.bin\n"
        "           a test (unclear; commercial use unclear)\n"
        "  missing            10 B  loud\n"
        "           a test (MIT; only with loud=True)\n"
        "  missing      about 20 B  open\n"
        "           a test (MIT; not for commercial use)\n"
        "           its hash is not in the manifest: not known yet\n"
        f"store: {store}\n"
    )
    assert run("path", "grey") == (
        "error: grey: 2 of its 2 weight files are missing (300.0 kB): a/b.bin, open\n"
        "  try: faceorch weights pull grey\n"
    )
    lines = run("pull", "grey", "--jobs", "1").splitlines()
    sha256 = entry("http://x", DATA[:20])["sha256"]
    assert lines == [
        "0 of 2 files are there; 300.0 kB to bring",
        "grey/a/b.bin: there and verified",
        f"grey/open: no hash is stated for it; accepted as downloaded (sha256 {sha256})",
        "grey/open: there and verified",
        f"weights of grey: ready in {store}",
    ]
    assert run("path", "grey") == f"{store}/networks/grey\n"
    assert "its hash is not in the manifest: found by first download" in run("ls", "grey")
    assert run("verify", "grey") == "grey/a/b.bin: right\ngrey/open: right\n"
    assert run("pull", "grey", "--set", "grey.loud=on").startswith("2 of 3 files are there; 10 B to bring\n")
    assert run("lock", "grey", "--check") == (
        f"grey/open: sha256 {sha256}, 20 bytes (first download)\nerror: 1 entry is open\n  try: faceorch weights lock\n"
    )
    assert run("lock", "grey") == f"grey/open: sha256 {sha256}, 20 bytes (first download)\n"
    assert run("lock", "grey", "--check") == ""
    assert run("rm", "grey") == "removed 3 files, 300.0 kB\n"
    assert run("ls", "grey").startswith("grey: 0 B of 300.0 kB")
    found = json.loads(run("ls", "grey", "--json"))["grey"]
    assert [(f["path"], f["state"], f["stated"]) for f in found] == [
        ("a/b.bin", "missing", True),
        ("loud", "missing", True),
        ("open", "missing", True),
    ]


def test_without_names_only_what_this_host_can_use_is_downloaded(
    server: Server, make_network: MakeNetwork, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceorch.telemetry.nvml.read_gpus", lambda: Gpus((), None, "no driver"))
    (store.parent / "none").mkdir()
    monkeypatch.setattr("faceorch.networks.discover.docker_folder", lambda: store.parent / "none")
    write_manifest(make_network("heavy", gpu=True), entry(server.host("/f", DATA)))
    skipped = "skipped: heavy: no NVIDIA GPU here: no driver (name them, or --all, to download all the same)\n"
    assert run("pull") == skipped + "nothing to download\n"
    write_manifest(make_network("grey"), entry(server.host("/g", DATA[:10]), DATA[:10]))
    assert run("pull").startswith(skipped + "0 of 1 files are there; 10 B to bring\n")
    assert run("pull", "--all").startswith("1 of 2 files are there; 300.0 kB to bring\n")


def test_removing_everything_asks(server: Server, make_network: MakeNetwork, store: Path) -> None:
    write_manifest(make_network("grey"), entry(server.host("/f", DATA)))
    run("pull", "grey")
    asked = "error: there is no terminal to confirm on; nothing was removed\n  try: faceorch weights rm --all --yes\n"
    assert run("rm", "--all") == asked
    assert run("verify", "grey") == "grey/a/b.bin: right\n"
    assert run("rm", "--all", "--yes") == "removed 1 file, 300.0 kB\n"


def test_pull_as_json_lines(server: Server, make_network: MakeNetwork, store: Path) -> None:
    write_manifest(
        make_network("grey"), entry(server.host("/f", DATA, http.cut(1000))), entry(server.url + "/no", path="no")
    )
    lines = run("pull", "grey", "--json").splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert events[0] == {"event": "started", "files": 1, "missing": 1, "bytes": 300000}
    (ended,) = [e for e in events if e["event"] == "ended"]
    assert (ended["path"], ended["error"]) == ("a/b.bin", None)


def test_a_damaged_file_is_named_with_the_command_that_mends_it(
    server: Server, make_network: MakeNetwork, store: Path
) -> None:
    write_manifest(make_network("grey"), entry(server.host("/f", DATA)))
    run("pull", "grey")
    place = store / "networks/grey/a/b.bin"
    place.chmod(0o644)
    place.write_bytes(DATA[:1000])
    assert run("verify", "grey") == (
        "grey/a/b.bin: truncated: 1000 of 300000 bytes\nerror: 1 file is wrong\n  try: faceorch weights pull grey\n"
    )
    run("pull", "grey")
    assert run("verify", "grey") == "grey/a/b.bin: right\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "baseline"], "error: baseline needs no weights\n  try: name another network, or none for all\n"),
        (["pull", "gray"], "error: no network is called 'gray' (did you mean 'grey'?)\n"),
        (["path", "baseline"], "error: baseline needs no weights\n"),
        (["convert", "baseline"], "error: baseline has no weights that can be converted\n"),
        (
            ["pull", "grey", "--mirror", "x"],
            "error: --mirror x: 'x' is not an address\n  try: write URL, or PREFIX=URL\n",
        ),
        (["rm"], "Error: name the networks, or give --all or --unused\n"),
    ],
)
def test_wrong_words_are_answered(make_network: MakeNetwork, store: Path, arguments: list[str], message: str) -> None:
    write_manifest(make_network("grey"), entry("http://127.0.0.1:9/f"))
    assert message in run(*arguments)


# Nothing but Ctrl-C ends it while its server is silent.
PATIENT = f"""
import functools
from faceorch.cli.main import main
from faceorch.weights import pull
from faceorch.weights.download import Patience
pull.PullOptions = functools.partial(pull.PullOptions, patience=Patience(stall_s={FOR_EVER_S}))
main()
"""


def test_ctrl_c_keeps_what_has_arrived(server: Server, make_network: MakeNetwork, store: Path) -> None:
    network = make_network("grey")
    file = entry(server.host("/f", DATA, http.stall(100_000)))
    write_manifest(network, file)
    part = store / "partial" / file["sha256"]
    process = subprocess.Popen(
        [sys.executable, "-c", PATIENT, "weights", "pull", "grey"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        wait_until(lambda: part.exists() and part.stat().st_size == 100_000, "100 000 bytes in the store")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert errors.strip() == "interrupted; the same command continues the download"
    assert part.stat().st_size == 100_000
    assert run("pull", "grey").endswith(f"weights of grey: ready in {store}\n")
    assert server.ranges("/f") == [None, "bytes=100000-"]
