"""What upstream's script of SadTalker is told, and how its finished frames are kept (see parity.py)."""

from __future__ import annotations

import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

from parities.common import ffmpeg_on_path

# The stand-in detector of this size is not used: what random weights find is given to both sides by hand.
PORTRAIT_SIDE = 128
SIDE = 32  # of the square that is rendered: stand-ins are not larger
SECONDS = 1.2  # thirty frames, and a blink
SEED = 0
SETTINGS = {
    "size": "256",
    "preprocess": "full",
    "still": True,
    "pose_style": 0,
    "expression_scale": 1.0,
    "enhancer": False,
    "max_size": 128,
    "batch_size": 1,
    "speed": "exact",
}
PACKAGES = ("torch", "numpy", "opencv-python-headless", "scipy", "facexlib", "soxr")
NAMED = [
    "encoding: upstream writes and reads two lossy videos on the way to a frame; here they are handed on as arrays",
    "spectrogram: upstream's is librosa's, ours torch's with soxr, 5e-5 apart in a range of 8",
    "rounding: upstream cuts the renderer's values to whole numbers by skimage, we round",
    "faces: both sides are given the same box and points, for the stand-in detector finds nothing in 32 pixels",
    "blinks: upstream draws them without a seed; here both sides draw from the same",
    "enhancer: left out, for GFPGAN's noise is drawn by each frame's own seed here and by the global one upstream",
    "numpy 1.24 and newer refuse two lines of upstream's code; here they read float and t[0, 0] there",
]


def found(picture: Any) -> Any:
    """Return the one face of a picture: its box, score, and five points, as the detector gives them."""
    import numpy as np

    height, width = picture.shape[:2]
    points = ((0.38, 0.42), (0.62, 0.42), (0.5, 0.53), (0.41, 0.66), (0.59, 0.66))
    box = (0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height, 0.99)
    placed = [(width * x, height * y) for x, y in points]
    return np.array([[*box, *np.ravel(placed)]], np.float32)


def prepare(weights: Path, synthetic: Any) -> None:
    """Write stand-in weights, and the main file under the name that upstream's script looks for at this size."""
    synthetic.make(weights, full=False)
    main = weights / "checkpoints/SadTalker_V0.0.2_256.safetensors"
    shutil.copyfile(main, main.with_name(f"SadTalker_V0.0.2_{SIDE}.safetensors"))


def before_ours(load: Any) -> None:
    """Give our runner the face by hand."""
    load("detect").FaceDetector.__call__ = lambda self, pictures, **_: [found(picture) for picture in pictures]


def theirs(upstream: Path, weights: Path, portrait: Path, clip: Path, work: Path) -> Any:
    """Run inference.py, and return the frames that it hands to the last encoder."""
    import numpy as np

    tree = _edited(upstream, weights, work / "theirs")
    sys.path.insert(0, str(tree))
    sys.modules["gfpgan"] = types.SimpleNamespace(GFPGANer=None)  # type: ignore[assignment]
    import cv2
    import imageio
    import src.facerender.animate
    import src.generate_batch
    import src.utils.paste_pic
    from facexlib.detection.retinaface import RetinaFace

    docker = Path(__file__).parents[2] / "docker"
    sys.path += [str(docker / "runner"), str(docker / "kit")]
    from faceorch_runner.network import load_module

    frames_of = load_module(docker / "sadtalker/code", "sadtalker", "frames")
    draw = src.generate_batch.generate_blink_seq_randomly
    src.generate_batch.generate_blink_seq_randomly = lambda count: frames_of.blinks(draw, count, SEED)
    RetinaFace.detect_faces = lambda self, picture, *_: found(np.asarray(picture))
    kept: list[Any] = []
    handed_on: dict[str, list[Any]] = {}

    def save(path: str, frames: list[Any], **_: Any) -> None:
        handed_on[path] = [np.ascontiguousarray(frame[:, :, ::-1]) for frame in frames]
        Path(path).touch()

    class Reader:
        def __init__(self, path: str) -> None:
            self._left = iter(handed_on[path])

        def get(self, _: int) -> float:
            return 25.0

        def read(self) -> tuple[bool, Any]:
            frame = next(self._left, None)
            return frame is not None, frame

        def release(self) -> None:
            pass

    class Writer:
        def __init__(self, path: str, *_: Any) -> None:
            Path(path).touch()

        def write(self, frame: Any) -> None:
            kept.append(np.ascontiguousarray(frame[:, :, ::-1]))

        def release(self) -> None:
            pass

    imageio.mimsave = save
    cv2.VideoCapture, cv2.VideoWriter = Reader, Writer  # type: ignore[assignment, misc]
    for module in (src.facerender.animate, src.utils.paste_pic):
        module.save_video_with_watermark = lambda video, audio, path, **_: shutil.copyfile(video, path)
    os.chdir(work)
    (work / "gfpgan").symlink_to(weights / "gfpgan")  # upstream looks for it where it is started
    told = {
        "--driven_audio": clip,
        "--source_image": portrait,
        "--checkpoint_dir": weights / "checkpoints",
        "--result_dir": work / "results",
        "--size": SIDE,
        "--batch_size": SETTINGS["batch_size"],
        "--preprocess": SETTINGS["preprocess"],
    }
    script = tree / "inference.py"
    sys.argv = [str(script), "--still", "--cpu", *(str(part) for pair in told.items() for part in pair)]
    exec(compile(script.read_text("utf-8"), str(script), "exec"), {"__name__": "__main__", "__file__": str(script)})
    return np.stack(kept)


