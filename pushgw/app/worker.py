"""One worker: the parts that hold phones, put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from heartbeat.interval import Bounds
from heartbeat.ticker import Ticker
from notifier.bus import Bus
from notifier.ledger import Ledger
from notifier.line import Line
from pushgw import telemetry
from pushgw.accounts import Door, DoorLimits, FailureDelays
from pushgw.admin.control import WorkerState, serve_control, socket_path
from pushgw.app.listeners import BACKLOG
from pushgw.balance import Balancer
from pushgw.brake import Brake
from pushgw.connection import Gate, Patience
from pushgw.devices import Devices
from pushgw.doorman import Doorman, Entrance, open_files
from pushgw.endpoint import Endpoint, Intake
from pushgw.hub import RESOLUTION, Hub
from pushgw.opening import Opener
from pushgw.receipts import Receipts
from pushgw.session import Limits
from pushgw.standalone import Standalone
from pushgw.wire import Limits as WireLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from pushgw.app.plan import Plan

LEFT_WITHIN: Final = 5.0
"""Seconds that requests under way have after the drain."""
POLL: Final = 0.05
"""Seconds between two looks at what other processes and clients do."""
REDIS_WITHIN: Final = 3.0
"""Seconds that the start waits for the embedded Redis server, so as not to log its absence."""

_log = structlog.get_logger("pushgw.worker")


async def until_sigterm() -> None:
    """Return when SIGTERM comes."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


