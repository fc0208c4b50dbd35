"""``loadtest bench``."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from loadtest.benching import bench, report, small_rows
from loadtest.benching.rows import Measured
from loadtest.benching.size import Size
from loadtest.calibration import certificates
from loadtest.cli import options
from loadtest.cli.telling import perform, refuse, say

NAME: Final = "bench"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(NAME)(run)


def run(
    *,
    devices: Annotated[int, typer.Option(help="Phones held at each server.")] = 15_000,
    rate: Annotated[float, typer.Option(help="Changes a second.")] = 200,
    seconds: Annotated[float, typer.Option(help="Length of the notify phase.")] = 20,
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where the figures and their plot go.")
    ] = Path("bench/results"),
) -> None:
    """Measure the gateway beside its rivals; status 1 if phones were missing."""
    try:
        size = Size(devices, rate, seconds)
    except ValueError as error:
        refuse(error)
    found = perform(bench.perform(size, typer.echo, certificates.make))
    console, rows = Console(**options.terminal()), small_rows.rows(devices)
    console.print(report.table(f"{devices:,} phones", rows, found.measured))
    missing = list(missed(devices, found.measured))
    skipped = [f"skipped: {what}: {why}" for what, why in found.skipped.items()]
    versions = ", ".join(f"{name} {one}" for name, one in report.environment().items())
    extra = {"size": asdict(size), "skipped": found.skipped, "missing": missing}
    paths = report.write(out, NAME, rows, found.measured, extra)
    for line in (*skipped, *missing, versions, *(f"wrote {path}" for path in paths)):
        say(console, line)
    raise typer.Exit(1 if missing else 0)


def missed(devices: int, measured: Sequence[Measured]) -> Iterator[str]:
    """Yield a line for each server that held fewer phones than it was asked to.

    Args:
        devices: How many that was.
        measured: The figures of the servers.
    """
    for one in measured:
        for key, kind in (("new", "new phones"), ("held", "phones that came back")):
            held = one.figures.get(key, devices)
            if held < devices:
                yield f"invalid: {one.name} held {held:,.0f} of {devices:,} {kind} in time"
