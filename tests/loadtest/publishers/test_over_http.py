"""Changes are posted to a real HTTP server."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtest.publishers import PublishFailedError, open_publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Listen = Callable[..., Awaitable[str]]


class Gateway:
    """Answers posts with the given status codes, the last one again and again."""

    def __init__(self, *answers: int, retry_after: str = "0") -> None:
        self.posted: list[list[dict[str, str]]] = []
        self.url = ""
        self._answers = list(answers)
        self._retry_after = retry_after

    async def changes(self, request: web.Request) -> web.Response:
        assert "application/json" == request.content_type
        self.posted.append(orjson.loads(await request.read())["changes"])
        status = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if status == 0:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 200, headers={"Retry-After": self._retry_after})

    @asynccontextmanager
    async def run(
        self, tls: ssl.SSLContext | None = None, path: str = "/v1/changes"
    ) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post(path, self.changes)
        server = TestServer(app)
        await server.start_server(ssl=tls)
        try:
            yield str(server.make_url("" if path == "/v1/changes" else path))
        finally:
            await server.close()


async def test_a_change_is_posted() -> None:
    """A change is posted with mailbox, folder and class, and its tag as the kind."""
    gateway = Gateway(202)

    async with gateway.run() as url, open_publisher("http", url) as publisher:
        await publisher.publish("alice", "Contacts", "tag")

    expected = {"mailbox": "alice", "folder": "Contacts", "class": "Contacts", "kind": "tag"}
    assert [[expected]] == gateway.posted


async def test_many_changes_are_one_post() -> None:
    """Changes of one loop turn are one body."""
    gateway = Gateway(202)

    async with gateway.run() as url, open_publisher("http", url) as publisher:
        await asyncio.gather(*(publisher.publish(f"u{n}", "INBOX", "tag") for n in range(300)))

    assert [300] == [len(one) for one in gateway.posted]


async def test_a_path_of_its_own_is_taken() -> None:
    """A URL with a path is posted to as it is."""
    gateway = Gateway(202)

    async with gateway.run(path="/own") as url, open_publisher("http", url) as publisher:
        await publisher.publish("alice", "INBOX", "tag")

    assert 1 == len(gateway.posted)


@pytest.mark.parametrize("first", [(503,), (503, 503), (0,)])
async def test_a_passing_fault_is_waited_for(first: tuple[int, ...]) -> None:
    """A post that finds the gateway unavailable, or its connection closed, is sent again."""
    gateway = Gateway(*first, 202)

    async with gateway.run() as url, open_publisher("http", url) as publisher:
        await publisher.publish("alice", "INBOX", "tag")

    assert len(first) + 1 == len(gateway.posted)


async def test_an_unavailable_gateway_is_given_up() -> None:
    """After three posts that were refused the changes fail."""
    gateway = Gateway(503)

    async with gateway.run() as url, open_publisher("http", url) as publisher:
        with pytest.raises(PublishFailedError, match=r"^HTTP 503$"):
            await publisher.publish("alice", "INBOX", "tag")

    assert 3 == len(gateway.posted)


async def test_the_pause_is_the_gateways() -> None:
    """The next post waits as long as the gateway asks."""
    gateway = Gateway(503, retry_after="1")

    async with gateway.run() as url, open_publisher("http", url) as publisher:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await publisher.publish("alice", "INBOX", "tag")

    assert 1 == len(gateway.posted)


async def test_a_refusal_is_final() -> None:
    """Another error than being unavailable fails at once."""
    gateway = Gateway(400)

    async with gateway.run() as url, open_publisher("http", url) as publisher:
        with pytest.raises(PublishFailedError, match=r"^HTTP 400$"):
            await publisher.publish("alice", "INBOX", "tag")

    assert 1 == len(gateway.posted)


async def test_a_gateway_that_is_not_there_has_a_kind() -> None:
    """A connection that is refused fails with its kind."""
    async with open_publisher("http", "http://127.0.0.1:1") as publisher:
        with pytest.raises(PublishFailedError, match=r"^connection refused$"):
            await publisher.publish("alice", "INBOX", "tag")


async def test_what_is_no_http_breaks_the_connection(listen: Listen) -> None:
    """An answer that is no HTTP fails with its kind."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK IMAP4rev1 ready\r\n")

    async with open_publisher("http", await listen("http", answer)) as publisher:
        with pytest.raises(PublishFailedError, match=r"^connection broken$"):
            await publisher.publish("alice", "INBOX", "tag")


async def test_a_gateway_may_speak_tls() -> None:
    """An https URL is trusted as far as the given authorities go."""
    gateway, authority = Gateway(202), trustme.CA()
    here, there = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(here)
    authority.issue_cert("127.0.0.1").configure_cert(there)

    async with gateway.run(there) as url:
        async with open_publisher("http", url, tls=here) as publisher:
            await publisher.publish("alice", "INBOX", "tag")
        async with open_publisher("http", url) as publisher:
            with pytest.raises(PublishFailedError, match=r"^TLS handshake$"):
                await publisher.publish("alice", "INBOX", "tag")

    assert 1 == len(gateway.posted)
