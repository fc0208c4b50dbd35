"""The command line: bad arguments, and one whole run with everything real."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
from time import monotonic, sleep

import pytest
from typer.testing import CliRunner

from loadtest import measure
from loadtest.cli import app


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "smokee", "--serve"], "no profile 'smokee': did you mean 'smoke'?"),
        (["run", "smoke"], "found neither --serve nor --redis"),
        (["run", "smoke", "--target", "http://192.0.2.1"], "only loopback addresses are allowed"),
        (["run", "smoke", "--admin", "ftp://localhost"], "a URL like http://127.0.0.1:8800"),
        (["run", "smoke", "--serve", "--devices", "0"], "devices is 0, at least 1 is allowed"),
        (["run", "smoke", "--serve", "--devices", "99999"], "at most"),
        (["run", "smoke", "--serve", "--rate", "9999"], "rate is 9999 changes a second"),
        (["bench", "--devices", "10"], "rate is 200 changes a second"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], text: str) -> None:
    """A mistake ends with status 2 and one line that says what is allowed."""
    found = CliRunner().invoke(app, arguments)

    assert (2, 1) == (found.exit_code, found.stderr.count("\n"))
    assert text in found.stderr


def test_a_gateway_that_is_away_is_an_error() -> None:
    """Without a gateway, a run ends with status 1 and the reason."""
    where = ["--target", "http://127.0.0.1:1", "--admin", "http://127.0.0.1:1"]
    found = CliRunner().invoke(app, ["run", "smoke", *where, "--redis", "unix:///nowhere"])

    assert 1 == found.exit_code
    assert "error: no gateway answers" in found.stderr


SMALL = ("--devices", "40", "--rate", "20")


def run(*arguments: str) -> subprocess.Popen[str]:
    return loadtest("run", "smoke", "--serve", *SMALL, *arguments)


def loadtest(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def test_a_whole_run_loses_nothing() -> None:
    """A run that starts Valkey and gateway itself ends with "lost 0" and status 0."""
    with run("--duration", "1") as process:
        output, errors = process.communicate(timeout=60)

    assert (0, "") == (process.returncode, errors)
    assert "lost 0" == output.splitlines()[-1]


def others(process: subprocess.Popen[str]) -> set[int]:
    return set(measure.tree(process.pid)) - {process.pid}


def alive(pids: set[int]) -> list[int]:
    # Not who is listed: a container may keep the dead that nobody waited for.
    return [pid for pid in pids if measure.memory_bytes(pid)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_prints_its_table(number: signal.Signals) -> None:
    """A signal to all during the changes ends a run with its summary, and nothing goes on."""
    with run("--duration", "30") as process:
        assert process.stdout is not None
        lines = itertools.islice(process.stdout, 6)  # one line each 5 s
        answering = any("answered 0" not in line for line in lines)
        servers = others(process)
        os.killpg(process.pid, number)
        output, errors = process.communicate(timeout=30)

    assert answering
    assert (0, "lost 0", "") == (process.returncode, output.splitlines()[-1], errors)
    assert [] == alive(servers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_bench_puts_all_away(number: signal.Signals) -> None:
    """A signal ends a bench with one line and the status of a shell; nothing goes on running."""
    with loadtest("bench", *SMALL) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        started = others(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)

    assert "gateway: 40 new phones\n" == line
    assert len(started) >= 4  # Valkey, gateway, worker, load process
    ended = f"ended by {number.name} before there was a result\n"
    assert (128 + number, ended) == (process.returncode, errors)
    assert [] == alive(started)


def test_a_killed_bench_leaves_nothing() -> None:
    """The servers and the load process of a bench end when it is killed."""
    with (
        tempfile.TemporaryDirectory() as directory,  # it cannot remove its files either
        loadtest("bench", *SMALL, TMPDIR=directory) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        started = others(process)
        process.kill()
        process.communicate(timeout=30)
        until = monotonic() + 20
        while (left := alive(started)) and monotonic() < until:
            sleep(0.05)

    assert len(started) >= 4
    assert [] == left