def prepare_usual(upstream: Path, weights: Path, work: Path) -> None:
    """Make a copy of upstream's checkout that runs on today's numpy, with the real sizes."""
    _readable_by_numpy(upstream, work / "tree")
    (work / "gfpgan").symlink_to(weights / "gfpgan")  # upstream looks for it where it is started


def run_usual(work: Path, weights: Path, portrait: Path, clip: Path) -> None:
    """Run inference.py as its users do: still, full, with GFPGAN, at 512 pixels."""
    tree = work / "tree"
    sys.path.insert(0, str(tree))
    import numpy as np
    import torchvision.transforms.functional as functional

    # basicsr, which GFPGAN needs, asks for it by the name of older versions; kornia is imported for nothing.
    sys.modules["torchvision.transforms.functional_tensor"] = functional
    sys.modules["kornia"] = types.ModuleType("kornia")
    sys.modules["kornia.geometry"] = types.SimpleNamespace(warp_affine=None)  # type: ignore[assignment]
    from facexlib.detection.retinaface import RetinaFace

    detect = RetinaFace.detect_faces

    def detected(self: Any, picture: Any, *how: Any, **named: Any) -> Any:
        # Stand-in weights lose the face in the square, where the script breaks and our runner goes on.
        faces = detect(self, picture, *how, **named)
        return faces if len(faces) else found(np.asarray(picture))

    RetinaFace.detect_faces = detected
    ffmpeg_on_path(work)
    os.chdir(work)
    told = {
        "--driven_audio": clip,
        "--source_image": portrait,
        "--checkpoint_dir": weights / "checkpoints",
        "--result_dir": work / "results",
        "--size": 512,
        "--batch_size": 1,
        "--preprocess": "full",
        "--enhancer": "gfpgan",
    }
    script = tree / "inference.py"
    sys.argv = [str(script), "--still", *(str(part) for pair in told.items() for part in pair)]
    exec(compile(script.read_text("utf-8"), str(script), "exec"), {"__name__": "__main__", "__file__": str(script)})


def _readable_by_numpy(upstream: Path, tree: Path) -> None:
    """Copy upstream's checkout, with two lines that numpy 1.24 and newer refuse written otherwise."""
    shutil.copytree(upstream, tree, ignore=shutil.ignore_patterns(".git"))
    for name, old, new in (
        ("my_awing_arch.py", "preds.astype(np.float,", "preds.astype(float,"),
        ("preprocess.py", "np.array([w0, h0, s, t[0], t[1]])", "np.array([w0, h0, s, t[0, 0], t[1, 0]])"),
    ):
        path = tree / "src/face3d/util" / name
        text = path.read_text("utf-8")
        assert old in text, f"{name} is not what it was"
        path.write_text(text.replace(old, new), "utf-8")


def _edited(upstream: Path, weights: Path, tree: Path) -> Path:
    """Return a copy of upstream's checkout that runs on today's numpy, with networks as large as the stand-ins."""
    import json

    import yaml

    _readable_by_numpy(upstream, tree)
    small = json.loads((weights / "dimensions.json").read_text("utf-8"))
    path = tree / "src/config/facerender_still.yaml"
    config = yaml.safe_load(path.read_text("utf-8"))
    model = config["model_params"]
    model["kp_detector_params"].update(small["keypoints"])
    model["generator_params"].update(small["generator"])
    model["generator_params"]["dense_motion_params"].update(small["flow"])
    path.write_text(yaml.safe_dump(config), "utf-8")
    return tree
