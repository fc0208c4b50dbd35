"""Holds a million Pings once: starts servers, leads the generator, watches the machine."""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest import limits, process, running, servers, watching
from loadtest.benching import acquainting, million, whole_machine
from loadtest.benching.million import SOURCES, Found
from loadtest.benching.ramp import Ramp
from loadtest.benching.whole_machine import FLOOR, LOOK_EVERY, WEIGH_EVERY, Roots
from loadtest.controller import Audience
from loadtest.running import Place

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from loadtest.benching.whole_machine import Machine, Watch
    from loadtest.profiles.profile import Profile
    from loadtest.result import Moment
    from loadtest.running import Crew
    from loadtest.servers import Redis, Server

SCRAPE_EVERY: Final = 240.0
"""Seconds between two questions to the gateway, which then asks each of its workers."""
_LOOKS: Final = 5
"""Looks and weighings in a hold, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run to perform."""

    profile: Profile
    crew: Crew
    """Who does it; is dismissed by the caller."""
    before: Machine
    """The machine before anything was started."""
    workers: int
    """Of the gateway."""
    floor: int = FLOOR
    """Bytes of available memory below which the run ends."""


def engage(profile: Profile) -> Order:
    """Engage the generator processes; call it before there is an event loop or a thread.

    Raises:
        OSError: If they cannot be started.
    """
    host, before = limits.read_host(), whole_machine.read()
    found = million.needs(profile, host)
    limits.raise_files(found.files_per_process)
    return Order(
        profile=profile,
        crew=running.engage(found.processes),
        before=before,
        workers=million.workers(profile.devices, host),
    )


async def perform(order: Order, audience: Audience) -> Found:
    """Run to the end.

    Args:
        order: What to do.
        audience: Told once a second.

    Raises:
        GeneratorError: If a generator process failed or went away.
        ServerError: If a server did not start, or went away.
        LowMemoryError: If the machine had too little memory left.
    """
    began_at = monotonic()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loadtest-")))
        redis = await stack.enter_async_context(servers.valkey(directory))
        gateway = await stack.enter_async_context(_gateway(order, redis.url, directory))
        _take_turns((*order.crew.pids, *process.tree(gateway.pid), redis.pid))
        await acquainting.acquaint(
            gateway.target, redis.url, order.profile.users, order.profile.devices
        )
        watch = await stack.enter_async_context(_watch(order, gateway, redis))
        place = Place(
            targets=(gateway.target,),
            sources=SOURCES,
            publisher_url=redis.url,
            admins=(f"http://{gateway.admin.name}",),
            check=_checks(gateway, watch),
        )
        controller, errors = await _lead(order, place, _told(audience, watch))
    return Found(
        profile=order.profile,
        before=order.before,
        looks=tuple(watch.looks),
        weighings=tuple(watch.weighings),
        moments=tuple(controller.moments),
        hold=controller.clocked,
        errors=errors,
        arrived=controller.marks[0].at,
        seconds=monotonic() - began_at,
        invalid=controller.invalid,
    )


async def _lead(order: Order, place: Place, audience: Audience) -> tuple[Ramp, Counter[str]]:
    """Lead the run, and return what its phones saw of errors, too."""
    parts = len(order.crew.channels)
    # Its programs are weighed by the watch of the whole machine.
    async with watching.watch(place.admins, check=place.check, every=SCRAPE_EVERY) as watched:
        controller = Ramp(
            running.assignments(order.profile, place, parts),
            order.crew.channels,
            watching=watched,
            audience=audience,
        )
        await controller.perform()
        # A scrape that fails is no phone's trouble: then a figure is missing.
        return controller, controller.figures.errors - watched.errors


def _gateway(order: Order, redis_url: str, directory: Path) -> AbstractAsyncContextManager[Server]:
    shortest = min(group.heartbeat[0] for group in order.profile.groups)
    settings = {
        "PUSHGW_SERVER__WORKERS": str(order.workers),
        # The heartbeats of a small run are shorter than a gateway grants by itself.
        "PUSHGW_HEARTBEAT__MIN": str(min(60, shortest)),
    }
    return servers.gateway(redis_url, directory, settings)


def _take_turns(pids: Iterable[int]) -> None:
    """Let processes work on what has gathered instead of interrupting each other for each request.

    There are far more of them than cores here, each of which finds the caches of the processor
    filled by others. Measured with 54 workers and 53 generator processes on two cores: 1.1 ms of
    the gateway's CPU for each new phone instead of 1.7; with two and two it is 0.65 either way.
    """
    for pid in pids:
        os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def _watch(order: Order, gateway: Server, redis: Redis) -> AbstractAsyncContextManager[Watch]:
    each = order.profile.duration / _LOOKS
    return whole_machine.watch(
        Roots(
            gateway=gateway.pid,
            valkey=redis.pid,
            generator=whole_machine.generators(order.crew.pids),
        ),
        look_every=min(LOOK_EVERY, each),
        weigh_every=min(WEIGH_EVERY, each),
        floor=order.floor,
    )


def _checks(gateway: Server, watch: Watch) -> Callable[[], None]:
    def check() -> None:
        gateway.check()
        watch.check()

    return check


def _told(audience: Audience, watch: Watch) -> Audience:
    def show(moment: Moment) -> None:
        watch.show(moment)
        audience.show(moment)

    return Audience(show=show, mark=audience.mark)
