"""The `faceorch` command, also as `python -m faceorch`: an interrupt is quiet from its first moment on."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line; never returns."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)  # until the command line has been imported and takes over
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed (`>&-`): a file of ours must not get its number
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115 - until the end
    from faceorch.cli.main import main as command

    command()


def _leave(number: int, frame: Any) -> None:
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
