"""Servers are started, watched and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from loadtest import servers
from loadtest.servers import ServerError
from loadtest.targets import EAS_PATH, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtest.servers import Node


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's own directory: its name can be longer than a socket address may be.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def test_a_valkey_answers_and_goes(directory: Path) -> None:
    """The Valkey can be reached by its URL, and is gone afterwards."""
    async with servers.valkey(directory) as redis:
        with Redis.from_url(redis.url) as client:
            assert redis.pid == client.info("server")["process_id"]

    with pytest.raises(ProcessLookupError):
        os.kill(redis.pid, 0)


async def test_a_valkey_that_fails_shows_its_log(directory: Path) -> None:
    """A Valkey that cannot listen is an error with what it said."""
    deep = directory / ("x" * 120)
    deep.mkdir()

    with pytest.raises(ServerError, match=r"(?s)valkey ended with status 1.*too long"):
        async with servers.valkey(deep):
            pass


async def test_a_rival_listens_and_goes(directory: Path, valkey_url: str) -> None:
    """The rival accepts connections while it runs, and none afterwards."""
    async with servers.rival(valkey_url, directory) as server:
        server.check()
        _, writer = await asyncio.open_connection(server.target.host, server.target.port)
        writer.close()

    assert server.process.returncode is not None
    with pytest.raises(ServerError, match="rival ended with status"):
        server.check()


async def test_a_server_that_fails_shows_its_log(directory: Path) -> None:
    """The error of a server that ends at once has the last lines that it logged."""
    with pytest.raises(ServerError, match=r"(?s)rival ended with status 1.*must specify"):
        async with servers.rival("not-a-scheme://x", directory):
            pass


async def test_a_process_obeys_and_goes(directory: Path) -> None:
    """A process reads its orders, answers them, and its complaints are in its log."""
    code = "import sys; print(input() + '!', flush=True); sys.exit('so be it')"
    log = directory / "log"
    async with servers.obeying([sys.executable, "-c", code], log) as process:
        process.stdin.write(b"dance\n")
        told = await process.stdout.readline()
        await process.wait()

    assert b"dance!\n" == told
    assert "so be it\n" == log.read_text()


async def test_a_node_comes_back_on_its_ports(directory: Path, valkey_url: str) -> None:
    """A gateway that was stopped or killed is started again where it was; only a death is told."""
    async with servers.node(valkey_url, directory, {"PUSHGW_SERVER__WORKERS": "1"}) as node:
        first = node.pid
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while (told := death(node)) is None:  # noqa: ASYNC110 - a process, no event
                await asyncio.sleep(0.01)
        await node.stop()
        down = (node.pid, death(node))
        await node.start()
        await servers.check_ready(node.admin)
        _, writer = await asyncio.open_connection(node.target.host, node.target.port)
        writer.close()
        second = node.pid

    assert told.startswith(f"gateway-{node.target.port} ended with status -9")
    assert (None, None) == down
    assert second not in {None, first}
    with pytest.raises(ServerError, match="no gateway answers"):
        await servers.check_ready(node.admin)


def death(node: Node) -> str | None:
    try:
        node.check()
    except ServerError as error:
        return str(error)
    return None


def test_an_admin_listener_has_no_path() -> None:
    """A slash at the end of its URL says nothing."""
    assert Target("127.0.0.1", 8801) == replace(
        servers.parse_admin("http://127.0.0.1:8801/"), path=EAS_PATH
    )


async def test_a_gateway_that_is_not_there_is_an_error() -> None:
    """A run against a running gateway says so when none answers."""
    with pytest.raises(ServerError, match=r"no gateway answers on http://127\.0\.0\.1:1"):
        await servers.check_ready(Target("127.0.0.1", 1))


@pytest.mark.parametrize(("line", "is_ready"), [("200 OK", True), ("503 Not Ready", False)])
async def test_a_gateway_is_asked_whether_it_is_ready(line: str, is_ready: bool) -> None:  # noqa: FBT001 - a table's column
    """Only a 200 of /readyz lets a run begin."""
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        writer.write(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        target = Target("127.0.0.1", server.sockets[0].getsockname()[1])
        try:
            await servers.check_ready(target)
            found = True
        except ServerError:
            found = False

    assert (is_ready, [b"/readyz"]) == (found, asked)
