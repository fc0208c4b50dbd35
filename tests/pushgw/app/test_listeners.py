"""Listening sockets on loopback: shared by workers, never by two servers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pushgw.app.listeners import listeners, shown

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="opened")
def _opened() -> Iterator[list[socket.socket]]:
    """Sockets that are closed in the end."""
    sockets: list[socket.socket] = []
    yield sockets
    for one in sockets:
        one.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_sockets_share_one_free_port(opened: list[socket.socket], host: str) -> None:
    """Port 0 gives all sockets the same free port, ready for a loop."""
    opened += listeners(f"{host}:0", 3)

    assert len({shown(one) for one in opened}) == 1
    assert opened[0].getsockname()[1] > 0
    assert not any(one.getblocking() for one in opened)


def test_every_socket_accepts(opened: list[socket.socket]) -> None:
    """A connection reaches one of the sockets, whichever the kernel takes."""
    opened += listeners("127.0.0.1:0", 2)
    for one in opened:
        one.settimeout(0.01)
    accepted = 0
    with socket.create_connection(opened[0].getsockname(), timeout=2):
        for one in opened:
            try:
                peer, _ = one.accept()
            except TimeoutError:
                continue
            peer.close()
            accepted += 1

    assert accepted == 1


@pytest.mark.parametrize("is_ours", [True, False])
def test_taken_port_is_an_error(opened: list[socket.socket], *, is_ours: bool) -> None:
    """A port of another server is taken, also when that one would share it."""
    if is_ours:
        opened += listeners("127.0.0.1:0", 2)
    else:
        opened.append(socket.create_server(("127.0.0.1", 0)))

    with pytest.raises(OSError, match="in use"):
        listeners(shown(opened[0]), 2)


@pytest.mark.parametrize("where", ["192.0.2.1:0", "no-such-host.invalid:0"])
def test_foreign_address_is_an_error(where: str) -> None:
    """An address that this machine does not have cannot be listened on."""
    with pytest.raises(OSError, match=r"."):
        listeners(where, 1)


def test_address_is_shown_as_it_is_set(opened: list[socket.socket]) -> None:
    """What is shown could stand in the settings."""
    opened += [*listeners("127.0.0.1:0", 1), *listeners("[::1]:0", 1)]
    ports = [one.getsockname()[1] for one in opened]

    assert [f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}"] == [shown(one) for one in opened]
