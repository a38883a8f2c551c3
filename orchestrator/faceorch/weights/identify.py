"""Identifies what a file is if it is not the expected weights."""

from __future__ import annotations

import re
from pathlib import Path

HEAD_BYTES = 1024
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d+)")


def identify(head: bytes, name: str = "") -> str | None:
    """Return what a file is by its first bytes; None if it may be weights."""
    start = head.lstrip()[:64].lower()
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        found = _POINTER.match(head)
        of = f" (it stands for {int(found[2])} bytes, sha256 {found[1].decode()[:12]}...)" if found else ""
        return f"a Git LFS pointer, not the file itself{of}"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if start.startswith(b"<?xml") and not name.endswith(".xml"):
        return "an XML document, which object stores send for errors"
    if start.startswith((b'{"error"', b'{"message"')):
        return "a server's error message in JSON"
    return None


def describe_wrong(path: Path, *, size: int | None, sha256: str, found_sha256: str) -> str:
    """Return one line on what is wrong with a file whose hash is not `sha256`."""
    found = path.stat().st_size
    if found == 0:
        return "empty (0 bytes)"
    with path.open("rb") as file:
        what = identify(file.read(HEAD_BYTES), path.name)
    if what is not None:
        return what
    if size is not None and found < size:
        return f"truncated: {found} of {size} bytes"
    if size is not None and found > size:
        return f"not the expected file: {found} bytes, {size} needed"
    return f"damaged, or a different file: sha256 {found_sha256[:12]}..., {sha256[:12]}... needed"
