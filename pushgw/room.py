"""How many phones fit into the workers, and which limits of the host are in their way.

Rules:
    1. A held Ping is an open file of its worker, so the limit of open files is the room. A part of
       it is kept back: a worker without a file left could reach neither Redis nor its log.
    2. A limit of the host is judged only where it can be met: an advice that most operators had to
       ignore would teach them to ignore all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_PHONES: Final = 100
"""Phones of a worker; with room for fewer, the reserve or the limit is a mistake."""
MEASURED_PHONES: Final = 20_000
"""Phones of a worker up to which it was measured.

The host is judged for no more. Distributions allow a process 524,288 files and more, which is no
sign that anybody wants that many phones.
"""
PHONE_BYTES: Final = 7_424
"""Memory of a held Ping: 2.5 KiB of the worker, the most that the bench allows, and 4.75 KiB of the
kernel for a socket in an epoll set (measured, the same for every server)."""
TLS_BYTES: Final = 22 * 1024
"""What TLS in the worker adds to that (measured with uvloop)."""
CROWDED: Final = 0.9
"""Share of the source ports from which on the kernel has to search for a free one."""
WIDE_PORTS: Final = (10_240, 65_535)
"""A range of source ports without those on which the gateway and others usually listen."""


class RoomError(ValueError):
    """Too few open files; the text says how many were found and how many are allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a worker can hold."""

    files: int
    """Files that it may open."""
    reserve: int
    """Of these, kept for everything that is no phone."""
    phones: int
    """Pings that it holds at most; a further one is refused."""
    connections: int
    """Connections from which on it accepts no more. Above ``phones``, so that a phone is told that
    it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the host allows; None where there is no limit, or where it could not be read."""

    somaxconn: int | None = None
    """net.core.somaxconn: connections that wait to be accepted, at most for any listener."""
    syn_backlog: int | None = None
    """net.ipv4.tcp_max_syn_backlog: handshakes under way on a listener."""
    has_syncookies: bool = False
    """net.ipv4.tcp_syncookies: whether handshakes go on without being remembered."""
    conntrack_max: int | None = None
    """net.netfilter.nf_conntrack_max; None where connections are not tracked."""
    files_max: int | None = None
    """fs.file-max: open files of all processes."""
    nr_open: int | None = None
    """fs.nr_open: open files of a process, whatever its limit says."""
    ports: tuple[int, int] | None = None
    """net.ipv4.ip_local_port_range: the first and the last source port."""
    memory_bytes: int | None = None
    """Available, of the machine and of the process' control group."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A limit of the host that is too low for the phones."""

    name: str
    """As ``sysctl`` spells it, where it is one of the kernel's."""
    found: int
    wanted: int
    why: str
    """What the limit bounds, and what happens beyond it."""
    command: str
    """What mends it."""

    def __str__(self) -> str:
        figures = f"found {self.found:,}, wanted {self.wanted:,}"
        return f"{self.name}: {figures} ({self.why}): {self.command}"


def make(files: int, reserve: int) -> Room:
    """Divide the open files of a worker.

    Args:
        files: That it may open.
        reserve: Of these, for everything that is no phone.

    Raises:
        RoomError: If fewer than `LEAST_PHONES` phones are left.
    """
    if files - reserve < LEAST_PHONES:
        raise RoomError(
            f"found {files:,} of a process, allowed at least {reserve + LEAST_PHONES:,}: "
            f"{reserve:,} are kept back, and {LEAST_PHONES} phones need one each"
        )
    return Room(
        files=files,
        reserve=reserve,
        phones=files - reserve,
        connections=files - reserve // 2,
    )


def sentence(room: Room, workers: int) -> str:
    """Say how many phones all workers hold, and why not more."""
    subject, each = ("1 worker holds", "") if workers == 1 else (f"{workers} workers hold", " each")
    return (
        f"{subject} at most {workers * room.phones:,} phones: {room.files:,} open files{each}, "
        f"{room.reserve:,} kept for Redis, the EAS server and logs"
    )


def expected(room: Room, workers: int) -> int:
    """Return the phones for which to judge the host: all that fit, as far as was measured."""
    return workers * min(room.phones, MEASURED_PHONES)


def judge(
    host: Host, *, phones: int, backlog: int, opened: int = 0, tls: bool = False
) -> list[Advice]:
    """List the limits of the host that are too low.

    Args:
        host: What it allows.
        phones: Held by all workers together.
        backlog: Connections that may wait for accept, as each worker asks the kernel for it.
        opened: Connections that the gateway opens to one address and port, all processes together.
            Phones need no source port here.
        tls: Whether the workers themselves encrypt.
    """
    return [
        *_queues(host, phones, backlog),
        *_tables(host, phones),
        *_ports(host, opened),
        *_memory(host, phones * (PHONE_BYTES + TLS_BYTES * tls)),
    ]


def _queues(host: Host, phones: int, backlog: int) -> Iterator[Advice]:
    # Linux asks for tcp_max_syn_backlog only without SYN cookies (tcp_conn_request).
    syn_backlog = None if host.has_syncookies else host.syn_backlog
    for name, found, what in (
        ("net.core.somaxconn", host.somaxconn, "connections that wait for a worker"),
        ("net.ipv4.tcp_max_syn_backlog", syn_backlog, "handshakes under way, without SYN cookies"),
    ):
        # Few phones cannot fill a queue, even when all come at once.
        if found is not None and found < min(phones, backlog):
            why = f"{what}; those of a storm beyond it are dropped"
            yield _sysctl(name, found, backlog, why)


def _tables(host: Host, phones: int) -> Iterator[Advice]:
    for name, found, wanted, why in (
        (
            "net.netfilter.nf_conntrack_max",
            host.conntrack_max,
            # Closed ones stay for two minutes (nf_conntrack_tcp_timeout_time_wait).
            phones + phones // 5,
            "tracked connections, also those just closed; packets of further ones are dropped",
        ),
        (
            "fs.file-max",
            host.files_max,
            2 * phones,
            "open files of all processes; a proxy in front and the system need theirs too",
        ),
    ):
        if found is not None and found < wanted:
            yield _sysctl(name, found, wanted, why)


def _ports(host: Host, opened: int) -> Iterator[Advice]:
    if host.ports is None:
        return
    found, wanted = host.ports[1] - host.ports[0] + 1, int(opened / CROWDED)
    if found < wanted:
        yield Advice(
            "net.ipv4.ip_local_port_range",
            found,
            wanted,
            "source ports of connections to one address; further ones fail",
            'sysctl -w net.ipv4.ip_local_port_range="{} {}"'.format(*WIDE_PORTS),
        )


def _memory(host: Host, wanted: int) -> Iterator[Advice]:
    if host.memory_bytes is not None and host.memory_bytes < wanted:
        yield Advice(
            "available memory in MB",
            host.memory_bytes // 1_000_000,
            -(-wanted // 1_000_000),
            "held Pings and the kernel's part of their connections",
            "more memory, or a lower server.workers",
        )


def _sysctl(name: str, found: int, wanted: int, why: str) -> Advice:
    return Advice(name, found, wanted, why, f"sysctl -w {name}={wanted}")
