"""What can go, and why."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from faceorch import housekeeping
from faceorch.images.recipe import LABEL
from faceorch.owner import Owner
from faceorch.runtimes.venv import environment_folder
from tests.conftest import MakeNetwork

DAY_S = 86400.0
ME = Owner.me()
DEAD = replace(ME, pid=2**22 + 1)
ELSEWHERE = replace(ME, namespace=7)


class Engine:
    def __init__(self, **entry: Any) -> None:
        self.entry = {"Id": "1", "Names": ["/one"], **entry}

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return [self.entry]


@pytest.mark.parametrize(
    ("owner", "state", "age_s", "why"),
    [
        (ME, "exited", 2 * DAY_S, None),
        (DEAD, "running", 0, "its faceorch died"),
        (ELSEWHERE, "running", 2 * DAY_S, None),
        (ELSEWHERE, "created", 2 * DAY_S, None),
        (ELSEWHERE, "exited", 60, None),
        (ELSEWHERE, "exited", 2 * DAY_S, "it has ended; its faceorch cannot be seen from here"),
        ("not an owner", "exited", 2 * DAY_S, None),
    ],
)
def test_a_container_goes_when_nobody_can_want_it(
    owner: Owner | str, state: str, age_s: float, why: str | None
) -> None:
    api = Engine(Labels={f"{LABEL}.owner": str(owner)}, State=state, Created=int(time.time() - age_s))
    found = list(housekeeping._containers(cast("Any", api)))
    assert [leftover.why for leftover in found] == ([] if why is None else [why])


def test_an_environment_goes_when_no_known_lock_describes_it(own_cache: Path, make_network: MakeNetwork) -> None:
    network = make_network("grey")
    environment_folder(network, "cpu").mkdir()
    (own_cache / "venvs" / "another").mkdir()
    (found,) = housekeeping.leftovers(None, {"grey": network})
    assert Path(found.name).name == "another"
    assert found.why == "of no lock of a network that is known now; FACEORCH_NETWORKS names those of your own"


def test_without_an_engine_nothing_is_said_of_images(own_cache: Path) -> None:
    assert housekeeping.leftovers(None, {}) == []
