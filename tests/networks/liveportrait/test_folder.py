"""What the folder says of itself: settings, patches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faceorch.networks.discover import load_networks
from faceorch.networks.patches import patches_of
from faceorch_patch import Patch, PatchError

NETWORK = load_networks()["liveportrait"]
PATCHES = {patch.name: patch for patch in patches_of(NETWORK)}

# Code of our own with what the patches look for.
SNIPPETS = {
    "mask-on-any-device": (
        """
        class DenoisingNetwork:
            def __init__(self, device="cuda"):
                mask = enc_dec_mask(3, 3, frame_width=1)
        """,
        "mask = enc_dec_mask(3, 3, frame_width=1, device=device)",
    ),
    "hubert-of-our-own": (
        """
        class DitTalkingHead:
            def __init__(self, kind):
                if kind == 1:
                    self.audio_encoder = None
                    self.audio_encoder.feature_extractor._freeze_parameters()
                elif kind == 2:
                    from .hubert import HubertModel
                    self.audio_encoder = HubertModel.from_pretrained("another")
                    self.audio_encoder.feature_extractor._freeze_parameters()
                else:
                    from .hubert import HubertModel
                    self.audio_encoder = HubertModel.from_pretrained(make_abs_path(model_path))
                    self.audio_encoder.feature_extractor._freeze_parameters()
        """,
        "self.audio_encoder = self.make_audio_encoder()",
    ),
    "no-downloads": (
        """
        def download(name):
            dir_path = name
            print('download_path:', dir_path)
            fetch(dir_path)
        """,
        'raise FileNotFoundError(f"{dir_path} is missing, and nothing is fetched while a job runs")',
    ),
}


def snippet(name: str) -> str:
    import textwrap

    return textwrap.dedent(SNIPPETS[name][0]).lstrip()


def test_every_patch_has_a_snippet() -> None:
    assert set(PATCHES) == set(SNIPPETS)


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_patch_changes_what_it_says_and_only_once(patch: Patch) -> None:
    patched = patch.apply(snippet(patch.name))
    assert SNIPPETS[patch.name][1] in [line.strip() for line in patched.splitlines()]
    assert patched.splitlines()[-1] == patch.note
    assert patch.apply(patched) == patched


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_patch_fails_when_upstream_has_changed(patch: Patch) -> None:
    with pytest.raises(PatchError, match="expected"):
        patch.apply("def download():\n    pass\n")


class Ears:
    """Stands in for an audio encoder."""


def test_the_patched_motion_model_asks_its_subclass_for_ears() -> None:
    scope: dict[str, Any] = {}
    exec(PATCHES["hubert-of-our-own"].apply(snippet("hubert-of-our-own")), scope)

    own = type("Own", (scope["DitTalkingHead"],), {"make_audio_encoder": lambda _: Ears})
    assert own(3).audio_encoder is Ears


def test_a_missing_folder_of_detectors_is_said_before_anything_is_fetched() -> None:
    fetched: list[str] = []
    scope: dict[str, object] = {"fetch": fetched.append}
    exec(PATCHES["no-downloads"].apply(snippet("no-downloads")), scope)
    with pytest.raises(FileNotFoundError, match=r"^buffalo_l is missing, and nothing is fetched while a job runs$"):
        scope["download"]("buffalo_l")  # type: ignore[operator]
    assert fetched == []


def test_the_defaults_are_those_whose_figures_are_expected() -> None:
    settings = NETWORK.settings({})
    assert (settings["output"], settings["steps"], settings["precision"]) == ("crop", 50, "fp16")
    assert settings["detector"] == "mediapipe"
    assert NETWORK.manifest.expected is not None
    assert (NETWORK.manifest.expected.size, NETWORK.manifest.expected.fps) == ("512x512", 25)


def test_the_preset_gives_what_joyvasas_command_line_has_and_other_settings_win() -> None:
    theirs = NETWORK.settings({"preset": "joyvasa", "head_smoothing": 0.7})
    assert (theirs["eta"], theirs["guidance"], theirs["driving_multiplier"]) == (1.0, 2.8, 1.1)
    assert (theirs["stitching"], theirs["blinks_per_minute"], theirs["head_smoothing"]) == (False, 0.0, 0.7)
    assert NETWORK.settings({})["eta"] == 0.0


def test_parity_was_recorded_for_the_commit_of_the_manifest() -> None:
    recorded = json.loads((NETWORK.folder / "parity.json").read_text("utf-8"))
    (code,) = NETWORK.manifest.upstream
    assert recorded["upstream"] == {"url": code.url, "commit": code.commit}
    assert set(recorded["settings"]) == set(NETWORK.settings({}))
    assert recorded["frames"] >= 10
    assert recorded["worst"] <= 3, "rounded, then pasted back"
    assert recorded["spread"] > 1, "the frames are not one colour"
    assert recorded["moves"] > 10, "and not one picture"
