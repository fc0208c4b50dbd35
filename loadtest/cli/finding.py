"""``loadtest find``."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Final, Literal

import typer
from rich.console import Console

from loadtest import controller, ending, running, wording
from loadtest.cli import options
from loadtest.cli.grouping import grouped
from loadtest.cli.options import OptionError, What, Where, Who
from loadtest.cli.running import Task, check, perform, prepare
from loadtest.cli.telling import INTERRUPTED, refuse, say
from loadtest.judging import threshold
from loadtest.judging.search import Search
from loadtest.profiles import units
from loadtest.profiles.profile import Profile
from loadtest.result import Result

FAR: Final = 64
"""Times the first load; where a search ends if nobody says."""
STEP: Final = "20s"
"""Length of a run, if nobody says."""

Vary = Literal["rate", "devices"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("find")(grouped(find))


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The options that say what is searched."""

    panel: ClassVar[str] = "Search"

    limit: Annotated[
        str, typer.Option(metavar="EXPR", help="What has to be kept, as --assert of run.")
    ] = "notify.p99<250ms and missed==0"
    vary: Annotated[Vary, typer.Option(help="What grows: changes a second, or phones.")] = "rate"
    lowest: Annotated[
        str | None, typer.Option(metavar="N", help="The first load, if not the profile's own.")
    ] = None
    highest: Annotated[
        str | None,
        typer.Option(metavar="N", help=f"The last load, if not {FAR} times the first one."),
    ] = None
    precision: Annotated[
        float,
        typer.Option(
            metavar="PART", help="Ends when the lowest load that breaks the limit is so near."
        ),
    ] = 0.1

    def search(self, profile: Profile) -> Search:
        """Return the search of a profile.

        Raises:
            ValueError: If a number makes no sense.
        """
        options.read("--limit", self.limit, threshold.parse)
        parse: Callable[[object], float] = (
            units.parse_rate if self.vary == "rate" else units.parse_count
        )
        first = options.read_if_given("--lowest", self.lowest, parse)
        last = options.read_if_given("--highest", self.highest, parse)
        if first is None:
            first = profile.changes.rate if self.vary == "rate" else profile.devices
        if not first:
            raise OptionError("--lowest: found 0, allowed the first load that is tried")
        if last is None:
            last = FAR * first
        search = Search(first, last, precision=self.precision)
        for load in (first, last):
            self.applied(profile, load)
        return search

    def applied(self, profile: Profile, load: float) -> Profile:
        """Return the profile with a load.

        Raises:
            ProfileError: If it does not fit the rest.
        """
        if self.vary == "rate":
            return profile.resized(rate=load)
        return profile.resized(devices=round(load))

    def say(self, load: float) -> str:
        """Write a load with its unit."""
        if self.vary == "rate":
            return f"{wording.number(load)} changes/s"
        return f"{round(load):,} phones"


def find(what: What, *, where: Where, who: Who, aim: Aim) -> None:
    """Search the highest load that keeps a limit; status 1 if not even the first one does.

    Each load is a run of its own. A load that breaks the limit is tried once more.
    """
    console = Console(**options.terminal())
    task = prepare(replace(what, duration=what.duration or STEP), where, who, console)
    try:
        search = aim.search(task.profile)
    except ValueError as error:
        refuse(error)
    check(replace(task, profile=aim.applied(task.profile, search.next() or 0)), console)
    steps = Steps(task, aim, search)
    for number in ending.SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, steps.stop)
    try:
        for line in steps.perform(console):
            say(console, line)
    finally:  # also what was found before a signal, or before a server failed
        say(console, steps.found())
    raise typer.Exit(steps.exit_status)


class Steps:
    """The runs of a search.

    Args:
        task: What is done at each load.
        aim: What is searched.
        search: Says which load comes next.
    """

    def __init__(self, task: Task, aim: Aim, search: Search) -> None:
        self._task = task
        self._aim = aim
        self._search = search
        self._unseen: set[float] = set()
        """Loads of which only the generator is known to fail."""
        self._is_stopped = False

    @property
    def exit_status(self) -> int:
        """0 where a load was found that keeps the limit; a signal ends as with a shell."""
        if self._is_stopped:
            return INTERRUPTED
        return 1 if self._search.found is None else 0

    def stop(self, *_: object) -> None:
        """Stop between two runs; a run itself is stopped by the signals that it reacts to.

        Raises:
            KeyboardInterrupt: To stop at once.
        """
        self._is_stopped = True  # to stop later, where a destructor is what is interrupted
        raise KeyboardInterrupt

    def perform(self, console: Console) -> Iterator[str]:
        """Try one load after the other, and tell of each.

        Raises:
            Exit: If a signal ends the search, or a server fails.
        """
        quiet = console if console.is_terminal else Console(quiet=True)
        while (load := self._search.next()) is not None and not self._is_stopped:
            step = replace(self._task, profile=self._aim.applied(self._task.profile, load))
            if missing := [one for one in step.shortages() if one.is_fatal]:
                yield f"{self._aim.say(load)}: not tried, missing {missing[0]}"
                self._skip(load)
                continue
            result = running.judged(perform(step, quiet), [self._aim.limit])
            if any(one.text == controller.STOPPED for one in result.marks):
                raise typer.Exit(INTERRUPTED)
            yield from self._judge(load, result)

    def _skip(self, load: float) -> None:
        self._unseen.add(load)
        while self._search.next() == load:  # once more would be no different
            self._search.tell(load, kept=False)

    def _judge(self, load: float, result: Result) -> Iterator[str]:
        """Enter a run into the search, and tell of it."""
        judged, name = result.judged[0], self._aim.say(load)
        if result.invalid:
            self._unseen.add(load)
        else:
            self._unseen.discard(load)
        # What the generator could not do says nothing about the server: it counts as not kept.
        self._search.tell(load, judged.is_met and not result.invalid)
        yield f"{name}: {'kept' if judged.is_met else 'broken'} ({judged.found})"
        for reason in result.invalid:
            yield f"{name}: invalid: {reason}"

    def found(self) -> str:
        """Return what came out so far, in one line."""
        kept, broken = self._search.found, self._search.broken
        keep = f"keep {self._aim.limit}"
        if kept is None and broken is None:
            return "stopped before anything was found"
        if kept is None:
            return f"not even {self._broken} {keep}{self._doubt}"
        text = f"{self._aim.say(kept)} {keep}"
        if self._search.next() is not None:
            return f"{text}; stopped before the end of the search"
        if broken is None:
            return f"{text}; more was not tried"
        return f"{text}; {self._broken} do not{self._doubt}"

    @property
    def _broken(self) -> str:
        return self._aim.say(self._search.broken or 0.0)

    @property
    def _doubt(self) -> str:
        is_doubtful = self._search.broken in self._unseen
        return ", where the generator is the limit and not the server" if is_doubtful else ""
