"""The admin listener: health, readiness, metrics, and what else is mounted there."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST

from pushgw.admin.fleet import unready

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterable

    from aiohttp.typedefs import Handler

    from pushgw.admin.fleet import Fleet

SHUTDOWN_WITHIN: Final = 1.5
"""Seconds that requests under way have at the end: less than the supervisor gives this process."""


def admin_app(fleet: Fleet, extra: Iterable[web.AbstractRouteDef] = ()) -> web.Application:
    """Make the application of the admin listener.

    Args:
        fleet: The workers that health and metrics speak of.
        extra: Further routes; the first line of a handler's docstring is shown under ``/``.
    """

    async def healthz(_request: web.Request) -> web.Response:
        """Tell that this process is alive."""
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        """Tell whether this node should get new phones, and why not."""
        reasons = unready(await fleet.states())
        return _json(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})

    async def metrics(_request: web.Request) -> web.Response:
        """Metrics of all workers, for Prometheus."""
        return web.Response(
            body=await fleet.metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def index(request: web.Request) -> web.Response:
        """List what is there."""
        return web.Response(text="".join(_listing(request.app)))

    app = web.Application(middlewares=[_errors_as_json])
    app.add_routes(
        [
            web.get("/", index),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            *extra,
        ]
    )
    return app


@contextlib.asynccontextmanager
async def serve_admin(app: web.Application, listener: socket.socket) -> AsyncIterator[None]:
    """Serve the application on a socket that is bound already, until the block ends."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_WITHIN)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors in the form of all answers here, also those that aiohttp itself finds."""
    try:
        return await handler(request)
    except web.HTTPError as error:
        if error.content_type == "application/json":
            raise
        allowed = error.headers.get(hdrs.ALLOW)
        answer = _json(error.status, {"error": f"{error.reason}: {request.method} {request.path}"})
        if allowed is not None:
            answer.headers[hdrs.ALLOW] = allowed
        return answer


def _listing(app: web.Application) -> Iterable[str]:
    yield "pushgw, admin listener\n\n"
    for route in app.router.routes():
        if route.method != hdrs.METH_HEAD and route.resource is not None:
            meaning = (inspect.getdoc(route.handler) or "").partition("\n")[0]
            yield f"{route.method:7}{route.resource.canonical:20}{meaning}".rstrip() + "\n"


def _json(status: int, document: object) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(document) + b"\n", content_type="application/json"
    )
