"""Any image Pillow opens becomes an upright, opaque, 8-bit RGB portrait; what cannot be used is refused in one line."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceorch.errors import InputError
from faceorch.media.portrait import LoadedPortrait, read_portrait, thumbnail, write_portrait


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_portrait(path)
    return caught.value


def picture(loaded: LoadedPortrait) -> Image.Image:
    image = Image.open(io.BytesIO(loaded.png))
    image.load()
    return image


def half_red(mode: str = "RGB", size: tuple[int, int] = (120, 80)) -> Image.Image:
    """A picture whose left half is red, so that every turn shows."""
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


def pixel(path: Path, x: int, y: int) -> tuple[int, ...]:
    value: Any = picture(read_portrait(path)).getpixel((x, y))
    return tuple(value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_every_format_gives_eight_bit_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"face.{suffix}"
    half_red().save(path)
    loaded = read_portrait(path)
    assert (picture(loaded).mode, (loaded.width, loaded.height)) == ("RGB", (120, 80))
    assert pixel(path, 10, 40)[0] > 200
    assert pixel(path, 110, 40)[2] > 200


def test_exif_orientation_is_resolved_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    half_red().save(path, exif=exif)
    loaded = read_portrait(path)
    assert (loaded.width, loaded.height) == (80, 120)
    assert loaded.notes == ("turned upright as its EXIF orientation says",)
    assert pixel(path, 40, 10)[0] > 200, "the left half is on top now"


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 7, 8])
def test_every_exif_turn_is_noted(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "face.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    half_red().save(path, exif=exif)
    assert read_portrait(path).notes == ("turned upright as its EXIF orientation says",)


def test_a_second_picture_is_not_an_animation(tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    half_red().save(path, "MPO", save_all=True, append_images=[half_red(size=(64, 64))])
    loaded = read_portrait(path)
    assert ((loaded.width, loaded.height), loaded.notes) == ((120, 80), ("it holds 2 pictures; the first is used",))


def test_the_page_gets_a_phones_photo_as_small_as_it_shows_it(tmp_path: Path) -> None:
    noise = Image.effect_noise((4032, 3024), 20).convert("RGB")
    noise.save(tmp_path / "phone.jpg", quality=88)
    loaded = read_portrait(tmp_path / "phone.jpg")
    assert len(loaded.png) > 10_000_000, "as networks get it"
    shown = thumbnail(io.BytesIO(loaded.png), side=640)
    assert shown is not None
    assert len(shown) < 400_000
    with Image.open(io.BytesIO(shown)) as picture:
        assert picture.size == (640, 480)


def test_text_in_a_picture_is_of_no_interest(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    half_red().save(path)
    data = path.read_bytes()
    chunk = b"zTXt" + b"workflow\0\0" + zlib.compress(b"sampler," * 10**6)
    size, check = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data[:33] + size + chunk + check + data[33:])
    assert pixel(path, 10, 40)[0] > 200
    assert read_portrait(path).notes == ()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_a_mid_grey_backdrop(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "face.png"
    if mode == "P":
        image = half_red("P")
        image.info["transparency"] = image.getpixel((0, 0))
        image.save(path, transparency=image.getpixel((0, 0)))
    else:
        image = half_red(mode)
        alpha = Image.new("L", image.size, 255)
        alpha.paste(0, (0, 0, 60, 80))
        image.putalpha(alpha)
        image.save(path)
    assert pixel(path, 10, 40) == (128, 128, 128)
    assert read_portrait(path).notes == ("its transparent parts are filled with mid-grey",)


@pytest.mark.parametrize("size", [(64, 64), (67, 131), (300, 65)])
def test_every_pixel_stays_as_it_is(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "face.png"
    noise = Image.frombytes("RGB", size, np.random.default_rng(0).bytes(3 * size[0] * size[1]))
    noise.save(path)
    kept = picture(read_portrait(path))
    assert (kept.format, kept.mode, kept.size) == ("PNG", "RGB", size)
    assert kept.tobytes() == noise.tobytes()


def test_an_opaque_alpha_channel_is_no_note(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    half_red("RGBA").save(path)
    assert read_portrait(path).notes == ()


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    wide = np.full((80, 120), 0x8080, np.uint16)
    Image.fromarray(wide).save(path)
    assert pixel(path, 1, 1) == (128, 128, 128)
    assert read_portrait(path).notes == ("more than 8 bits per channel; brought to 8",)


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "YCbCr", "P"])
def test_other_colour_modes_are_converted(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("face.jpg" if mode in ("CMYK", "YCbCr") else "face.png")
    half_red(mode).save(path)
    assert picture(read_portrait(path)).mode == "RGB"


def test_of_an_animation_the_first_frame_is_used_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "face.gif"
    half_red().save(path, save_all=True, append_images=[Image.new("RGB", (120, 80), (0, 255, 0))])
    assert pixel(path, 10, 40)[0] > 200
    assert read_portrait(path).notes == ("animated with 2 frames; the first is used",)


def test_a_huge_portrait_is_scaled_down_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    Image.new("RGB", (5000, 2500), (10, 20, 30)).save(path, compress_level=1)
    loaded = read_portrait(path)
    assert (loaded.width, loaded.height) == (4096, 2048)
    assert loaded.notes == ("scaled down from 5000x2500 to 4096x2048",)


def test_normalising_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    half_red("RGBA").save(path)
    first = write_portrait(read_portrait(path), tmp_path / "one.png")
    second = write_portrait(read_portrait(tmp_path / "one.png"), tmp_path / "two.png")
    assert first.sha256 == second.sha256
    assert (first.width, first.height) == (120, 80)


class TestRefusals:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        error = refusal(tmp_path / "none.png")
        assert error.message == f"cannot read {tmp_path}/none.png: No such file or directory"
        assert error.remedy == "name the image file with --image"

    def test_a_folder(self, tmp_path: Path) -> None:
        assert refusal(tmp_path).message == f"{tmp_path} is a folder, an image file is needed"

    def test_an_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "face.png"
        path.write_bytes(b"")
        assert refusal(path).message == f"{path} is empty (0 bytes)"

    @pytest.mark.parametrize(
        ("data", "what"),
        [
            (b"hello there, this is text", "Pillow knows no format that it could be"),
            (b"<!DOCTYPE html><html>", "it looks like a web page"),
            (b"RIFF\x00\x00\x00\x00WAVEfmt ", "it looks like audio (WAV)"),
            (b"\x00\x00\x00\x18ftypheic\x00\x00", "it looks like HEIC, which Pillow cannot open"),
            (b"%PDF-1.7 ", "it looks like a PDF"),
        ],
    )
    def test_what_is_no_image_is_named(self, tmp_path: Path, data: bytes, what: str) -> None:
        path = tmp_path / "face.png"
        path.write_bytes(data)
        assert refusal(path).message == f"{path} is not an image: {what}"

    @pytest.mark.parametrize("url", ["https://example.org/a/face.png", "http://example.org/face.png"])
    def test_an_address(self, url: str) -> None:
        error = refusal(Path(url))
        assert error.message == f"{url} is an address, a file is needed"
        assert error.remedy == f"download it first: curl --remote-name {url}"

    def test_a_swapped_clip_is_recognised(self, clip: Path) -> None:
        assert refusal(clip).remedy.startswith("are --image and --audio swapped?")

    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
    def test_a_truncated_image(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"face.{suffix}"
        noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:-2000])
        error = refusal(path)
        assert error.message.startswith(f"{path} cannot be decoded: ")
        assert error.remedy == "copy it again, or save it anew as PNG"

    @pytest.mark.parametrize("suffix", ["dds", "avif", "tiff", "blp"])
    def test_damage_anywhere_is_told_in_one_line(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"face.{suffix}"
        half_red("P" if suffix == "blp" else "RGB").save(path)
        whole, generator = path.read_bytes(), np.random.default_rng(0)
        messages = []
        for _ in range(60):
            data = bytearray(whole)
            for at in generator.integers(0, min(len(data), 300), 4):
                data[at] = generator.integers(0, 256)
            path.write_bytes(data[: generator.integers(8, len(data) + 1)])
            try:
                read_portrait(path)
            except InputError as error:
                messages.append(error.message)
        assert messages
        assert all(message.startswith(f"{path} ") and "\n" not in message for message in messages)

    def test_a_tiff_without_a_width(self, tmp_path: Path) -> None:
        path = tmp_path / "face.tiff"
        half_red().save(path)
        path.write_bytes(path.read_bytes().replace(struct.pack("<HH", 256, 4), struct.pack("<HH", 255, 4)))
        assert refusal(path).message == f"{path} is not an image: Pillow knows no format that it could be"

    def test_one_that_is_too_small(self, tmp_path: Path) -> None:
        path = tmp_path / "face.png"
        half_red(size=(63, 400)).save(path)
        assert refusal(path).message == f"{path} is 63x400, at least 64x64 needed"

    @pytest.mark.parametrize("size", [(20000, 20000), (20000, 100), (2**31 - 1, 2**31 - 1)])
    def test_a_decompression_bomb_is_refused_by_its_header(self, tmp_path: Path, size: tuple[int, int]) -> None:
        path = tmp_path / "face.png"
        path.write_bytes(png_header(*size))
        assert refusal(path).message == (
            f"{path} is {size[0]}x{size[1]}, at most 64 megapixels and 16384 a side allowed"
        )

    def test_a_name_with_a_newline_stays_one_line(self, tmp_path: Path) -> None:
        path = tmp_path / "fa\nce.png"
        path.write_bytes(b"")
        message = refusal(path).message
        assert "\n" not in message
        assert r"fa\nce.png is empty" in message


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    buffer = io.BytesIO()
    buffer.write(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk)))
    body = b"IDAT" + zlib.compress(b"")
    buffer.write(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
    return buffer.getvalue()
