"""What a server shares, or why it cannot start."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from pushgw.app.listeners import shown
from pushgw.app.plan import StartError, capacity, judge_host, make
from pushgw.room import Host
from pushgw.settings import Auth, Limits, Redis, Server, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(name="stack")
def _stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def server(
    *, listen: str = "127.0.0.1:0", admin_listen: str = "127.0.0.1:0", **keys: str
) -> Settings:
    return Settings(server=Server(listen=listen, admin_listen=admin_listen, workers=2, **keys))  # type: ignore[arg-type] # texts only


def refused(settings: Settings, stack: contextlib.ExitStack) -> str:
    with pytest.raises(StartError) as caught:
        make(settings, stack)
    return str(caught.value)


def test_plan_has_a_socket_per_worker(stack: contextlib.ExitStack) -> None:
    """All workers listen on one port, the admin process on its own."""
    plan = make(server(), stack)

    assert len(plan.phones) == 2
    assert len({shown(one) for one in plan.phones}) == 1
    assert shown(plan.admin) != shown(plan.phones[0])
    assert (plan.users, plan.tls) == (None, None)


def test_workers_default_to_the_cores(stack: contextlib.ExitStack) -> None:
    """Without a number there is one worker per core that may be used."""
    settings = Settings(server=Server(listen="127.0.0.1:0", admin_listen="127.0.0.1:0"))

    assert len(os.sched_getaffinity(0)) == len(make(settings, stack).phones)


def test_a_worker_has_the_room_that_the_hard_limit_leaves(stack: contextlib.ExitStack) -> None:
    """All files that may be opened are for phones, but for the reserve that is set."""
    settings = Settings(server=server().server, limits=Limits(reserved_files=60))

    room = make(settings, stack).room

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (soft, 60, soft - 60) == (room.files, room.reserve, room.phones)
    assert soft == hard


def test_too_few_files_are_told(stack: contextlib.ExitStack) -> None:
    """A reserve that leaves nothing is told with what was found, what is allowed, what to do."""
    settings = Settings(server=server().server, limits=Limits(reserved_files=10**10))

    told = refused(settings, stack)

    assert told.startswith("open files: found ")
    assert " of a process, allowed at least 10,000,000,100: " in told
    assert "ulimit -n 10000020000 as root, LimitNOFILE=10000020000 in the systemd unit" in told


def test_the_capacity_is_said_first(stack: contextlib.ExitStack) -> None:
    """The first line of the capacity has the phones of all workers together."""
    room = make(server(), stack).room

    first, *_ = capacity(server())

    assert first.startswith(f"2 workers hold at most {2 * room.phones:,} phones: ")


@pytest.mark.parametrize(
    ("settings", "host", "found"),
    [
        (server(), Host(somaxconn=50), ["net.core.somaxconn"]),
        (server(), Host(somaxconn=4096, ports=(1, 1)), []),
        (Settings(redis=Redis(url="unix:///redis")), Host(ports=(1, 1)), []),
        (
            Settings(redis=Redis(url="rediss://h")),
            Host(ports=(1, 2)),
            ["net.ipv4.ip_local_port_range"],
        ),
    ],
)
def test_a_small_host_is_told(
    stack: contextlib.ExitStack, settings: Settings, host: Host, found: list[str]
) -> None:
    """The host is judged for our backlog and phones, its ports for a Redis over TCP alone."""
    room = make(server(), stack).room

    assert found == [one.name for one in judge_host(settings, room, host)]


@pytest.mark.parametrize(("certificate", "advised"), [("", 0), ("cert.pem", 1)])
def test_memory_is_judged_for_tls(
    stack: contextlib.ExitStack, certificate: str, advised: int
) -> None:
    """With a certificate of our own a phone takes more memory."""
    room = make(server(), stack).room
    host = Host(memory_bytes=2 * min(room.phones, 20_000) * 10_000)

    assert advised == len(judge_host(server(tls_cert=certificate), room, host))


def test_embedded_redis_has_a_socket_of_its_own(stack: contextlib.ExitStack) -> None:
    """The embedded server listens in the private directory of this run."""
    plan = make(server(), stack)

    assert plan.redis_socket is not None
    assert f"unix://{plan.redis_socket}" == plan.redis_url
    assert plan.redis_socket.parent == plan.run_dir
    assert plan.run_dir.stat().st_mode & 0o077 == 0


def test_own_redis_is_taken_as_it_is(stack: contextlib.ExitStack) -> None:
    """An address of a Redis server goes on unchanged."""
    settings = Settings(server=server().server, redis=Redis(url="redis://127.0.0.1:1/2"))
    plan = make(settings, stack)

    assert ("redis://127.0.0.1:1/2", None) == (plan.redis_url, plan.redis_socket)


def test_stack_gives_everything_back() -> None:
    """Sockets are closed and the private directory is gone in the end."""
    with contextlib.ExitStack() as stack:
        plan = make(server(), stack)

    assert [-1] * 3 == [one.fileno() for one in (*plan.phones, plan.admin)]
    assert not plan.run_dir.exists()


def test_run_dir_is_made_private(stack: contextlib.ExitStack, tmp_path: Path) -> None:
    """A directory that is set is made for this user alone, and stays."""
    path = tmp_path / "a" / "b"

    assert path == make(server(run_dir=str(path)), stack).run_dir
    stack.close()
    assert path.stat().st_mode & 0o777 == 0o700


def test_run_dir_that_cannot_be_made_is_told(stack: contextlib.ExitStack, tmp_path: Path) -> None:
    """A directory below a file cannot be made."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run"

    expected = f"server.run_dir: found {path} (Not a directory), allowed a directory to write to"
    assert expected == refused(server(run_dir=str(path)), stack)


