"""``loadtest bench-100k``: wrong orders, and what it says in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import typer
from typer.testing import CliRunner

from loadtest import limits
from loadtest.benching.hundred_rows import Size
from loadtest.benching.hundred_thousand import Findings
from loadtest.benching.rows import Measured
from loadtest.cli import benching_100k

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Size(devices=400, rate=4)
HELD = {"new": 400.0, "held": 400.0, "back": 400.0, "held_kb": 2.4}


def invoked(*arguments: str) -> Any:
    app = typer.Typer(pretty_exceptions_enable=False)
    benching_100k.register(app)
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--devices", "99"], "error: devices is 99, at least 100 are allowed\n"),
        (["--devices", "100", "--rate", "26"], "error: rate is 26 changes a second, more than 0"),
    ],
)
def test_a_wrong_size_is_refused(arguments: list[str], text: str) -> None:
    """A size that makes no sense ends with status 2 and one line."""
    result = invoked(*arguments)

    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(text)


def test_a_host_without_room_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Too few open files end the command before anything starts, with what mends it."""
    host = replace(limits.read_host(), files_hard=256)
    with pytest.raises(typer.Exit) as ended:
        benching_100k._check(SMALL, host)

    assert 1 == ended.value.exit_code
    assert "error: open files: 256, needs 700: ulimit -n 700\n" == capsys.readouterr().err


def test_a_short_queue_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """What may spoil the figures is said before they are taken."""
    benching_100k._check(SMALL, replace(limits.read_host(), somaxconn=128))

    assert "warning: net.core.somaxconn is 128, " in capsys.readouterr().out


@pytest.mark.parametrize(("back", "is_good"), [(400.0, True), (398.0, False)])
def test_missing_phones_fail(
    back: float, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, is_good: bool
) -> None:
    """A bench is good when no phone was missing; table, file and last lines say so."""
    measured = Measured("gateway", {**HELD, "back": back})
    findings = Findings(measured, {"restart": {"HTTP 503": 2}})
    found = benching_100k._finish(SMALL, findings, {"net.core.somaxconn": 128}, tmp_path)
    said, document = (
        capsys.readouterr().out,
        orjson.loads((tmp_path / "bench-100k.json").read_bytes()),
    )
    line = "invalid: restart: phones held again: 398, at least 400 asked"

    assert is_good == found
    assert "errors, restart: HTTP 503 2\n" in said
    assert ", net.core.somaxconn 128\n" in said
    assert ([] if is_good else [line]) == document["missing"]
    assert is_good == (line not in said)


def test_limits_of_the_system_are_told() -> None:
    """A reader sees the limits that the machine had, unknown ones included, and its load."""
    found = benching_100k._system(replace(limits.read_host(), somaxconn=128, conntrack_max=None))

    assert (128, "unknown") == (
        found["net.core.somaxconn"],
        found["net.netfilter.nf_conntrack_max"],
    )
    assert float(found["load average before"]) >= 0
