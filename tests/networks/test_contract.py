"""One contract for every network's folder: what holds for one network holds for all, and for the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faceorch.contract.making import Maker, why_not_here
from faceorch.contract.reading import CHECKS
from faceorch.networks.discover import Network, find_judge, open_network
from faceorch.networks.new import TEMPLATE
from faceorch.paths import docker_folder
from tests.networks.conftest import NETWORKS

JUDGE = find_judge([docker_folder()])
ALL = [*NETWORKS, open_network(TEMPLATE), *([JUDGE] if JUDGE is not None else [])]
FINISHED = [network for network in ALL if not network.missing_files]
MANIFEST = "the manifest tells people what they need to choose"


def by_name(value: object) -> str:
    return value.name if isinstance(value, Network) else str(value)


@pytest.mark.parametrize("network", ALL, ids=by_name)
def test_the_manifest_tells_people_what_they_need_to_choose(network: Network) -> None:
    CHECKS[MANIFEST](network)


@pytest.mark.parametrize("network", ALL, ids=by_name)
def test_a_network_is_whole_or_has_not_been_begun(network: Network) -> None:
    begun = [name for name in ("code/runner.py", "Dockerfile") if (network.folder / name).is_file()]
    assert not network.missing_files or not begun, f"{network.name} lacks {network.missing_files}"


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("network", FINISHED, ids=by_name)
def test_its_files_keep_the_contract(network: Network, check: str) -> None:
    CHECKS[check](network)


@pytest.fixture(scope="class")
def maker(network: Network) -> Iterator[Maker]:
    with Maker(network) as maker:
        yield maker


@pytest.mark.parametrize("network", [n for n in FINISHED if not why_not_here(n)], ids=by_name, scope="class")
class TestMaking:
    def test_a_video_with_the_clips_sound_that_any_browser_plays(self, maker: Maker) -> None:
        maker.plays()

    def test_the_same_seed_gives_the_same_bytes(self, maker: Maker) -> None:
        maker.repeats()

    def test_another_seed_gives_other_bytes(self, maker: Maker) -> None:
        maker.varies()

    def test_a_portrait_without_a_face_is_refused_before_anything_starts(self, maker: Maker, network: Network) -> None:
        assert bool(maker.refuses()) is not network.manifest.needs.face
