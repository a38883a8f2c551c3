"""What a video says of having been made by AI, read back; picture and sound stay as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import pytest

from faceorch.media.marks import mark, read_marks
from faceorch.media.video import BrokenVideo, probe_video
from tests.conftest import MakeNetwork, compare_here
from tests.unit.conftest import RequestFor

FACTS = {
    "version": "0.1.0",
    "network": "grey <&\"'> \ud800",
    "weight": ["a/b.pth sha256:00", "c"],
    "upstream": [],
}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode())
    return path


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def test_what_is_written_is_read_back(video: Path) -> None:
    before, content = packets(video), video.read_bytes()
    mark(video, FACTS)
    assert video.read_bytes().startswith(content), "it is added behind everything else"
    assert packets(video) == before
    with video.open("rb") as file:
        found = read_marks(file)
    assert found == {
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "creator_tool": "faceorch 0.1.0",
        "version": "0.1.0",
        "network": "grey <&\"'> \\ud800",
        "weight": ["a/b.pth sha256:00", "c"],
        "upstream": [],
    }
    assert probe_video(video).frames == 5


def test_other_marks_and_what_follows_the_last_box_go(video: Path) -> None:
    content = video.read_bytes()
    mark(video, {"network": "somebody's own"})
    with video.open("ab") as file:
        file.write(b"\x00\x00\xff\xffmore than is there")
    mark(video, FACTS)
    assert video.read_bytes().count(b"uuid") == 1
    with video.open("rb") as file:
        assert str(read_marks(file)["network"]).startswith("grey")
    assert video.read_bytes().startswith(content)


@pytest.mark.parametrize("content", [b"", b"x" * 100, (0).to_bytes(4, "big") + b"mdat", b"\0\0\0\x08ftyp"])
def test_what_is_no_mp4_is_not_marked(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(BrokenVideo):
        mark(path, FACTS)


def test_a_packet_of_somebody_else_is_not_believed(video: Path) -> None:
    mark(video, FACTS)
    bomb = video.read_bytes().replace(b"<?xpacket begin", b"<!DOCTYPE x    ")
    video.write_bytes(bomb)
    with video.open("rb") as file:
        assert read_marks(file) == {}


def test_every_finished_video_is_marked_and_the_report_says_so(
    make_network: MakeNetwork, request_for: RequestFor
) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey", repeat=2))
    job = folder.run.job("grey")
    assert job.video is not None
    assert job.notes == []
    with folder.video("grey").open("rb") as file:
        found = read_marks(file)
        assert (found["network"], found["version"], found["weights"]) == ("grey", folder.run.faceorch, "none needed")
        assert str(found["digital_source_type"]).endswith("/trainedAlgorithmicMedia")
    assert hashlib.sha256(folder.video("grey").read_bytes()).hexdigest() == job.video.sha256
    assert job.video.marks[0].startswith("XMP metadata (digital source type trainedAlgorithmicMedia")
    for page in ("report.html", "report.md"):
        assert "was made by AI and carries XMP metadata " in (folder.path / page).read_text("utf-8")
