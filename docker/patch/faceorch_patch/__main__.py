"""`python -m faceorch_patch PATCHES.PY FOLDER`: apply, say what was done, fail when an expectation does not hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from faceorch_patch.core import apply_all, load_patches


def main() -> int:
    """Return the exit code: 0 when every file carries its patches."""
    parser = argparse.ArgumentParser(prog="python -m faceorch_patch", description="Patch upstream code.")
    parser.add_argument("patches", type=Path, metavar="PATCHES.PY")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder that holds the checkouts")
    arguments = parser.parse_args()
    failed = 0
    for applied in apply_all(load_patches(arguments.patches), arguments.folder):
        patch = applied.patch
        if applied.error is None:
            print(f"{'patched' if applied.changed else 'already patched'}: {patch.file} ({patch.name}: {patch.reason})")
        else:
            failed += 1
            print(f"patch {patch.name} does not fit {patch.file}: {applied.error}", file=sys.stderr)
    if failed:
        print(f"{failed} patches do not fit: upstream is not what they were written for", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
