"""Leads a run: gives generator processes their parts, adds up what they report, closes the account.

The controller knows neither how servers were started nor how progress is shown.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtest import moments, process
from loadtest.figures import Figures
from loadtest.generators.generator import MAX_LINE
from loadtest.judging import validity
from loadtest.profiles.schedule import rate_at
from loadtest.result import Mark, Missed, Moment

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from loadtest.figures import Latency
    from loadtest.generators.assignment import Assignment
    from loadtest.watching import Watching

WARM: Final = 50
"""Phones that come before the server's memory is read the first time: what a server loads and
caches at its first requests is not the price of a phone."""
CALM: Final = 0.5
"""Seconds for which all phones must be held before the clock starts."""
HELD_WITHIN: Final = 30.0
"""Seconds beyond the ramp until the clock starts with whoever is held."""
SILENT_AFTER: Final = 60.0
"""Seconds without a report after which a process is taken for dead; it owes two a second."""
LOOK: Final = 0.05
STOPPED: Final = "stopped"
"""Mark of a run that was told to end before its plan was done."""
_HELD: Final = 0.999
"""Part of the phones that is enough: some are between two Pings at any moment."""
ENOUGH: Final = 10_000
"""Phones from which on memory per phone means something: a process has costs of its own."""
_GONE_WITHIN: Final = 20.0
_SHOWN_MISSED: Final = 1000
_WEIGH_EVERY: Final = 5.0
"""Seconds between readings of the generators' own memory."""


class GeneratorError(RuntimeError):
    """A generator process refused its part, failed or is gone."""


