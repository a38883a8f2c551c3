"""The C2PA claim of a finished video, read back with contentauth's own library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faceorch.media import claim
from faceorch.record.folder import RunFolder
from tests.conftest import MakeNetwork, compare_here
from tests.unit.conftest import RequestFor
from tests.unit.media.test_marks import packets, video

c2pa = pytest.importorskip("c2pa")
__all__ = ["video"]


def state_of(path: Path) -> tuple[str, str]:
    """Return whether the claim holds, and what it says of the video's source."""
    with path.open("rb") as file, c2pa.Reader("video/mp4", file) as reader:
        active = json.loads(reader.json())
        (manifest,) = active["manifests"].values()
        (actions,) = [a["data"]["actions"] for a in manifest["assertions"] if a["label"].startswith("c2pa.actions")]
        return reader.get_validation_state(), actions[0]["digitalSourceType"].rpartition("/")[2]


def test_a_signed_video_is_the_same_video(video: Path, own_home: Path) -> None:
    before = packets(video)
    who = claim.sign(video, version="0.1.0", title="grey")
    assert who == "signed with a certificate of this host, which no list of trust has"
    assert packets(video) == before
    assert state_of(video) == ("Valid", "trainedAlgorithmicMedia")
    assert (own_home / "c2pa" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in video.parent.iterdir()] == [video.name]
    changed = video.read_bytes().replace(b"mdat", b"mdat", 1)
    at = changed.index(b"mdat") + 8
    video.write_bytes(changed[:at] + bytes([changed[at] ^ 1]) + changed[at + 1 :])
    assert state_of(video)[0] == "Invalid"


def test_the_users_certificate_signs(video: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim.sign(video, version="0.1.0", title="grey")
    monkeypatch.setenv("FACEORCH_C2PA_CERT", str(own_home / "c2pa" / "certificate.pem"))
    with pytest.raises(claim.Unsigned, match="FACEORCH_C2PA_CERT and FACEORCH_C2PA_KEY belong together"):
        claim.sign(video, version="0.1.0", title="grey")
    monkeypatch.setenv("FACEORCH_C2PA_KEY", str(own_home / "c2pa" / "key.pem"))
    assert claim.sign(video, version="0.1.0", title="grey") == "signed with certificate.pem"


@pytest.mark.parametrize("content", [b"", b"not a video" * 100])
def test_what_cannot_be_signed_stays_as_it_was(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(claim.Unsigned):
        claim.sign(path, version="0.1.0", title="grey")
    assert path.read_bytes() == content


def run(make_network: MakeNetwork, request_for: RequestFor) -> RunFolder:
    make_network("grey")
    return compare_here(request_for("grey", repeat=2))


def test_with_the_extra_every_finished_video_has_one(
    make_network: MakeNetwork, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEORCH_C2PA")
    folder = run(make_network, request_for)
    job = folder.run.job("grey")
    assert job.video is not None
    assert folder.holds(job.video)
    assert job.video.marks[-1].startswith("a C2PA claim signed with a certificate of this host")
    assert state_of(folder.video("grey")) == ("Valid", "trainedAlgorithmicMedia")
    assert job.notes == [], "a signature is no difference between repetitions"


def test_a_video_that_cannot_be_signed_is_kept(
    make_network: MakeNetwork, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEORCH_C2PA")
    monkeypatch.setenv("FACEORCH_C2PA_CERT", "/nowhere.pem")
    monkeypatch.setenv("FACEORCH_C2PA_KEY", "/nowhere.pem")
    job = run(make_network, request_for).run.job("grey")
    assert job.video is not None
    assert len(job.video.marks) == 1
    assert any(note.startswith("it has no C2PA claim: ") for note in job.notes)