def test_run_dir_that_cannot_be_written_is_told(stack: contextlib.ExitStack) -> None:
    """A directory that is there is of no use if nothing can be put into it."""
    assert refused(server(run_dir="/proc"), stack).startswith("server.run_dir: found /proc (")


@pytest.mark.parametrize("key", ["listen", "admin_listen"])
def test_taken_port_is_told(stack: contextlib.ExitStack, key: str) -> None:
    """The setting whose port is taken is named, with what was found and what is allowed."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = shown(other)
        actual = refused(server(**{key: where}), stack)

    allowed = "an address of this machine whose port is free"
    assert f"server.{key}: found {where} (Address already in use), allowed {allowed}" == actual


def test_one_port_for_both_is_told(stack: contextlib.ExitStack) -> None:
    """The admin process cannot have the phones' port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = shown(other)

    actual = refused(server(listen=where, admin_listen=where), stack)

    assert actual.startswith(f"server.admin_listen: found {where} (Address already in use)")


@pytest.mark.parametrize("where", ["192.0.2.1:0", "no-such-host.invalid:0"])
def test_foreign_address_is_told(stack: contextlib.ExitStack, where: str) -> None:
    """An address that is not of this machine is named."""
    assert refused(server(listen=where), stack).startswith(f"server.listen: found {where} (")


def test_users_are_read(stack: contextlib.ExitStack, tmp_path: Path) -> None:
    """A users file is read once, before anything is forked."""
    path = tmp_path / "users"
    path.write_text(f"anna:{CHEAP.hash('secret')}\n", encoding="utf-8")
    settings = Settings(server().server, auth=Auth("users_file", str(path)))

    users = make(settings, stack).users

    assert users is not None
    assert users.check("anna", "secret")


def test_absent_users_file_is_told(stack: contextlib.ExitStack, tmp_path: Path) -> None:
    """A users file that cannot be used is named."""
    path = tmp_path / "users"
    settings = Settings(server().server, auth=Auth("users_file", str(path)))

    assert refused(settings, stack).startswith(f"auth.users_file: {path}: ")


def test_absent_certificate_is_told(stack: contextlib.ExitStack, tmp_path: Path) -> None:
    """A certificate that cannot be read is named."""
    files = {"tls_cert": str(tmp_path / "cert"), "tls_key": str(tmp_path / "key")}

    assert refused(server(**files), stack).startswith("server.tls_cert, server.tls_key: ")