@dataclass(slots=True, eq=False)
class Member:
    """One generator process as the controller sees it."""

    assignment: Assignment
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    states: dict[str, int] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    reported_at: float = 0.0
    is_over: bool = False
    missed: list[dict[str, Any]] | None = None
    """What it never heard of; None until it said so."""
    _weighed: tuple[float, float] = (0.0, 0.0)
    _cpu: float = 0.0

    def order(self, **order: Any) -> None:
        """Send an order."""
        self.writer.write(orjson.dumps(order) + b"\n")

    def take(self, report: dict[str, Any], at: float) -> None:
        """Take a report's gauges."""
        self.states = report["states"]
        self.cpu_seconds, self.reported_at = report["cpu"], at
        self.is_over = report["is_over"]

    def cpu(self) -> float:
        """Return the CPU seconds a second since this was asked before."""
        seconds, at = self._weighed
        if self.reported_at > at:
            self._weighed = self.cpu_seconds, self.reported_at
            # What it used until its first report is the price of its beginning.
            self._cpu = (self.cpu_seconds - seconds) / (self.reported_at - at) if at else 0.0
        return self._cpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who is told of a run while it goes on."""

    show: Callable[[Moment], None]
    mark: Callable[[Mark], None]


class Controller:
    """One run of generator processes.

    Args:
        assignments: One for each channel.
        channels: To the processes, which wait for their ``begin``.
        pids: Those of this host, for their memory.
        watching: The gateway's own figures.
        audience: Told of each moment.
        held_within: Seconds beyond the ramp until the clock starts with whoever is held.
    """

    def __init__(
        self,
        assignments: Sequence[Assignment],
        channels: Sequence[socket.socket],
        *,
        pids: Sequence[int] = (),
        watching: Watching,
        audience: Audience,
        held_within: float = HELD_WITHIN,
    ) -> None:
        self.figures = Figures()
        """Of the whole run."""
        self.clocked = Figures()
        """Since the clock of the profile started: what happens before it is judged by nobody."""
        self.moments: list[Moment] = []
        self.marks: list[Mark] = []
        self.missed: list[Missed] = []
        """The first ones of all processes, oldest first."""
        self.generator_bytes_per_phone: float | None = None
        self.phase = "arriving"
        self.profile = assignments[0].profile
        self._assignments = assignments
        self._channels = channels
        self._pids = pids
        self._watching = watching
        self._audience = audience
        self._held_within = held_within
        self._members: list[Member] = []
        self._recent = Figures()
        self._generator_bytes = 0
        self._began_at = monotonic()
        self._went_at = 0.0
        self._stopped = asyncio.Event()

    @property
    def held(self) -> int:
        """Phones that wait for an answer to a Ping."""
        return self._count("held")

    @property
    def invalid(self) -> tuple[str, ...]:
        """Why the generator made the figures, and not the server."""
        return validity.reasons(self.moments, self.clocked)

    def mark(self, text: str) -> None:
        """Note something that was done to the run."""
        mark = Mark(monotonic() - self._began_at, text)
        self.marks.append(mark)
        self._audience.mark(mark)

    def stop(self) -> None:
        """Ramp down now; ``perform`` closes the account and returns. Again is harmless."""
        if not self._stopped.is_set():
            self.mark(STOPPED)
            self._stopped.set()
            for member in self._members:
                member.order(do="stop")

    def stop_weighing(self) -> None:
        """Keep what the gateway's phones weighed so far: a server is about to be started anew."""
        self._watching.stop_weighing()

    async def reach(self, offset: float) -> bool:
        """Sleep until a time of the profile's clock; return False if the plan is over."""
        while self.phase != "settling" and not self._stopped.is_set():
            if self._went_at and monotonic() >= self._went_at + offset:
                return True
            await asyncio.sleep(LOOK)
        return False

    async def perform(self) -> None:
        """Run to the end.

        Raises:
            GeneratorError: If a generator process failed or went away.
            ServerError: If the server that was started for this run went away.
        """
        empty = await self._weigh()
        try:
            async with asyncio.TaskGroup() as group:
                await self._lead(group, empty)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None  # each of them ends the run; one is enough
        finally:
            self._stopped.set()  # there is nobody left to be told of a stop
        self._tick()

    async def _lead(self, group: asyncio.TaskGroup, empty: int) -> None:
        for assignment, channel in zip(self._assignments, self._channels, strict=True):
            await self._begin(assignment, channel)
        listeners = [group.create_task(self._listen(member)) for member in self._members]
        ticker = group.create_task(self._tick_forever(empty))
        try:
            await self._arrive()
            await self._weigh_phones(empty)
            await self._run()
            await self._end(listeners)
        finally:
            ticker.cancel()
            for member in self._members:
                member.writer.close()

    async def _begin(self, assignment: Assignment, channel: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=channel, limit=MAX_LINE)
        member = Member(assignment, reader, writer)
        self._members.append(member)
        member.order(begin=assignment.as_json())

    async def _listen(self, member: Member) -> None:
        """Take what a process reports until it has closed its account.

        Raises:
            GeneratorError: If it ends before, or says nothing any more.
        """
        while member.missed is None:
            try:
                async with asyncio.timeout(SILENT_AFTER):
                    line = await member.reader.readline()
            except TimeoutError:
                raise _gone(member, f"said nothing for {SILENT_AFTER:g} s") from None
            except OSError:
                line = b""
            if not line.endswith(b"\n"):
                raise _gone(member, "ended before the run was over")
            message = orjson.loads(line)
            if "failed" in message:
                raise _gone(member, f"failed: {message['failed']}")
            self._take(member, message)

    def _take(self, member: Member, message: dict[str, Any]) -> None:
        report = message["report"]
        figures = Figures.read(report)
        self._recent.add(figures)
        self.figures.add(figures)
        if self._went_at:
            self.clocked.add(figures)
        member.take(report, monotonic())
        member.missed = message.get("missed")

    async def _arrive(self) -> None:
        """Let the phones come that are there before the clock starts."""
        warm = min(WARM, self._members[0].assignment.before)
        self._members[0].order(do="arrive", first=0, last=warm, over=warm * self._gap)
        await self._hold(warm, warm * self._gap)
        await self._watching.begin(self.held)
        over = await self._come(warm)
        before = sum(member.assignment.before for member in self._members)
        is_complete = await self._hold(before, over)
        text = f"{self.held:,} of {before:,} phones held"
        self.mark(text if is_complete else f"{text}: not waiting any longer for the others")

    async def _come(self, warm: int) -> float:
        """Let all phones come but the first ones of the first process.

        Returns:
            Seconds from now on over which they do.
        """
        for index, member in enumerate(self._members):
            first, last = 0 if index else warm, member.assignment.before
            if first < last:
                over = (last - first) * self._gap * len(self._members)
                member.order(do="arrive", first=first, last=last, over=over)
        return sum(member.assignment.before for member in self._members) * self._gap

    @property
    def _gap(self) -> float:
        return 1.0 / self.profile.arrival.rate

    async def _hold(self, wanted: int, over: float) -> bool:
        """Wait until phones are held, and a moment longer.

        Args:
            wanted: How many.
            over: Seconds over which they come.

        Returns:
            Whether they are; False if patience ended, the run was stopped, or they gave up.
        """
        until = monotonic() + over + self._held_within
        calm_at = monotonic() + CALM
        while monotonic() < min(until, calm_at) and not self._stopped.is_set():
            self._watching.check()
            await asyncio.sleep(LOOK)
            # Phones that answer an early heartbeat are on the way for a moment; those that gave up
            # never come.
            if self._count("held", "stopped") < wanted * _HELD:
                calm_at = monotonic() + CALM
        return self.held >= wanted * _HELD

    def _count(self, *states: str) -> int:
        return sum(member.states.get(state, 0) for member in self._members for state in states)

    async def _run(self) -> None:
        """Let the clock run until each process is done."""
        if self._stopped.is_set():
            return
        self.phase = "running"
        # From then on every change has to reach every phone that is there.
        after = max(CALM, self.profile.settle)
        self._went_at = monotonic() + after
        for member in self._members:
            member.order(do="go", after=after)
        until = self._went_at + self.profile.duration
        while not all(member.is_over for member in self._members):
            self._watching.check()
            await asyncio.sleep(LOOK)
            if monotonic() >= until or self._stopped.is_set():
                self.phase = "settling"

    async def _end(self, listeners: Sequence[asyncio.Task[None]]) -> None:
        await self._watching.read()
        self.figures.errors.update(self._watching.errors)
        for member in self._members:
            member.order(do="end")
        try:
            async with asyncio.timeout(_GONE_WITHIN):
                await asyncio.gather(*listeners)
        except TimeoutError:
            slow = next(member for member in self._members if member.missed is None)
            text = f"did not close its account within {_GONE_WITHIN:g} s"
            raise _gone(slow, text) from None
        began_at = self._went_at - self._began_at
        told = [one for member in self._members for one in member.missed or ()]
        told = sorted(told, key=lambda one: one["at"])[:_SHOWN_MISSED]
        self.missed = [Missed(**{**one, "at": one["at"] + began_at}) for one in told]

    async def _tick_forever(self, empty: int) -> None:
        weighed_at, tick = monotonic(), moments.interval(self.profile.planned)
        while True:
            await asyncio.sleep(tick)
            if monotonic() >= weighed_at + _WEIGH_EVERY:
                await self._weigh_phones(empty)
                weighed_at = monotonic()
            self._tick()

    def _tick(self) -> None:
        self._watching.weigh(self.held)
        moment = self._moment(monotonic())
        self._recent = Figures()
        self.moments.append(moment)
        self._audience.show(moment)

    def _moment(self, now: float) -> Moment:
        recent, total = self._recent, self.figures
        before = self.moments[-1].at if self.moments else 0.0
        at = now - self._began_at
        is_running = self.phase == "running" and self._went_at <= now
        rate = rate_at(self.profile.changes, now - self._went_at, self.profile.duration)
        states: dict[str, int] = {}
        for member in self._members:
            for state, count in member.states.items():
                states[state] = states.get(state, 0) + count
        return Moment(
            at=at,
            phase=self.phase,
            states=states,
            counts=dict(total.counts),
            errors=dict(total.errors),
            rate_target=rate if is_running else 0.0,
            published_per_second=recent.counts["published"] / max(at - before, LOOK),
            recent={name: recent.latency(name) for name in recent.histograms},
            total=self._total(),
            cpu=max((member.cpu() for member in self._members), default=0.0),
            processes=len(self._members),
            generator_bytes=self._generator_bytes,
            gateway=self._watching.latest,
        )

    def _total(self) -> dict[str, Latency]:
        """Summarise the whole run; what nothing was added to is as it was."""
        found = dict(self.moments[-1].total) if self.moments else {}
        return found | {name: self.figures.latency(name) for name in self._recent.histograms}

    async def _weigh(self) -> int:
        """Read the memory of the generator processes of this host."""
        # The kernel walks all pages of a process for this; the loop must not wait for it.
        return await asyncio.to_thread(process.pss_many, self._pids)

    async def _weigh_phones(self, empty: int) -> None:
        self._generator_bytes = await self._weigh()
        phones = sum(sum(member.states.values()) for member in self._members)
        if phones >= ENOUGH and len(self._pids) == len(self._members):
            self.generator_bytes_per_phone = (self._generator_bytes - empty) / phones


def _gone(member: Member, text: str) -> GeneratorError:
    return GeneratorError(f"generator process {member.assignment.part} {text}")
