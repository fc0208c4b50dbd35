"""A generator host lends processes to those that know its secret."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiohttp.test_utils import TestServer

from loadtest import ending, process, running
from loadtest.benching.rivals.aiohttp_hold import build
from loadtest.controller import Audience
from loadtest.generators import lender
from loadtest.generators.assignment import Assignment
from loadtest.generators.lender import Address, LenderError
from loadtest.running import Place
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadtest.profiles.profile import Profile

SECRET = b"0123456789abcdef"

IMPATIENT = f"""
from loadtest.generators.lender import Address, Lender
lender = Lender(Address("127.0.0.1", 0), {SECRET!r}, most=3, hello_within=0.3)
print("listening on", lender.address, flush=True)
lender.serve()
"""


@contextmanager
def lending(*command: str) -> Iterator[tuple[Address, subprocess.Popen[str]]]:
    """A lender as a process of its own, and where it listens."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield lender.parse_address(process.stdout.readline().split()[-1]), process
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lender") / "secret"
    path.write_bytes(SECRET + b"\n")
    return path


@pytest.fixture(scope="module")
def address(secret_file: Path) -> Iterator[Address]:
    """A lender as operators start it; it allows loopback only."""
    where = ["--listen", "127.0.0.1:0", "--secret-file", str(secret_file)]
    with lending("-m", "loadtest", "lend", *where) as (found, _):
        yield found


@pytest.fixture(scope="module")
def impatient() -> Iterator[tuple[Address, int]]:
    """A lender that waits 0.3 s for a proof and lends three processes; its process id."""
    with lending("-c", IMPATIENT) as (found, process):
        yield found, process.pid


def connect(to: Address) -> socket.socket:
    connection = socket.create_connection((to.host, to.port), timeout=10)
    connection.recv(4096)  # its offer
    return connection


def test_who_knows_the_secret_gets_a_process(address: Address) -> None:
    """A hired process waits for its part, and says what is wrong with it."""
    with lender.hire(address, SECRET) as channel, channel.makefile("rwb") as stream:
        stream.write(b'{"begin": 1}\n')
        stream.flush()
        told = orjson.loads(stream.readline())

    assert {"failed"} == set(told)
    assert told["failed"].startswith("found no assignment")


def test_who_does_not_know_the_secret_gets_nothing(address: Address) -> None:
    """A wrong secret is an error that says so."""
    with pytest.raises(LenderError, match="the secret is another one than this lender's"):
        lender.hire(address, b"fedcba9876543210")


def test_a_host_that_the_lender_does_not_allow_is_refused(
    address: Address, profile: Callable[..., Profile]
) -> None:
    """What may be loaded is decided by the lender, whatever the controller allows."""
    part = Assignment(
        run="r",
        profile=profile(),
        part=0,
        parts=1,
        devices=1,
        targets=(Target("192.0.2.1", 80),),
        allowed=("192.0.2.1",),
    )
    with lender.hire(address, SECRET) as channel, channel.makefile("rwb") as stream:
        stream.write(orjson.dumps({"begin": part.as_json()}) + b"\n")
        stream.flush()
        told = orjson.loads(stream.readline())["failed"]

    assert told.startswith("found '192.0.2.1', only loopback addresses are allowed")
    assert 1 == len(told.splitlines())


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\xff\xfe\n",
        b"[]\n",
        b"null\n",
        b'{"proof": "\xc3\xa9"}\n',
        b'{"proof": null}\n',
        b"x" * 10_000,
    ],
)
def test_what_is_no_controller_does_not_disturb(address: Address, said: bytes) -> None:
    """Whoever else comes by gets no process, and the next controller gets one."""
    with connect(address) as stranger:
        try:
            stranger.sendall(said)
            stranger.shutdown(socket.SHUT_WR)
            answer = stranger.recv(4096)
        except OSError:  # it said more than was read
            answer = b""

    assert b"ready" not in answer
    lender.hire(address, SECRET).close()


def test_silent_connections_hold_up_nobody(address: Address) -> None:
    """While strangers say nothing, a controller gets its process at once."""
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(address))
        began = monotonic()
        lender.hire(address, SECRET).close()

        assert monotonic() - began < lender.HELLO_WITHIN / 2


@pytest.mark.parametrize("pause", [0.0, 0.04], ids=["silent", "a byte now and then"])
def test_who_proves_nothing_in_time_is_dropped(
    impatient: tuple[Address, int], pause: float
) -> None:
    """The time for the proof is one for all of it, however it is spread."""
    began = monotonic()
    with connect(impatient[0]) as stranger:
        stranger.settimeout(pause or 10)
        found = None
        while found is None and monotonic() < began + 10:
            try:
                if pause:
                    stranger.send(b"x")
                found = stranger.recv(1)
            except TimeoutError:
                continue
            except OSError:
                found = b""

    assert b"" == found
    assert 0.25 < monotonic() - began < 5


