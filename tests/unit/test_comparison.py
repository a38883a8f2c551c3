"""A run as a whole, with its report: what it leaves, and what is written later."""

from __future__ import annotations

from msgspec import structs

from faceorch.record.run import Measured
from faceorch.record.spread import spreads
from faceorch.report import write_report
from tests.conftest import MakeNetwork, compare_here, ignore
from tests.unit.conftest import RequestFor


def test_the_report_shows_costs_with_their_method_and_the_ranges(
    make_network: MakeNetwork, request_for: RequestFor
) -> None:
    from lxml import html

    make_network("grey")
    make_network("slow")
    folder = compare_here(request_for("grey", "slow", repeat=3, price_per_gpu_hour=2.0), ignore)
    for number, job in enumerate(folder.run.jobs):
        factor = {"grey": 1.0, "slow": 10.0}[job.network]  # as if one took ten times as long
        repetitions = [
            structs.replace(r, times=structs.replace(r.times, animate_s=factor * (1 + r.number / 10)))
            for r in job.repetitions
        ]
        # A run as short as this may end before anybody has looked at what it uses.
        memory = Measured(value=5e7, unit="bytes", method="process_tree", note="")
        folder.run.jobs[number] = structs.replace(
            job,
            repetitions=repetitions,
            spreads=spreads(repetitions),
            metrics={**job.metrics, "memory_peak_bytes": memory},
        )
    write_report(folder)
    page = html.fromstring((folder.path / "report.html").read_text("utf-8"))
    (costs,) = page.xpath("//section[h2='What it cost']")
    rows = {row.findtext("th"): row.findall("td") for row in costs.iterfind(".//tbody/tr")}
    assert [cell.text for cell in rows["Grey"][:2]] == ["n/a", "n/a"]
    assert "MB" in rows["Grey"][-1].text_content()  # marked as the best on some machines
    notes = [note.text for note in costs.iterfind(".//ol/li")]
    assert "n/a: grey uses no GPU" in notes
    assert any(note.startswith("the runner's process and all its children") for note in notes)
    (ranges,) = page.xpath("//section[h2='Repetitions']")
    lines = [p.text for p in ranges.iterfind("p")]
    assert "Animating, fastest first: 1. Grey; 2. Slow." in lines
    plain = (folder.path / "report.md").read_text("utf-8")
    assert "## What it cost\n\n| network | peak VRAM | GPU busy |" in plain
    assert "\n|---|---:|---:|" in plain
    assert "| Grey | animate |" in plain
