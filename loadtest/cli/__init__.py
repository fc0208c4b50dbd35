"""The command ``loadtest``."""

from __future__ import annotations

import typer

from loadtest.cli import (
    benching,
    benching_100k,
    benching_million,
    comparing,
    finding,
    lending,
    listing,
    measuring,
    planning,
    running,
    selftest,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Simulated phones for EAS servers and Direct Push gateways, and a capacity planner.",
)
_MODULES = (
    running,
    finding,
    comparing,
    listing,
    lending,
    measuring,
    planning,
    benching,
    benching_100k,
    benching_million,
    selftest,
)
for _module in _MODULES:
    _module.register(app)


def main() -> None:
    """Run the command line."""
    app(prog_name="loadtest")
