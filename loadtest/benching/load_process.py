"""This end of the load process: gives orders, waits for their outcomes."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtest import servers

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

    from loadtest.targets import Target

_WITHIN: Final = 120.0
"""Seconds until the load process must have performed an order, beside the order's own time."""
_LOG_CHARACTERS: Final = 2000


class LoadError(RuntimeError):
    """The load process failed, or this system cannot be measured."""


class LoadProcess:
    """Has phones and a publisher. Start it with ``start``."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    async def perform(self, do: str, **numbers: object) -> dict[str, Any]:
        """Have an order performed.

        Args:
            do: Its name.
            numbers: What it needs; its own length, if it has one, is called ``seconds``.

        Raises:
            LoadError: If the process failed at it, or did not come to an end of it.
        """
        assert self._process.stdin is not None  # noqa: S101 - started with pipes
        assert self._process.stdout is not None  # noqa: S101 - started with pipes
        seconds = numbers.get("seconds")
        length = seconds if isinstance(seconds, int | float) else 0.0
        self._process.stdin.write(orjson.dumps({"do": do, **numbers}) + b"\n")
        try:
            async with asyncio.timeout(_WITHIN + length):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise LoadError(f"the load process did not end its order: {do} {numbers}") from None
        if not line:
            raise LoadError(f"the load process failed:\n{self._log.read_text()[-_LOG_CHARACTERS:]}")
        outcome: dict[str, Any] = orjson.loads(line)
        return outcome


@asynccontextmanager
async def start(target: Target, redis_url: str, directory: Path) -> AsyncIterator[LoadProcess]:
    """Run a load process for a server.

    Args:
        target: The server.
        redis_url: The Valkey that it listens to.
        directory: For the log file.
    """
    path = directory / "load.log"
    command = [sys.executable, "-m", "loadtest.benching.load", target.url, redis_url]
    async with servers.obeying(command, path) as process:
        yield LoadProcess(process, path)
