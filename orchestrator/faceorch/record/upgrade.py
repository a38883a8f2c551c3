"""Records of earlier faceorchs, brought to the present schema before they are read."""

from __future__ import annotations

from typing import Any

# Costs in money were part of the record in schema 1; they are computed from its prices when they are shown.
_COSTS = ("energy_cost", "gpu_time_cost")


def upgrade(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a record of schema 1 as one of schema 2; any other is returned as it is."""
    if raw.get("schema") != 1:
        return raw
    run = {**raw, "schema": 2}
    size = run.pop("synthetic", None)
    run.pop("command", None)
    options = dict(run.pop("options"))
    inputs = run["inputs"]
    run["request"] = {
        **options,
        "portrait": inputs["portrait"]["source"],
        "clip": inputs["clip"]["source"],
        "use_images": options.pop("images", {}),
        "stand_in": None if size is None else {"size": size},
    }
    run["request"].pop("images", None)
    run["jobs"] = [_job(job) for job in run["jobs"]]
    return run


def _job(raw: dict[str, Any]) -> dict[str, Any]:
    job = dict(raw)
    kind, found, remedy = job.pop("kind", None), job.pop("reason", None), job.pop("remedy", None)
    job["reason"] = None if kind is None else {"kind": kind, "found": found or "", "remedy": remedy or ""}
    job["resumed"] = max(0, job.pop("attempt", 0) - 1)
    job["repetitions"] = [{**done, "metrics": _without_costs(done)} for done in job.get("repetitions", [])]
    job["metrics"] = _without_costs(job)
    job["spreads"] = {name: spread for name, spread in job.get("spreads", {}).items() if name not in _COSTS}
    return job


def _without_costs(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: metric for name, metric in raw.get("metrics", {}).items() if name not in _COSTS}
