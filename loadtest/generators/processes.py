"""Makes generator processes by fork: what is imported once is shared by all of them.

Fork before this process has threads or an event loop. A forked one ends when its channel does, or
when this process dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import orjson
import uvloop

from loadtest import leash
from loadtest.generators import generator
from loadtest.generators.assignment import AssignmentError
from loadtest.publishers import PublisherError
from loadtest.targets import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_M_MMAP_THRESHOLD: Final = -3
_MMAP_THRESHOLD: Final = 131_072
"""Left to move, glibc's threshold doubles what a TLS connection costs once one was closed.
Measured for the gateway: 44.6 KB instead of 23.0."""
_THRESHOLDS: Final = (50_000, 20, 100)
"""Of the garbage collector: phones make no cycles, and there are many of them."""


@dataclass(frozen=True, slots=True)
class Forked:
    """A generator process of this host."""

    pid: int
    channel: socket.socket


def fork(count: int, *, closes: Sequence[socket.socket] = ()) -> list[Forked]:
    """Start generator processes, each of which waits for its ``begin``.

    Args:
        count: How many.
        closes: Sockets of this process that are none of their business.
    """
    gc.collect()
    gc.freeze()  # so that no collection of a child writes to shared pages
    forked: list[Forked] = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        others = [ours, *closes, *(one.channel for one in forked)]
        forked.append(Forked(fork_with(theirs, closes=others), ours))
        theirs.close()
    gc.unfreeze()
    return forked


def fork_with(
    channel: socket.socket,
    *,
    closes: Iterable[socket.socket],
    allowed: Sequence[str] | None = None,
    admits: Callable[[socket.socket], bool] = lambda _: True,
) -> int:
    """Start one generator process on a channel.

    Args:
        channel: Its end of the channel; the caller closes its own copy.
        closes: Sockets of this process that are none of its business.
        allowed: Hosts that may be loaded, whatever the controller says; None leaves it to that.
        admits: Called by the new process before anything else, may wait, and says whether it
            shall go on with whoever is at the other end.

    Returns:
        The id of the process.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:

        def work() -> None:
            for other in closes:
                other.close()
            if admits(channel):
                # The loop closes what it is given, and a failure has to be told after that.
                uvloop.run(generator.serve(channel.dup(), allowed))

        _become(work, channel, parent)
    return pid


def end(pids: Iterable[int]) -> None:
    """End generator processes that are still there, and collect them."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _become(work: Callable[[], None], channel: socket.socket, parent: int) -> NoReturn:
    """Work, and end with it; what makes it fail is told on the channel."""
    status = 1
    try:
        leash.tie(parent)
        # Ctrl-C, ``timeout`` and a terminal that closes reach the whole group; the controller is
        # who reacts, so this process leaves the group.
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        tune()
        work()
        status = 0
    except BaseException as error:  # noqa: BLE001 - the end of a process: whatever it was, is told
        with contextlib.suppress(OSError):
            channel.setblocking(True)
            channel.sendall(orjson.dumps({"failed": _say(error)}) + b"\n")
    finally:
        os._exit(status)


def _say(error: BaseException) -> str:
    """Say in one line why an order was refused; a mistake of ours needs its traceback."""
    cause = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, AssignmentError | PublisherError | TargetError):
        return str(cause)
    return "".join(traceback.format_exception(error))


def tune() -> None:
    """Make this process ready for many phones: collector, open files, allocator."""
    gc.set_threshold(*_THRESHOLDS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
