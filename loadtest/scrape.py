"""The gateway's own figures, from ``GET /metrics`` of its admin listeners."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from loadtest.result import Gateway

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence

ANSWER_WITHIN: Final = 2.0
"""Seconds for an answer: it is asked for every few seconds."""
FAILED: Final = "scrape failed"
_MEMORY: Final = "process_resident_memory_bytes"
_CPU: Final = "process_cpu_seconds_total"
_HELD: Final = "pushgw_held_pings"
_NAMES: Final = (_MEMORY, _CPU, _HELD)


class ScrapeError(ValueError):
    """The URL is none of an admin listener."""


async def scrape(
    session: aiohttp.ClientSession,
    urls: Sequence[str],
    *,
    within: float = ANSWER_WITHIN,
    errors: Counter[str] | None = None,
) -> Gateway:
    """Return the sum over some admin listeners.

    Never raises: if one of them does not answer, nothing is known, for a sum without it would
    look like phones and memory gone.

    Args:
        session: For the requests.
        urls: Of admin listeners, as ``metrics_url`` takes them.
        within: Seconds.
        errors: Where a scrape that brought nothing is counted.
    """
    answers = await asyncio.gather(*(_ask(session, url, within) for url in urls))
    found = [one for one in answers if one is not None]
    if len(found) == len(urls):
        return add_up(found)
    if errors is not None:
        errors[FAILED] += 1
    return Gateway()


async def _ask(session: aiohttp.ClientSession, url: str, within: float) -> Gateway | None:
    try:
        async with asyncio.timeout(within), session.get(metrics_url(url)) as answer:
            answer.raise_for_status()
            return read(await answer.text())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


def metrics_url(url: str) -> str:
    """Return where the metrics of an admin listener are.

    Args:
        url: A path of its own takes the place of ``/metrics``.

    Raises:
        ScrapeError: If it is no HTTP URL.
    """
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ScrapeError(f"found {url!r}: {error}") from error
    if not is_http:
        raise ScrapeError(f"found {url!r}, a URL like http://127.0.0.1:8801 is allowed")
    return url if parts.path.strip("/") else parts._replace(path="/metrics").geturl()


def read(text: str) -> Gateway:
    """Read the text format; each figure is the sum over all workers.

    Raises:
        ValueError: If it is no text format, or has a figure that is no number.
    """
    # The lines of interest only: parsing all some hundred of them takes milliseconds.
    lines = [line for line in text.splitlines() if line.startswith(_NAMES)]
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families("\n".join(lines)):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    if not all(map(math.isfinite, sums.values())):
        raise ValueError(f"found {sums}")
    return Gateway(
        memory_bytes=_whole(sums.get(_MEMORY)),
        cpu_seconds=sums.get(_CPU),
        held=_whole(sums.get(_HELD)),
    )


def add_up(gateways: Iterable[Gateway]) -> Gateway:
    """Add the figures of several; one that nobody told of stays None."""
    told = list(gateways)
    memory = [one.memory_bytes for one in told if one.memory_bytes is not None]
    cpu = [one.cpu_seconds for one in told if one.cpu_seconds is not None]
    held = [one.held for one in told if one.held is not None]
    return Gateway(
        memory_bytes=sum(memory) if memory else None,
        cpu_seconds=sum(cpu) if cpu else None,
        held=sum(held) if held else None,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
