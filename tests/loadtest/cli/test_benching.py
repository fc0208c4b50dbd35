"""``loadtest bench``: wrong orders, and how a signal ends it."""

from __future__ import annotations

import signal
import tempfile
from time import monotonic, sleep

import pytest

from loadtest import process
from loadtest.benching.rows import Measured
from loadtest.cli.benching import missed

SMALL = ("--devices", "40", "--rate", "20")


@pytest.mark.parametrize(
    ("arguments", "text"), [(["--devices", "10"], "rate is 200 changes a second")]
)
def test_a_wrong_size_is_refused(refused, arguments, text) -> None:
    """A size that makes no sense ends with status 2 and one line."""
    (line,) = refused("bench", *arguments)

    assert text in line


def test_missing_phones_make_a_bench_invalid() -> None:
    """A server that held fewer phones than asked is named, with both numbers; others are not."""
    measured = [
        Measured("gateway", {"new": 1000, "held": 1000}),
        Measured("aiohttp", {"new": 999, "held": 0}),
        Measured("nchan", {"held": 1000}),
    ]

    assert [
        "invalid: aiohttp held 999 of 1,000 new phones in time",
        "invalid: aiohttp held 0 of 1,000 phones that came back in time",
    ] == list(missed(1000, measured))


def others(root: int) -> set[int]:
    return set(process.tree(root)) - {root}


def alive(pids: set[int]) -> list[int]:
    # Not who is listed: a container may keep the dead that nobody waited for.
    return [pid for pid in pids if process.memory_bytes(pid)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_bench_puts_all_away(start, number) -> None:
    """A signal ends a bench with one line and the status of a shell; nothing goes on running."""
    with start("bench", *SMALL) as bench:
        line = bench.stdout.readline()
        started = others(bench.pid)
        bench.send_signal(number)
        _, errors = bench.communicate(timeout=30)

    assert "gateway: 40 new phones\n" == line
    assert len(started) >= 4  # Valkey, gateway, worker, load process
    ended = f"ended by {number.name} before there was a result\n"
    assert (128 + number, ended) == (bench.returncode, errors)
    assert [] == alive(started)


def test_a_killed_bench_leaves_nothing(start) -> None:
    """The servers and the load process of a bench end when it is killed."""
    with (
        tempfile.TemporaryDirectory() as directory,  # it cannot remove its files either
        start("bench", *SMALL, TMPDIR=directory) as bench,
    ):
        bench.stdout.readline()
        started = others(bench.pid)
        bench.kill()
        bench.communicate(timeout=30)
        until = monotonic() + 20
        while (left := alive(started)) and monotonic() < until:
            sleep(0.05)

    assert len(started) >= 4
    assert [] == left
