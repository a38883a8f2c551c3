"""Edits of Python: each changes what it names, and an expectation that does not hold is named."""

from __future__ import annotations

import pytest

from faceorch_patch import (
    DeleteImport,
    DeleteStatement,
    Edit,
    InsertAfter,
    InsertBefore,
    PatchError,
    RemoveKeyword,
    ReplaceBody,
    ReplaceExpression,
    ReplaceImport,
    ReplaceStatement,
    SetKeyword,
    SetValue,
    Substitute,
)

SNIPPET = '''
import os, heavy  # both
from heavy.parts import wheel, axle
from .near import thing
try:
    import optional.piece as piece
except ImportError:
    piece = None


class Model:
    size: int = 3

    @staticmethod
    def load(path, device="cuda", *, half=True):
        """Load it."""
        ümlaut = "ü" * 2; state = read(path)
        return read(
            path,  # where
        )

    def run(self, x):
        kind = np.float
        f"{np.float} stays"
        x = np.float(x) + np.float64(1)
        self.device = ("cuda")
        if x: print(x)
        return helper(x, debug=True, cache=False)
'''


def edited(edit: Edit, source: str = SNIPPET) -> str:
    """Return the lines that an edit removed and added, which is what a reader of a diff would see."""
    before, after = source.splitlines(), edit.apply(source).splitlines()
    removed = [f"-{line.strip()}" for line in before if line not in after]
    added = [f"+{line.strip()}" for line in after if line not in before]
    return "\n".join(removed + added)


@pytest.mark.parametrize(
    ("edit", "difference"),
    [
        (
            ReplaceExpression("np.float", "float", count=2),
            "-kind = np.float\n-x = np.float(x) + np.float64(1)\n+kind = float\n+x = float(x) + np.float64(1)",
        ),
        (ReplaceExpression("np.float", "a if b else c", count=1, within="Model.load"), ""),
        (
            ReplaceExpression("np.float64(1)", "2 + 3"),
            "-x = np.float(x) + np.float64(1)\n+x = np.float(x) + (2 + 3)",
        ),
        (
            ReplaceImport("heavy.parts", "light"),
            "-from heavy.parts import wheel, axle\n+from light import wheel, axle",
        ),
        (ReplaceImport(".near", "far"), "-from .near import thing\n+from far import thing"),
        (
            ReplaceImport("optional.piece", "other"),
            "-import optional.piece as piece\n+import other as piece",
        ),
        (DeleteImport("heavy"), "-import os, heavy  # both\n+import os  # both"),
        (DeleteImport("optional.piece"), "-import optional.piece as piece\n+pass"),
        (
            DeleteImport("heavy.parts", "axle"),
            "-from heavy.parts import wheel, axle\n+from heavy.parts import wheel",
        ),
        (DeleteStatement("kind=np.float"), "-kind = np.float\n+pass"),
        (DeleteStatement("print(x)"), "-if x: print(x)\n+if x: pass"),
        (
            ReplaceStatement("kind = np.float", "kind = float\nother = int"),
            "-kind = np.float\n+kind = float\n+other = int",
        ),
        (InsertBefore("piece = None", "import sys"), "+import sys"),
        (InsertAfter("from .near import thing", "a = 1"), "+a = 1"),
        (
            SetKeyword("read", "weights_only", "False", count=2),
            '-ümlaut = "ü" * 2; state = read(path)\n-path,  # where\n'
            '+ümlaut = "ü" * 2; state = read(path, weights_only=False)\n+path, weights_only=False  # where',
        ),
        (
            SetKeyword("helper", "debug", "False"),
            "-return helper(x, debug=True, cache=False)\n+return helper(x, debug=False, cache=False)",
        ),
        (
            RemoveKeyword("helper", "debug"),
            "-return helper(x, debug=True, cache=False)\n+return helper(x, cache=False)",
        ),
        (
            RemoveKeyword("helper", "cache"),
            "-return helper(x, debug=True, cache=False)\n+return helper(x, debug=True)",
        ),
        (SetValue("self.device", '"cpu"'), '-self.device = ("cuda")\n+self.device = ("cpu")'),
        (SetValue("size", "4"), "-size: int = 3\n+size: int = 4"),
        (
            SetValue("device", '"cpu"', within="Model.load"),
            '-def load(path, device="cuda", *, half=True):\n+def load(path, device="cpu", *, half=True):',
        ),
        (
            SetValue("half", "False", within="Model.load"),
            '-def load(path, device="cuda", *, half=True):\n+def load(path, device="cuda", *, half=False):',
        ),
        (Substitute(r"^(\s+)size: int = \d+$", r"\1size = 9"), "-size: int = 3\n+size = 9"),
    ],
)
def test_an_edit_changes_what_it_names_and_nothing_else(edit: Edit, difference: str) -> None:
    if not difference:
        with pytest.raises(PatchError):
            edit.apply(SNIPPET)
        return
    assert edited(edit) == difference
    compile(edit.apply(SNIPPET), "snippet", "exec")


def test_a_body_is_replaced_and_its_signature_stays() -> None:
    edit = ReplaceBody("Model.run", "if x:\n    return 1\nreturn 2", contains=("np.float(x)", "kind = np.float"))
    result = edit.apply(SNIPPET)
    assert result.endswith("    def run(self, x):\n        if x:\n            return 1\n        return 2\n")
    short = ReplaceBody("f", "a = 1\nreturn a", contains=("g()",)).apply("def f(): return g()\n")
    assert short.replace(" \n", "\n") == "def f():\n    a = 1\n    return a\n"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (ReplaceExpression("np.float", "float", count=3), "expected 3 x `np.float`, found 2"),
        (ReplaceExpression("np.int", "int", within="Model.run"), "expected 1 x `np.int` in `Model.run`, found 0"),
        (ReplaceExpression("np.int", "int", within="Model.go"), "expected one `Model.go`, found 0"),
        (ReplaceImport("torch", "x"), "expected 1 x import of `torch`, found 0"),
        (DeleteImport("heavy.parts", "cog"), "expected 1 x import of `cog` from `heavy.parts`, found 0"),
        (SetKeyword("write", "a", "1"), "expected 1 x call of `write`, found 0"),
        (RemoveKeyword("helper", "x"), "expected 1 x call of `helper` with `x`, found 0"),
        (SetValue("gone", "1"), "expected 1 x value of `gone`, found 0"),
        (Substitute("^gone$", ""), "expected 1 x /^gone$/, found 0"),
        (
            ReplaceBody("Model.run", "pass", contains=("old()",)),
            "expected function `Model.run` with `old()`; `old()` is not there",
        ),
        (
            ReplaceStatement("print(x)", "a = 1\nb = 2"),
            "several lines cannot replace a statement that shares its line with another",
        ),
    ],
)
def test_an_expectation_that_does_not_hold_is_named(edit: Edit, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        edit.apply(SNIPPET)
    assert str(caught.value) == message
