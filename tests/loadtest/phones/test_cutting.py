"""Connections are cut without a word, on two real sockets."""

from __future__ import annotations

import asyncio
import fcntl
import select
import socket
import struct
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest
import uvloop

from loadtest.phones.cutting import go_silent, vanish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux'")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """This end and the peer of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    with here, peer:
        yield here, peer


def unacknowledged(sock: socket.socket) -> int:
    found = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", found)[0])


def is_readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0.05)[0])


def test_nothing_reaches_a_silent_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    """What the peer of a silent socket sends is neither delivered nor acknowledged nor refused."""
    here, peer = pair
    go_silent(here)
    peer.sendall(b"hello")

    assert not is_readable(here)
    assert not is_readable(peer)
    assert 5 == unacknowledged(peer)


def test_a_socket_hears_before_it_is_silent(pair: tuple[socket.socket, socket.socket]) -> None:
    """What the peer sends to a socket that is not silent is acknowledged."""
    here, peer = pair
    peer.sendall(b"hello")

    assert is_readable(here)
    assert 0 == unacknowledged(peer)


def test_a_vanished_socket_says_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    """The peer of a vanished socket sees neither an end nor an error."""
    here, peer = pair
    if not vanish(here):
        pytest.skip("needs CAP_NET_ADMIN")
    here.close()

    assert not is_readable(peer)


def test_a_vanished_port_refuses_what_comes_later(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """What the peer of a vanished socket sends is answered with a reset."""
    here, peer = pair
    if not vanish(here):
        pytest.skip("needs CAP_NET_ADMIN")
    here.close()
    peer.sendall(b"hello")

    with pytest.raises(ConnectionResetError):
        peer.recv(1)


class NotAllowed:
    def __init__(self) -> None:
        self.options: list[int] = []

    def setsockopt(self, _: int, option: int, value: int | bytes, /) -> None:
        self.options.append(option)
        if value == 1:
            raise PermissionError


def test_without_privileges_a_socket_is_only_silent() -> None:
    """Where a connection cannot be taken apart, the filter stays and the caller is told."""
    sock = NotAllowed()

    assert not vanish(sock)
    assert [26, 19] == sock.options


async def cut_by_transport() -> int:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
        peer, _ = listener.accept()
    with peer:
        go_silent(transport.get_extra_info("socket"))
        peer.sendall(b"hello")
        await asyncio.sleep(0.02)
        found = unacknowledged(peer)
        vanish(transport.get_extra_info("socket"))
        transport.abort()
    return found


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_the_socket_of_a_transport_can_be_cut(run: Callable[..., int]) -> None:
    """What transports of asyncio and uvloop give for a socket can be made silent."""
    assert 5 == run(cut_by_transport())


def test_a_half_answered_write_stays_open(pair: tuple[socket.socket, socket.socket]) -> None:
    """A silent end does not take part in the peer's close."""
    here, peer = pair
    go_silent(here)
    peer.shutdown(socket.SHUT_WR)
    time.sleep(0.01)

    assert not is_readable(here)
