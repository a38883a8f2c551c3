"""Any image that Pillow opens -> an upright, opaque, 8-bit RGB portrait."""

from __future__ import annotations

import hashlib
import io
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from faceorch.errors import InputError
from faceorch.files import write_atomically
from faceorch.media.files import read_input
from faceorch.untrusted import SENTENCE, text

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST_SIDE = 64
LARGEST_SIDE = 16384
LARGEST_PIXELS = 64_000_000
# Networks work at 256 to 1024 pixels; beyond this a portrait only costs memory and time.
KEPT_SIDE = 4096
# Where a portrait is cut out, networks expect a plain backdrop: mid-grey pulls neither hair nor skin to white or black.
BACKDROP = (128, 128, 128)
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # EXIF
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")  # other formats with several pictures are no animations


class LoadedPortrait(NamedTuple):
    """A portrait in memory: `png` is upright, opaque, 8-bit RGB of `width` by `height` pixels."""

    source: Path
    source_sha256: str
    png: bytes
    width: int
    height: int
    notes: tuple[str, ...]


class Portrait(NamedTuple):
    """A normalised portrait on disk; `sha256` is that of the file, sizes are in pixels."""

    source: Path
    source_sha256: str
    path: Path
    sha256: str
    width: int
    height: int
    notes: tuple[str, ...]


def read_portrait(path: Path) -> LoadedPortrait:
    """Read and normalise a portrait in memory; `InputError` says in one line why it cannot be used."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    data = read_input(path, "image")
    notes: list[str] = []
    with warnings.catch_warnings():
        # Sizes are judged here, from the header; damaged metadata is no reason to refuse a picture.
        warnings.simplefilter("ignore")
        try:
            image = _open(path, data)
            count = getattr(image, "n_frames", 1)
            if count > 1:
                holds = f"animated with {count} frames" if image.format in _ANIMATED else f"it holds {count} pictures"
                notes.append(f"{holds}; the first is used")
                image.seek(0)
            image.load()
            profile = image.info.get("icc_profile")
            turned = image.getexif().get(_ORIENTATION) in range(2, 9)
            upright = ImageOps.exif_transpose(image)
            if turned:
                notes.append("turned upright as its EXIF orientation says")
            rgb = _to_rgb(upright, profile, notes)
        except UnidentifiedImageError as error:
            raise InputError(f"{path} is not an image: {_looks_like(data)}", _remedy(data)) from error
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them stumble over
            reason = str(error).strip() or type(error).__name__
            raise InputError(
                f"{path} cannot be decoded: {text(reason, SENTENCE)}", "copy it again, or save it anew as PNG"
            ) from error
    if max(rgb.size) > KEPT_SIDE:
        before = f"{rgb.width}x{rgb.height}"
        rgb.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
        notes.append(f"scaled down from {before} to {rgb.width}x{rgb.height}")
    buffer = io.BytesIO()
    # Photographs hold next to no repetitions: looking for them makes the file larger and takes a fifth longer.
    rgb.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_HUFFMAN_ONLY)
    return LoadedPortrait(
        source=path,
        source_sha256=hashlib.sha256(data).hexdigest(),
        png=buffer.getvalue(),
        width=rgb.width,
        height=rgb.height,
        notes=tuple(notes),
    )


def _open(path: Path, data: bytes) -> Image:
    """Open an image whose size is allowed; Pillow's own limit is lifted: ours is lower and says more."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        image = Image.open(io.BytesIO(_without_text(data)))
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    _check_size(path, image.size)
    return image


def _without_text(data: bytes) -> bytes:
    """Return a PNG without the texts in it: image generators write megabytes there, at which Pillow gives up."""
    if not data.startswith(_PNG):
        return data
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])


def thumbnail(file: BinaryIO, *, side: int) -> bytes | None:
    """Return a normalised portrait as JPEG with no side above `side` pixels; None when it cannot be decoded."""
    from PIL import Image

    try:
        picture = Image.open(file, formats=["PNG"])
        if picture.width * picture.height > LARGEST_PIXELS:
            return None
        rgb = picture.convert("RGB")
    except Exception:  # a file of a run folder that may be anybody's
        return None
    rgb.thumbnail((side, side))
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def write_portrait(loaded: LoadedPortrait, path: Path) -> Portrait:
    """Write the normalised portrait as PNG, by rename."""
    write_atomically(path, loaded.png)
    return Portrait(
        source=loaded.source,
        source_sha256=loaded.source_sha256,
        path=path,
        sha256=hashlib.sha256(loaded.png).hexdigest(),
        width=loaded.width,
        height=loaded.height,
        notes=loaded.notes,
    )


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < SMALLEST_SIDE:
        raise InputError(
            f"{path} is {width}x{height}, at least {SMALLEST_SIDE}x{SMALLEST_SIDE} needed", "use a larger portrait"
        )
    if max(size) > LARGEST_SIDE or width * height > LARGEST_PIXELS:
        limit = f"{LARGEST_PIXELS / 1e6:g} megapixels and {LARGEST_SIDE} a side"
        raise InputError(
            f"{path} is {width}x{height}, at most {limit} allowed", "scale it down, or crop it to the face"
        )


def _to_rgb(image: Image, profile: bytes | None, notes: list[str]) -> Image:
    """Return 8-bit sRGB without transparency."""
    from PIL import Image as Pil

    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        image = _sixteen_to_eight(image)
        notes.append("more than 8 bits per channel; brought to 8")
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "La", "PA", "RGBa"):
        image = image.convert("RGBA")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colour = _to_srgb(image.convert("RGB") if alpha is not None else image, profile, notes)
    if alpha is not None and alpha.getextrema() != (255, 255):
        backdrop = Pil.new("RGB", image.size, BACKDROP)
        backdrop.paste(colour, mask=alpha)
        notes.append("its transparent parts are filled with mid-grey")
        return backdrop
    return colour


def _sixteen_to_eight(image: Image) -> Image:
    """Scale wide samples to 8 bits: by 256 for 16-bit files, by their own range for 32-bit and float ones."""
    low, high = image.convert("F").getextrema()
    low, high = float(low), float(high)  # type: ignore[arg-type]
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and high <= 65535):
        low, high = 0.0, 65535.0
    scale = 255.0 / (high - low) if high > low else 0.0
    return image.convert("F").point(lambda value: value * scale + (0.5 - low * scale)).convert("L")


def _to_srgb(image: Image, profile: bytes | None, notes: list[str]) -> Image:
    if profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            notes.append("its colour profile cannot be read; taken as sRGB")
        else:
            if converted is not None:
                return converted
    return image.convert("RGB")


def _looks_like(data: bytes) -> str:
    """Return what a file that Pillow does not know seems to be."""
    head = data[:64]
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "it looks like audio (WAV)"
    if data[:3] == b"ID3" or data[:4] in (b"OggS", b"fLaC") or data[:2] in (b"\xff\xfb", b"\xff\xf3"):
        return "it looks like audio"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return "it looks like HEIC, which Pillow cannot open"
    if data[4:8] == b"ftyp":
        return "it looks like a video or audio file (MP4)"
    if data[:4] == b"%PDF":
        return "it looks like a PDF"
    if b"<svg" in head or b"<?xml" in head:
        return "it looks like SVG or XML"
    if b"<html" in head.lower() or b"<!doctype" in head.lower():
        return "it looks like a web page"
    return "Pillow knows no format that it could be"


def _remedy(data: bytes) -> str:
    if "audio" in _looks_like(data):
        return "are --image and --audio swapped? faceorch run --image face.png --audio clip.wav"
    return "save it as PNG or JPEG"
