"""One connection to Redis for all commands of a process, with as little work per call as can be.

Calls of one loop turn leave in one write, replies come back in order, and each call ends with its
last reply. No pool, no lock, no task: a call costs a future and its share of two system calls. A
round trip through redis-py's pool costs about 100 us (measured), which every Ping would pay.

A connection that ends takes the calls that wait for it along: each raises, and nobody knows which
of its commands were done. The next call dials again. There is no retry: an idle connection that
Redis closes is noticed at once, so the next call does not meet it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

import hiredis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)

from notifier.dialling import dial, server_of
from notifier.link import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notifier.dialling import Server

_KINDS: Final = {
    "NOSCRIPT": NoScriptError,
    "LOADING": BusyLoadingError,
    "WRONGPASS": AuthenticationError,
    "NOAUTH": AuthenticationError,
}


class Line:
    """Commands to one Redis, dialled when they are first needed.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, with redis-py's options.
        connect_within: Seconds until a dial counts as failed.

    Raises:
        AddressError: If the URL is of any other kind.
    """

    def __init__(self, url: str, connect_within: float = 3.0) -> None:
        self._server = server_of(url)
        self._connect_within = connect_within
        self._wire: _Wire | None = None
        self._dialling: asyncio.Task[_Wire] | None = None

    async def exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands and return their raw replies in order, text as bytes.

        A refused command's reply is its error. The caller bounds the time.

        Raises:
            redis.ConnectionError: If there is no connection, or it ended meanwhile.
        """
        if not commands:
            return []
        wire = self._wire
        if wire is None or wire.has_ended:
            wire = await self._dial()
        return await wire.exchange(commands)

    async def aclose(self) -> None:
        """End the connection."""
        if self._dialling is not None:
            self._dialling.cancel()
        if self._wire is not None:
            self._wire.end()
            await self._wire.ended

    async def _dial(self) -> _Wire:
        # One dial for all who wait for it; whoever gives up waiting does not end it.
        if self._dialling is None:
            self._dialling = asyncio.ensure_future(self._connect())
            self._dialling.add_done_callback(self._dialled)
        return await asyncio.shield(self._dialling)

    def _dialled(self, task: asyncio.Task[_Wire]) -> None:
        self._dialling = None
        if not task.cancelled() and task.exception() is None:
            self._wire = task.result()

    async def _connect(self) -> _Wire:
        wire = _Wire()
        try:
            async with asyncio.timeout(self._connect_within):
                await dial(self._server, wire)
                _refuse(await wire.exchange(_greeting(self._server)))
        except OSError as error:
            wire.end()
            raise RedisConnectionError(f"no connection: {type(error).__name__}") from error
        except BaseException:
            wire.end()
            raise
        return wire


def _refuse(replies: list[Any]) -> None:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply


def _greeting(server: Server) -> list[tuple[Any, ...]]:
    commands: list[tuple[Any, ...]] = []
    if server.username or server.password:
        commands.append(("AUTH", server.username or "default", server.password or ""))
    if server.db:
        commands.append(("SELECT", server.db))
    return [*commands, ("PING",)]


class _Wire(asyncio.Protocol):
    """One connection, from its dialling to its end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._calls: deque[tuple[asyncio.Future[list[Any]], list[Any], int]] = deque()
        self.has_ended = False
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.has_ended = True
        self.ended.set_result(None)
        for future, _, _ in self._calls:
            if not future.done():
                future.set_exception(RedisConnectionError("connection closed by Redis"))
        self._calls.clear()

    def exchange(self, commands: Sequence[tuple[Any, ...]]) -> asyncio.Future[list[Any]]:
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if self.has_ended:
            future.set_exception(RedisConnectionError("connection closed by Redis"))
            return future
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out += map(pack, commands)
        self._calls.append((future, [], len(commands)))
        return future

    def data_received(self, data: bytes) -> None:
        reader, calls = self._reader, self._calls
        try:
            reader.feed(data)
            while calls and (reply := reader.gets()) is not False:
                future, replies, count = calls[0]
                replies.append(_error(reply) if type(reply) is hiredis.ReplyError else reply)
                if len(replies) == count:
                    calls.popleft()
                    if not future.done():
                        future.set_result(replies)
        except hiredis.ProtocolError:
            self.end()

    def end(self) -> None:
        self.has_ended = True
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        data, self._out = b"".join(self._out), []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _error(reply: hiredis.ReplyError) -> RedisError:
    text = str(reply)
    kind = _KINDS.get(text.partition(" ")[0])
    return kind(text.partition(" ")[2]) if kind is not None else ResponseError(text)
