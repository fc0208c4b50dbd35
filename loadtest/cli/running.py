"""``loadtest run``."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, ClassVar, Final, NoReturn

import typer
from rich.console import Console

from loadtest import limits, running, serving
from loadtest.cli import options, reaching, telling
from loadtest.cli.grouping import grouped
from loadtest.cli.options import OptionError, What, Where, Who
from loadtest.cli.telling import fail, refuse, say
from loadtest.controller import Audience
from loadtest.limits import Shortage
from loadtest.profiles.profile import Profile
from loadtest.publishers import takes
from loadtest.reports import writing
from loadtest.result import Result
from loadtest.running import Crew, Place
from loadtest.screen import summary_table, view
from loadtest.screen.dashboard import Plan
from loadtest.servers import ServerError

REPORT_BYTES: Final = 2_200
"""Of all files of a report, for each second of the run."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(grouped(run))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """The options of a single run."""

    panel: ClassVar[str] = "This run"

    asserts: Annotated[
        list[str],
        typer.Option(
            "--assert", metavar="EXPR", help="A threshold, such as 'notify.p99<250ms'; repeatable."
        ),
    ] = field(default_factory=list)
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write report.html, JSON, CSV, hgrm and JUnit there."),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the run needs, and end.")
    ] = False
    force: Annotated[
        bool, typer.Option("--force", help="Run although something is missing here.")
    ] = False


def run(what: What, *, where: Where, who: Who, manner: Manner) -> None:
    """Put a load on a server; status 1 if a change was missed or a threshold failed."""
    console = Console(**options.terminal())
    task = prepare(what, where, who, console, asserts=manner.asserts)
    if manner.dry_run:
        _rehearse(task, console, is_forced=manner.force)
    if manner.force:
        _tell(task.shortages(), console)
    else:
        check(task, console)
    _check_out(manner.out, task.profile)
    result = perform(task, console)
    console.print(summary_table.final(result))
    is_written = _write(result, manner.out, console)
    for line in summary_table.verdict(result):
        say(console, line)
    raise typer.Exit(0 if result.is_good and is_written else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A checked order."""

    profile: Profile
    place: Place
    who: Who
    where: Where

    def needs(self) -> limits.Needs:
        """Work out what the generators need."""
        return self.who.needs(self.profile, self.place)

    def shortages(self) -> list[Shortage]:
        """List what this host has too little of, if it is the one whose processes do it."""
        return [] if self.who.lender else limits.judge(self.needs(), limits.read_host())


def prepare(
    what: What, where: Where, who: Who, console: Console, *, asserts: Sequence[str] = ()
) -> Task:
    """Check an order; a wrong one ends the command."""
    try:
        profile, place = what.profile(asserts), where.place()
        who.lent()
        if not who.lender:
            reaching.check_sources(place)
        profile = _publishable(profile, place, console)
    except ValueError as error:
        refuse(error)
    return Task(profile=profile, place=place, who=who, where=where)


def check(task: Task, console: Console) -> None:
    """See whether this host has what a run needs; if not, end the command."""
    shortages = task.shortages()
    if missing := [f"missing {one}" for one in shortages if one.is_fatal]:
        refuse("\n".join(missing))
    _tell(shortages, console)


def _tell(shortages: Sequence[Shortage], console: Console) -> None:
    for one in shortages:
        say(console, f"{'missing' if one.is_fatal else 'warning:'} {one}")


def _rehearse(task: Task, console: Console, *, is_forced: bool) -> NoReturn:
    shortages = task.shortages()
    # Shortages stand below the table, which would cut the commands that are to be copied.
    console.print(limits.dry_run_table(task.needs(), limits.read_host(), ()))
    _tell(shortages, console)
    is_fatal = any(one.is_fatal for one in shortages)
    raise typer.Exit(2 if is_fatal and not is_forced else 0)


def _publishable(profile: Profile, place: Place, console: Console) -> Profile:
    """Leave out the folders that the publisher cannot change, and say so.

    Raises:
        OptionError: If that leaves none.
    """
    folders = tuple(one for one in profile.changes.folders if takes(place.publisher, one[0]))
    left_out = [one[0] for one in profile.changes.folders if one not in folders]
    if not left_out:
        return profile
    if not folders:
        raise OptionError(
            f"--publisher: {place.publisher} cannot change {', '.join(left_out)}, which are all "
            "folders that the profile changes"
        )
    names = ", ".join(name for name, _ in folders)
    say(
        console,
        f"note: {place.publisher} cannot change {', '.join(left_out)}: the changes are made in "
        f"{names}",
    )
    return replace(profile, changes=replace(profile.changes, folders=folders))


def _check_out(out: Path | None, profile: Profile) -> None:
    if out is None:
        return
    long = round(REPORT_BYTES * (profile.planned + profile.settle + profile.grace))
    try:
        writing.prepare(out, needed_bytes=max(writing.NEEDED_BYTES, long))
    except writing.ReportError as error:
        refuse(error)


def _write(result: Result, out: Path | None, console: Console) -> bool:
    """Write the reports, if there shall be some; return False if that failed."""
    if out is None:
        return True
    try:
        say(console, f"wrote {writing.write(result, out)[-1]}")
    except writing.ReportError as error:
        typer.echo(f"error: {error}", err=True)
        return False
    return True


def perform(task: Task, console: Console) -> Result:
    """Engage processes, run, dismiss them."""
    crew = _engage(task)
    try:
        return telling.perform(_run(task, crew, console))
    finally:
        crew.dismiss()


def _engage(task: Task) -> Crew:
    needs = task.needs()
    here, lent = task.who.shares(needs.processes)
    limits.raise_files(needs.files_per_process)
    try:
        addresses, secret = task.who.lent()
        return running.engage(here, [(one, lent) for one in addresses], secret)
    except ValueError as error:  # a lender is not there, or wants another secret
        fail(error)
    except OSError as error:
        fail(f"cannot start {here} generator processes: {telling.reason(error)}")


async def _run(task: Task, crew: Crew, console: Console) -> Result:
    profile, where = task.profile, task.where
    async with AsyncExitStack() as stack:
        if where.serve:
            directory = stack.enter_context(TemporaryDirectory(prefix="loadtest-"))
            place = await stack.enter_async_context(
                serving.serve(task.place, Path(directory), profile, nodes=where.nodes)
            )
        else:
            place = replace(task.place, restarts=tuple(map(serving.by_command, where.restart)))
            await _reach(task)
        plan = Plan(profile.name, profile.devices, profile.planned)
        screen = stack.enter_context(view.open_screen(console, plan))
        audience = Audience(show=screen.show, mark=screen.mark)
        return await running.perform(profile, place, crew, audience, command=options.command_line())


async def _reach(task: Task) -> None:
    try:
        await reaching.reach(task.place, is_near=not task.who.lender)
    except ServerError as error:
        if task.where.target or task.where.admin:
            raise
        raise ServerError(f"{error}; --serve starts one") from None
