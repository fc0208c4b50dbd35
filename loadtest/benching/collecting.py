"""Has workers of a gateway collect all their cyclic garbage, and hears how long that took.

A pause in the metrics is as long as it was for phones: with more processes than cores it includes
waiting for one. Here one worker collects at a time, while nothing else happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
import orjson

from loadtest.benching.load_process import LoadError

if TYPE_CHECKING:
    from pathlib import Path

WITHIN: Final = 10.0
"""Seconds for an answer."""


async def longest(run_dir: Path, workers: int) -> float:
    """Return the seconds of the longest full collection of all workers.

    Args:
        run_dir: Of the gateway, where each worker has a socket.
        workers: How many there are.

    Raises:
        LoadError: If one does not answer.
    """
    return max([await _collect(run_dir / f"worker-{index}.sock") for index in range(workers)])


async def _collect(path: Path) -> float:
    timeout = aiohttp.ClientTimeout(total=WITHIN)
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(path)), timeout=timeout
            ) as session,
            session.post("http://worker/collect", raise_for_status=True) as answer,
        ):
            return float(orjson.loads(await answer.read())["seconds"])
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise LoadError(f"found no answer at {path}: {error}") from None
