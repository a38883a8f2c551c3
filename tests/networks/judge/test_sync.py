"""Whether a mouth follows a clip: drawn series and an operator made for them, no model."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceorch.paths import docker_folder
from tests.networks.conftest import load_code

pytest.importorskip("scipy", reason="the judge's own scipy is not installed here")

findings, sync, voice = (load_code("judge", name) for name in ("findings", "sync", "voice"))

Floats = NDArray[np.float64]
FPS = 25.0
SIGNALS = len(sync.SIGNALS)


def babble(seconds: float, seed: int) -> NDArray[np.float32]:
    """Noise whose bands come and go a few times a second, each by itself, as those of speech do."""
    random = np.random.default_rng(seed)
    size = int(seconds * voice.SAMPLE_HZ)
    hertz = np.fft.rfftfreq(size, 1 / voice.SAMPLE_HZ)
    edges = np.geomspace(80, 7600, SIGNALS + 1)
    sound = np.zeros(size)
    for low, high in pairwise(edges):
        noise = np.fft.irfft(np.fft.rfft(random.standard_normal(size)) * ((hertz >= low) & (hertz < high)), size)
        levels = random.standard_normal(int(seconds * 8) + 2)
        sound += noise / noise.std() * np.exp(np.interp(np.arange(size) / size * (len(levels) - 1), *_numbered(levels)))
    return np.asarray(0.05 * sound / np.abs(sound).std(), np.float32)


def _numbered(values: Floats) -> tuple[Floats, Floats]:
    return np.arange(len(values), dtype=np.float64), values


def operator() -> Any:
    """One signal for each part of the spectrum, now."""
    width = sync.context(np.zeros((1, voice.BANDS))).shape[1]
    weights = np.zeros((width, SIGNALS))
    for place in range(voice.BANDS):
        weights[width // 2 - voice.BANDS // 2 + place, place * SIGNALS // voice.BANDS] = 1.0
    return sync.Operator(np.zeros(width), weights)


def mouth_of(sound: NDArray[np.float32], lag_ms: float = 0.0, begin_s: float = 0.0) -> tuple[Floats, dict[str, Floats]]:
    """Return the times of frames and what a mouth does in them, which speaks `lag_ms` before it is heard."""
    said = operator().predict(voice.log_mel(sound))
    times = np.arange(begin_s, len(sound) / voice.SAMPLE_HZ, 1 / FPS)
    ticks = np.arange(len(said)) / voice.RATE_HZ
    random = np.random.default_rng(9)
    series = {}
    for (name, sign), column in zip(sync.SIGNALS.items(), said.T, strict=True):
        moved = np.interp(times + lag_ms / 1000, ticks, column)
        series[name] = sign * (moved + column.std() * random.standard_normal(len(times))) + 3.0
    return times, series


def opened(value: float | None = 0.15) -> Any:
    if value is None:
        return findings.not_measurable("the mouth was not seen for long enough")
    return findings.Finding(value=value, unit="IOD", verdict=findings.Verdict.YES, says="moves", reason="")


def judge(
    times: Floats, series: dict[str, Floats], sound: NDArray[np.float32], mouth: Any = None, spoken: float = 1.0
) -> Any:
    everywhere = np.full(voice.count(sound), spoken)
    return sync.lip_sync(times, series, sound, everywhere, mouth or opened(), operator())


@pytest.mark.parametrize("lag_ms", [-140, -60, 0, 80, 160])
def test_a_known_lag_is_found(lag_ms: int) -> None:
    sound = babble(12, 1)
    found = judge(*mouth_of(sound, lag_ms), sound)
    assert (found.says, found.verdict, found.unit) == ("follows the speech", findings.Verdict.YES, "S")
    assert found.details["lag_ms"] == pytest.approx(lag_ms, abs=20)
    assert found.details["shift_test_ms"] == pytest.approx(160, abs=20)
    assert found.details["p"] <= 0.05
    assert found.low <= found.value <= found.high


def test_a_late_sound_is_told() -> None:
    sound = babble(12, 1)
    assert "160 ms later" in judge(*mouth_of(sound, 160), sound).reason
    assert "160 ms earlier" in judge(*mouth_of(sound, -160), sound).reason


def test_what_follows_another_clip_gives_no_evidence() -> None:
    sound = babble(15, 1)
    said = [judge(*mouth_of(babble(15, seed)), sound).says for seed in range(2, 14)]
    assert "follows the speech" not in said
    assert said.count("no evidence") >= len(said) / 2


def test_a_short_clip_is_unclear() -> None:
    sound = babble(6, 1)
    found = judge(*mouth_of(sound), sound)
    assert (found.says, found.verdict) == ("unclear", findings.Verdict.UNCLEAR)
    assert found.value > 0.2
    assert "8 s needed" in found.reason


@pytest.mark.parametrize(
    ("mouth", "spoken", "reason"),
    [(opened(), 0.1, "0.0 s of speech"), (opened(None), 1.0, "the mouth was not seen")],
)
def test_silence_and_a_hidden_mouth_cannot_be_measured(mouth: Any, spoken: float, reason: str) -> None:
    sound = babble(12, 1)
    found = judge(*mouth_of(sound), sound, mouth, spoken)
    assert found.verdict is findings.Verdict.NOT_MEASURABLE
    assert reason in found.reason


def test_a_mouth_that_was_hardly_seen_cannot_be_measured() -> None:
    sound = babble(12, 1)
    times, series = mouth_of(sound)
    for values in series.values():
        values[30:] = np.nan
    assert judge(times, series, sound).verdict is findings.Verdict.NOT_MEASURABLE


@pytest.mark.parametrize(("reach", "says"), [(0.03, "no evidence"), (0.07, "unclear"), (0.09, "follows the speech")])
def test_a_mouth_that_hardly_moves_follows_nothing(reach: float, says: str) -> None:
    sound = babble(12, 1)
    assert judge(*mouth_of(sound), sound, opened(reach)).says == says


def test_frozen_signals_follow_nothing() -> None:
    sound = babble(12, 1)
    times, series = mouth_of(sound)
    found = judge(times, {name: np.full(len(times), 0.2) for name in series}, sound)
    assert found.says == "no evidence"
    assert found.value == pytest.approx(0, abs=1e-6)


def test_gaps_and_a_late_beginning_change_nothing() -> None:
    sound = babble(16, 1)
    times, series = mouth_of(sound, 80, begin_s=1.5)
    for values in series.values():
        values[100:130] = np.nan
    found = judge(times, series, sound)
    assert found.says == "follows the speech"
    assert found.details["lag_ms"] == pytest.approx(80, abs=20)


def test_a_video_that_outlives_its_clip_is_judged_to_the_clips_end() -> None:
    sound = babble(16, 1)
    times, series = mouth_of(sound)
    found = judge(times, series, sound[: 10 * voice.SAMPLE_HZ])
    assert found.says == "follows the speech"
    assert found.details["judged_s"] == pytest.approx(10, abs=0.1)


def test_a_video_after_its_clip_cannot_be_measured() -> None:
    sound = babble(16, 1)
    times, series = mouth_of(sound, begin_s=9.0)
    assert judge(times, series, sound[: 4 * voice.SAMPLE_HZ]).verdict is findings.Verdict.NOT_MEASURABLE


def test_an_operator_is_kept_in_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.npz", "other.npz"):
        operator().write(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    assert np.array_equal(sync.Operator.read(tmp_path / "one.npz").weights, operator().weights)


def test_the_operator_in_use_is_told_by_its_hash() -> None:
    path = docker_folder() / "judge" / "code" / "operator.npz"
    assert sync.operator_digest() == sha256(path.read_bytes()).hexdigest()
    kept = sync.Operator.read(path)
    assert kept.weights.shape == (len(kept.mean), SIGNALS)