def test_a_lender_lends_so_many_processes(impatient: tuple[Address, int]) -> None:
    """One connection more is closed; when a process has ended, there is room again."""
    address, _ = impatient
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(hired(address))
        with pytest.raises(LenderError, match=r"no lender at .*: it closed the connection"):
            lender.hire(address, SECRET)

    hired(address).close()


def test_ended_processes_are_collected(impatient: tuple[Address, int]) -> None:
    """A process that a controller let go of is gone within seconds, not a zombie."""
    address, pid = impatient
    hired(address).close()

    until = monotonic() + 10
    while len(process.tree(pid)) > 1 and monotonic() < until:
        sleep(0.02)
    assert [pid] == process.tree(pid)


def hired(address: Address) -> socket.socket:
    """Hire as soon as there is room."""
    until = monotonic() + 10
    while True:
        try:
            return lender.hire(address, SECRET)
        except LenderError:
            if monotonic() > until:
                raise
            sleep(0.05)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_a_lender_ends_with_what_it_lent(
    secret_file: Path, number: signal.Signals, status: int
) -> None:
    """A signal ends the lender, and its processes do not stay."""
    where = ["--listen", "127.0.0.1:0", "--secret-file", str(secret_file)]
    with lending("-m", "loadtest", "lend", *where) as (address, process):
        with lender.hire(address, SECRET) as channel:
            os.kill(process.pid, number)
            channel.settimeout(10)
            end = channel.recv(1)

        assert (b"", status) == (end, process.wait(10))


def test_no_lender_is_an_error() -> None:
    """An address where nobody listens is named."""
    with pytest.raises(LenderError, match=r"no lender at 127\.0\.0\.1:1: Connection refused"):
        lender.hire(Address("127.0.0.1", 1), SECRET)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"* OK IMAP4rev1\r\n", "it does not speak as a lender or controller does"),
        (b'{"format": 99, "nonce": "1"}\n', "speaks version 99, this one 1"),
        (b"[]\n", "speaks version None"),
        (b'{"format": 1}\n', "it closed the connection"),
    ],
)
def test_another_server_is_no_lender(said: bytes, text: str) -> None:
    """What does not speak as a lender of this version does is an error that says what it is."""

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(LenderError, match=text):
            lender.hire(Address("127.0.0.1", listener.getsockname()[1]), SECRET)
        thread.join()


def test_a_dead_host_is_noticed(address: Address) -> None:
    """A channel between hosts is watched: one that vanishes does not leave it open for ever."""
    with lender.hire(address, SECRET) as channel:
        assert 1 == channel.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert channel.gettimeout() is None


def test_lent_processes_perform_a_run(
    address: Address, profile: Callable[..., Profile], valkey_url: str
) -> None:
    """Two processes of a lender are two parts of one run, from first phone to closed account."""
    crew = running.engage(0, [(address, 2)], SECRET)

    async def main() -> Any:
        async with TestServer(build(valkey_url)) as server:
            assert server.port is not None
            place = Place(targets=(Target("127.0.0.1", server.port),), publisher_url=valkey_url)
            audience = Audience(show=lambda _: None, mark=lambda _: None)
            return await running.perform(profile(), place, crew, audience, command="")

    try:
        result = ending.run(main())
    finally:
        crew.dismiss()

    counts = result.figures.counts
    assert (20, 20, 0) == (counts["published"], counts["received"], counts["missed"])
    assert (40, 2) == (result.most_held, result.moments[-1].processes)
    assert result.generator_bytes_per_phone is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.2:9400", Address("10.0.0.2", 9400)),
        ("loader-1.example.org:1", Address("loader-1.example.org", 1)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:9400", Address("::1", 9400)),
    ],
)
def test_an_address_is_read_and_written(text: str, found: Address) -> None:
    """Host and port come out as they were typed, IPv6 in its brackets."""
    assert (found, text) == (lender.parse_address(text), str(found))


@pytest.mark.parametrize("text", ["", "host", ":9400", "host:", "host:x", "host:65536", "h:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """The error says what an address looks like."""
    with pytest.raises(LenderError, match=r"allowed is an address like 10\.0\.0\.2:9400"):
        lender.parse_address(text)


def test_a_secret_is_read_without_its_line_end(secret_file: Path) -> None:
    """The line end that an editor leaves is not part of the secret."""
    assert lender.read_secret(secret_file) == SECRET


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    """A secret that could be guessed is none."""
    path = tmp_path / "short"
    path.write_bytes(b"hunter2\n")

    with pytest.raises(LenderError, match="found 7 bytes, at least 16 are needed"):
        lender.read_secret(path)


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is named with the reason."""
    with pytest.raises(LenderError, match=r"--secret-file .*/none: No such file"):
        lender.read_secret(tmp_path / "none")
