"""``loadtest bench-million``: wrong orders, what it says in the end, and how a signal ends it."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from typer.testing import CliRunner

from loadtest import limits, process
from loadtest.benching.whole_machine import LowMemoryError
from loadtest.cli import app, benching_million
from tests.loadtest.benching.million_samples import found

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ("bench-million", "--devices", "100", "--hold", "1s", "--rate", "40/s")


def invoked(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--devices", "0"], "devices: found 0, allowed 1 or more"),
        (["--devices", "many"], "--devices: found 'many', allowed a whole number"),
        (["--hold", "0"], "duration: found 0"),
        (["--hold", "10q"], "--hold: found '10q' with the unknown unit 'q'"),
        (["--rate", "fast"], "--rate: found 'fast'"),
        (["--devices", "100", "--out", "/dev/null/x"], "--out /dev/null/x: not a directory"),
    ],
)
def test_a_wrong_order_is_refused(refused, arguments: list[str], text: str) -> None:
    """A mistake ends with status 2 and what is allowed, before any process is started."""
    assert refused("bench-million", *arguments)[0].startswith(text)


def test_a_small_machine_is_refused(refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the memory for a million is told how many fit, before anything starts."""
    host = replace(limits.read_host(), memory_bytes=8 << 30)
    monkeypatch.setattr(limits, "read_host", lambda: host)
    (line,) = refused("bench-million")

    assert line.startswith("missing memory: 8 GB available, needs 1")
    assert ": free some, or --devices " in line


def test_a_short_queue_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What may spoil the figures is said before they are taken; too little memory ends a run."""
    host = replace(limits.read_host(), somaxconn=10)

    async def perform(*_: object) -> None:
        raise LowMemoryError("memory: 1 GB available")

    monkeypatch.setattr(limits, "read_host", lambda: host)
    monkeypatch.setattr("loadtest.benching.million_run.perform", perform)
    result = invoked(*SMALL, "--out", str(tmp_path))

    assert 1 == result.exit_code
    assert result.stdout.startswith("warning: net.core.somaxconn is 10, ")
    assert "error: memory: 1 GB available\n" == result.stderr


def test_processes_that_do_not_start_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the generator cannot be started, that is said in one line."""

    def engage(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("loadtest.benching.million_run.engage", engage)
    result = invoked(*SMALL, "--out", str(tmp_path))

    expected = "error: cannot start the generator processes: resource temporarily unavailable\n"
    assert (1, expected) == (result.exit_code, result.stderr)


def test_a_good_run_is_told_and_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run that reaches all that is asked has status 0, a table and a document."""
    out = tmp_path / "bench/results"
    monkeypatch.setattr(benching_million, "_perform", lambda *_: found())
    result = invoked(*SMALL, "--out", str(out))
    document = orjson.loads((out / "bench-million.json").read_bytes())

    assert (0, "") == (result.exit_code, result.stderr)
    assert "1,000 phones, gateway and Valkey on one machine" in result.stdout
    assert f"wrote {out}/bench-million.json\n" in result.stdout
    assert 1000 == document["figures"]["gateway"]["held_least"] == document["profile"]["devices"]
    assert (3, 4) == (len(document["looks"]), len(document["weighings"]))


def test_what_is_not_reached_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run that misses a limit has status 1, and tells its errors and why it is not valid."""
    run = found(errors={"timeout": 2}, invalid=("the generator was late",))
    monkeypatch.setattr(benching_million, "_perform", lambda *_: run)
    result = invoked(*SMALL, "--out", str(tmp_path))

    assert 1 == result.exit_code
    assert "invalid: the generator was late\nerrors: timeout 2\n" in result.stdout
    assert "not reached" in result.stdout


def test_an_interrupted_bench_leaves_nothing(start: Any, tmp_path: Path) -> None:
    """A signal ends a bench with one line and the status of a shell; nothing goes on running."""
    arguments = ("--devices", "100", "--hold", "60s", "--out", str(tmp_path))
    with start("bench-million", *arguments) as bench:
        next(line for line in bench.stdout if "mark: " in line)
        started = set(process.tree(bench.pid)) - {bench.pid}
        bench.send_signal(signal.SIGTERM)
        _, errors = bench.communicate(timeout=30)

    assert (143, "ended by SIGTERM before there was a result\n") == (bench.returncode, errors)
    assert len(started) >= 5  # Valkey, gateway, worker, generators
    assert not [pid for pid in started if process.memory_bytes(pid)]
