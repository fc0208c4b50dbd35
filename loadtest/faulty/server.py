"""A server that holds Pings, as a gateway does, and fails on purpose.

On its admin port it takes changes (``POST /v1/changes``) and tells what it did (``GET
/v1/faults``). Run it with ``python -m loadtest.faulty.server PORT ADMIN_PORT``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from dataclasses import fields
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

import orjson
import uvloop
from aiohttp import web

from loadtest.faulty.faults import Faults, FaultsError, option_of
from loadtest.faulty.mailboxes import Mailboxes
from loadtest.phones.witness import TAG
from loadtest.targets import EAS_PATH
from pushgw.eas import folders
from pushgw.eas.ping import PingError, PingResponse, PingStatus, parse_cached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from loadtest.faulty.mailboxes import Phone

TICK: Final = 0.02
"""Seconds between looks at what is due."""
EARLY: Final = 1.0
"""Seconds before its interval is over that a Ping may be answered for its end."""
BACKLOG: Final = 4096
_TYPE: Final = "application/vnd.ms-sync.wbxml"
_FOLDERS: Final = folders.folder_sync("0", None, {}).body


class Endpoint:
    """Answers phones on one port, and on another one the load generator.

    Args:
        mailboxes: Decide what phones are told.
        rng: Decides how early a Ping is over.
    """

    def __init__(self, mailboxes: Mailboxes, rng: random.Random) -> None:
        self._mailboxes = mailboxes
        self._rng = rng
        self._held: dict[Phone, asyncio.Future[tuple[str, ...]]] = {}

    def eas(self) -> web.Application:
        """Build what phones see."""
        app = web.Application()
        app.router.add_post(EAS_PATH, self._post)
        app.router.add_options(EAS_PATH, self._options)
        app.cleanup_ctx.append(self._ticking)
        return app

    def admin(self) -> web.Application:
        """Build what the load generator sees."""
        app = web.Application()
        app.router.add_post("/v1/changes", self._change)
        app.router.add_get("/v1/faults", self._faults)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/readyz", self._readyz)
        return app

    async def _ticking(self, _: web.Application) -> AsyncIterator[None]:
        async def tick() -> None:
            while True:
                await asyncio.sleep(TICK)
                now = monotonic()
                for phone in self._mailboxes.due(now):
                    self._wake(phone, now)

        task = asyncio.create_task(tick())
        yield
        task.cancel()
        await asyncio.wait([task])

    async def _options(self, _: web.Request) -> web.Response:
        versions = {"MS-ASProtocolVersions": "14.1", "MS-ASProtocolCommands": "FolderSync,Ping"}
        return web.Response(headers=versions)

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        match request.query.get("Cmd"):
            case "FolderSync":
                return web.Response(body=_FOLDERS, content_type=_TYPE)
            case "Ping":
                return await self._ping(request, body)
            case command:
                return web.Response(status=501, text=f"{command} is not served\n")

    async def _ping(self, request: web.Request, body: bytes) -> web.Response:
        phone = self._mailboxes.phone(request.query["User"], request.query["DeviceId"])
        try:
            asked = parse_cached(body)
        except PingError as error:
            return _answer(PingResponse(error.status))
        phone.heartbeat = asked.heartbeat or phone.heartbeat
        if asked.folders is not None:
            phone.folders = tuple(one.id for one in asked.folders)
        if not phone.folders or not phone.heartbeat:
            return _answer(PingResponse(PingStatus.MISSING_PARAMETERS))
        named = await self._hold(phone)
        status = PingStatus.CHANGED if named else PingStatus.EXPIRED
        return _answer(PingResponse(status, named))

    async def _hold(self, phone: Phone) -> tuple[str, ...]:
        """Wait for news of a phone; return no folders when its interval is over first."""
        loop, now = asyncio.get_running_loop(), monotonic()
        if phone in self._held:
            _settle(self._held[phone])  # a phone waits once
        waiting: asyncio.Future[tuple[str, ...]] = loop.create_future()
        self._held[phone] = waiting
        phone.waits_since = now
        interval = max(0.0, phone.heartbeat - EARLY * self._rng.random())
        timer = loop.call_later(interval, _settle, waiting)
        self._wake(phone, now)
        try:
            return await waiting
        finally:
            timer.cancel()
            if self._held.get(phone) is waiting:
                del self._held[phone]
                phone.waits_since = inf

    def _wake(self, phone: Phone, now: float) -> None:
        waiting = self._held.get(phone)
        if waiting is not None and not waiting.done():
            named = self._mailboxes.answer(phone, now)
            if named:
                waiting.set_result(named)

    async def _change(self, request: web.Request) -> web.Response:
        now = monotonic()
        for one in orjson.loads(await request.read())["changes"]:
            change, folder = one["kind"].removeprefix(TAG), folders.canonical(one["folder"])
            for phone in self._mailboxes.change(change, one["mailbox"], folder, now):
                self._wake(phone, now)
        return web.Response(status=202)

    async def _faults(self, _: web.Request) -> web.Response:
        body = orjson.dumps(self._mailboxes.done.as_json())
        return web.Response(body=body, content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=f"# TYPE pushgw_held_pings gauge\npushgw_held_pings {self.held}\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ready\n")

    @property
    def held(self) -> int:
        """Pings that wait."""
        return len(self._held)


def _settle(waiting: asyncio.Future[tuple[str, ...]]) -> None:
    """End a Ping without news, if it was not answered just now."""
    if not waiting.done():
        waiting.set_result(())


def _answer(response: PingResponse) -> web.Response:
    return web.Response(body=response.to_bytes(), content_type=_TYPE)


async def serve(port: int, admin_port: int, faults: Faults) -> None:
    """Serve on 127.0.0.1 until the process is ended, which loses nothing that is worth keeping."""
    endpoint = Endpoint(Mailboxes(faults), random.Random())
    for app, where in ((endpoint.eas(), port), (endpoint.admin(), admin_port)):
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", where, backlog=BACKLOG).start()
    await asyncio.Event().wait()


def main(arguments: Sequence[str]) -> None:
    """Serve.

    Args:
        arguments: Port, admin port, and an option for each field of ``Faults``.
    """
    parser = argparse.ArgumentParser(prog="python -m loadtest.faulty.server", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("admin_port", type=int)
    for one in fields(Faults):
        parser.add_argument(option_of(one.name), type=type(one.default), default=one.default)
    found = vars(parser.parse_args(arguments))
    ports = found.pop("port"), found.pop("admin_port")
    try:
        faults = Faults(**found)
    except FaultsError as error:
        parser.error(str(error))
    uvloop.run(serve(*ports, faults))


if __name__ == "__main__":
    main(sys.argv[1:])
