import asyncio
import json
import os
import socket
import weakref

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from pushgw.admin.control import WorkerState, serve_control, socket_path


@pytest.fixture
def path(tmp_path):
    return socket_path(tmp_path, 3)


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    Counter("pushgw_tests", "Tests.", registry=registry).inc(5)
    return registry


def state():
    return WorkerState(pid=7, held=3, connections=4, draining=False, redis=True)


async def get(path, target, method="GET"):
    connector = aiohttp.UnixConnector(str(path))
    async with (
        asyncio.timeout(5.0),
        aiohttp.ClientSession(connector=connector) as session,
        session.request(method, f"http://worker{target}") as response,
    ):
        return response.status, await response.text()


def test_name_of_the_socket(tmp_path):
    """Each worker has a socket named by its number."""
    assert tmp_path / "worker-3.sock" == socket_path(tmp_path, 3)


async def test_state_is_json(path, registry):
    """The state is what the callable says at that moment, as JSON."""
    async with serve_control(path, state, registry):
        found = await get(path, "/state")

    expected = '{"pid":7,"held":3,"connections":4,"draining":false,"redis":true,"upstream":true}'
    assert (200, expected) == found


async def test_metrics_are_text(path, registry):
    """The metrics are those of the given registry, in the text format."""
    async with serve_control(path, state, registry):
        status, text = await get(path, "/metrics")

    assert 200 == status
    assert "pushgw_tests_total 5.0" in text.splitlines()


async def test_socket_is_private(path, registry):
    """Nobody but this user may open the socket."""
    async with serve_control(path, state, registry):
        mode = path.stat().st_mode & 0o777

    assert 0o600 == mode


async def test_socket_goes_away(path, registry):
    """The socket is removed when the worker ends."""
    async with serve_control(path, state, registry):
        assert path.exists()

    assert not path.exists()


async def test_dead_socket_is_replaced(path, registry):
    """A socket that a killed worker left behind is in nobody's way."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    async with serve_control(path, state, registry):
        status, _ = await get(path, "/state")

    assert 200 == status


async def test_path_that_is_too_long(tmp_path, registry):
    """A path that no unix socket can have is an error at the start."""
    with pytest.raises(OSError, match="too long"):
        async with serve_control(tmp_path / ("x" * 120), state, registry):
            pass


async def test_collection_is_made_when_asked_for(path, registry):
    """A full collection frees a cycle, and tells how long it took and what is left."""

    class Cycle:
        pass

    cycle = Cycle()
    cycle.itself = cycle
    gone = weakref.ref(cycle)
    del cycle
    async with serve_control(path, state, registry):
        status, text = await get(path, "/collect", "POST")

    found = json.loads(text)
    assert (200, None) == (status, gone())
    assert (True, True) == (0 < found["seconds"] < 10, found["objects"] > 1000)
