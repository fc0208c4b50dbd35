"""What a worker tells the admin process, over a unix socket that only this user may open."""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from prometheus_client.registry import Collector

SHUTDOWN_WITHIN: Final = 1.0
"""Seconds that an answer under way has when a worker stops; a scrape waits no longer either."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What one worker is doing, as JSON under ``/state``."""

    pid: int
    held: int
    """Pings held."""
    connections: int
    draining: bool
    redis: bool
    """True while the subscription is in force."""
    upstream: bool = True
    """True while the EAS server behind can be reached, or there is none."""


def socket_path(run_dir: Path, index: int) -> Path:
    """Return where a worker listens for the admin process."""
    return run_dir / f"worker-{index}.sock"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a full collection of cyclic garbage took, as JSON under ``/collect``."""

    seconds: float
    """The worker did nothing else for so long."""
    objects: int
    """Objects that it had to look at and that are left; those from before the fork are not among
    them."""


@contextlib.asynccontextmanager
async def serve_control(
    path: Path, state: Callable[[], WorkerState], metrics: Collector = REGISTRY
) -> AsyncIterator[None]:
    """Answer ``/state``, ``/metrics`` and ``/collect`` on a unix socket, until the block ends.

    Args:
        path: Replaced if a dead worker left it there. Its directory is this user's alone.
        state: Called for each request.
        metrics: Of this process.

    Raises:
        OSError: If the socket cannot be made, for example because its path is too long.
    """
    runner = web.AppRunner(_app(state, metrics), access_log=None, shutdown_timeout=SHUTDOWN_WITHIN)
    await runner.setup()
    try:
        await web.UnixSite(runner, path).start()
        path.chmod(0o600)  # noqa: ASYNC240 (one local system call, before anybody is served)
        yield
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 (one local system call, after the last)


def _app(state: Callable[[], WorkerState], metrics: Collector) -> web.Application:
    async def tell_state(_request: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(state()), content_type="application/json")

    async def tell_metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(metrics), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def collect(_request: web.Request) -> web.Response:
        began = perf_counter()
        gc.collect()
        found = Collected(perf_counter() - began, len(gc.get_objects()))
        return web.Response(body=orjson.dumps(found), content_type="application/json")

    app = web.Application()
    app.add_routes(
        [
            web.get("/state", tell_state),
            web.get("/metrics", tell_metrics),
            web.post("/collect", collect),
        ]
    )
    return app
