"""What the commands say, and how they end: errors in one line, and exit statuses.

Status 0 is good, 1 a run that failed (a missed change, a threshold, a server that is not there),
2 a wrong order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import typer

from loadtest import ending, servers
from loadtest.benching.load_process import LoadError
from loadtest.controller import GeneratorError
from loadtest.ending import EndedError
from notifier.publisher import PublishError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rich.console import Console

    Outcome = TypeVar("Outcome")

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as a shell has it."""


def say(console: Console, line: str) -> None:
    """Print a line as it is: neither wrapped nor coloured, whatever brackets it has."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def refuse(error: object) -> NoReturn:
    """Say what is wrong with an order, one mistake a line, and end with status 2."""
    _complain(error)
    raise typer.Exit(2)


def fail(error: object) -> NoReturn:
    """Say why a right order could not be carried out, and end with status 1."""
    _complain(error)
    raise typer.Exit(1)


def perform(main: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a command; what ends it before its result is said in one line."""
    try:
        return ending.run(main)
    except EndedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_status) from None
    except (servers.ServerError, PublishError, LoadError, GeneratorError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def reason(error: OSError) -> str:
    """Return what the system says, without the number and the path."""
    return (error.strerror or str(error)).lower()


def _complain(error: object) -> None:
    for line in str(error).splitlines():
        typer.echo(f"error: {line}", err=True)
