"""`faceorch doctor`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from faceorch.words import plural

if TYPE_CHECKING:
    from rich.console import Console

    from faceorch.doctor.examine import NetworkState, Report
    from faceorch.doctor.findings import Finding

EXIT_ERRORS = 1
_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red", "skipped": "dim"}
_MARK = max(map(len, _STYLES)) + 2


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Check whether this host can run the networks, and what it lacks.

    Each line has what was found and what is needed; for a problem, also its consequences and the remedy. If an image
    is built and there is a GPU, a container computes on it in the sandbox of a run. Nothing is downloaded or changed.

    Exit code 0: nothing keeps a network from running here; 1: something does (an "error" line).

    \b
    Examples:
      faceorch doctor
      faceorch doctor --json
    """
    from faceorch.doctor.examine import examine

    if as_json:
        import msgspec

        report = examine()
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        report = _show()
    ctx.exit(EXIT_ERRORS if report.errors else 0)


def _show() -> Report:
    from rich.console import Console

    from faceorch.doctor.examine import examine

    console = Console(highlight=False, soft_wrap=True)
    if console.is_terminal and not console.is_dumb_terminal:
        with console.status("") as status:
            report = examine(on_step=status.update)
    else:
        report = examine()
    width = max(len(finding.check) for finding in report.findings) + 2
    for finding in report.findings:
        _print(console, finding.severity.value, finding.check, width, _said(finding))
    console.print("\nnetworks:")
    for state in report.networks:
        _print(console, "ok" if state.ready else "-", state.name, width, _state(state))
    if report.judge is not None:
        console.print("\njudge:")
        _print(console, "ok" if report.judge.ready else "-", report.judge.name, width, _state(report.judge))
    console.print(f"\n{_summary(report)}")
    return report


def _said(finding: Finding) -> Iterator[str]:
    """Yield the lines of a finding."""
    yield f"{finding.found} (needed: {finding.needed})" if finding.needed else finding.found
    if finding.running:
        yield f"running: {finding.running}"
    if finding.measuring:
        yield f"measuring: {finding.measuring}"
    if finding.remedy:
        yield f"try: {finding.remedy}"


def _state(state: NetworkState) -> Iterator[str]:
    if state.ready:
        yield f"ready ({state.runtime})" + (f"; {state.reason}" if state.reason else "")
        return
    yield state.reason
    if state.remedy:
        yield f"try: {state.remedy}"


def _print(console: Console, mark: str, name: str, width: int, lines: Iterator[str]) -> None:
    """Print one row; on a terminal, long lines are wrapped under their own start."""
    from rich.text import Text

    indent = _MARK + width
    room = max(30, console.width - indent) if console.is_terminal else None
    head = Text.assemble((mark.ljust(_MARK), _STYLES.get(mark, "")), (name.ljust(width), "bold"))
    for number, line in enumerate(lines):
        parts = [line] if room is None else textwrap.wrap(line, room, subsequent_indent="  ", break_on_hyphens=False)
        for part in parts:
            console.print(Text.assemble(head if number == 0 and part is parts[0] else " " * indent, part))


def _summary(report: Report) -> str:
    ready = [state.name for state in report.networks if state.ready]
    can = f"ready to run now: {', '.join(ready)}" if ready else "no network is ready to run"
    if not report.errors and not report.warnings:
        return f"nothing is wrong; {can}"
    counts = [(report.errors, "error"), (report.warnings, "warning")]
    told = ", ".join(plural(count, word) for count, word in counts if count)
    return f"{told}; {can}"
