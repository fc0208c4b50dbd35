"""Where rendered log lines go: into one stream that all processes of the gateway share."""

from __future__ import annotations

import os
import threading
import time
from asyncio import get_running_loop
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_BYTES: Final = 4096
"""Lines are written together up to this size: PIPE_BUF, the most that Linux never tears apart.

All workers write into one stream. Sixteen lines share a write, which costs each 0.1 us.
"""
BATCH_INTERVAL: Final = 0.1
"""Seconds that a line may wait for others."""


class Sink:
    """Takes rendered lines and writes them in batches; the logger that structlog calls.

    Lines wait only in a thread that runs an event loop, whose timer writes the last ones.
    """

    def __init__(self, descriptor: int, lost: Callable[[int], None]) -> None:
        """Write to a descriptor.

        Args:
            descriptor: Stays open as long as lines come.
            lost: Told how many lines the stream did not take.
        """
        self._descriptor = descriptor
        self._lost = lost
        self._lines: list[bytes] = []
        self._bytes = 0
        self._due = 0.0
        # Reentrant: a collection may run a finaliser that logs, while a line is being added.
        self._lock = threading.RLock()

    def direct(self, descriptor: int) -> None:
        """Write to another descriptor from now on."""
        self.flush()
        self._descriptor = descriptor

    def info(self, line: bytes) -> None:
        """Add a line; it is written within `BATCH_INTERVAL`."""
        now = time.monotonic()
        with self._lock:
            self._add(line)
            if len(self._lines) == 1:
                self._due = now + BATCH_INTERVAL if self._is_scheduled() else now
            if now >= self._due:
                self.flush()

    debug = info

    def warning(self, line: bytes) -> None:
        """Write a line, and those before it, at once."""
        with self._lock:
            self._add(line)
            self.flush()

    error = critical = warning

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            lines, self._lines, self._bytes = self._lines, [], 0
            if lines and not self._write(b"\n".join((*lines, b""))):
                self._lost(len(lines))

    def _add(self, line: bytes) -> None:
        if self._bytes + len(line) >= BATCH_BYTES:
            self.flush()
        self._lines.append(line)
        self._bytes += len(line) + 1

    def _is_scheduled(self) -> bool:
        try:
            get_running_loop().call_later(BATCH_INTERVAL, self.flush)
        except RuntimeError:
            return False
        return True

    def _write(self, batch: bytes) -> bool:
        # A log that nobody reads, or a full disk, must not end the service: the lines are counted.
        try:
            while batch:
                batch = batch[os.write(self._descriptor, batch) :]
        except OSError:
            return False
        return True
