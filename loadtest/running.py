"""One whole run: engages processes, watches servers, injects faults, puts the result together."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from loadtest import ending, watching
from loadtest.controller import Audience, Controller
from loadtest.generators import lender, processes
from loadtest.generators.assignment import Assignment
from loadtest.judging import threshold
from loadtest.profiles.population import divide
from loadtest.reports.environment import environment
from loadtest.result import Result
from loadtest.servers import ServerError

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence

    from loadtest.generators.lender import Address
    from loadtest.profiles.profile import Profile
    from loadtest.targets import Target

_RUN_ID: Final = "%m%d%H%M%S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a run is put on, and how it is reached."""

    targets: tuple[Target, ...]
    sources: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    publisher: str = "redis"
    publisher_url: str = ""
    tls_ca: str | None = None
    insecure: bool = False
    admins: tuple[str, ...] = ()
    """URLs of the gateways' admin listeners."""
    pids: Callable[[], Sequence[int]] = tuple
    """Roots of the gateways' process trees, where they are children of this process."""
    check: Callable[[], None] = lambda: None
    """Raises when a gateway is gone."""
    restarts: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Restarts one server each."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Generator processes that wait for their orders. Made by ``engage``."""

    channels: tuple[socket.socket, ...]
    pids: tuple[int, ...]
    """Of those on this host."""

    def dismiss(self) -> None:
        """End them."""
        for channel in self.channels:
            channel.close()
        processes.end(self.pids)


def engage(count: int, lenders: Sequence[tuple[Address, int]] = (), secret: bytes = b"") -> Crew:
    """Engage generator processes; call it before there is an event loop or a thread.

    Args:
        count: Processes on this host.
        lenders: Other hosts, and how many processes each of them shall lend.
        secret: What the lenders ask for.

    Raises:
        LenderError: If a lender is not there or refuses.
    """
    with ExitStack() as stack:
        channels: list[socket.socket] = []
        for address, lent in lenders:
            channels += [stack.enter_context(lender.hire(address, secret)) for _ in range(lent)]
        stack.pop_all()
    forked = processes.fork(count, closes=channels)
    return Crew((*(one.channel for one in forked), *channels), tuple(one.pid for one in forked))


async def perform(
    profile: Profile, place: Place, crew: Crew, audience: Audience, *, command: str
) -> Result:
    """Run a profile to its end; a signal ramps it down.

    Args:
        profile: What to do.
        place: Where.
        crew: Who does it; is dismissed by the caller.
        audience: Told once a second.
        command: As typed, for the report.

    Raises:
        GeneratorError: If a generator process failed or went away.
        ServerError: If a server that was started for this run went away, or could not be
            restarted.
    """
    started, began = datetime.now(UTC), monotonic()  # noqa: TID251 - a report says when it was
    async with watching.watch(place.admins, pids=place.pids, check=place.check) as watched:
        controller = Controller(
            assignments(profile, place, len(crew.channels)),
            crew.channels,
            pids=crew.pids,
            watching=watched,
            audience=audience,
        )
        ending.react(lambda _: controller.stop())  # from here on there is something to report
        faults = asyncio.create_task(_restart(controller, profile, place))
        try:
            await controller.perform()
        finally:
            faults.cancel()
            await asyncio.wait([faults])
        if not faults.cancelled():
            faults.result()
        result = Result(
            name=profile.name,
            command=command,
            started=started.isoformat(timespec="seconds"),
            duration=monotonic() - began,
            devices=profile.devices,
            seed=profile.seed,
            profile=profile.as_json(),
            environment=environment(),
            figures=controller.figures,
            moments=tuple(controller.moments),
            marks=tuple(controller.marks),
            missed=tuple(controller.missed),
            invalid=controller.invalid,
            bytes_per_phone=watched.bytes_per_phone,
            generator_bytes_per_phone=controller.generator_bytes_per_phone,
        )
    return judged(result, profile.asserts)


def judged(result: Result, expressions: Sequence[str]) -> Result:
    """Return a result with the thresholds judged."""
    values = threshold.figures_of(result)
    return replace(
        result,
        judged=tuple(threshold.judge(threshold.parse(text), values) for text in expressions),
    )


def assignments(profile: Profile, place: Place, parts: int) -> list[Assignment]:
    """Divide a run among processes."""
    run = time.strftime(_RUN_ID) + f"{os.getpid():x}"
    shared: dict[str, Any] = {
        "run": run,
        "profile": profile,
        "parts": parts,
        "targets": place.targets,
        "sources": place.sources,
        "allowed": place.allowed,
        "publisher": place.publisher,
        "publisher_url": place.publisher_url,
        "tls_ca": place.tls_ca,
        "insecure": place.insecure,
    }
    return [
        Assignment(part=part, devices=devices, **shared)
        for part, devices in enumerate(divide(profile.devices, parts))
    ]


async def _restart(controller: Controller, profile: Profile, place: Place) -> None:
    """Restart the servers one after the other, when the profile says so.

    Raises:
        ServerError: If one could not be restarted; the run was stopped, it is not what was asked.
    """
    times = sorted(
        fault.at.seconds(profile.duration) for fault in profile.faults if fault.kind == "restart"
    )
    if times and not place.restarts:
        controller.mark("no restart: this run knows no command for it (--restart)")
    for at, (number, restart) in product(times, enumerate(place.restarts, 1)):
        if not await controller.reach(at):
            return
        name = f"server {number} of {len(place.restarts)}"
        controller.mark(f"{name} is being restarted")
        controller.stop_weighing()
        try:
            await restart()
        except ServerError:
            controller.stop()
            raise
        controller.mark(f"{name} is back")
