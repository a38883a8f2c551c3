"""The judge's environment and weights, chosen as those of networks are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from faceorch.networks.discover import Network
from faceorch.record.reason import Reason
from faceorch.record.request import RuntimeChoice
from faceorch.runs.plan import Planned, make_plan
from faceorch.runtimes.choose import make_runtimes
from faceorch.telemetry.nvml import Gpus
from faceorch.weights.check import check_weights
from faceorch.weights.store import Store


class Chosen(Struct, frozen=True):
    """A judge that can start. `weights` is the folder of those that are there, `notes` say what is not."""

    planned: Planned
    weights: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def network(self) -> Network:
        """The judge's folder."""
        return self.planned.network


def choose(
    judge: Network,
    *,
    runtime: RuntimeChoice = "auto",
    pythons: Mapping[str, str] | None = None,
    use_images: Mapping[str, str] | None = None,
    weights: Path | None = None,
) -> Chosen | Reason:
    """Return the judge as it will run here, or why it cannot. It never uses a GPU.

    `weights` is the store. Weights that are missing do not keep a judge from starting: it measures what it can.
    """
    runtimes = make_runtimes(runtime, pythons or {}, use_images or {})
    plan = make_plan([judge], runtimes=runtimes, gpus=Gpus((), None), selected=(), weights=None)
    if plan.obstacles:
        return plan.obstacles[0].reason
    found = check_weights(judge, {}, Store(weights))
    if isinstance(found, Reason):
        return Chosen(plan.planned[0], notes=(f"{found.text}; get them: {found.remedy}",))
    return Chosen(plan.planned[0], found.folder)
