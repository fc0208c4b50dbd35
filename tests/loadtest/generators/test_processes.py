"""Generator processes by fork."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from loadtest import process
from loadtest.generators import processes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from loadtest.generators.processes import Forked
    from loadtest.profiles.profile import Profile


@pytest.fixture
def forked() -> Iterator[Forked]:
    """One process; it is forked before there is a loop."""
    (one,) = processes.fork(1)
    yield one
    one.channel.close()
    processes.end([one.pid])


class Channel:
    """The controller's end of a channel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def order(self, **order: Any) -> None:
        self.writer.write(orjson.dumps(order) + b"\n")

    async def hear(self, is_it: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Return the first message that is it."""
        async with asyncio.timeout(10):
            while True:
                message: dict[str, Any] = orjson.loads(await self.reader.readline())
                if is_it(message):
                    return message


@pytest.fixture
async def channel(forked: Forked) -> AsyncIterator[Channel]:
    reader, writer = await asyncio.open_connection(sock=forked.channel.dup())
    yield Channel(reader, writer)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def status(pid: int) -> int | None:
    """Return the status that a child ended with; None if it does not end."""
    until = monotonic() + 10
    while monotonic() < until:
        found, ended = os.waitpid(pid, os.WNOHANG)
        if found:
            return ended
        sleep(0.01)
    return None


async def test_a_process_performs_its_part(
    channel: Channel, forked: Forked, rival: Any, profile: Callable[..., Profile]
) -> None:
    """It begins, lets phones arrive, goes, is over, and ends with its account."""
    channel.order(begin=rival.assignment(profile(settle=0.0)).as_json())
    channel.order(do="arrive", first=0, last=40, over=0.02)
    await channel.hear(lambda one: one["report"]["states"].get("held") == 40)
    channel.order(do="go", after=0.05)
    over = await channel.hear(lambda one: one["report"]["is_over"])
    channel.order(do="end")
    end = await channel.hear(lambda one: "missed" in one)

    assert {"held": 40} == over["report"]["states"]
    assert [] == end["missed"]
    assert b"" == await channel.reader.readline()
    assert 0 == await asyncio.to_thread(status, forked.pid)


async def test_a_failure_is_told_with_its_traceback(
    channel: Channel, forked: Forked, rival: Any, profile: Callable[..., Profile]
) -> None:
    """What ends a process by mistake goes to the controller, whole."""
    channel.order(begin=rival.assignment(profile()).as_json())
    channel.order(do="dance")
    told = await channel.hear(lambda one: "failed" in one)

    assert "ValueError: found the order {'do': 'dance'}" in told["failed"]
    assert "Traceback" in told["failed"]
    assert 256 == await asyncio.to_thread(status, forked.pid)


async def test_a_refusal_is_told_in_one_line(
    channel: Channel, rival: Any, profile: Callable[..., Profile]
) -> None:
    """What cannot be done here is no mistake of ours: it needs no traceback."""
    part = rival.assignment(profile(), publisher_url="redis://192.0.2.1")
    channel.order(begin=part.as_json())
    told = await channel.hear(lambda one: "failed" in one)

    assert "192.0.2.1" in told["failed"]
    assert 1 == len(told["failed"].splitlines())


def test_the_end_of_the_channel_ends_a_process(forked: Forked) -> None:
    """A process whose controller is gone does not stay."""
    forked.channel.close()

    assert 0 == status(forked.pid)


async def test_the_end_of_the_channel_ends_a_run(
    channel: Channel, forked: Forked, rival: Any, profile: Callable[..., Profile]
) -> None:
    """A process in the middle of its part ends as well when the controller goes."""
    channel.order(begin=rival.assignment(profile(duration=3600.0)).as_json())
    channel.order(do="arrive", first=0, last=40, over=0.02)
    channel.order(do="go", after=0.0)
    await channel.hear(lambda one: one["report"]["counts"].get("published"))
    forked.channel.close()
    channel.writer.close()
    await channel.writer.wait_closed()

    assert await asyncio.to_thread(status, forked.pid) is not None


async def test_an_interrupt_is_the_controllers_business(
    channel: Channel, forked: Forked, rival: Any, profile: Callable[..., Profile]
) -> None:
    """The terminal's Ctrl-C reaches a process too, which goes on."""
    os.kill(forked.pid, signal.SIGINT)
    channel.order(begin=rival.assignment(profile()).as_json())

    assert await channel.hear(lambda one: "report" in one)


PARENT = """
import socket, subprocess, sys
from loadtest.generators import processes
(one,) = processes.fork(1)
other = subprocess.Popen(["sleep", "60"], pass_fds=[one.channel.fileno()])
print(one.pid, other.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
def test_a_process_ends_with_its_parent() -> None:
    """When the controller is killed its processes end, even if the channel stays open."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child, other = map(int, parent.stdout.readline().split())
        parent.kill()
    until = monotonic() + 10
    while process.memory_bytes(child) and monotonic() < until:
        sleep(0.02)
    os.kill(other, signal.SIGKILL)

    assert process.memory_bytes(child) is None


def test_no_process_knows_the_channel_of_another() -> None:
    """Each process ends with its own channel, whatever the others do."""
    first, second = processes.fork(2)
    try:
        first.channel.close()
        assert 0 == status(first.pid)
        second.channel.close()
        assert 0 == status(second.pid)
    finally:
        processes.end([first.pid, second.pid])


def test_sockets_of_others_are_closed() -> None:
    """A process does not keep open what is none of its business."""
    near, far = socket.socketpair()
    (one,) = processes.fork(1, closes=[near, far])
    with far, one.channel:
        near.close()
        far.settimeout(5)
        found = far.recv(1)
    processes.end([one.pid])

    assert b"" == found


def test_ended_processes_are_collected() -> None:
    """Those that live are killed, those that have ended are no zombies; again is harmless."""
    dead, alive = processes.fork(2)
    with dead.channel, alive.channel:
        os.kill(dead.pid, signal.SIGKILL)
        processes.end([dead.pid, alive.pid])
        processes.end([dead.pid, alive.pid])

    for one in (dead, alive):
        with pytest.raises(ChildProcessError):
            os.waitpid(one.pid, os.WNOHANG)


def test_whom_it_does_not_admit_gets_nothing() -> None:
    """A process that does not like who is there ends without a word."""
    ours, theirs = socket.socketpair()
    pid = processes.fork_with(theirs, closes=[ours], admits=lambda _: False)
    theirs.close()
    with ours:
        ours.settimeout(5)
        assert b"" == ours.recv(1)

    assert 0 == status(pid)
