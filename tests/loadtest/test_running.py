"""A whole run, as the commands perform it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from loadtest import process, running
from loadtest.generators.lender import Address, LenderError
from loadtest.profiles.profile import Fault
from loadtest.profiles.units import Span
from loadtest.running import Place
from loadtest.servers import ServerError
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtest.profiles.profile import Profile

HERE = Target("127.0.0.1", 8800)


def test_phones_are_divided_among_processes(profile: Callable[..., Profile]) -> None:
    """All parts together have all phones, share one run and differ in their number."""
    found = running.assignments(profile(devices=10), Place(targets=(HERE,)), 4)

    assert [3, 3, 2, 2] == [one.devices for one in found]
    assert [0, 1, 2, 3] == [one.part for one in found]
    assert 1 == len({one.run for one in found})


def test_what_is_known_of_the_place_goes_along(profile: Callable[..., Profile]) -> None:
    """Each process is told where to go, from where, and how changes are made."""
    place = Place(
        targets=(HERE,),
        sources=("127.0.1.1",),
        allowed=("mail.example.org",),
        publisher="lmtp",
        publisher_url="lmtp://127.0.0.1:24",
        tls_ca="/ca.pem",
        insecure=True,
    )
    (found,) = running.assignments(profile(), place, 1)

    names = ("targets", "sources", "allowed", "publisher", "publisher_url", "tls_ca", "insecure")
    assert [getattr(place, name) for name in names] == [getattr(found, name) for name in names]


def test_a_lender_that_is_away_engages_nobody() -> None:
    """Without all of its lenders a run does not begin."""
    with pytest.raises(LenderError, match="no lender"):
        running.engage(1, [(Address("127.0.0.1", 1), 1)], b"")


def test_a_dismissed_crew_is_gone() -> None:
    """Processes end with their crew, whatever they were told."""
    crew = running.engage(2)
    crew.dismiss()

    for pid in crew.pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


RESTARTS = (Fault(at=Span(0.1), kind="restart"), Fault(at=Span(0.2), kind="restart"))


def restarting(*calls: Callable[[], object]) -> tuple[Callable[[], Any], ...]:
    async def restart(call: Callable[[], object]) -> None:
        await asyncio.sleep(0.01)
        call()

    return tuple(lambda call=call: restart(call) for call in calls)


def test_servers_are_restarted_and_thresholds_judged(
    standing: Place, profile: Callable[..., Profile], perform: Callable[..., Any]
) -> None:
    """All servers are restarted in turn each time; each threshold says what was found."""
    order: list[int] = []
    load = profile(faults=RESTARTS, asserts=("missed==0", "published<5"))
    place = replace(standing, restarts=restarting(lambda: order.append(1), lambda: order.append(2)))

    ran = perform(load, place)

    assert [True, False] == [one.is_met for one in ran.result.judged]
    assert "published" in ran.result.judged[1].found
    assert not ran.result.is_good
    assert [1, 2, 1, 2] == order
    assert [
        "server 1 of 2 is being restarted",
        "server 1 of 2 is back",
        "server 2 of 2 is being restarted",
        "server 2 of 2 is back",
    ] * 2 == ran.marked[1:]


def test_a_restart_that_fails_ends_the_run(
    standing: Place, profile: Callable[..., Profile], perform: Callable[..., Any]
) -> None:
    """A run that cannot do what its profile asks for ends soon, with the reason."""

    def fail() -> None:
        raise ServerError("'false' ended with status 1")

    began = monotonic()
    with pytest.raises(ServerError, match="'false' ended with status 1"):
        perform(
            profile(faults=RESTARTS, duration=3600.0), replace(standing, restarts=restarting(fail))
        )

    assert monotonic() - began < 30


# Below, the command itself: what it prints, its exit status, and what it leaves running.


@contextmanager
def loadtest(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "loadtest", "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    ) as one:
        try:
            yield one
        finally:
            one.kill()


def hear_changes(redis_url: str, count: int) -> None:
    """Wait until so many changes are published."""
    with Redis.from_url(redis_url) as client, client.pubsub() as bus:
        bus.psubscribe("pushgw:*")
        until = monotonic() + 30
        while count and monotonic() < until:
            message = bus.get_message(timeout=1.0)
            count -= message is not None and message["type"] == "pmessage"


def others(command: subprocess.Popen[str]) -> set[int]:
    return set(process.tree(command.pid)) - {command.pid}


def alive(pids: set[int]) -> list[int]:
    # Not who is listed: a container may keep the dead that nobody waited for.
    return [pid for pid in pids if process.memory_bytes(pid)]


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's own directory: its name can be longer than a socket address may be.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def socket_in(directory: Path) -> str:
    """Return the URL of the Valkey that a run starts, whose files are in a directory."""
    until = monotonic() + 30
    while not (found := list(directory.glob("*/valkey.sock"))) and monotonic() < until:
        sleep(0.02)
    return f"unix://{found[0]}"


def test_an_interrupted_run_writes_its_report(tmp_path: Path, directory: Path) -> None:
    """Ctrl-C ramps down: the account is closed, the report written, the status that of the run."""
    options = ("--serve", "--devices", "200", "--duration", "60s", "--out", str(tmp_path))
    with loadtest("smoke", *options, TMPDIR=str(directory)) as command:
        hear_changes(socket_in(directory), 5)
        started = others(command)
        os.killpg(command.pid, signal.SIGINT)
        output, errors = command.communicate(timeout=60)

    assert (0, "") == (command.returncode, errors)
    assert "mark: stopped" in output
    assert "lost 0" == output.splitlines()[-1]
    assert "smoke" in (tmp_path / "report.html").read_text()
    assert len(started) >= 4  # generators, Valkey, gateway, its workers
    assert [] == alive(started)


def test_a_killed_generator_ends_the_command(directory: Path) -> None:
    """A run that lost one of its processes ends with one line and status 1; nothing goes on."""
    options = ("--serve", "--devices", "200", "--duration", "60s", "--processes", "2")
    with loadtest("overnight-surge", *options, TMPDIR=str(directory)) as command:
        assert command.stdout is not None
        next(line for line in command.stdout if "phones held" in line)
        started = others(command)
        generators = [pid for pid in started if cmdline(pid) == cmdline(command.pid)]
        os.kill(generators[0], signal.SIGKILL)
        _, errors = command.communicate(timeout=60)

    assert 2 == len(generators)
    assert 1 == command.returncode
    assert errors.startswith("error: generator process ")
    assert errors.endswith(" ended before the run was over\n")
    assert 1 == errors.count("\n")
    assert [] == alive(started)


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


PLAIN = """
devices = 60
duration = "1500ms"
settle = "100ms"
grace = "500ms"
[arrival]
rate = "2000/s"
[changes]
rate = "40/s"
[[phones]]
kind = "fixed"
"""


@contextmanager
def plain_server(redis_url: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The plain server as a process that nobody looks after, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = "loadtest.benching.rivals.aiohttp_hold"
    with subprocess.Popen([sys.executable, "-m", module, str(port), redis_url]) as server:
        until = monotonic() + 20
        while monotonic() < until:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            sleep(0.05)
        try:
            yield port, server
        finally:
            server.kill()


def test_a_target_that_stops_answering_does_not_end_the_run(
    tmp_path: Path, valkey_url: str
) -> None:
    """The run goes on to its end, counts what failed by kind, tells what was missed: status 1."""
    plain = tmp_path / "plain.toml"
    plain.write_text(PLAIN)
    with plain_server(valkey_url) as (port, server):
        where = ("--target", f"http://127.0.0.1:{port}", "--publisher", "redis")
        with loadtest(str(plain), *where, "--publish-to", valkey_url) as command:
            hear_changes(valkey_url, 15)
            server.kill()
            output, errors = command.communicate(timeout=60)

    lines = output.splitlines()
    lost = int(lines[-1].removeprefix("lost "))
    assert (1, "") == (command.returncode, errors)
    assert re.search(r"published +. 60 ", output)
    assert "connection refused" in next(line for line in lines if "│ errors" in line)
    assert 0 < lost < 60
    assert min(lost, 20) == sum(line.startswith("missed: change ") for line in lines)
