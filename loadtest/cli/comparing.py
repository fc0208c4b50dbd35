"""``loadtest compare``."""

import random
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtest.cli import options
from loadtest.cli.telling import refuse, say
from loadtest.judging import comparing
from loadtest.judging.compare import Verdict, compare


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(show)


def show(
    before: Annotated[
        Path, typer.Argument(metavar="A", help="Directory that run --out wrote, or its JSON.")
    ],
    after: Annotated[
        Path, typer.Argument(metavar="B", help="The run that may be better or worse.")
    ],
    *,
    strict: Annotated[
        bool, typer.Option("--strict", metavar="", help="Status 1 if it became worse.")
    ] = False,
) -> None:
    """Put two runs side by side, with a verdict that knows noise."""
    try:
        runs = comparing.read_summary(before), comparing.read_summary(after)
    except comparing.CompareError as error:
        refuse(error)
    found = compare(*runs, random.Random(1))
    is_worse = any(row.verdict is Verdict.WORSE for row in found.rows)
    console = Console(**options.terminal())
    console.print(comparing.table(found))
    for line in (*found.notes, found.verdict):
        say(console, line)
    raise typer.Exit(1 if strict and is_worse else 0)
