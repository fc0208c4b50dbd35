"""``loadtest bench-million``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from loadtest import limits
from loadtest.benching import million, million_run, report
from loadtest.benching.million import Found
from loadtest.benching.million_run import Order
from loadtest.benching.rows import judge
from loadtest.benching.whole_machine import LowMemoryError
from loadtest.cli import options
from loadtest.cli.telling import fail, perform, reason, refuse, say
from loadtest.controller import Audience
from loadtest.profiles import units
from loadtest.profiles.profile import Profile
from loadtest.screen import view
from loadtest.screen.dashboard import Plan
from loadtest.wording import tally

NAME: Final = "bench-million"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(NAME)(run)


def run(
    *,
    devices: Annotated[str, typer.Option(metavar="N", help="Phones, such as 20000 or 1M.")] = "1M",
    hold: Annotated[
        str, typer.Option(metavar="T", help="How long all of them are held, such as 30s or 10m.")
    ] = "10m",
    rate: Annotated[
        str | None,
        typer.Option(metavar="R", help="Changes, if not 500/s for each million phones."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the figures and their plot go.")
    ] = Path("bench/results"),
) -> None:
    """Hold a million Pings on this machine, gateway, Valkey and phones; status 1 if it fails."""
    try:
        profile = million.load(
            devices=options.read("--devices", devices, units.parse_count),
            hold=options.read("--hold", hold, units.parse_duration),
            rate=options.read_if_given("--rate", rate, units.parse_rate),
        )
    except ValueError as error:
        refuse(error)
    console = Console(**options.terminal())
    _check(profile, out, console)
    found = _perform(profile, console)
    raise typer.Exit(0 if _finish(found, out, console) else 1)


def _check(profile: Profile, out: Path, console: Console) -> None:
    """End where this host has too little for the phones; say what may spoil the figures."""
    host = limits.read_host()
    shortages = limits.judge(million.needs(profile, host), host)
    if missing := [f"missing {one}" for one in shortages if one.is_fatal]:
        refuse("\n".join(missing))
    for one in shortages:
        say(console, f"warning: {one}")
    try:
        out.mkdir(parents=True, exist_ok=True)  # half an hour is too long to find that out
    except OSError as error:
        refuse(f"--out {out}: {reason(error)}")


def _perform(profile: Profile, console: Console) -> Found:
    try:
        order = million_run.engage(profile)
    except OSError as error:
        fail(f"cannot start the generator processes: {reason(error)}")
    try:
        return perform(_run(order, console))
    except LowMemoryError as error:
        fail(error)
    finally:
        order.crew.dismiss()


async def _run(order: Order, console: Console) -> Found:
    profile = order.profile
    plan = Plan(NAME, profile.devices, profile.planned)
    with view.open_screen(console, plan) as screen:
        return await million_run.perform(order, Audience(show=screen.show, mark=screen.mark))


def _finish(found: Found, out: Path, console: Console) -> bool:
    """Tell what was found and write it; return whether all that is asked for was reached."""
    rows, measured = million.rows(found.profile), million.measured(found)
    title = f"{found.profile.devices:,} phones, gateway and Valkey on one machine"
    console.print(report.table(title, rows, [measured]))
    doubts = million.doubts(found)
    extra = {
        "profile": found.profile.as_json(),
        "errors": found.errors,
        "invalid": doubts,
        "looks": [asdict(one) for one in found.looks],
        "weighings": [asdict(one) for one in found.weighings],
    }
    paths = report.write(out, NAME, rows, [measured], extra)
    for line in (
        *(f"invalid: {one}" for one in doubts),
        *([f"errors: {tally(found.errors)}"] if found.errors else ()),
        ", ".join(f"{name} {one}" for name, one in report.environment().items()),
        *(f"wrote {path}" for path in paths),
    ):
        say(console, line)
    return all(one.is_reached for one in judge(rows, measured, []))
