"""``loadtest bench``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtest.benching import bench, report
from loadtest.benching.bench import Size
from loadtest.cli.telling import perform, refuse


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(run)


def run(
    *,
    devices: Annotated[int, typer.Option(help="Phones held at each server.")] = 10_000,
    rate: Annotated[float, typer.Option(help="Changes a second.")] = 200,
    seconds: Annotated[float, typer.Option(help="Length of the notify phase.")] = 20,
    out: Annotated[Path, typer.Option(help="Where the figures go, as JSON.")] = Path("bench.json"),
) -> None:
    """Measure the gateway beside the plain aiohttp handler; status 1 if phones were missing."""
    try:
        size = Size(devices, rate, seconds)
    except ValueError as error:
        refuse(error)
    gateway, rival = results = perform(bench.perform(size, typer.echo))
    Console().print(report.table(gateway, rival))
    for promise in report.promises(gateway, rival):
        typer.echo(str(promise))
    invalid = list(report.invalid(results))
    for line in invalid:
        typer.echo(line)
    typer.echo(", ".join(f"{name} {one}" for name, one in report.environment().items()))
    out.write_bytes(report.document(size, results))
    typer.echo(f"wrote {out}")
    raise typer.Exit(1 if invalid else 0)
