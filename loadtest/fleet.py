"""Many phones in one process: opens their connections at a rate, watches their deadlines, counts.

Connections come from many loopback addresses, because one address has only some 28,000 ports.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from loadtest import wire
from loadtest.device import Phone
from loadtest.scenario import phone as scenario

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from loadtest.scenario import Answer, Habits

    OnAnswer = Callable[[Phone, Answer, float, float], None]
    """Takes a phone, its answer, the seconds since its request, and when the answer came."""

MAX_PHONES: Final = 20_000
"""Phones of one process, whatever the limit of open files is."""
SPARE_FILES: Final = 500
"""Open files that are left for everything but phones."""
_CONNECTORS: Final = 64
_CONNECT_TIMEOUT: Final = 20.0
_SOURCES: Final = 40
_SLICES: Final = 16
"""Parts of the fleet, one of which is looked at every 1/16 s: no look is a long one."""


class TargetError(ValueError):
    """The target is none this load generator may touch."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server on this machine."""

    host: str
    port: int

    @property
    def name(self) -> str:
        """Value of the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def has_sources(self) -> bool:
        """Whether phones may come from 127.0.1.x; only Linux answers on all of 127/8."""
        return sys.platform == "linux" and self.host.startswith("127.")


def parse_target(url: str) -> Target:
    """Read the URL of a server.

    Raises:
        TargetError: If it is no HTTP URL, or is not on this machine.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise TargetError(f"found {url!r}: {error}") from error
    host = parts.hostname or ""
    if parts.scheme != "http" or not host:
        raise TargetError(f"found {url!r}, a URL like http://127.0.0.1:8800 is allowed")
    if not _is_loopback(host):
        raise TargetError(
            f"found {host!r}, only loopback addresses are allowed: this tool puts a heavy load on "
            "its target and never leaves the machine"
        )
    return Target("127.0.0.1" if host == "localhost" else host, port)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_files(devices: int) -> None:
    """Raise this process' limit of open files as far as allowed, and check that it suffices.

    Raises:
        ValueError: If there are more phones than one process can hold.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = devices + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    files = MAX_PHONES if soft == resource.RLIM_INFINITY else min(soft, MAX_PHONES)
    if devices > files - SPARE_FILES:
        raise ValueError(
            f"devices is {devices}, at most {files - SPARE_FILES} are allowed in one process "
            f"({files} open files, {SPARE_FILES} of them kept for other things)"
        )


class Fleet:
    """The phones of this process. Open one with ``run``."""

    def __init__(self, target: Target, on_answer: OnAnswer) -> None:
        self.name = target.name
        self.phones: list[Phone] = []
        self.states: Counter[str] = Counter()
        """Number of phones by state."""
        self.errors: Counter[str] = Counter()
        """Number of failures by kind."""
        self.answers = 0
        self._target = target
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self._wanted: asyncio.Queue[Phone] = asyncio.Queue(MAX_PHONES)
        self._interval = 0.0
        self._next_at = 0.0
        self._opened = 0

    @property
    def held(self) -> int:
        """Phones whose Ping is waiting."""
        return self.states["held"]

    def add(self, habits: Iterable[Habits], rate: float) -> None:
        """Let more phones begin, numbered onwards.

        Args:
            habits: One for each new phone.
            rate: Connections a second, from now on also of phones that come back.
        """
        self._interval = 1.0 / rate
        for one in habits:
            phone = Phone(self, wire.identity(len(self.phones)), scenario(one))
            self.phones.append(phone)
            phone.start()

    def stop(self) -> None:
        """Hang up all phones."""
        for phone in self.phones:
            phone.stop()
        self.phones = []
        self.states.clear()

    def now(self) -> float:
        """Return the time; that of the loop would stand still during a turn."""
        return monotonic()

    def connect(self, phone: Phone) -> None:
        """Queue a phone for the next free connector."""
        self._wanted.put_nowait(phone)

    def moved(self, before: str, after: str) -> None:
        """Count a phone in its new state."""
        if before != "new":
            self.states[before] -= 1
        self.states[after] += 1

    def failed(self, kind: str) -> None:
        """Count a failure."""
        self.errors[kind] += 1

    def answered(self, phone: Phone, answer: Answer, waited: float, at: float) -> None:
        """Count an answer and pass it on."""
        self.answers += 1
        if answer.http_status != 200:  # noqa: PLR2004 - the success of HTTP
            self.errors[f"HTTP {answer.http_status}"] += 1
        elif answer.status not in {1, 2}:
            self.errors[f"status {answer.status}"] += 1
        self._on_answer(phone, answer, waited, at)

    async def connect_forever(self) -> None:
        """Open connections for the phones that want one, one after the other, at the rate."""
        while True:
            phone = await self._wanted.get()
            at = self._next_at = max(self._next_at + self._interval, self.now())
            await asyncio.sleep(at - self.now())
            if phone.state == "connecting":
                await self._open(phone)

    async def sweep_forever(self) -> None:
        """Look at each phone's deadline once a second."""
        part = 0
        while True:
            await asyncio.sleep(1.0 / _SLICES)
            part = (part + 1) % _SLICES
            now = self.now()
            for phone in self.phones[part::_SLICES]:
                if phone.until <= now:
                    phone.expire()

    async def _open(self, phone: Phone) -> None:
        self._opened += 1
        source = (f"127.0.1.{self._opened % _SOURCES + 1}", 0) if self._target.has_sources else None
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await self._loop.create_connection(
                    lambda: phone, self._target.host, self._target.port, local_addr=source
                )
        except TimeoutError:
            phone.unreachable("connect timeout")
        except ConnectionRefusedError:
            phone.unreachable("connection refused")
        except OSError as error:
            phone.unreachable(f"connect: {error.strerror or error}")


@asynccontextmanager
async def run(target: Target, on_answer: OnAnswer) -> AsyncIterator[Fleet]:
    """Run a fleet that is empty at first; hangs up all its phones at the end."""
    fleet = Fleet(target, on_answer)
    tasks = [asyncio.create_task(fleet.connect_forever()) for _ in range(_CONNECTORS)]
    tasks.append(asyncio.create_task(fleet.sweep_forever()))
    try:
        yield fleet
    finally:
        for task in tasks:
            task.cancel()
        fleet.stop()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()  # it failed: nothing else ends it
