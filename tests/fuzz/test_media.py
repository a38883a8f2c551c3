"""Portraits, clips and videos that are damaged: used as far as they go, or refused in one line."""

from __future__ import annotations

import io
import math
import struct
import wave
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from faceorch.errors import InputError
from faceorch.media.clip import read_clip
from faceorch.media.marks import mark, read_marks
from faceorch.media.portrait import read_portrait, thumbnail
from faceorch.media.video import BrokenVideo, probe_video, still
from tests.fuzz.conftest import inputs
from tests.fuzz.mutation import damaged_bytes


def pictures() -> list[bytes]:
    made = []
    picture = Image.linear_gradient("L").convert("RGB").resize((96, 80))
    for format_ in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA", "DDS", "ICO"):
        buffer = io.BytesIO()
        picture.save(buffer, format_)
        made.append(buffer.getvalue())
    return made


def sounds() -> list[bytes]:
    samples = [round(9000 * math.sin(i / 9)) for i in range(4000)]
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    made = [buffer.getvalue()]
    for format_, codec in (
        ("mp3", "libmp3lame"),
        ("ogg", "libopus"),
        ("flac", "flac"),
        ("adts", "aac"),
        ("mp4", "aac"),
    ):
        made.append(encoded(format_, codec, samples))
    return made


def encoded(format_: str, codec: str, samples: list[int]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format_) as container:
        stream: Any = container.add_stream(codec, rate=16000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
        frame.planes[0].update(struct.pack(f"<{len(samples)}h", *samples))
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def video() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode())
    return buffer.getvalue()


SEEDS = {"portrait": pictures(), "clip": sounds(), "video": [video()]}


@inputs("media")
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")
def test_damaged_media_is_used_or_refused(tmp_path_factory: Any, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(SEEDS)))
    path: Path = tmp_path_factory.getbasetemp() / f"damaged-{kind}"
    content = data.draw(damaged_bytes(SEEDS[kind]))
    path.write_bytes(content)
    try:
        if kind == "portrait":
            loaded = read_portrait(path)
            assert min(loaded.width, loaded.height) >= 64
            thumbnail(io.BytesIO(content), side=64)
        elif kind == "clip":
            assert read_clip(path).duration_s > 0
        else:
            still(io.BytesIO(content))
            assert probe_video(path).frames > 0
            mark(path, {"network": "grey"})
            with path.open("rb") as file:
                assert read_marks(file)["network"] == "grey"
    except (InputError, BrokenVideo) as error:
        assert "\n" not in str(error)
