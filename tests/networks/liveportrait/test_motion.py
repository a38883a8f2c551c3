"""Smoothing, and what the motion model's values mean for the keypoints."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks.conftest import load_code

keypoints = load_code("liveportrait", "keypoints")
ema = load_code("liveportrait", "smoothing").ema
EYES, LIPS, drive, rotation = keypoints.EYES, keypoints.LIPS, keypoints.drive, keypoints.rotation


def test_smoothing_is_an_exponential_moving_average() -> None:
    values = np.random.default_rng(0).normal(size=(40, 3))
    keep = 0.7
    by_hand = [values[0]]
    for value in values[1:]:
        by_hand.append(0.3 * value + keep * by_hand[-1])
    assert ema(values, keep) == pytest.approx(np.array(by_hand), abs=1e-6)
    assert ema(values, 0.0) == pytest.approx(values, abs=1e-6)


def test_smoothing_answers_a_step_as_its_time_constant_says() -> None:
    step = np.concatenate([[0.0], np.ones(60)])
    assert ema(step, 0.9)[10] == pytest.approx(1.0 - 0.9**10, abs=1e-6)


@pytest.mark.parametrize("keep", [1.0, -0.1])
def test_smoothing_that_would_stop_or_explode_is_refused(keep: float) -> None:
    with pytest.raises(ValueError, match=rf"^a share of {keep:g} kept, 0 to below 1 needed$"):
        ema(np.zeros(3), keep)


def some_motion(frames: int = 30) -> Any:
    random = np.random.default_rng(1)
    return keypoints.Motion(
        exp=random.normal(0, 0.05, (frames, 21, 3)).astype(np.float32),
        scale=random.uniform(1.0, 1.5, frames).astype(np.float32),
        shift=random.normal(0, 0.05, (frames, 3)).astype(np.float32),
        angles=random.uniform(-15, 15, (frames, 3)).astype(np.float32),
    )


@pytest.fixture
def portrait() -> Any:
    random = np.random.default_rng(2)
    return keypoints.Portrait(
        kp=random.normal(0, 0.3, (21, 3)).astype(np.float32),
        exp=random.normal(0, 0.05, (21, 3)).astype(np.float32),
        scale=1.2,
        shift=np.array([0.1, -0.05, 0.3], np.float32),
        angles=np.array([4.0, -7.0, 2.0], np.float32),
    )


OPEN = np.zeros(30, np.float32)


def test_rotations_turn_about_one_axis_after_the_other() -> None:
    (pitch, yaw, roll) = rotation(np.diag([90.0, 90.0, 90.0]).astype(np.float32))
    x, y, z = np.eye(3, dtype=np.float32)
    assert y @ pitch == pytest.approx(z, abs=1e-6)
    assert z @ yaw == pytest.approx(x, abs=1e-6)
    assert x @ roll == pytest.approx(y, abs=1e-6)
    both = rotation(np.array([[10.0, 20.0, 30.0]], np.float32))[0]
    single = [rotation(np.array([turn], np.float32))[0] for turn in ([10, 0, 0], [0, 20, 0], [0, 0, 30])]
    assert both == pytest.approx(single[0] @ single[1] @ single[2], abs=1e-6)


def test_the_first_frame_is_the_portrait_but_for_the_lips(portrait: Any) -> None:
    motion = some_motion()
    moved = drive(portrait, motion, OPEN)
    rest = [point for point in range(21) if point not in LIPS]
    assert moved[0, rest] == pytest.approx(portrait.keypoints()[rest], abs=1e-6)
    lips = keypoints.Portrait(portrait.kp, motion.exp[0], portrait.scale, portrait.shift, portrait.angles).keypoints()
    assert moved[0, list(LIPS)] == pytest.approx(lips[list(LIPS)], abs=1e-6)


def test_head_motion_0_keeps_the_head_still_and_expression_0_the_face(portrait: Any) -> None:
    moved = drive(portrait, some_motion(), OPEN, head_motion=0.0, expression=0.0)
    assert moved == pytest.approx(np.repeat(portrait.keypoints()[None], 30, axis=0), abs=1e-6)
    assert np.abs(drive(portrait, some_motion(), OPEN, head_motion=0.0) - moved).max() > 0.01
    assert np.abs(drive(portrait, some_motion(), OPEN, expression=0.0) - moved).max() > 0.01


def test_the_head_turns_as_far_as_the_model_says(portrait: Any) -> None:
    motion = some_motion()
    still = keypoints.Portrait(
        portrait.kp, np.zeros((21, 3), np.float32), 1.0, np.zeros(3, np.float32), portrait.angles
    )
    only_turns = keypoints.Motion(
        np.zeros((30, 21, 3), np.float32), np.ones(30, np.float32), np.zeros((30, 3), np.float32), motion.angles
    )
    moved = drive(still, only_turns, OPEN)
    for frame in (1, 17):
        turn = rotation(motion.angles[frame : frame + 1])[0] @ rotation(motion.angles[:1])[0].T
        assert moved[frame] == pytest.approx(portrait.kp @ turn @ rotation(portrait.angles[None])[0], abs=1e-6)


def test_a_blink_stills_what_the_model_does_to_the_eyes(portrait: Any) -> None:
    motion = some_motion()
    shut = np.ones(30, np.float32)
    quiet = drive(portrait, motion, shut)
    assert quiet == pytest.approx(drive(portrait, motion, OPEN, eye_motion=0.0), abs=1e-6)
    changed = np.abs(quiet - drive(portrait, motion, OPEN)).max(axis=(0, 2)) > 1e-6
    assert set(np.flatnonzero(changed)) == set(EYES)


@pytest.mark.parametrize(("region", "head", "face", "lips"), [("exp", 0, 1, 1), ("pose", 1, 0, 0), ("lip", 0, 0, 1)])
def test_a_region_moves_alone(portrait: Any, region: str, head: int, face: int, lips: int) -> None:
    """Upstream's rules: shift and scale move in every region; alone, lips are relative to the first frame."""
    motion = some_motion()
    exp = motion.exp - motion.exp[:1]
    if region == "exp":
        exp[:, LIPS] = motion.exp[:, LIPS] - portrait.exp[list(LIPS)]
    keep = np.full((21, 1), face, np.float32)
    keep[list(LIPS)] = lips
    turn = np.repeat(rotation(portrait.angles[None]), 30, axis=0)
    if head:
        turn = rotation(motion.angles) @ rotation(motion.angles[:1]).transpose(0, 2, 1) @ turn
    scale = (portrait.scale * motion.scale / motion.scale[0])[:, None, None]
    shift = (portrait.shift + motion.shift - motion.shift[0]) * (1.0, 1.0, 0.0)
    by_hand = scale * (portrait.kp @ turn + portrait.exp + keep * exp) + shift[:, None]
    assert drive(portrait, motion, OPEN, region=region) == pytest.approx(by_hand, abs=1e-5)


