"""The server as a whole: its processes and their order."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import uvloop

from notifier import ingest
from notifier.ledger import Ledger
from notifier.line import Line
from pushgw import embedded, host, telemetry
from pushgw.admin.control import socket_path
from pushgw.admin.fleet import Fleet
from pushgw.admin.routes import admin_app, serve_admin
from pushgw.app.listeners import shown
from pushgw.app.plan import Plan, judge_host, make
from pushgw.app.worker import Worker, until_sigterm
from pushgw.room import sentence
from pushgw.workers import Role, Supervisor, pin_allocator, tune_collector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushgw.room import Host
    from pushgw.settings import Settings

STOP_MARGIN: Final = 10.0
"""Seconds beyond the drain until what still runs is killed."""

_log = structlog.get_logger("pushgw.app")


def serve(settings: Settings) -> int:
    """Run the gateway in the foreground until SIGTERM or SIGINT.

    Returns:
        Exit status: 0 after an orderly stop.

    Raises:
        StartError: If an address, a file or a certificate cannot be used, or too few files may be
            opened.
    """
    telemetry.configure(settings.log.level, settings.log.format, sys.stderr)
    pin_allocator()
    tune_collector()
    with contextlib.ExitStack() as stack:
        plan = make(settings, stack)
        _log.info(
            "listening",
            eas=shown(plan.phones[0]),
            admin=shown(plan.admin),
            workers=len(plan.phones),
            tls=plan.tls is not None,
            auth=settings.auth.method,
            redis="embedded" if plan.redis_socket else "external",
        )
        _tell_room(plan, host.read())
        return Supervisor(
            _roles(plan),
            stop_within=settings.server.drain_seconds + STOP_MARGIN,
            log=_log,
            on_stop=lambda: _close_phones(plan),
        ).run()


def _tell_room(plan: Plan, here: Host) -> None:
    workers = len(plan.phones)
    _log.info(
        "room",
        phones=workers * plan.room.phones,
        per_worker=plan.room.phones,
        files=plan.room.files,
        reserved=plan.room.reserve,
        workers=workers,
        text=sentence(plan.room, workers),
    )
    for advice in judge_host(plan.settings, plan.room, here):
        _log.warning("host_limit", **asdict(advice))


def _close_phones(plan: Plan) -> None:
    # As long as one copy is open, the kernel goes on queuing connections that nobody accepts.
    for one in plan.phones:
        one.close()


def _roles(plan: Plan) -> Sequence[Role]:
    workers = [
        Role(f"worker-{index}", partial(_run_worker, plan, index))
        for index in range(len(plan.phones))
    ]
    admin = Role("admin", partial(_run_admin, plan), stops_last=True)
    if plan.redis_socket is None:
        return [*workers, admin]
    valkey = Role("valkey", partial(embedded.run, plan.run_dir), stops_last=True)
    return [valkey, *workers, admin]


def _run_worker(plan: Plan, index: int) -> int:
    telemetry.watch_collector()
    uvloop.run(Worker(plan, index).run())
    return 0


def _run_admin(plan: Plan) -> int:
    uvloop.run(_serve_admin(plan))
    return 0


async def _serve_admin(plan: Plan) -> None:
    _close_phones(plan)
    sockets = {str(index): socket_path(plan.run_dir, index) for index in range(len(plan.phones))}
    redis = Line(plan.redis_url)
    publish = ingest.routes(Ledger(redis), lambda: time.time() * 1000)
    try:
        async with serve_admin(admin_app(Fleet(sockets), publish), plan.admin):
            await until_sigterm()
    finally:
        await redis.aclose()
