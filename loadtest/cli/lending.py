"""``loadtest lend``."""

from pathlib import Path
from typing import Annotated

import typer

from loadtest import limits
from loadtest.cli.options import AllowTargets, read
from loadtest.cli.telling import INTERRUPTED, reason, refuse
from loadtest.generators import lender


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lend")(lend)


def lend(
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where controllers come; port 0 is any.")
    ] = "127.0.0.1:9400",
    secret_file: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Secret that controllers must know, 16 bytes or more."),
    ],
    allow_target: AllowTargets = [],
) -> None:
    """Lend this host's processes to a controller elsewhere, until a signal ends it."""
    try:
        address, secret = (
            read("--listen", listen, lender.parse_address),
            lender.read_secret(secret_file),
        )
        limits.raise_files(limits.MAX_PHONES + limits.SPARE_FILES)
        service = lender.Lender(address, secret, allow_target)
    except ValueError as error:
        refuse(error)
    except OSError as error:
        refuse(f"--listen: found {listen}, {reason(error)}")
    typer.echo(f"listening on {service.address}")
    try:
        service.serve()
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
