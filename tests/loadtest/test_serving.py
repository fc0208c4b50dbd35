"""A run brings its own servers, and restarts them or those of others."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from loadtest import ending, process, running, serving
from loadtest.controller import Audience
from loadtest.profiles import reading
from loadtest.running import Place
from loadtest.servers import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's own directory: its name can be longer than a socket address may be.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_a_rolling_restart_loses_nothing(directory: Path) -> None:
    """The run's own gateway is restarted as the profile says, and no change is missed."""
    rolling = reading.find("rolling-restart")
    load = replace(
        rolling.resized(devices=60, duration=1.5, rate=30.0), faults=rolling.faults[:1], settle=0.1
    )
    crew = running.engage(1)
    pids: list[list[int]] = []

    async def main() -> Any:
        async with serving.serve(Place(targets=()), directory, load, nodes=1) as place:
            audience = Audience(show=lambda _: pids.append(list(place.pids())), mark=lambda _: None)
            return await running.perform(load, place, crew, audience, command="")

    try:
        result = ending.run(main())
    finally:
        crew.dismiss()

    texts = [mark.text for mark in result.marks]
    assert ["60 of 60 phones held", "server 1 of 1 is being restarted"] == texts[:2]
    assert ["server 1 of 1 is back"] == texts[2:]
    assert 0 == result.figures.counts["missed"]
    assert 0 < result.figures.counts["received"] == result.figures.counts["expected"]
    assert pids[0] != pids[-1]
    assert not any(process.tree(pid) for pid in (*pids[0], *pids[-1]))


async def test_a_command_restarts(directory: Path) -> None:
    """The command is run by a shell, and done when it has ended."""
    mark = directory / "restarted"

    await serving.by_command(f"sleep 0.02 && echo one >> {mark}")()

    assert "one\n" == mark.read_text()


async def test_a_command_that_fails_is_told() -> None:
    """The error names the command and its status."""
    with pytest.raises(ServerError, match=r"'exit 3' ended with status 3"):
        await serving.by_command("exit 3")()


async def test_a_command_that_hangs_is_ended(directory: Path) -> None:
    """A command has its time; after that it is ended, with all that it started."""
    path = directory / "pid"

    with pytest.raises(ServerError, match=r"did not end within 0\.3 s"):
        await serving.by_command(f"sleep 60 & echo $! > {path}; wait", within=0.3)()

    assert await gone(int(path.read_text()))


async def test_a_command_ends_with_the_run(directory: Path) -> None:
    """When the run is over, its command does not stay behind."""
    path = directory / "pid"
    restarting = asyncio.create_task(serving.by_command(f"echo $$ > {path}; sleep 60")())
    async with asyncio.timeout(5):
        while not path.exists() or not path.read_text():  # noqa: ASYNC110 - a file, no event
            await asyncio.sleep(0.01)
    restarting.cancel()
    await asyncio.wait([restarting])

    assert restarting.cancelled()
    assert await gone(int(path.read_text()))


async def test_what_a_command_starts_stays(directory: Path) -> None:
    """A server that the command puts into the background is what the command is for."""
    path = directory / "pid"

    await serving.by_command(f"sleep 60 2>/dev/null & echo $! > {path}")()

    server = int(path.read_text())
    is_there = bool(process.tree(server))
    os.kill(server, signal.SIGKILL)
    assert is_there


async def gone(pid: int) -> bool:
    until = monotonic() + 5
    while process.memory_bytes(pid) and monotonic() < until:  # noqa: ASYNC110 - nor is a process
        await asyncio.sleep(0.01)
    return process.memory_bytes(pid) is None
