"""Compatibility edits to upstream code, as small checked transformations.

A network's `patches.py` says in `PATCHES` what it changes in the code that its image clones. Each `Patch` has a name, a
file, a reason, and edits that say what they expect to find. An image build applies them with
`python -m faceorch_patch PATCHES.PY FOLDER`, and fails when upstream is no longer what a patch expects.

Pure standard library, Python >= 3.10: it runs inside the image, and on the host when patches are listed.
"""

from faceorch_patch.core import Applied, Edit, Patch, PatchError, apply_all, load_patches
from faceorch_patch.python import (
    DeleteImport,
    DeleteStatement,
    InsertAfter,
    InsertBefore,
    RemoveKeyword,
    ReplaceBody,
    ReplaceExpression,
    ReplaceImport,
    ReplaceStatement,
    SetKeyword,
    SetValue,
)
from faceorch_patch.text import Substitute

__all__ = [
    "Patch",
    "PatchError",
    "Edit",
    "ReplaceExpression",
    "ReplaceImport",
    "ReplaceStatement",
    "ReplaceBody",
    "DeleteImport",
    "DeleteStatement",
    "InsertBefore",
    "InsertAfter",
    "SetKeyword",
    "RemoveKeyword",
    "SetValue",
    "Substitute",
    "Applied",
    "apply_all",
    "load_patches",
]
