"""The `faceorch` command itself: finds the subcommand, imports only that, and turns bugs into one line and a log."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from typing import IO, Any

import click

from faceorch import __version__, interrupts
from faceorch.errors import UserError

EXIT_BUG = 70
EXIT_INTERRUPTED = 130

# name -> one line of help; the module faceorch.cli.<name> is imported when the command is used.
COMMANDS = {
    "run": "Animate one portrait with one clip, in every network, and compare.",
    "top": "Watch what running networks use of this machine.",
    "judge": "Measure what moves in finished videos: head, hair, eyes, lips.",
    "import": "Compare videos that were made elsewhere.",
    "report": "Build the report of a run again, or pack it for others.",
    "table": "Print the figures of runs as a table: Markdown, LaTeX or CSV.",
    "export": "Write the videos of runs for another evaluation.",
    "networks": "List the networks: what they are, need, and whether they are ready here.",
    "weights": "Download, list, verify and remove the networks' weights.",
    "build": "Build the networks' images.",
    "smoke": "Prove that the networks run here, with stand-in weights: nothing is downloaded.",
    "images": "List the built images: size, age, and whether they are current.",
    "clean": "Remove old images, leftover containers and stale caches.",
    "doctor": "Check whether this host can run the networks, and what it lacks.",
    "speak": "Make a speech clip from text.",
    "new": "Create the folder of a new network, which works as it is.",
    "lock": "Lock the packages of a network, by hash, for each of its bases.",
    "test-network": "Check that a network's folder keeps the contract.",
    "completion": "Print the shell completion script.",
}


_MODULES = {"import": "import_"}  # a word of Python's own


class _Told(click.ClickException):
    """A user's error, as click takes it."""

    def __init__(self, error: UserError) -> None:
        super().__init__(error.message)
        self.exit_code = error.exit_code  # type: ignore[misc]  # click has it of the class
        self._told = error.told

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self._told, file=file, err=file is None)


class _Lazy(click.Group):
    """Imports a command's module when the command is asked for: `--help` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"faceorch.cli.{_module(cmd_name)}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise _Told(error) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else f"; commands: {', '.join(COMMANDS)}"
            ctx.fail(f"no command is called {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


def _module(name: str) -> str:
    return _MODULES.get(name, name.replace("-", "_"))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", message="faceorch %(version)s")
def cli() -> None:
    """Which open talking-head network should I use, for my face and my voice, and what will it cost me?

    \b
    Example:
      faceorch run --image face.png --audio clip.wav
    """


def main() -> None:
    """Run the command line; never returns."""
    gc.set_threshold(100_000)  # imports create many long-lived objects, in which the collector finds nothing
    interrupts.install()
    try:
        try:
            code = cli.main(prog_name="faceorch", standalone_mode=False)
        finally:
            interrupts.ignore()
    except click.exceptions.Abort as error:
        # click also takes an EOFError, from wherever it comes, for the end of a dialogue.
        ended = isinstance(error.__cause__, EOFError)
        code = _bug(error.__cause__) if ended else EXIT_INTERRUPTED  # type: ignore[arg-type]
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        # The reader of the output has gone (`| head`): not an error, and nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        code = _bug(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # who does not take our output has been told nothing before, either
            stream.flush()
    # Not sys.exit: finalising the libraries takes a tenth of a second, and faceorch does not need it.
    os._exit(code if isinstance(code, int) else 0)


def _bug(error: Exception) -> int:
    """Write the traceback to a log and print one line on where it is."""
    from faceorch import bugs

    log = bugs.write_log(error)
    click.echo(f"faceorch has a bug: {bugs.describe(error)}", err=True)
    click.echo(f"  please report it; {f'details: {log}' if log else bugs.details(error)}", err=True)
    return EXIT_BUG
