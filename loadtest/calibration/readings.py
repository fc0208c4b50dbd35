"""Readings of this host beside those of ``loadtest.process``; None where one is not to be had."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import Final

from loadtest import process

_PROC: Final = Path("/proc")
_SOCKET: Final = "unix://"


def anonymous_bytes(root: int) -> int | None:
    """Return the anonymous memory of a process tree in bytes; what is shared in it counts once.

    Unlike PSS it does not change when another program begins to use the same libraries. It is what
    a phone adds to.
    """
    total = 0
    for pid in process.tree(root):
        found = _field(_PROC / str(pid) / "smaps_rollup", "Pss_Anon:")
        if found is None:
            return None
        total += found
    return total or None


def slab_bytes() -> int | None:
    """Return the memory of the kernel's small objects, to which sockets belong, in bytes."""
    return _field(_PROC / "meminfo", "Slab:")


def _field(path: Path, name: str) -> int | None:
    """Read an amount of kilobytes from a file of lines."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return None


def max_files() -> int | None:
    """Return how many open files a process may allow itself; None where there is no limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


async def busy(seconds: float) -> float | None:
    """Return which share of this host's CPU is in use during some seconds."""
    before = _ticks()
    await asyncio.sleep(seconds)
    after = _ticks()
    if before is None or after is None or after[1] == before[1]:
        return None
    return 1.0 - (after[0] - before[0]) / (after[1] - before[1])


def _ticks() -> tuple[int, int] | None:
    """Read idle and all time of all cores."""
    try:
        words = (_PROC / "stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return None
    ticks = [int(word) for word in words]
    return ticks[3] + ticks[4], sum(ticks)  # idle and iowait. Source: proc(5)


async def redis_bytes(url: str) -> int:
    """Return the memory that a Valkey uses, without what its allocator keeps.

    Args:
        url: ``unix://PATH``.
    """
    reader, writer = await asyncio.open_unix_connection(url.removeprefix(_SOCKET))
    try:
        writer.write(b"INFO memory\r\n")
        length = int((await reader.readline())[1:])
        text = (await reader.readexactly(length)).decode()
    finally:
        writer.close()
        await writer.wait_closed()
    facts = dict(line.partition(":")[::2] for line in text.splitlines())
    return int(facts["used_memory"])
