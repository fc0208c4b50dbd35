"""What all processes of a server share, made before the first of them is forked."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pushgw import embedded, host, room
from pushgw.app.listeners import BACKLOG, listeners
from pushgw.balance import Tally
from pushgw.settings.loading import tls_context
from pushgw.users_file import UsersFile, UsersFileError

if TYPE_CHECKING:
    import socket
    import ssl

    from pushgw.room import Advice, Host, Room
    from pushgw.settings import Settings

REDIS_CONNECTIONS: Final = 2
"""Of a worker: one for commands and one that listens. The admin process has one."""


class StartError(Exception):
    """The server cannot start; the text says what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One server."""

    settings: Settings
    room: Room
    """Of each worker."""
    run_dir: Path
    """Of this user alone: the processes' sockets to each other."""
    redis_url: str
    phones: tuple[socket.socket, ...]
    """Listening sockets for phones, one per worker, all on one port."""
    admin: socket.socket
    users: UsersFile | None
    """None: nobody is asked for credentials."""
    tls: ssl.SSLContext | None
    tally: Tally
    """How many phones each worker has."""

    @property
    def redis_socket(self) -> Path | None:
        """Where the embedded Redis server listens, None if there is none."""
        is_embedded = self.settings.redis.url == "embedded"
        return self.run_dir / embedded.SOCKET if is_embedded else None


def make(settings: Settings, stack: contextlib.ExitStack) -> Plan:
    """Bind and read all that a server needs; the stack gives it back.

    The limit of open files is raised for good, for this process and its children.

    Raises:
        StartError: If an address, a file or a certificate cannot be used, or too few files may be
            opened.
    """
    fitting = room_of_worker(settings)
    run_dir = _run_dir(settings, stack)
    url = settings.redis.url
    return Plan(
        settings=settings,
        room=fitting,
        run_dir=run_dir,
        redis_url=f"unix://{run_dir / embedded.SOCKET}" if url == "embedded" else url,
        phones=_bound("server.listen", settings.server.listen, count_workers(settings), stack),
        admin=_bound("server.admin_listen", settings.server.admin_listen, 1, stack)[0],
        users=_users(settings),
        tls=_tls(settings),
        tally=Tally(count_workers(settings)),
    )


def count_workers(settings: Settings) -> int:
    """Return how many processes hold phones."""
    return settings.server.workers or len(os.sched_getaffinity(0))


def room_of_worker(settings: Settings) -> Room:
    """Raise the limit of open files, and say what a worker can hold with it.

    Raises:
        StartError: If too few files may be opened.
    """
    reserve = settings.limits.reserved_files
    try:
        return room.make(host.raise_files(), reserve)
    except room.RoomError as error:
        wanted = reserve + room.MEASURED_PHONES
        remedy = f"ulimit -n {wanted} as root, LimitNOFILE={wanted} in the systemd unit"
        raise StartError(
            f"open files: {error}: {remedy}, or a lower limits.reserved_files"
        ) from None


def capacity(settings: Settings) -> list[str]:
    """Say how many phones fit here, then what this host has too little of, one line each.

    Raises:
        StartError: If too few files may be opened.
    """
    fitting = room_of_worker(settings)
    return [
        room.sentence(fitting, count_workers(settings)),
        *map(str, judge_host(settings, fitting, host.read())),
    ]


def judge_host(settings: Settings, fitting: Room, here: Host) -> list[Advice]:
    """List what a host has too little of for the phones that fit into the workers."""
    workers = count_workers(settings)
    is_redis_over_tcp = settings.redis.url.startswith(("redis://", "rediss://"))
    return room.judge(
        here,
        phones=room.expected(fitting, workers),
        backlog=BACKLOG,
        opened=is_redis_over_tcp * (workers * REDIS_CONNECTIONS + 1),
        tls=bool(settings.server.tls_cert),
    )


def taken_ports(settings: Settings) -> list[str]:
    """Say which of the addresses to listen on cannot be bound now, one line each."""
    addresses = {
        "server.listen": settings.server.listen,
        "server.admin_listen": settings.server.admin_listen,
    }
    mistakes = []
    for key, where in addresses.items():
        with contextlib.ExitStack() as stack:
            try:
                _bound(key, where, 1, stack)
            except StartError as error:
                mistakes.append(str(error))
    return mistakes


def _run_dir(settings: Settings, stack: contextlib.ExitStack) -> Path:
    if not settings.server.run_dir:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushgw-")))
    path = Path(settings.server.run_dir)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        text = f"server.run_dir: found {path} ({error.strerror}), allowed a directory to write to"
        raise StartError(text) from None
    return path


def _bound(
    key: str, where: str, count: int, stack: contextlib.ExitStack
) -> tuple[socket.socket, ...]:
    try:
        sockets = listeners(where, count)
    except OSError as error:
        reason = error.strerror or str(error)
        allowed = "an address of this machine whose port is free"
        raise StartError(f"{key}: found {where} ({reason}), allowed {allowed}") from None
    for one in sockets:
        stack.callback(one.close)
    return sockets


def _users(settings: Settings) -> UsersFile | None:
    if settings.auth.method == "open":
        return None
    try:
        return UsersFile(Path(settings.auth.users_file))
    except UsersFileError as error:
        raise StartError(f"auth.users_file: {error}") from None


def _tls(settings: Settings) -> ssl.SSLContext | None:
    try:
        return tls_context(settings.server)
    except OSError as error:
        raise StartError(f"server.tls_cert, server.tls_key: {error}") from None