class Worker:
    """One process that holds phones."""

    def __init__(self, plan: Plan, index: int) -> None:
        self._plan = plan
        self._index = index

    async def run(self) -> None:
        """Serve until SIGTERM, then drain."""
        self._build()
        self._close_others()
        stop = asyncio.ensure_future(until_sigterm())
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            path = socket_path(self._plan.run_dir, self._index)
            await stack.enter_async_context(serve_control(path, self._state))
            await stack.enter_async_context(self._background())
            await stop
            await self._drain()

    def _build(self) -> None:
        settings, clock = self._plan.settings, asyncio.get_running_loop().time
        limits, beat = settings.limits, settings.heartbeat
        self._redis = Line(self._plan.redis_url)
        worker = f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}"
        devices, ledger = Devices(self._redis, worker), Ledger(self._redis)
        receipts = Receipts()
        self._opener = Opener(
            devices=devices,
            ledger=ledger,
            receipts=receipts,
            limits=Limits(Bounds(beat.min, beat.max, beat.default), limits.max_folders),
            clock=clock,
        )
        self._bus = Bus(self._plan.redis_url, _Ear(self._opener))
        self._hub = Hub(self._bus, receipts, Brake(), clock)
        self._opener.serve(self._hub)
        self._door = self._make_door()
        self._gate = Gate(
            hub=self._hub,
            receipts=receipts,
            limits=WireLimits(limits.max_header_bytes, limits.max_body_bytes),
            patience=Patience(request=limits.request_seconds, idle=limits.idle_seconds),
            clock=clock,
        )
        endpoint = Endpoint(
            door=self._door,
            realm=settings.auth.realm,
            opener=self._opener,
            standalone=Standalone(devices, ledger),
            intake=Intake(limits.max_body_bytes, limits.request_seconds),
            clock=clock,
            is_full=lambda: len(self._hub) >= self._plan.room.phones,
        )
        server = web.Server(
            endpoint.handle,
            access_log=None,
            logger=_http_log(),
            max_line_size=limits.max_header_bytes,
            max_field_size=limits.max_header_bytes,
        )
        self._gate.serve(endpoint.take_short, server)
        self._doorman = Doorman(
            Entrance(listener=self._plan.phones[self._index], tls=self._plan.tls, backlog=BACKLOG),
            self._gate,
            room=self._plan.room.connections,
            count=lambda: open_files() or len(self._gate.connections),
        )
        self._balancer = Balancer(
            self._plan.tally, self._index, partial(len, self._gate.connections), self._hub.shed
        )
        self._measure()

    def _measure(self) -> None:
        """Have the gauges ask the parts."""
        telemetry.HELD_PINGS.set_function(partial(len, self._hub))
        telemetry.HELD_PER_WORKER.labels(str(self._index)).set_function(partial(len, self._hub))
        telemetry.ROOM_PINGS.set(self._plan.room.phones)
        telemetry.FULL_WORKERS.set_function(lambda: self._doorman.is_full)
        telemetry.CONNECTIONS.set_function(partial(len, self._gate.connections))
        telemetry.REDIS_CONNECTED.set_function(lambda: self._bus.is_connected)

    def _make_door(self) -> Door | None:
        auth, limits = self._plan.settings.auth, self._plan.settings.limits
        if self._plan.users is None:
            return None
        return Door(
            self._plan.users,
            DoorLimits(
                cache_seconds=auth.cache_seconds,
                cached_logins=limits.cached_logins,
                waiting_logins=limits.waiting_logins,
                delayed_refusals=limits.delayed_refusals,
            ),
            FailureDelays(most=limits.refusal_delay_seconds, forget=limits.failed_login_seconds),
        )

    @contextlib.asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        """Run what runs all the time; it ends with the block."""
        if self._plan.redis_socket is not None:
            await _appears(self._plan.redis_socket)
        beats = (
            Ticker(self._hub.expire, period=RESOLUTION, observe_lag=telemetry.LOOP_LAG.observe),
            Ticker(self._gate.expire, self._opener.tick, self._balancer.tick),
        )
        parts = (self._bus, self._opener, self._doorman, *beats)
        # A part that fails ends the worker: the supervisor starts a new one.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part.run()) for part in parts]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    def _close_others(self) -> None:
        for index, other in enumerate(self._plan.phones):
            if index != self._index:
                other.close()
        self._plan.admin.close()

    async def _drain(self) -> None:
        _log.info("draining", worker=self._index, held=len(self._hub))
        self._doorman.close()
        self._balancer.leave()
        self._gate.drain()
        await self._hub.drain(self._plan.settings.server.drain_seconds)
        self._gate.drain()
        clock = asyncio.get_running_loop().time
        # By the clock, not by looks: on a busy machine so many of these take longer than the
        # supervisor waits.
        until = clock() + LEFT_WITHIN
        while self._gate.connections and clock() < until:  # noqa: ASYNC110 (they tell nobody)
            await asyncio.sleep(POLL)
        await self._opener.settle()
        _log.info("drained", worker=self._index, left=len(self._gate.connections))

    async def _close(self) -> None:
        if self._door is not None:
            self._door.close()
        await self._redis.aclose()

    def _state(self) -> WorkerState:
        return WorkerState(
            pid=os.getpid(),
            held=len(self._hub),
            connections=len(self._gate.connections),
            draining=self._hub.is_draining,
            redis=self._bus.is_connected,
        )


class _Ear:
    """Passes on what the bus hears and counts its reconnects."""

    def __init__(self, opener: Opener) -> None:
        self.hinted = opener.hinted
        self._opener = opener

    def confirmed(self, mailboxes: Sequence[str]) -> None:
        self._opener.confirmed(mailboxes)

    def unheard(self, mailboxes: Sequence[str]) -> None:
        self._opener.unheard(mailboxes)

    def disconnected(self) -> None:
        telemetry.REDIS_RECONNECTS.inc()
        self._opener.disconnected()


def _http_log() -> logging.Logger:
    log = logging.getLogger("pushgw.http")
    log.addFilter(_is_our_fault)
    return log


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Drop what aiohttp logs as an error when a client does not speak HTTP: it was answered."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


async def _appears(path: Path) -> None:
    for _ in range(int(REDIS_WITHIN / POLL)):
        if path.exists():  # noqa: ASYNC240 (one look at a local directory, before any phone)
            break
        await asyncio.sleep(POLL)
