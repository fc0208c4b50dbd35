"""Cuts TCP connections the way networks do: nobody is told.

Linux only; a socket filter needs no privileges.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Final, Protocol

_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h; the socket module has no name for it
_TCP_REPAIR: Final = 19  # linux/tcp.h
# One instruction, BPF_RET | BPF_K with 0: keep no byte of any packet. Source: linux/filter.h.
_KEEP_NOTHING: Final = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)
# struct sock_fprog: number of instructions, and where they are; the kernel makes a copy.
_PROGRAM: Final = struct.pack("HP", 1, ctypes.addressof(_KEEP_NOTHING))


class HasOptions(Protocol):
    """A socket, or what a transport of asyncio or uvloop has for one."""

    def setsockopt(self, level: int, optname: int, value: int | bytes, /) -> None:
        """Set an option of the socket."""


def go_silent(sock: HasOptions) -> None:
    """Let the kernel drop every packet that comes for a TCP socket from now on.

    The peer's data is never acknowledged and its FIN never answered, and it gets no reset: for
    the peer this end is gone, as behind a NAT that forgot it. What this end sends still leaves,
    so send nothing more; a plain close sends FIN.

    Raises:
        OSError: If the system has no such filters.
    """
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _PROGRAM)


def vanish(sock: HasOptions) -> bool:
    """Let a TCP socket be closed without a FIN or a reset; close it next.

    After that the port is unknown here: whatever the peer sends is answered with a reset. To keep
    it in the dark longer, `go_silent` and close later.

    Returns:
        Whether the peer will be told nothing. Without CAP_NET_ADMIN it gets a FIN, and this end
        takes no notice of what it answers.
    """
    try:
        go_silent(sock)
        # A socket under repair is taken apart without a word to the peer. Source: net/ipv4/tcp.c.
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    except OSError:
        return False
    return True
