"""Upstream's own script against our runner: the same stand-in weights, inputs, seed and torch; are the frames equal?

    python benchmarks/parity.py NETWORK FOLDER --python PYTHON [--path FOLDER ...]

`make parity-NETWORK FOLDER=FOLDER` makes both environments first, where parities/NETWORK.txt lists those packages.

FOLDER is a checkout of upstream's repository at the commit of network.yaml, PYTHON an environment with the network's
lock, and each --path holds packages that upstream's unchanged script imports on top of it. What upstream's script needs
to be told is in parities/NETWORK.py. The result goes to docker/NETWORK/parity.json. Takes minutes, on a CPU.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("network")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--path", type=Path, action="append", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parity-") as work:
        # Not resolved: an environment's interpreter is a link, and resolving it leaves the environment.
        python, paths = given.python.absolute(), [path.absolute() for path in given.path]
        result = compare(given.network, given.folder.resolve(), python, paths, Path(work))
    target = ROOT / "docker" / given.network / "parity.json"
    # What was measured on a GPU, which this machine may not have, stays as it was.
    if target.is_file() and "gpu" in (before := json.loads(target.read_text("utf-8"))):
        result["gpu"] = before["gpu"]
    target.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(f"{target}: {result['frames']} frames, {result['equal']} equal, worst difference {result['worst']} of 255")


def compare(network: str, folder: Path, python: Path, paths: list[Path], work: Path) -> dict[str, Any]:
    """Run both sides, one after the other, and return what the file will hold."""
    upstream = _upstream(network)
    commit = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(
        ["git", "-C", str(folder), "status", "--porcelain"], capture_output=True, check=True
    ).stdout
    if commit.stdout.strip() != upstream["commit"] or changed:
        sys.exit(f"{folder} is not a clean checkout of {upstream['commit']}")
    patched = patched_copy(network, folder, python, work / "tree")
    own = [ROOT / "docker/runner", ROOT / "docker/kit", patched]
    request: dict[str, Any] = {"network": network, "work": str(work), "upstream": str(folder)}
    sides = {}
    for side, found in (("prepare", own), ("theirs", [folder, *paths]), ("ours", own)):
        (work / "request.json").write_text(json.dumps({**request, "side": side}), "utf-8")
        command = [str(python), __file__, "--side", str(work / "request.json")]
        started_s = time.monotonic()
        subprocess.run(command, check=True, cwd=work, env=environment(found, python))
        sides[side] = round(time.monotonic() - started_s, 1)
    differences = json.loads((work / "differences.json").read_text("utf-8"))
    return {
        "network": network,
        "upstream": upstream,
        "weights": "stand-ins of random values (docs/weights.md), the same files for both sides",
        **differences,
        "seconds": {"theirs": sides["theirs"], "ours": sides["ours"]},
        "again": _again(network),
    }


def patched_copy(network: str, folder: Path, python: Path, tree: Path) -> Path:
    """Return a copy of upstream's checkout in `tree`, patched as in the network's image."""
    patches = ROOT / "docker" / network / "patches.py"
    copy = tree / _name_in_patches(patches)
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".git"))
    patch = [sys.executable, "-m", "faceorch_patch", str(patches), str(tree)]
    subprocess.run(patch, check=True, stdout=subprocess.DEVNULL, env=environment([ROOT / "docker/patch"], python))
    return copy


def _again(network: str) -> str:
    if (ROOT / "benchmarks/parities" / f"{network}.txt").is_file():
        return f"make parity-{network} FOLDER=CHECKOUT"
    return f"python benchmarks/parity.py {network} CHECKOUT --python PYTHON --path EXTRA_PACKAGES"


def _upstream(network: str) -> dict[str, str]:
    import yaml

    manifest = yaml.safe_load((ROOT / "docker" / network / "network.yaml").read_text("utf-8"))
    (found,) = manifest["upstream"]
    return {"url": found["url"], "commit": found["commit"]}


def _name_in_patches(patches: Path) -> str:
    """Return the folder in which patches.py, and so the image, expects the checkout."""
    spec = importlib.util.spec_from_file_location("patches", patches)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "docker/patch"))
    spec.loader.exec_module(module)
    return str(module.PATCHES[0].file).split("/", 1)[0]


def environment(paths: list[Path], python: Path) -> dict[str, str]:
    """Return the environment in which a side runs: with `paths` for Python, and the programs beside `python`."""
    return {
        **os.environ,
        # Upstream's scripts call what an environment brings, ffmpeg among it, by name.
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }


def side(request: dict[str, Any]) -> None:
    """Do one part of it, in the network's environment."""
    import numpy as np

    work, network = Path(request["work"]), request["network"]
    driver = driver_of(network)
    weights, portrait, clip = work / "weights", work / "portrait.png", work / "clip.wav"
    if request["side"] == "prepare":
        _shrink(ROOT / "assets/face.png", portrait, getattr(driver, "PORTRAIT_SIDE", None))
        _cut(ROOT / "assets/clip.wav", clip, driver.SECONDS)
        driver.prepare(weights, _load(network, "synthetic"))
        return
    if request["side"] == "theirs":
        frames = driver.theirs(Path(request["upstream"]), weights, portrait, clip, work)
        np.save(work / "theirs.npy", frames)
        return
    ours, theirs = _ours(network, weights, portrait, clip, work, driver), np.load(work / "theirs.npy")
    (work / "differences.json").write_text(json.dumps(_differences(ours, theirs, weights, portrait, clip, driver)))


