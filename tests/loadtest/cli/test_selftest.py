"""The generator finds what a server does wrong, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from loadtest.cli import app, selftest
from loadtest.faulty.findings import Finding
from loadtest.figures import Figures
from loadtest.result import Result

SMALL = ("--devices", "400", "--duration", "5s", "--lose", "100", "--delay", "50")


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtest", "selftest", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )


def test_the_generator_finds_exactly_what_the_server_did() -> None:
    """Lost, delayed, spurious and duplicate are equal on both sides, and the status is 0."""
    found = call(*SMALL, "--spurious", "50", "--duplicate", "50")

    rows = re.findall(r"│ (\w+) +│ +([\d,]+) │ +([\d,]+) │ (\w+) +│", found.stdout)
    assert (0, "") == (found.returncode, found.stderr)
    assert ["changes", "lost", "delayed", "spurious", "duplicate"] == [row[0] for row in rows]
    assert all(done == seen and done != "0" and same == "yes" for _, done, seen, same in rows)
    assert "the generator found exactly what the server did" == found.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--devices", "0"], "devices: found 0, allowed 1 or more"),
        (["--devices", "1M"], "--devices: found 1,000,000, allowed at most"),
        (["--rate", "x"], "--rate: found 'x', allowed a rate"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], text: str) -> None:
    """A mistake ends with status 2 and one line that says what is allowed."""
    found = CliRunner().invoke(app, ["selftest", *arguments])

    assert (2, 1) == (found.exit_code, found.stderr.count("\n"))
    assert text in found.stderr


def test_differences_are_told_one_by_one() -> None:
    """Of many changes that one side alone names the first ones are listed, and their number."""
    differences = tuple(f"lost, but not missed: r-{number}" for number in range(25))
    figures = Figures()
    figures.errors["reset"] = 2
    result = Result(
        name="selftest",
        command="loadtest selftest",
        started="2026-01-01T00:00:00+00:00",
        duration=1.0,
        devices=1,
        seed=1,
        profile={},
        environment={},
        figures=figures,
        moments=(),
        invalid=("too slow",),
    )

    lines = list(selftest.lines((Finding("lost", 25, 0, differences),), result))

    assert list(differences[:20]) == lines[1:21]
    assert ["and 5 more", "errors: reset 2", "generator lag p99 0 ms"] == lines[21:24]
    assert ["invalid: too slow", "the generator did not find exactly what the server did"] == (
        lines[24:]
    )
