"""One generator process: phones and the changes of their mailboxes, told what to do by a channel.

Orders and reports are JSON lines on a socket; the controller is at its other end, on this host or
on another one. A mailbox and all its phones live in one process, so that every figure that
compares two times compares times of one clock.

Orders, in this order: ``begin`` (what and where), ``arrive`` (phones begin), ``go`` (the clock of
the profile starts), ``end``. ``stop`` cuts the run short. Twice a second goes a ``report``; it says
``is_over`` when the plan is done and every answer came or its time is over. ``end`` is answered by
the changes that were missed. The end of the channel ends the process.
"""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import AsyncExitStack, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from loadtest.figures import Figures
from loadtest.generators import lag
from loadtest.generators.assignment import Assignment
from loadtest.generators.halt import Halt
from loadtest.generators.publishing import Publishing
from loadtest.phones.account import SHOWN, Account
from loadtest.phones.connecting import Dialler
from loadtest.phones.fleet import Fleet
from loadtest.phones.witness import Witness
from loadtest.polling import poll
from loadtest.profiles import schedule
from loadtest.profiles.population import populate
from loadtest.publishers import open_publisher

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine, Sequence

    from loadtest.profiles.profile import Fault
    from loadtest.profiles.units import Span

REPORT_EVERY: Final = 0.5
"""Seconds: whoever looks once a second finds something new from every process."""
MAX_LINE: Final = 1 << 24
"""Bytes of one order or report."""
_LOOK: Final = 0.05


