"""Listening sockets: bound before anything is forked, so that a taken port is a clear error."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from pushgw.settings import address

BACKLOG: Final = 4096
"""Connections that may wait for accept; the kernel caps it at net.core.somaxconn."""


def listeners(where: str, count: int) -> tuple[socket.socket, ...]:
    """Bind ``count`` sockets to one address; the kernel spreads connections over them.

    Args:
        where: ``HOST:PORT``; with port 0 all get the same free one.
        count: At least 1.

    Raises:
        OSError: If the address is not of this machine, or its port is taken, also by a server that
            would share it.
    """
    host, port = address(where)
    family, _, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with contextlib.ExitStack() as undo:
        # Without SO_REUSEPORT first: it fails when anybody has the port, also another gateway.
        with _socket(family) as probe:
            probe.bind(target)
            target = probe.getsockname()
        sockets = []
        for _ in range(count):
            one = undo.enter_context(_socket(family))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(target)
            one.listen(BACKLOG)
            one.setblocking(False)
            sockets.append(one)
        undo.pop_all()
    return tuple(sockets)


def shown(one: socket.socket) -> str:
    """Write the address of a socket as it would be set."""
    host, port, *_ = one.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _socket(family: socket.AddressFamily) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return one
