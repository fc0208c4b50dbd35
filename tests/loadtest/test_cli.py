"""The command line: bad arguments, and one whole run with everything real."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys

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


def run(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "loadtest", "run", "smoke", "--serve", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_a_whole_run_loses_nothing() -> None:
    """A run that starts Valkey and gateway itself ends with "lost 0" and status 0."""
    with run("--devices", "40", "--duration", "1", "--rate", "20") as process:
        output, errors = process.communicate(timeout=60)

    assert (0, "") == (process.returncode, errors)
    assert "lost 0" == output.splitlines()[-1]


def test_an_interrupted_run_prints_its_table() -> None:
    """Ctrl-C during the changes ends a run with its summary, and nothing goes on running."""
    with run("--devices", "40", "--duration", "30", "--rate", "20") as process:
        assert process.stdout is not None
        lines = itertools.islice(process.stdout, 6)  # one line each 5 s
        answering = any("answered 0" not in line for line in lines)
        servers = set(measure.tree(process.pid)) - {process.pid}
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)

    assert answering
    assert (0, "lost 0") == (process.returncode, output.splitlines()[-1])
    assert [] == [pid for pid in servers if measure.tree(pid)]