def _differences(ours: Any, theirs: Any, weights: Path, portrait: Path, clip: Path, driver: Any) -> dict[str, Any]:
    import platform
    from importlib.metadata import version

    import numpy as np

    if ours.shape != theirs.shape:
        sys.exit(f"upstream made frames of {theirs.shape}, we made {ours.shape}")
    apart = np.abs(ours.astype(np.int16) - theirs)
    square = float(np.mean(np.square(apart.astype(np.float64))))
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in driver.PACKAGES}},
        "device": "cpu",
        "inputs": {
            "portrait": {"file": "assets/face.png" + _scaled(driver), "sha256": _hash(portrait)},
            "clip": {"file": f"assets/clip.wav, {driver.SECONDS} s", "sha256": _hash(clip)},
            "weights": {str(p.relative_to(weights)): _hash(p) for p in sorted(weights.rglob("*")) if p.is_file()},
        },
        "settings": driver.SETTINGS,
        "seed": driver.SEED,
        "compared": "the decoded frames, as bytes, before any encoder",
        "frames": len(ours),
        "size": f"{ours.shape[2]}x{ours.shape[1]}",
        "equal": int(sum(not frame.any() for frame in apart)),
        "worst": int(apart.max()),
        "psnr_db": None if square == 0 else round(10 * float(np.log10(255**2 / square)), 2),
        "spread": round(float(theirs.std()), 2),
        "moves": int(np.abs(theirs.astype(np.int16) - theirs[0]).max()),
        "named_differences": driver.NAMED,
    }


def _ours(network: str, weights: Path, portrait: Path, clip: Path, work: Path, driver: Any) -> Any:
    """Return the frames that our runner would encode."""
    import numpy as np

    from faceorch_runner import Job, Network, Progress
    from faceorch_runner.events import EventStream

    frames: list[Any] = []

    class Kept:
        """Stands in for the encoder."""

        path = work / "none.mp4"

        @property
        def frames(self) -> int:
            return len(frames)

        def __enter__(self) -> Kept:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, frame: Any) -> None:
            frames.append(np.array(frame))

    class Kind(Job):
        def video(self, width: int, height: int, fps: float) -> Any:
            return Kept()

    if hasattr(driver, "before_ours"):
        driver.before_ours(lambda name: _load(network, name))
    module = _load(network, "runner")
    found = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Network) and c is not Network]
    runner = found[0]()
    (work / "job").mkdir()
    job = Kind("parity", portrait, clip, driver.SEED, driver.SETTINGS, work / "job")
    runner.check(job)
    runner.setup(weights, "cpu")
    with open(os.devnull, "wb") as nobody:
        runner.animate(job, Progress(EventStream(nobody.fileno()), job.id))
    return np.stack(frames)


def _load(network: str, module: str) -> Any:
    from faceorch_runner.network import load_module

    return load_module(ROOT / "docker" / network / "code", network, module)


def driver_of(network: str) -> Any:
    """Return the module parities/NETWORK.py."""
    path = ROOT / "benchmarks" / "parities" / f"{network}.py"
    spec = importlib.util.spec_from_file_location(f"parity_{network}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _shrink(source: Path, target: Path, side: int | None) -> None:
    """Copy a picture; scaled down when a `side` is given."""
    if side is None:
        shutil.copyfile(source, target)
        return
    import cv2

    picture = cv2.imread(str(source), cv2.IMREAD_COLOR)
    cv2.imwrite(str(target), cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))


def _scaled(driver: Any) -> str:
    side = getattr(driver, "PORTRAIT_SIDE", None)
    return f", scaled down to {side}x{side}" if side else ""


def _cut(source: Path, target: Path, seconds: float) -> None:
    import wave

    with wave.open(str(source), "rb") as whole, wave.open(str(target), "wb") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(round(seconds * whole.getframerate())))


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        side(json.loads(Path(sys.argv[2]).read_text("utf-8")))
    else:
        main()
