"""A gateway that can be restarted, its Valkey and the crew beside it, read from outside.

Memory and CPU are those of whole process trees.
"""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest import process, servers
from loadtest.benching import crew
from loadtest.benching.load_process import LoadError
from loadtest.polling import poll
from loadtest.servers import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from loadtest.benching.crew import Crew
    from loadtest.servers import Node, Redis

ENDED_WITHIN: Final = 60.0
"""Seconds that a gateway may take for its drain: three times what it has by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """CPU that the programs have used by some moment, or from one to another; all in seconds."""

    at: float
    """Of the monotonic clock, or how long it was."""
    gateway: float
    redis: float
    load: float
    """All load processes."""

    def since(self, before: Reading) -> Reading:
        """Return what was used after an earlier reading of the same processes."""
        return Reading(
            at=self.at - before.at,
            gateway=self.gateway - before.gateway,
            redis=self.redis - before.redis,
            load=self.load - before.load,
        )


@dataclass(frozen=True, slots=True)
class Stand:
    """What a bench stands on. Build one with ``build``."""

    node: Node
    redis: Redis
    crew: Crew
    run_dir: Path
    """Where workers of the gateway have their own sockets."""

    def read(self) -> Reading:
        """Read the CPU time of all programs."""
        self.node.check()
        return Reading(
            at=monotonic(),
            gateway=process.cpu_seconds(self._root) or 0.0,
            redis=process.cpu_many((self.redis.pid,)),
            load=process.cpu_many(self.crew.pids),
        )

    def memory(self) -> int:
        """Return the user memory of the gateway in bytes, all its processes."""
        self.node.check()
        return _memory(self._root)

    def redis_memory(self) -> int:
        """Return the user memory of Valkey in bytes."""
        return _memory(self.redis.pid)

    async def drain(self) -> None:
        """Ask the gateway to end, and wait until it has; it tells each phone that is held.

        ``Node.stop`` alone would kill a gateway whose drain takes longer than 10 s.
        """
        os.kill(self._root, signal.SIGTERM)
        await poll(self._has_ended, ENDED_WITHIN)

    def _has_ended(self) -> bool:
        try:
            self.node.check()
        except ServerError:
            return True
        return False

    @property
    def _root(self) -> int:
        return self.node.pid or 0


@asynccontextmanager
async def build(directory: Path, parts: int, drain: float) -> AsyncIterator[Stand]:
    """Start a Valkey, a gateway and load processes.

    Args:
        directory: For sockets and log files.
        parts: Workers of the gateway, and load processes.
        drain: Seconds over which a gateway that ends spreads its answers to held phones.

    Raises:
        ServerError: If a server does not start.
    """
    run_dir = directory / "run"
    settings = {
        "PUSHGW_SERVER__RUN_DIR": str(run_dir),
        "PUSHGW_SERVER__WORKERS": str(parts),
        "PUSHGW_SERVER__DRAIN_SECONDS": f"{drain:g}",
    }
    async with (
        servers.valkey(directory) as redis,
        servers.node(redis.url, directory, settings) as node,
        crew.start(parts, node.target, redis.url, directory) as hands,
    ):
        yield Stand(node, redis, hands, run_dir)


def _memory(root: int) -> int:
    found = process.memory_bytes(root)
    if found is None:
        raise LoadError(f"the memory of process {root} cannot be read")
    return found
