"""Runs a command that ends when its parent dies, however that dies: ``kill -9`` leaves nothing.

``python -m loadtest.leash PARENT COMMAND...`` asks the kernel for SIGTERM at the death of its
parent and becomes the command, which keeps that wish. A program of its own, because code between
fork and exec may hang in a parent with threads. Only Linux does this; elsewhere the command just
runs.

For the kernel, the parent is the thread that forked: use it from the main thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PR_SET_PDEATHSIG: Final = 1


def leashed(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a command on a leash of this process."""
    return [sys.executable, "-m", "loadtest.leash", str(os.getpid()), *command]


def main(arguments: Sequence[str]) -> None:
    """Become a command.

    Args:
        arguments: Id of the parent, then the command.
    """
    parent, *command = arguments
    if tie(int(parent)):
        os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted


def tie(parent: int) -> bool:
    """Ask for SIGTERM at the death of the parent; return whether that still lives."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == parent  # else it died before the kernel knew of the wish


if __name__ == "__main__":
    main(sys.argv[1:])
