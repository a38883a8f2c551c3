"""What a failed build says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faceorch.images.failures import REMEDIES, explain

LOG = Path("/cache/build/grey.log")

CLASSIC = """\
Step 4/9 : RUN install-packages /opt/faceorch/requirements.lock
 ---> Running in 0123456789ab
Resolved 3 packages
{line}
\x1b[0mRemoving intermediate container 0123456789ab
The command '/bin/sh -c install-packages /opt/faceorch/requirements.lock' returned a non-zero code: 2
"""
BUILDX = """\
#9 [6/7] RUN /opt/faceorch/bin/install-packages /opt/faceorch/requirements.lock
#9 1.250 Resolved 3 packages
#9 2.750 {line}
#9 ERROR: process "/bin/sh -c /opt/faceorch/bin/install-packages" did not complete successfully: exit code: 2
------
 > [6/7] RUN /opt/faceorch/bin/install-packages /opt/faceorch/requirements.lock:
2.750 {line}
------
Dockerfile:17
--------------------
  15 |     ARG BASE
  17 | >>> RUN /opt/faceorch/bin/install-packages /opt/faceorch/requirements.lock
--------------------
ERROR: failed to solve: process "/bin/sh -c /opt/faceorch/bin/install-packages" did not complete: exit code: 2
"""


@pytest.mark.parametrize("output", [CLASSIC, BUILDX], ids=["classic", "buildx"])
def test_the_last_line_of_the_step_is_what_a_failed_build_says(output: str) -> None:
    failed = explain("grey", output.format(line="error: No solution found").splitlines(), LOG)
    assert failed.message == "grey was not built: error: No solution found"
    assert failed.remedy == f"see {LOG}"
    assert failed.tail.count("Resolved 3 packages") == 1
    assert failed.tail[-1] == "error: No solution found"
    assert not any("non-zero" in line or "ERROR" in line or "----" in line for line in failed.tail)


def test_a_userland_that_cannot_be_had_is_said_in_one_line() -> None:
    reason = (
        'failed to do request: Head "https://registry.example/v2/": dial tcp: lookup registry.example: no such host'
    )
    output = f"""\
#0 building with "default" instance using docker driver
#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 1.52kB done
#1 DONE 0.0s
#3 [internal] load metadata for registry.example/cuda@sha256:0
#3 ERROR: {reason}
------
 > [internal] load metadata for registry.example/cuda@sha256:0:
------
ERROR: failed to solve: rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: {reason}
"""
    failed = explain("grey", output.splitlines(), LOG)
    assert failed.message == f"grey was not built: {reason}"
    assert failed.tail == (reason,)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "free some disk"),
        ("failed to copy: no space left on device", "free some disk"),
        (
            "manifest for nvidia/cuda@sha256:0 not found: manifest unknown: manifest unknown",
            "the base image is no longer in its registry",
        ),
        (
            "ERROR: failed to solve: nvidia/cuda@sha256:0: nvidia/cuda@sha256:0: not found",
            "the base image is no longer in its registry",
        ),
        ("pull access denied for x, repository does not exist", "the registry refused"),
        ("unauthorized: authentication required", "the registry refused"),
        (
            "pulling from host 127.0.0.1:5000 failed with status code [manifests]: 401 Unauthorized",
            "the registry refused",
        ),
        ('Get "http://127.0.0.1:5000/v2/": no basic auth credentials', "the registry refused"),
        ("toomanyrequests: You have reached your pull rate limit", "the registry limits downloads"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "a package differs from the locked one"),
        ("error: Hash mismatch for `torch==2.3.1`", "a package differs from the locked one"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "a proxy signs"),
        ("error: invalid peer certificate: UnknownIssuer", "a proxy signs"),
        ("2 patches do not fit: upstream is not what they were written for", "update faceorch"),
        ("Temporary failure in name resolution", "containers have no network"),
        ("Temporary failure resolving 'archive.ubuntu.com'", "containers have no network"),
        ("dns error: failed to lookup address information", "containers have no network"),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "the registry cannot be reached"),
        ("net/http: request canceled (i/o timeout)", "the registry cannot be reached"),
        ("Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)", "packages cannot be"),
        ("ERROR: No matching distribution found for dulwich==1.2.21", "packages cannot be downloaded"),
        ("clone-upstream: commit 0 of https://x cannot be fetched from https://x: y", "check the network, or set"),
    ],
)
def test_the_common_causes_bring_their_remedy(line: str, remedy: str) -> None:
    for output in (CLASSIC, BUILDX):
        assert explain("grey", output.format(line=line).splitlines(), LOG).remedy.startswith(remedy)


def test_a_missing_program_is_not_taken_for_a_missing_image() -> None:
    assert explain("grey", ["/bin/sh: 1: gcc: not found"], LOG).remedy == f"see {LOG}"


def test_every_remedy_has_its_test() -> None:
    marks = [m for m in test_the_common_causes_bring_their_remedy.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]
    lines = "\n".join(line for line, _ in marks[0].args[1])
    assert [sign for sign, _ in REMEDIES if not re.search(sign, lines)] == []


def test_a_build_without_output_still_says_something() -> None:
    assert explain("grey", [], LOG).message == "grey was not built: no output"
