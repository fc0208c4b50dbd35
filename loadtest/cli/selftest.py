"""``loadtest selftest``."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from loadtest import limits, running, servers, targets, wording
from loadtest.cli import options
from loadtest.cli.grouping import grouped
from loadtest.cli.options import What, Who
from loadtest.cli.telling import perform, refuse
from loadtest.controller import Audience
from loadtest.faulty import findings
from loadtest.faulty.faults import Done, Faults
from loadtest.faulty.findings import Finding
from loadtest.profiles.profile import Profile
from loadtest.result import Result
from loadtest.running import Crew, Place
from loadtest.screen import view
from loadtest.screen.dashboard import Plan
from loadtest.servers import Server

PROFILE: Final = resources.files("loadtest.faulty") / "selftest.toml"
SHOWN: Final = 20
"""Differences that are listed one by one."""
_USUAL: Final = Faults()


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("selftest")(grouped(run))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The options that say how much is put on the server."""

    devices: Annotated[str | None, typer.Option(metavar="N", help="Phones, if not 2000.")] = None
    rate: Annotated[str | None, typer.Option(metavar="R", help="Changes, if not 200/s.")] = None
    duration: Annotated[str | None, typer.Option(metavar="T", help="If not 20s.")] = None
    seed: Annotated[int | None, typer.Option(metavar="S", help="Equal seeds give equal loads.")] = (
        None
    )

    def profile(self) -> Profile:
        """Put the options into the profile.

        Raises:
            ValueError: If one of them is wrong.
        """
        what = What(
            name=str(PROFILE),
            devices=self.devices,
            rate=self.rate,
            duration=self.duration,
            seed=self.seed,
        )
        return what.profile()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """The options that say what the server does wrong; 0 is never."""

    lose: Annotated[int, typer.Option(metavar="N", min=0, help="Lose every Nth change.")] = (
        _USUAL.lose
    )
    delay: Annotated[
        int, typer.Option(metavar="N", min=0, help="Delay every Nth of the others.")
    ] = _USUAL.delay
    spurious: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Name an unchanged folder in every Nth answer."),
    ] = _USUAL.spurious
    duplicate: Annotated[
        int, typer.Option(metavar="N", min=0, help="Give every Nth answer once more.")
    ] = _USUAL.duplicate

    def faults(self) -> Faults:
        """Return them as a value."""
        return Faults(**asdict(self))


def run(*, load: Load, wrong: Wrong) -> None:
    """Find what a server does wrong on purpose; status 1 if anything else was found."""
    try:
        profile = load.profile()
    except ValueError as error:
        refuse(error)
    console = Console(**options.terminal())
    crew = _engage(profile)
    try:
        found, result = perform(_run(profile, wrong.faults(), crew, console))
    finally:
        crew.dismiss()
    _show(found, result, console)
    raise typer.Exit(0 if all(one.is_same for one in found) else 1)


def _engage(profile: Profile) -> Crew:
    host = limits.read_host()
    if profile.devices > host.max_phones:
        refuse(
            f"--devices: found {profile.devices:,}, allowed at most {host.max_phones:,}: the "
            "server is one process"
        )
    needs = Who().needs(profile, Place(targets=()))
    limits.raise_files(profile.devices + limits.SPARE_FILES)  # the server inherits it
    return running.engage(needs.processes)


async def _run(
    profile: Profile, faults: Faults, crew: Crew, console: Console
) -> tuple[Sequence[Finding], Result]:
    plan = Plan(profile.name, profile.devices, profile.planned)
    with TemporaryDirectory(prefix="loadtest-") as directory:
        async with servers.faulty(faults.options(), Path(directory)) as server:
            with view.open_screen(console, plan) as screen:
                result = await running.perform(
                    profile,
                    _place(server),
                    crew,
                    Audience(show=screen.show, mark=screen.mark),
                    command=options.command_line(),
                )
            return findings.compare(await _ask(server), result), result


def _place(server: Server) -> Place:
    admin = f"http://{server.admin.name}"
    return Place(
        targets=(server.target,),
        sources=targets.default_sources((server.target,)),
        publisher="http",
        publisher_url=admin,
        admins=(admin,),
        pids=lambda: (server.pid,),
        check=server.check,
    )


async def _ask(server: Server) -> Done:
    """Ask the server what it did.

    Raises:
        ServerError: If it does not say so.
    """
    url = f"http://{server.admin.name}/v1/faults"
    try:
        async with aiohttp.request("GET", url, raise_for_status=True) as answer:
            return Done.from_json(await answer.json())
    except aiohttp.ClientError as error:
        raise server.error(f"did not tell what it did ({error})") from error


def _show(found: Sequence[Finding], result: Result, console: Console) -> None:
    console.print(_table(found, result))
    for line in lines(found, result):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def lines(found: Sequence[Finding], result: Result) -> Iterator[str]:
    """Yield what is printed below the table; the verdict comes last."""
    yield "lost and delayed are also changes that came later to a folder of such a one"
    differences = [one for finding in found for one in finding.differences]
    yield from differences[:SHOWN]
    if len(differences) > SHOWN:
        yield f"and {len(differences) - SHOWN:,} more"
    if result.figures.errors:
        yield f"errors: {wording.tally(result.figures.errors)}"
    yield f"generator lag p99 {wording.duration(result.figures.latency('lag').p99)}"
    yield from [f"invalid: {reason}" for reason in result.invalid] or ["the run is valid"]
    is_same = all(one.is_same for one in found)
    yield f"the generator {'found' if is_same else 'did not find'} exactly what the server did"


def _table(found: Sequence[Finding], result: Result) -> Table:
    took = wording.span(result.duration)
    title = f"self-test: {result.devices:,} phones, {took}, seed {result.seed}"
    table = Table(title=title, title_justify="left")
    table.add_column("fault")
    for heading in ("done by the server", "found by the generator"):
        table.add_column(heading, justify="right")
    table.add_column("same")
    for one in found:
        is_same = "yes" if one.is_same else "no"
        table.add_row(one.name, f"{one.done:,}", f"{one.found:,}", is_same)
    return table
