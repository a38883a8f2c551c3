"""Each patch on a snippet of our own that has upstream's fault: it fails before and works after."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from faceorch.paths import docker_folder
from faceorch_patch import load_patches

PATCHES = {patch.name: patch for patch in load_patches(docker_folder() / "echomimic" / "patches.py")}

# Name of the patch: a snippet that ends with `done = True`.
SNIPPETS = {
    "no-tokenizer": 'from transformers import GPT2TokenizerFast\nkind: "GPT2TokenizerFast"\ndone = True\n',
}


def test_every_patch_has_a_snippet() -> None:
    assert sorted(SNIPPETS) == sorted(PATCHES)


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_patch_mends_what_it_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # it is not in the image
    with pytest.raises(ImportError):
        exec(SNIPPETS[name], {})
    patched = PATCHES[name].apply(SNIPPETS[name])
    space: dict[str, Any] = {}
    exec(patched, space)
    assert space["done"]
    assert PATCHES[name].apply(patched) == patched
