"""``loadtest measure``."""

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from loadtest.calibration import measuring
from loadtest.calibration.size import FULL, QUICK
from loadtest.capacity import tables
from loadtest.capacity.model import COSTS, CostError, CostModel, to_json
from loadtest.capacity.validation import PROMISE
from loadtest.cli import options
from loadtest.cli.telling import perform, refuse


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("measure")(run)


def run(
    *,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the costs go, for plan --costs.")
    ] = Path("costs.json"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Within a minute; the error bars are wide.")
    ] = False,
    validate: Annotated[
        bool, typer.Option(help="Compare a prediction with a further measurement.")
    ] = True,
) -> None:
    """Measure what the gateway costs on this host; status 1 if the costs predict it badly."""
    size = QUICK if quick else FULL
    try:
        check_out(out)
        measuring.check_size(size)
    except ValueError as error:
        refuse(error)
    try:
        model = perform(measuring.perform(size, typer.echo, validates=validate))
    except CostError as error:
        _fail(f"too little was measured to tell a cost: {error}")
    raise typer.Exit(0 if finish(model, out) else 1)


class OutError(ValueError):
    """The file cannot be written."""


def check_out(out: Path) -> None:
    """Do nothing if a file can be written.

    Raises:
        OutError: If it cannot, as far as that can be told now.
    """
    if out.is_dir():
        raise OutError(f"--out {out}: found a directory, the name of a file is allowed")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise OutError(f"--out {out}: found no file or directory that may be written")


def finish(model: CostModel, out: Path) -> bool:
    """Print the costs, write them, and tell whether they predict well enough."""
    console = Console(**options.terminal())
    found = {name: getattr(model.costs, name) for name in COSTS}
    console.print(tables.measurements_table(found))
    if model.validation:
        console.print(tables.validation_table(model))
    try:
        out.write_text(to_json(model), encoding="utf-8")
    except OSError as error:
        _fail(f"--out {out}: {error.strerror}")
    typer.echo(f"wrote {out}")
    bad = [one for one in model.validation if abs(one.error) > PROMISE]
    for one in bad:
        typer.echo(f"{one.what}: {one.error:+.1f} %, allowed {PROMISE:g} %: measure on a calm host")
    return not bad


def _fail(text: str) -> NoReturn:
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(1) from None
