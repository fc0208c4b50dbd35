"""Targets and limits of a fleet; its phones are exercised by the runner's tests."""

from __future__ import annotations

import asyncio
import resource

import pytest

from loadtest import fleet
from loadtest.fleet import Target, TargetError, check_files, parse_target
from loadtest.polling import poll
from loadtest.scenario import Habits


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8800", Target("127.0.0.1", 8800)),
        ("http://localhost:8800/", Target("127.0.0.1", 8800)),
        ("http://[::1]:8800", Target("::1", 8800)),
        ("http://127.3.2.1", Target("127.3.2.1", 80)),
    ],
)
def test_a_server_on_this_machine_is_a_target(url: str, target: Target) -> None:
    """Loopback addresses of both families and localhost are accepted."""
    assert target == parse_target(url)


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8800", "http://mail.example.org", "http://0.0.0.0"]
)
def test_another_machine_is_no_target(url: str) -> None:
    """Everything that is not loopback is refused with the reason."""
    with pytest.raises(TargetError, match="only loopback addresses are allowed"):
        parse_target(url)


@pytest.mark.parametrize("url", ["127.0.0.1:8800", "https://127.0.0.1", "http://", "http://x:y"])
def test_what_is_no_http_url_is_no_target(url: str) -> None:
    """Other schemes and half URLs are refused with what was found."""
    with pytest.raises(TargetError, match="found"):
        parse_target(url)


def test_the_host_header_brackets_ipv6() -> None:
    """The Host header of an IPv6 target has brackets."""
    assert "[::1]:8800" == Target("::1", 8800).name


def test_more_phones_than_files_are_refused() -> None:
    """The error tells how many phones this process can hold."""
    with pytest.raises(ValueError, match=r"devices is 1000000, at most \d+ are allowed"):
        check_files(1_000_000)


def test_the_limit_of_files_is_raised_when_allowed() -> None:
    """A low soft limit does not keep phones away that the hard limit allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, before[1]))
    try:
        check_files(200)
        found = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert 700 == found


async def test_a_refused_connection_is_counted_and_tried_again() -> None:
    """Phones of a server that is not there back off, one error each."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    async with fleet.run(Target("127.0.0.1", port), lambda *_: None) as phones:
        phones.add([Habits(patience=60.0)] * 3, rate=1000)
        assert await poll(lambda: phones.states["waiting"] == 3, within=5)
        assert {"connection refused": 3} == phones.errors