class Generator:
    """Performs one assignment. Open it with ``async with`` inside of its group.

    Args:
        assignment: What to do.
        group: Owns the tasks; one that fails ends the process.
    """

    def __init__(self, assignment: Assignment, group: asyncio.TaskGroup) -> None:
        self.figures = Figures()
        """What was seen since the last report."""
        self.is_over = False
        self._assignment = assignment
        profile = assignment.profile
        population = populate(
            profile.users,
            devices=assignment.devices,
            part=assignment.part,
            parts=assignment.parts,
            rng=assignment.dice("users"),
        )
        self.account = Account(assignment.devices, self.figures, slo=profile.slo)
        self._tls = assignment.tls_context()
        self._dialler = Dialler(assignment.targets, assignment.sources, self._tls, self.figures)
        self.fleet = Fleet(
            population,
            assignment.habits(assignment.dice("habits")),
            dialler=self._dialler,
            witness=Witness(self.figures, self.account, settle=profile.settle),
            errors=self.figures.errors,
            rng=assignment.dice("phones"),
        )
        self.fleet.allowed = assignment.allowed
        self._publishing: Publishing | None = None
        self._halt = Halt()
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []
        self._arrivals: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self._went_at = 0.0

    async def __aenter__(self) -> Self:
        assignment = self._assignment
        publisher = await self._stack.enter_async_context(
            open_publisher(
                assignment.publisher,
                assignment.publisher_url,
                password=assignment.profile.users.password,
                allowed=assignment.allowed,
                tls=self._tls,
            )
        )
        self._publishing = Publishing(
            publisher,
            self.fleet,
            self.account,
            self.figures,
            prefix=f"{assignment.run}-{assignment.part}",
        )
        self._start(lag.watch(self.figures))
        self._start(self.fleet.sweep_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self.fleet.stop()
        await self._dialler.close()
        await self._stack.aclose()

    def arrive(self, first: int, last: int, over: float) -> None:
        """Let phones begin, those numbered from ``first`` to before ``last``."""
        self._arrive(first, last, over, monotonic())

    def go(self, after: float) -> None:
        """Start the clock of the profile in some seconds."""
        self._went_at = monotonic() + after
        gc.collect()
        gc.freeze()  # the phones stay: no collection has to look at them
        self._start(self._perform())

    def stop(self) -> None:
        """End the plan now: nobody else arrives, nothing else is published or broken."""
        self._halt.call()
        for task in self._arrivals:
            task.cancel()
        if self._publishing is not None:
            self._publishing.stop()

    def report(self) -> dict[str, Any]:
        """Return what happened since the last report."""
        return {
            "states": dict(+self.fleet.states),
            "cpu": time.process_time(),
            "is_over": self.is_over,
            **self.figures.take(),
        }

    def missed(self) -> list[dict[str, Any]]:
        """Count what was missed, and tell the first ones."""
        found: list[dict[str, Any]] = []
        for phone, change in self.account.missed():
            self.figures.counts["missed"] += 1
            if len(found) < SHOWN:
                found.append(
                    {
                        "change": change.id,
                        "mailbox": self.fleet.population.mailbox_name(change.mailbox),
                        "device": self.fleet.population.device_name(phone),
                        "folder": change.watch,
                        "at": change.at - self._went_at,
                    }
                )
        return found

    async def _perform(self) -> None:
        """Publish, let the others arrive, break what the profile breaks; then settle."""
        assignment = self._assignment
        profile = assignment.profile
        assert self._publishing is not None  # noqa: S101 - opened before any order
        for first, last, at, over in assignment.stages():
            self._arrive(first, last, over, self._went_at + at)
        for fault in profile.faults:
            self._start(self._break(fault))
        plan = schedule.plan(
            profile.changes,
            duration=profile.duration,
            mailboxes=self.fleet.population.mailboxes,
            share=assignment.devices / profile.devices,
            rng=assignment.dice("changes"),
        )
        await self._publishing.run(plan, self._went_at)
        await self._halt.sleep_until(self._went_at + profile.duration)
        await poll(lambda: not self.account.open, profile.grace)
        await asyncio.sleep(_LOOK)  # answers too many are looked for as well
        self.is_over = True

    async def _break(self, fault: Fault) -> None:
        """Do to the phones what a fault says; servers are not this process' business."""
        if not await self._reach(fault.at):
            return
        if fault.kind == "cut":
            self.fleet.cut(fault.share, fault.how)
        elif fault.kind == "nat":
            self.fleet.behind_nat(fault.share, fault.idle)
            if fault.until is not None:
                await self._reach(fault.until)
                self.fleet.behind_nat(0.0, 0.0)

    async def _reach(self, span: Span) -> bool:
        """Sleep until a time of the profile's clock; return False if the plan ended before."""
        return await self._halt.sleep_until(
            self._went_at + span.seconds(self._assignment.profile.duration)
        )

    def _arrive(self, first: int, last: int, over: float, at: float) -> None:
        if not self._halt.is_called:
            self._arrivals.append(self._start(self.fleet.arrive(range(first, last), over, at)))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.append(task)
        return task


async def serve(channel: socket.socket, allowed: Sequence[str] | None = None) -> None:
    """Perform what comes on a channel until it ends.

    Args:
        channel: The controller is at its other end.
        allowed: Hosts that may be loaded, if that is decided here and not by the controller.

    Raises:
        AssignmentError: If what has to be done cannot be done here.
        TargetError: If the assignment's targets may not be loaded.
        ExceptionGroup: Our own mistakes; the caller tells the controller.
    """
    reader, writer = await asyncio.open_connection(sock=channel, limit=MAX_LINE)
    try:
        await _serve(reader, writer, allowed)
    finally:
        writer.close()
        with suppress(OSError):  # it was closed at the other end
            await writer.wait_closed()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowed: Sequence[str] | None
) -> None:
    line = await reader.readline()
    if not line:
        return
    assignment = Assignment.from_json(orjson.loads(line).get("begin"))
    if allowed is not None:
        assignment = assignment.limited_to(allowed)
    async with asyncio.TaskGroup() as group, Generator(assignment, group) as generator:
        reporting = group.create_task(_report_forever(generator, writer))
        is_wanted = await _obey(reader, generator)
        reporting.cancel()
        if is_wanted:
            _send(writer, {"missed": generator.missed(), "report": generator.report()})
            await writer.drain()


async def _obey(reader: asyncio.StreamReader, generator: Generator) -> bool:
    """Perform orders until the last one; return False if the controller is gone before that."""
    while line := await reader.readline():
        match orjson.loads(line):
            case {"do": "arrive", "first": first, "last": last, "over": over}:
                generator.arrive(first, last, over)
            case {"do": "go", "after": after}:
                generator.go(after)
            case {"do": "stop"}:
                generator.stop()
            case {"do": "end"}:
                return True
            case order:
                raise ValueError(f"found the order {order}")
    return False


async def _report_forever(generator: Generator, writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY)
        _send(writer, {"report": generator.report()})
        await writer.drain()


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(orjson.dumps(message) + b"\n")
