"""What commands say and how they end, loadtest/cli/telling.py."""

from __future__ import annotations

import asyncio
import io
import os
import signal

import pytest
import typer
from rich.console import Console

from loadtest.benching.load_process import LoadError
from loadtest.cli import telling
from loadtest.controller import GeneratorError
from loadtest.servers import ServerError
from notifier.publisher import PublishError


def test_a_line_is_said_as_it_is() -> None:
    """A line is neither wrapped nor read as markup."""
    console = Console(file=io.StringIO(), width=20)
    telling.say(console, "wrote [bold]/a/rather/long/path[/] 1,234")

    assert "wrote [bold]/a/rather/long/path[/] 1,234\n" == console.file.getvalue()


@pytest.mark.parametrize(("end", "status"), [(telling.refuse, 2), (telling.fail, 1)])
def test_errors_are_lines(capsys, end, status) -> None:
    """Each line of an error begins alike, on standard error; a wrong order has status 2."""
    with pytest.raises(typer.Exit) as raised:
        end(ValueError("one\ntwo"))

    assert status == raised.value.exit_code
    assert ("", "error: one\nerror: two\n") == capsys.readouterr()


def test_what_was_performed_is_returned() -> None:
    """The outcome of a command is handed on."""

    async def main() -> int:
        return 3

    assert 3 == telling.perform(main())


@pytest.mark.parametrize("kind", [ServerError, PublishError, LoadError, GeneratorError])
def test_what_fails_is_said_in_one_line(capsys, kind) -> None:
    """What a server, a publisher or a generator did ends a command with status 1."""

    async def main() -> None:
        raise kind("gone")

    with pytest.raises(typer.Exit) as raised:
        telling.perform(main())

    assert 1 == raised.value.exit_code
    assert ("", "error: gone\n") == capsys.readouterr()


def test_a_signal_is_named(capsys) -> None:
    """A command that a signal ends before its result has the status that a shell gives."""

    async def main() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(10)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(typer.Exit) as raised:
            telling.perform(main())
    finally:
        signal.signal(signal.SIGTERM, before)

    assert 143 == raised.value.exit_code
    assert ("", "ended by SIGTERM before there was a result\n") == capsys.readouterr()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x"), "no such file or directory"),
        (OSError("Odd"), "odd"),
    ],
)
def test_a_reason_has_no_number(error, text) -> None:
    """A system's error is told in its own words, without its number and the path."""
    assert text == telling.reason(error)
