"""One contract for every folder under docker/: what holds for one network holds for all, and for the next."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceorch.errors import InputError
from faceorch.images import upstream_arguments
from faceorch.kit import imported_parts
from faceorch.media import probe_video
from faceorch.networks import Network
from faceorch.record import JobStatus
from tests.networks.conftest import ASSETS, NETWORKS, Animate, can_run_here

every = pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.name)
finished = pytest.mark.parametrize("network", [n for n in NETWORKS if not n.missing_files], ids=lambda n: n.name)
runnable = pytest.mark.parametrize("network", [n for n in NETWORKS if can_run_here(n)], ids=lambda n: n.name)


@every
def test_the_manifest_tells_people_what_they_need_to_choose(network: Network) -> None:
    manifest = network.manifest
    assert re.fullmatch(r"[a-z][a-z0-9]*", network.name)
    for text in (manifest.title, manifest.summary, manifest.approach, manifest.licence):
        assert text
        assert "\n" not in text
    assert manifest.expected is not None
    assert manifest.expected.source
    assert manifest.expected.head_motion
    assert manifest.expected.fps
    assert manifest.needs.gpu == (manifest.needs.vram_gb is not None)
    for setting in manifest.settings.values():
        assert setting.help


@every
def test_a_network_is_whole_or_has_not_been_begun(network: Network) -> None:
    begun = [name for name in ("code/runner.py", "Dockerfile") if (network.folder / name).is_file()]
    assert not network.missing_files or not begun, f"{network.name} lacks {network.missing_files}"


@finished
def test_the_runner_is_one_class_of_the_contract(network: Network) -> None:
    tree = ast.parse((network.code / "runner.py").read_text("utf-8"))
    classes = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(b).split(".")[-1] == "Network" for b in node.bases)
    ]
    assert len(classes) == 1
    methods = {node.name for node in classes[0].body if isinstance(node, ast.FunctionDef)}
    assert {"setup", "animate"} <= methods


@finished
def test_the_dockerfile_stays_in_what_both_builders_take(network: Network) -> None:
    text = (network.folder / "Dockerfile").read_text("utf-8")
    for word in ("RUN --mount", "COPY --link", "COPY --chmod", "<<EOF", "# syntax="):
        assert word not in text
    assert re.search(r"^USER \d+", text, re.MULTILINE), "an image's default user is not root"
    assert "FROM ${BASE_IMAGE}" in text


@finished
def test_upstream_code_is_named_in_the_manifest_alone(network: Network) -> None:
    text = (network.folder / "Dockerfile").read_text("utf-8")
    assert not re.search(r"[0-9a-f]{40}", text)
    wanted = list(upstream_arguments(network))
    assert re.findall(r"^ARG (UPSTREAM(?:_\d+)?)$", text, re.MULTILINE) == wanted
    assert re.findall(r'clone-upstream "\$\{(\w+)\}"', text) == wanted


@finished
def test_a_network_declares_the_parts_of_the_kit_that_its_code_imports(network: Network) -> None:
    assert set(network.manifest.uses) == imported_parts(network.code)
    text = (network.folder / "Dockerfile").read_text("utf-8")
    assert ("COPY kit/faceorch_kit /opt/faceorch/kit/faceorch_kit\n" in text) == bool(network.manifest.uses)


@finished
def test_every_package_is_pinned_by_hash_and_has_a_reason(network: Network) -> None:
    for base in network.manifest.needs.bases:
        assert_locked(network.lock(base))
    for line in (network.folder / "requirements.in").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith(("#", "-")):
            assert "#" in line, f"{network.name}: no reason for {line}"


def assert_locked(lock: Path) -> None:
    requirements = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text("utf-8").replace("\\\n", " "))
    pinned = [entry for entry in requirements if not entry.startswith("#")]
    assert pinned
    for entry in pinned:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


@runnable
class TestAnimate:
    def test_a_video_with_the_clips_sound_that_any_browser_plays(
        self, network: Network, animate: Animate, demo_clip: Path
    ) -> None:
        folder = animate(network, ASSETS / "face.png", demo_clip)
        (job,) = folder.run.jobs
        assert job.status is JobStatus.DONE, job.reason
        info = probe_video(folder.video(network.name))
        assert (info.codec, info.pixel_format, info.audio_codec) == ("h264", "yuv420p", "aac")
        assert info.duration_s == pytest.approx(3.0, abs=1 / info.fps)
        assert info.frames == round(3.0 * info.fps)
        events = (folder.path / network.name / "events.jsonl").read_text("utf-8")
        assert '"progress"' in events, "it says how far it is"
        assert job.environment is not None
        assert not job.environment.given
        assert {path.name for path in (folder.path / network.name).iterdir()} >= {"log.txt", "events.jsonl", "job.json"}

    def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
        self, network: Network, animate: Animate, demo_clip: Path
    ) -> None:
        made = [animate(network, ASSETS / "face.png", demo_clip, seed=seed).run.jobs[0].video for seed in (3, 3, 4)]
        assert all(video is not None for video in made)
        first, second, third = (video.sha256 for video in made if video is not None)
        assert first == second
        assert first != third

    def test_a_portrait_without_a_face_is_refused_before_anything_starts(
        self, network: Network, animate: Animate, demo_clip: Path, tmp_path: Path
    ) -> None:
        picture = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / "wall.png")
        with pytest.raises(InputError) as caught:
            animate(network, tmp_path / "wall.png", demo_clip)
        assert "no face found in portrait.png" in caught.value.message
        assert list((tmp_path / "results").iterdir()) == []
