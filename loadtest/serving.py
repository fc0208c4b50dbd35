"""What a run is put on when it brings its own servers, and how servers of others are restarted."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from loadtest import servers, targets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from loadtest.profiles.profile import Profile
    from loadtest.running import Place
    from loadtest.servers import Node

WORKERS: Final = 2
"""Of each gateway; more where the phones need more files than so many processes may open."""
PHONES_PER_WORKER: Final = 17_000
"""Phones are not spread quite evenly over workers, and 20,000 files are a common limit."""
RESTART_WITHIN: Final = 300.0
"""Seconds for a command that restarts a server."""


@asynccontextmanager
async def serve(
    place: Place, directory: Path, profile: Profile, *, nodes: int
) -> AsyncIterator[Place]:
    """Run a Valkey and gateways for a profile, and say where they are.

    Args:
        place: What else is known of the place.
        directory: For sockets and logs.
        profile: Says how many phones there will be, and how short their heartbeats are.
        nodes: Gateways.

    Raises:
        ServerError: If one of them does not become ready in time.
    """
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(servers.valkey(directory))
        settings = {
            "PUSHGW_SERVER__WORKERS": str(
                max(WORKERS, -(-profile.devices // (PHONES_PER_WORKER * nodes)))
            ),
            # Short heartbeats are part of a run: the gateway must grant them.
            "PUSHGW_HEARTBEAT__MIN": str(
                min(60, *(group.heartbeat[0] for group in profile.groups))
            ),
        }
        found = [
            await stack.enter_async_context(servers.node(redis.url, directory, settings))
            for _ in range(nodes)
        ]
        where = tuple(node.target for node in found)
        yield replace(
            place,
            targets=where,
            sources=place.sources or targets.default_sources(where),
            publisher="redis",
            publisher_url=redis.url,
            admins=tuple(f"http://{node.admin.name}" for node in found),
            pids=lambda: _pids(found),
            check=lambda: _check(found),
            restarts=tuple(_again(node) for node in found),
        )


def _pids(nodes: Sequence[Node]) -> list[int]:
    """Return the roots of all process trees; none while one is down, for a sum needs all."""
    pids = [node.pid for node in nodes if node.pid is not None]
    return pids if len(pids) == len(nodes) else []


def _check(nodes: Sequence[Node]) -> None:
    for node in nodes:
        node.check()


def by_command(command: str, *, within: float = RESTART_WITHIN) -> Callable[[], Awaitable[None]]:
    """Return what restarts a server by a shell command.

    What the command leaves running in the background stays, if the command itself ends in time.

    Args:
        command: Its standard output is dropped; errors are passed on.
        within: Seconds.
    """

    async def restart() -> None:
        process = await asyncio.create_subprocess_shell(
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(within):
                status = await process.wait()
        except TimeoutError:
            raise servers.ServerError(f"{command!r} did not end within {within:g} s") from None
        finally:
            if process.returncode is None:  # its time, or that of the whole run, is over
                await servers.end(process)
        if status:
            raise servers.ServerError(f"{command!r} ended with status {status}")

    return restart


def _again(node: Node) -> Callable[[], Awaitable[None]]:
    async def restart() -> None:
        await node.stop()
        await node.start()

    return restart
