"""Patches: named, reasoned, expectation-checked, safe to apply twice."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch.cli.networks import command
from faceorch.errors import ManifestError
from faceorch.networks.discover import Network, load_all
from faceorch.networks.patches import patches_of
from faceorch_patch import (
    DeleteImport,
    DeleteStatement,
    Edit,
    InsertAfter,
    InsertBefore,
    Patch,
    PatchError,
    RemoveKeyword,
    ReplaceBody,
    ReplaceExpression,
    ReplaceImport,
    ReplaceStatement,
    SetKeyword,
    SetValue,
    Substitute,
    load_patches,
)
from tests.conftest import MakeNetwork

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


def a_patch(*edits: Edit, file: str = "code/a.py") -> Patch:
    return Patch(name="plain-float", file=file, reason="numpy has no np.float", edits=edits)


FLOAT = ReplaceExpression("np.float", "float")


def test_a_patch_can_be_applied_twice() -> None:
    once = a_patch(FLOAT).apply("x = np.float(1)\n")
    assert once == "x = float(1)\n# Changed by faceorch (plain-float): numpy has no np.float\n"
    assert a_patch(FLOAT).apply(once) == once


def test_two_patches_of_one_file_do_not_hide_each_other() -> None:
    other = Patch(name="plain", file="code/a.py", reason="r", edits=(ReplaceExpression("np.int", "int"),))
    result = other.apply(a_patch(FLOAT).apply("x = np.float(np.int(1))"))
    assert result.startswith("x = float(int(1))\n")
    assert [p.is_applied(result) for p in (other, a_patch(FLOAT))] == [True, True]


def test_line_ends_and_other_letters_stay_as_they_are() -> None:
    once = a_patch(FLOAT).apply("é = 'ü'; x = np.float\r\ny = 1\r\n")
    assert once.startswith("é = 'ü'; x = float\r\ny = 1\r\n# Changed")
    assert "\n" not in once.replace("\r\n", "")


def test_a_result_that_is_no_python_is_refused() -> None:
    with pytest.raises(PatchError, match="the result is no Python: "):
        a_patch(Substitute("1", "(")).apply("x = 1\n")


def test_a_file_that_is_no_python_is_refused() -> None:
    with pytest.raises(PatchError, match="the file is no Python: "):
        a_patch(FLOAT).apply("x = = 1\n")


def test_settings_files_are_patched_as_text() -> None:
    patch = a_patch(Substitute("^device: .*$", "device: cpu"), file="code/config.yaml")
    assert patch.apply("a: 1\ndevice: cuda\n").splitlines()[1] == "device: cpu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "/etc/passwd.txt"}, "must be relative"),
        ({"file": "../a.py"}, "must be relative"),
        ({"file": "a.json"}, r"no comment can be left in a \.json file"),
        ({"reason": ""}, "says its reason in one line"),
        ({"edits": ()}, "needs edits"),
    ],
)
def test_a_patch_that_cannot_work_is_refused(changes: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"name": "n", "file": "a.py", "reason": "r", "edits": (FLOAT,), **changes}
    with pytest.raises(ValueError, match=message):
        Patch(**given)  # type: ignore[arg-type]


PATCHES = """
from faceorch_patch import Patch, ReplaceExpression

PATCHES = (
    Patch(name="plain-float", file="one/a.py", reason="numpy has no np.float",
          edits=(ReplaceExpression("np.float", "float"),)),
    Patch(name="plain-int", file="two/b.py", reason="numpy has no np.int", edits=(ReplaceExpression("np.int", "int"),)),
)
"""


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "faceorch_patch", str(folder / "patches.py"), str(folder / "upstream")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "patches.py").write_text(PATCHES, "utf-8")
    for name, code in (("one/a.py", "x = np.float\n"), ("two/b.py", "y = np.int\n")):
        path = tmp_path / "upstream" / name
        path.parent.mkdir(parents=True)
        path.write_text(code, "utf-8")
    (tmp_path / "upstream" / "one" / "a.py").chmod(0o755)
    return tmp_path


def test_the_command_patches_several_checkouts(folder: Path) -> None:
    done = run(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == textwrap.dedent(
        """\
        patched: one/a.py (plain-float: numpy has no np.float)
        patched: two/b.py (plain-int: numpy has no np.int)
        """
    )
    path = folder / "upstream" / "one" / "a.py"
    assert path.read_text("utf-8").startswith("x = float\n")
    assert path.stat().st_mode & 0o777 == 0o755
    again = run(folder)
    assert again.returncode == 0
    assert again.stdout.count("already patched: ") == 2


def test_the_command_names_every_patch_that_does_not_fit(folder: Path) -> None:
    (folder / "upstream" / "one" / "a.py").write_text("x = 1\n", "utf-8")
    (folder / "upstream" / "two" / "b.py").unlink()
    done = run(folder)
    assert done.returncode == 1
    assert done.stderr == textwrap.dedent(
        """\
        patch plain-float does not fit one/a.py: expected 1 x `np.float`, found 0
        patch plain-int does not fit two/b.py: the file is not there
        2 patches do not fit: upstream is not what they were written for
        """
    )
    assert (folder / "upstream" / "one" / "a.py").read_text("utf-8") == "x = 1\n"


@pytest.fixture
def patched(make_network: MakeNetwork) -> Network:
    network = make_network("grey")
    (network.folder / "patches.py").write_text(PATCHES, "utf-8")
    return network


def test_the_patches_of_a_network_are_listed(patched: Network) -> None:
    shown = CliRunner().invoke(command, ["grey", "--patches"]).output
    assert shown == textwrap.dedent(
        """\
        one/a.py: plain-float
          reason   numpy has no np.float
          expects  1 x `np.float`
        two/b.py: plain-int
          reason   numpy has no np.int
          expects  1 x `np.int`
        """
    )
    rows = json.loads(CliRunner().invoke(command, ["grey", "--patches", "--json"]).output)
    assert rows[1] == {
        "name": "plain-int",
        "file": "two/b.py",
        "reason": "numpy has no np.int",
        "expects": ["1 x `np.int`"],
    }


def test_a_network_without_patches_says_so(make_network: MakeNetwork) -> None:
    make_network("grey")
    assert CliRunner().invoke(command, ["grey", "--patches"]).output == "grey changes nothing in upstream's code\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("PATCHES = 1", "{path}: PATCHES must be a tuple of Patch"),
        ("import nothing_of_that_name", "{path}: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    ],
)
def test_a_broken_patches_file_is_named(patched: Network, code: str, message: str) -> None:
    path = patched.folder / "patches.py"
    path.write_text(code, "utf-8")
    with pytest.raises(ManifestError) as caught:
        patches_of(patched)
    assert caught.value.message == message.format(path=path)


@pytest.mark.parametrize("network", load_all().values(), ids=lambda network: network.name)
def test_every_shipped_patch_belongs_to_a_checkout_of_its_network(network: Network) -> None:
    checkouts = {code.url.rstrip("/").rsplit("/", 1)[-1].lower() for code in network.manifest.upstream}
    assert {patch.file.partition("/")[0].lower() for patch in patches_of(network)} <= checkouts


def test_two_patches_of_one_name_and_file_are_refused(folder: Path) -> None:
    path = folder / "patches.py"
    path.write_text(PATCHES + "PATCHES = (PATCHES[0], PATCHES[0])\n", "utf-8")
    with pytest.raises(ValueError, match=r"two patches of one/a\.py are called plain-float"):
        load_patches(path)
