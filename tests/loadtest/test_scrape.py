"""The gateway's figures are read from what its admin listener says."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtest.result import Gateway
from loadtest.scrape import ScrapeError, add_up, metrics_url, read, scrape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Lines of a gateway with two workers; what is left out of it does not matter here.
CAPTURED = """\
# HELP python_gc_objects_collected_total Objects collected during gc
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{generation="0",worker="admin"} 3060.0
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes{worker="admin"} 5.799936e+07
process_resident_memory_bytes{worker="0"} 5.7929728e+07
process_resident_memory_bytes{worker="1"} 5.77536e+07
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total{worker="admin"} 0.25
process_cpu_seconds_total{worker="0"} 0.5
process_cpu_seconds_total{worker="1"} 1.0
# HELP pushgw_held_pings Pings and waiting Syncs held at this moment.
# TYPE pushgw_held_pings gauge
pushgw_held_pings 1234.0
# HELP pushgw_held_pings_more Another one that begins alike.
# TYPE pushgw_held_pings_more gauge
pushgw_held_pings_more 1.0
"""
FIGURES = Gateway(memory_bytes=173_682_688, cpu_seconds=1.75, held=1234)


def test_figures_are_summed_over_workers() -> None:
    """Memory and CPU of all processes, the admin process included, are added up."""
    assert FIGURES == read(CAPTURED)


def test_what_is_not_told_is_none() -> None:
    """Figures of a server that has none of ours are unknown, not zero."""
    assert Gateway() == read("# TYPE nginx_up gauge\nnginx_up 1\n")


@pytest.mark.parametrize("line", ["pushgw_held_pings many", "pushgw_held_pings NaN"])
def test_what_is_no_figure_is_an_error(line: str) -> None:
    """A line that cannot be read, or is no number, spoils the whole scrape."""
    with pytest.raises(ValueError, match=r"found|float"):
        read(line)


def test_nodes_add_up() -> None:
    """Each figure is the sum of those nodes that told of it."""
    nodes = [Gateway(memory_bytes=1, held=2), Gateway(memory_bytes=4, cpu_seconds=0.5)]

    assert Gateway(memory_bytes=5, cpu_seconds=0.5, held=2) == add_up(nodes)
    assert Gateway() == add_up([])


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:8801", "http://127.0.0.1:8801/metrics"),
        ("https://node1/", "https://node1/metrics"),
        ("http://127.0.0.1:8801/own/metrics", "http://127.0.0.1:8801/own/metrics"),
    ],
)
def test_metrics_have_their_usual_path(url: str, found: str) -> None:
    """A URL without a path means that of Prometheus."""
    assert found == metrics_url(url)


@pytest.mark.parametrize("url", ["127.0.0.1:8801", "http://", "http://[::1", "http://x:0"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Something else than an HTTP URL is refused with what was found."""
    with pytest.raises(ScrapeError, match="found"):
        metrics_url(url)


@asynccontextmanager
async def admin(text: str = CAPTURED, status: int = 200, pause: float = 0.0) -> AsyncIterator[str]:
    async def metrics(_: web.Request) -> web.Response:
        await asyncio.sleep(pause)
        return web.Response(text=text, status=status)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


async def test_a_listener_is_asked() -> None:
    """The figures of a listener are those of its metrics, and nothing failed."""
    errors: Counter[str] = Counter()

    async with admin() as url, aiohttp.ClientSession() as session:
        found = await scrape(session, [url], errors=errors)

    assert (FIGURES, {}) == (found, errors)


async def test_several_listeners_are_asked() -> None:
    """The figures of several nodes are their sum."""
    async with admin() as one, admin() as other, aiohttp.ClientSession() as session:
        found = await scrape(session, [one, other])

    assert Gateway(memory_bytes=347_365_376, cpu_seconds=3.5, held=2468) == found


@pytest.mark.parametrize(
    "answer", [{"status": 503}, {"text": "pushgw_held_pings many"}, {"pause": 60.0}]
)
async def test_a_listener_that_fails_is_counted(answer: dict[str, object]) -> None:
    """An error, an answer that cannot be read and a late one tell nothing, and are counted."""
    errors: Counter[str] = Counter()

    async with admin(**answer) as url, aiohttp.ClientSession() as session:
        found = await scrape(session, [url], within=0.1, errors=errors)

    assert (Gateway(), {"scrape failed": 1}) == (found, errors)


async def test_a_sum_without_one_node_is_not_told() -> None:
    """If one of several listeners is not there, nothing is known."""
    async with admin() as url, aiohttp.ClientSession() as session:
        found = await scrape(session, [url, "http://127.0.0.1:1"])

    assert Gateway() == found
