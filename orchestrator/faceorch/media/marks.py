"""Marks a finished video as made by AI: an XMP packet in a box of its own, behind everything else in the file.

The packet is as Adobe and the IPTC describe it (XMP Specification Part 3, "MPEG-4"; IPTC Photo Metadata, "Digital
Source Type"), so that exiftool and the like find it. Picture and sound stay as they are, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from faceorch.media.video import BrokenVideo
from faceorch.untrusted import SENTENCE, text

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
NAMESPACE = "urn:faceorch:marks:1"
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMP_BASIC = "http://ns.adobe.com/xap/1.0/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_HEAD_BYTES, _MOST_BOXES, _PACKET_BYTES = 32, 10_000, 2**20


def mark(path: Path, facts: Mapping[str, str | Sequence[str]]) -> None:
    """Add what `facts` say of how a video was made, by name, to the file at `path`; `BrokenVideo` when it is no MP4.

    Packets that are there already are blanked, and what follows the last whole box goes.
    """
    packet = _packet(facts)
    with path.open("r+b") as file:
        end = 0
        for start, size, kind in _boxes(file):
            if kind == b"uuid" + _XMP:
                file.seek(start + 4)
                file.write(b"free")
            end = start + size
        file.truncate(end)
        file.seek(end)
        file.write((8 + len(_XMP) + len(packet)).to_bytes(4, "big") + b"uuid" + _XMP + packet)


def read_marks(file: BinaryIO) -> dict[str, str | list[str]]:
    """Return what `mark` has written into a video, with `digital_source_type` and `creator_tool`; empty without it."""
    for start, size, kind in reversed(list(_boxes(file))):
        if kind == b"uuid" + _XMP and size <= _PACKET_BYTES:
            file.seek(start + 8 + len(_XMP))
            return _facts(file.read(size - 8 - len(_XMP)))
    return {}


def _boxes(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, size and type of the outermost boxes that are whole; the id of a `uuid` box belongs to its type."""
    total, at, found = os.fstat(file.fileno()).st_size, 0, set()
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(_HEAD_BYTES)
        if len(head) < 8:
            break
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        header = 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            raise BrokenVideo("its last box has no size")
        if size < header or at + size > total:
            break
        found.add(kind)
        yield at, size, kind + head[header : header + 16] if kind == b"uuid" else kind
        at += size
    if not {b"ftyp", b"moov"} <= found:
        raise BrokenVideo("it is not an MP4 file")


def _packet(facts: Mapping[str, str | Sequence[str]]) -> bytes:
    from xml.sax.saxutils import quoteattr  # it imports all of urllib, which reading an input does without

    plain = {name: text(value, SENTENCE) for name, value in facts.items() if isinstance(value, str)}
    attributes = "".join(f"\n   faceorch:{name}={quoteattr(value)}" for name, value in plain.items())
    lists = "".join(
        f"\n   <faceorch:{name}><rdf:Bag>"
        + "".join(f"<rdf:li rdf:value={quoteattr(text(value, SENTENCE))}/>" for value in values)
        + f"</rdf:Bag></faceorch:{name}>"
        for name, values in facts.items()
        if not isinstance(values, str)
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        f' <rdf:RDF xmlns:rdf="{_RDF}">\n'
        f'  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" xmlns:xmp="{_XMP_BASIC}"'
        f' xmlns:faceorch="{NAMESPACE}"\n'
        f'   Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"\n'
        f"   xmp:CreatorTool={quoteattr('faceorch ' + plain.get('version', ''))}{attributes}>{lists}\n"
        "  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
        '<?xpacket end="r"?>'
    ).encode("utf-8", "backslashreplace")


def _facts(packet: bytes) -> dict[str, str | list[str]]:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return {}  # no packet of ours: entities may grow without limit
    try:
        description = ElementTree.fromstring(packet.decode("utf-8")).find(f".//{{{_RDF}}}Description")
    except (ElementTree.ParseError, UnicodeDecodeError):
        return {}
    if description is None:
        return {}
    known = {f"{{{_IPTC}}}DigitalSourceType": "digital_source_type", f"{{{_XMP_BASIC}}}CreatorTool": "creator_tool"}
    found: dict[str, str | list[str]] = {}
    for name, value in description.attrib.items():
        if name in known or name.startswith(f"{{{NAMESPACE}}}"):
            found[known.get(name) or name.partition("}")[2]] = value
    for child in description:
        if child.tag.startswith(f"{{{NAMESPACE}}}"):
            items = child.iter(f"{{{_RDF}}}li")
            found[child.tag.partition("}")[2]] = [item.attrib.get(f"{{{_RDF}}}value", "") for item in items]
    return found