def test_smoothing_leaves_the_lips_alone() -> None:
    motion = some_motion()
    smooth = motion.smooth(0.9, 0.8)
    assert smooth.exp[:, LIPS] == pytest.approx(motion.exp[:, LIPS])
    assert np.std(smooth.exp[:, 0]) < 0.6 * np.std(motion.exp[:, 0])
    assert np.std(smooth.angles) < 0.6 * np.std(motion.angles)


def template_values() -> dict[str, np.ndarray]:
    values = {"mean_exp": np.full(63, 0.1, np.float32), "std_exp": np.full(63, 2.0, np.float32)}
    for name, count in (("scale", 1), ("t", 3), ("pitch", 1), ("yaw", 1), ("roll", 1)):
        values[f"min_{name}"], values[f"max_{name}"] = np.full(count, -1.0, np.float32), np.full(count, 3.0, np.float32)
    return values


def test_the_template_undoes_the_normalisation(tmp_path: Path) -> None:
    path = tmp_path / "motion_template.pkl"
    path.write_bytes(pickle.dumps(template_values()))
    motion = keypoints.Template.read(path).motion(np.full((2, 73), 0.5, np.float32))
    assert motion.exp == pytest.approx(np.full((2, 21, 3), 1.1))
    assert [motion.scale.tolist(), motion.angles.tolist()] == [[1.0, 1.0], [[1.0] * 3] * 2]
    assert motion.shift.tolist() == [[1.0] * 3] * 2


def test_a_template_that_lacks_values_is_refused() -> None:
    values = template_values()
    del values["max_yaw"]
    with pytest.raises(ValueError, match=r"^the motion template lacks max_yaw$"):
        keypoints.Template(values)


def test_a_template_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "motion_template.pkl"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(pickle.UnpicklingError, match=r"^the motion template holds os\.system: numpy arrays only$"):
        keypoints.Template.read(path)
