"""Bases are data: what they hold, and which GPUs they cover."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.errors import CannotRun, ManifestError
from faceorch.networks.bases import Base, choose_base, load_bases, pick_base
from faceorch.networks.discover import load_all
from faceorch.record.run import Gpu

DIGEST = "x@sha256:" + "0" * 64


def base(*kernels: str) -> Base:
    return Base(
        schema=1, summary="s", image=DIGEST, image_tag="x:1", torch="2", cuda="12", driver_min="530", kernels=kernels
    )


def gpu(compute_capability: str) -> Gpu:
    return Gpu(index=0, uuid="GPU-0", name="H200", memory_bytes=1, compute_capability=compute_capability)


@pytest.mark.parametrize(
    ("kernels", "capability", "covered"),
    [
        (("sm_90",), "9.0", True),
        (("sm_86",), "8.9", True),  # Ada runs Ampere's code: same major version, higher minor
        (("sm_86",), "8.0", False),
        (("sm_90",), "10.0", False),
        (("sm_90",), "12.0", False),
        (("sm_100",), "10.3", True),
        (("sm_120",), "12.1", True),
        (("sm_100",), "12.0", False),
        (("sm_50", "sm_60"), "6.1", True),
        (("sm_70",), "6.1", False),
        ((), "9.0", False),
    ],
)
def test_gpu_code_runs_within_one_major_version(kernels: tuple[str, ...], capability: str, covered: bool) -> None:
    found = base(*kernels) if kernels else load_bases()["cpu"]
    assert found.covers(capability) is covered


@pytest.mark.parametrize(
    ("capabilities", "chosen"),
    [
        ([], "cu121"),
        (["5.2"], "cu121"),
        (["8.9", "9.0"], "cu121"),
        (["12.0"], "cu128"),
        (["9.0", "12.0"], "cu128"),
        (["10.0"], "cu128"),
        (["6.1", "12.0"], None),
        (["3.5"], None),
    ],
)
def test_the_first_base_that_covers_every_gpu_is_chosen(capabilities: list[str], chosen: str | None) -> None:
    found = choose_base(["cu121", "cu128"], [gpu(c) for c in capabilities])
    assert (found.name if found else None) == chosen


def test_the_shipped_bases_are_those_of_the_networks() -> None:
    bases = load_bases()
    assert list(bases) == ["cpu", "cu121", "cu128"]
    assert {name for n in load_all().values() for name in n.manifest.needs.bases} <= set(bases)
    assert [b.name for b in bases.values()] == list(bases)


def test_an_unknown_base_brings_the_nearest_name() -> None:
    with pytest.raises(CannotRun) as caught:
        pick_base(load_bases(), "cu12")
    assert caught.value.message == "no base is called 'cu12' (did you mean 'cu128'?)"
    assert caught.value.remedy == "choose from: cpu, cu121, cu128"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: 1\nsummary: s\nimage: ubuntu:22.04\nimage_tag: t", "Expected `str` matching regex"),
        (f"schema: 1\nsummary: s\nimage: {DIGEST}\nimage_tag: t\ntorch: 2.3.1", "torch, cuda, kernels and driver_min"),
        (f"schema: 1\nsummary: s\nimage: {DIGEST}\nimage_tag: t\ntorhc: 2.3.1", "unknown field `torhc`"),
        ("a: [", "while parsing a flow node"),
    ],
)
def test_a_wrong_base_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "odd.yaml").write_text(text, "utf-8")
    with pytest.raises(ManifestError) as caught:
        load_bases(tmp_path)
    assert caught.value.message.startswith(f"{tmp_path / 'odd.yaml'}: ")
    assert message in caught.value.message
