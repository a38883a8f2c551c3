"""`faceorch speak`: a clip and its text, and nothing overwritten unasked."""

from __future__ import annotations

import wave
from pathlib import Path

from click.testing import CliRunner

from faceorch.cli.main import cli
from tests.unit.conftest import SPOKEN, faceorch


class TestCommand:
    def test_it_writes_a_clip_and_says_what_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        done = faceorch("speak", "--engine", "espeak-ng", "--text", SPOKEN, "--seconds", "2", "-o", str(path))
        assert (done.returncode, done.stdout) == (0, f"{path}: 2.00 s, 24000 Hz, mono\n")
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (24000, 1, 48000)

    def test_the_same_command_gives_the_same_bytes(self, tmp_path: Path) -> None:
        paths = [tmp_path / "one.wav", tmp_path / "two.wav"]
        for path in paths:
            faceorch("speak", "--engine", "espeak-ng", "--text", SPOKEN, "-o", str(path))
        assert paths[0].read_bytes() == paths[1].read_bytes()

    def test_it_writes_no_other_format(self, tmp_path: Path) -> None:
        done = faceorch("speak", "--engine", "espeak-ng", "--text", SPOKEN, "-o", str(tmp_path / "x.mp3"))
        assert done.returncode == 4
        assert done.stderr == (
            f"error: {tmp_path}/x.mp3 is not a WAV file, and speak writes nothing else\n  try: -o {tmp_path}/x.wav\n"
        )
        assert list(tmp_path.iterdir()) == []

    def test_it_writes_over_nothing_unasked(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        path.write_bytes(b"mine")
        done = faceorch("speak", "--engine", "espeak-ng", "--text", SPOKEN, "-o", str(path))
        assert done.returncode == 4
        assert f"error: {path} exists\n" in done.stderr
        assert path.read_bytes() == b"mine"

    def test_the_clip_of_the_demo_is_what_its_recipe_makes(self, tmp_path: Path) -> None:
        assets = Path(__file__).parents[3] / "assets"
        path = tmp_path / "clip.wav"
        text = str(assets / "clip.txt")
        done = faceorch("speak", "--engine", "espeak-ng", "--file", text, "--seconds", "15", "-o", str(path))
        assert done.returncode == 0, done.stderr
        with wave.open(str(path)) as made, wave.open(str(assets / "clip.wav")) as kept:
            assert made.getparams() == kept.getparams()
            assert made.getnframes() == 15 * 24000


def test_the_command_leaves_the_text_beside_the_clip_and_writes_over_no_other(tmp_path: Path) -> None:
    """A run of the clip shows its words."""
    clip, said = tmp_path / "clip.wav", tmp_path / "clip.txt"
    words = ["speak", "--text", SPOKEN, "--engine", "espeak-ng", "-o", str(clip)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert said.read_text("utf-8") == f"{SPOKEN}\n"
    said.write_text("mine", "utf-8")
    clip.unlink()
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert said.read_text("utf-8") == "mine"
    assert CliRunner().invoke(cli, [*words, "--force"]).exit_code == 0
    assert said.read_text("utf-8") == f"{SPOKEN}\n"
