"""What has happened to a job becomes the record's job, with its remarks."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from faceorch.record.folder import now
from faceorch.record.kinds import JobStatus
from faceorch.record.run import Environment, Job, Repetition
from faceorch.runs.history import History, job_of
from tests.unit.conftest import repetition


class TestRemarks:
    def job(self, *counted: Repetition, **changes: Any) -> Job:
        asked = Job(network="a", title="A", status=JobStatus.PENDING)
        environment = Environment(runtime="venv", identity="x", name="x")
        return job_of(
            History(asked=asked, started=now(), environment=environment, several=True, repetitions=counted, **changes)
        )

    def test_an_outlier_is_pointed_out_with_what_to_do(self) -> None:
        job = self.job(*(repetition(n, s) for n, s in enumerate([5.0, 5.1, 5.0, 9.0], start=1)))
        assert job.notes[0] == (
            "repetition 4 took 9.00 s to animate, the median is 5.05 s: "
            "end other programs, warm up (--warmup 1), and run it again"
        )

    def test_videos_that_differ_are_pointed_out(self) -> None:
        assert self.job(repetition(1, 5.0), repetition(2, 5.0, sha="1")).notes == [
            "its repetitions made different videos from the same seed: compare its quality over several seeds"
        ]

    def test_what_was_the_same_each_time_is_said_once(self) -> None:
        def noted(*texts: str) -> list[str]:
            turns = enumerate(texts, start=1)
            return self.job(
                *(
                    structs.replace(repetition(n, 5.0), notes=[f"repetition {n} of {len(texts)}: {text}", "plain"])
                    for n, text in turns
                )
            ).notes

        assert noted("busy", "busy", "idle") == ["repetitions 1 and 2 of 3: busy", "plain", "repetition 3 of 3: idle"]
        assert noted("0.4 cores", "idle", "12 cores", "3 cores") == [
            "repetition 1 of 4 (and much the same in 3 and 4): 0.4 cores",
            "plain",
            "repetition 2 of 4: idle",
        ]
        assert noted(*["busy"] * 100)[0] == "repetitions 1, 2, 3, 4, 5, 6 and 94 more of 100: busy"

    def test_the_figures_are_those_of_the_middle_one(self) -> None:
        job = self.job(repetition(1, 6.0), repetition(2, 4.0), repetition(3, 5.0), repetition(1, 99.0, warmup=True))
        assert (job.repetition, job.times.animate_s) == (3, 5.0)
        assert job.spreads["animate_s"].max == 6.0, "the warm-up does not count"

    def test_building_the_environment_is_no_part_of_any_repetition(self) -> None:
        counted = [repetition(n, s) for n, s in enumerate([6.0, 4.0, 5.0], start=1)]
        without, first_use = self.job(*counted), self.job(*counted, prepare_s=100.0)
        assert first_use.times.prepare_s == 100.0
        assert first_use.times.total_s == without.times.total_s
        assert first_use.spreads == without.spreads
        assert [done.times for done in first_use.repetitions] == [done.times for done in counted]
