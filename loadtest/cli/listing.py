"""``loadtest profiles``."""

import typer
from rich.console import Console
from rich.table import Table

from loadtest.cli import options
from loadtest.profiles import reading as profiles


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profiles")(show)


def show() -> None:
    """List the profiles that come along."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for name, description in profiles.describe():
        table.add_row(name, description)
    Console(**options.terminal()).print(table)
