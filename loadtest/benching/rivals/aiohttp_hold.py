"""The straightforward Direct Push server: one aiohttp handler coroutine per waiting Ping.

Written as one would write a first version that works: uvloop, a future per Ping awaited with
``wait_for``, one pattern subscription for all mailboxes. It keeps no record of changes, so a
change between two Pings of a phone is lost. Run it with ``python -m
loadtest.benching.rivals.aiohttp_hold PORT REDIS_URL``.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import orjson
import redis.asyncio
import uvloop
from aiohttp import web

from pushgw.wbxml import WbxmlError, decode, element, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pushgw.wbxml import Element

CHANNELS: Final = "pushgw:*"
MAX_HEARTBEAT: Final = 3540
BACKLOG: Final = 4096
_PATH: Final = "/Microsoft-Server-ActiveSync"
_OPTIONS: Final = {"MS-ASProtocolVersions": "14.1", "MS-ASProtocolCommands": "FolderSync,Ping"}
_TYPE: Final = "application/vnd.ms-sync.wbxml"
_FOLDERS: Final = {"Inbox": ("5", "2"), "Calendar": ("1", "8")}
"""ServerId and Type by name."""
_IDS: Final = {"INBOX": "5", "Calendar": "1"}
"""ServerId by the name under which changes are published."""


def _hierarchy() -> bytes:
    """Build the answer to every FolderSync: an inbox and a calendar."""
    page = "FolderHierarchy"
    folders = [
        element(
            page,
            "Add",
            element(page, "ServerId", server_id),
            element(page, "ParentId", "0"),
            element(page, "DisplayName", name),
            element(page, "Type", kind),
        )
        for name, (server_id, kind) in _FOLDERS.items()
    ]
    changes = element(page, "Changes", element(page, "Count", str(len(folders))), *folders)
    key = element(page, "SyncKey", "1")
    return encode(element(page, "FolderSync", element(page, "Status", "1"), key, changes))


class Waiting:
    """The Pings that wait, by mailbox."""

    def __init__(self) -> None:
        self._futures: defaultdict[str, dict[asyncio.Future[str], frozenset[str]]] = defaultdict(
            dict
        )

    async def change(self, mailbox: str, folders: frozenset[str], heartbeat: float) -> str | None:
        """Wait for a change of one of the folders; None when the heartbeat is over first."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._futures[mailbox][future] = folders
        try:
            return await asyncio.wait_for(future, heartbeat)
        except TimeoutError:
            return None
        finally:
            del self._futures[mailbox][future]
            if not self._futures[mailbox]:
                del self._futures[mailbox]

    def wake(self, mailbox: str, folder: str) -> None:
        """End the Pings of a mailbox that watch a folder."""
        for future, folders in self._futures.get(mailbox, {}).items():
            if folder in folders and not future.done():
                future.set_result(folder)


class Endpoint:
    """Answers phones."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._cached: dict[tuple[str, str], Element] = {}
        self._folders = _hierarchy()

    async def options(self, request: web.Request) -> web.Response:
        """Tell which versions and commands there are."""
        del request
        return web.Response(headers=_OPTIONS)

    async def post(self, request: web.Request) -> web.Response:
        """Answer a FolderSync at once and a Ping when its folders change."""
        match request.query.get("Cmd"):
            case "FolderSync":
                await request.read()
                return web.Response(body=self._folders, content_type=_TYPE)
            case "Ping":
                return await self._ping(request)
            case command:
                return web.Response(status=501, text=f"{command} is not served\n")

    async def _ping(self, request: web.Request) -> web.Response:
        mailbox = request.query["User"].lower()
        device = mailbox, request.query["DeviceId"]
        body = await request.read()
        try:
            ping = decode(body) if body else self._cached.get(device)
        except WbxmlError as error:
            return web.Response(status=400, text=f"{error}\n")
        if ping is None:
            return _answer("3")
        self._cached[device] = ping
        folders = frozenset(one.text for one in _watched(ping))
        changed = await self._waiting.change(mailbox, folders, _heartbeat(ping))
        return _answer("1") if changed is None else _answer("2", changed)


def _watched(ping: Element) -> list[Element]:
    folders = ping.find("Folders")
    found = [one.find("Id") for one in folders.all("Folder")] if folders else []
    return [one for one in found if one]


def _heartbeat(ping: Element) -> float:
    interval = ping.find("HeartbeatInterval")
    return min(float(interval.text), MAX_HEARTBEAT) if interval else float(MAX_HEARTBEAT)


def _answer(status: str, folder: str | None = None) -> web.Response:
    named = element("Ping", "Folders", element("Ping", "Folder", folder)) if folder else None
    body = encode(element("Ping", "Ping", element("Ping", "Status", status), named))
    return web.Response(body=body, content_type=_TYPE)


def build(redis_url: str) -> web.Application:
    """Build the application; it listens to Redis as long as it runs."""
    waiting = Waiting()
    endpoint = Endpoint(waiting)

    async def listen(_: web.Application) -> AsyncIterator[None]:
        client = redis.asyncio.Redis.from_url(redis_url)
        pubsub = client.pubsub()
        await pubsub.psubscribe(CHANNELS)
        task = asyncio.create_task(_listen(pubsub, waiting))
        yield
        task.cancel()
        await asyncio.wait([task])
        await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it so
        await client.aclose()

    app = web.Application()
    app.cleanup_ctx.append(listen)
    app.router.add_post(_PATH, endpoint.post)
    app.router.add_options(_PATH, endpoint.options)
    return app


async def _listen(pubsub: Any, waiting: Waiting) -> None:
    async for message in pubsub.listen():
        if message["type"] != "pmessage":
            continue
        mailbox = message["channel"].decode().removeprefix("pushgw:{").removesuffix("}")
        folder = orjson.loads(message["data"])["f"]
        waiting.wake(mailbox, _IDS.get(folder, folder))


def main(arguments: Sequence[str]) -> None:
    """Serve on 127.0.0.1 until SIGTERM.

    Args:
        arguments: Port and Redis URL.
    """
    port, redis_url = arguments
    uvloop.install()
    web.run_app(
        build(redis_url),
        host="127.0.0.1",
        port=int(port),
        backlog=BACKLOG,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=1.0,
        print=lambda *_: None,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
