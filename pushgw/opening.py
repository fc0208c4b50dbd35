"""From a Ping's arrival to its place in the hub: one round trip to Redis for all of a moment.

Pings that arrive while a round trip is under way go together in the next one. The order is what
keeps changes from getting lost: first the mailbox's channel is subscribed and confirmed, then the
ledger is read. Whatever happens after the reading is heard; whatever happened before it is read.

While Redis is away, Pings are kept as they are: their deadlines run, and they are opened when it is
back. Push degrades, phones see nothing but a longer wait.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import structlog

from heartbeat.interval import due_at
from notifier.ledger import LedgerError
from pushgw import telemetry
from pushgw.devices import Device, DevicesError, Read, Reading, folders_to_text
from pushgw.hub import CHUNK
from pushgw.session import FAULT, SUPERSEDED, Answer, PingSession, Terms, cursor, judge, watch
from pushgw.waiting import Opening, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notifier.ledger import Ledger
    from pushgw.devices import Devices
    from pushgw.eas.ping import PingRequest
    from pushgw.hub import Hub
    from pushgw.receipts import Receipts
    from pushgw.session import Limits
    from pushgw.waiting import Phone

BATCH = 1000
"""Pings or mailboxes in one round trip."""
GATHER = 0.002
"""Seconds between two round trips while many Pings come: a write and a read for each few of them
are a good part of what a storm costs, and none of them is in a hurry to wait."""
PAUSE = 0.5
"""Seconds between two tries while Redis is away."""

_log = structlog.get_logger("pushgw.opening")


class Opener:
    """Opens Pings and looks at the ledger for the held ones. Listens to the bus."""

    def __init__(
        self,
        *,
        devices: Devices,
        ledger: Ledger,
        receipts: Receipts,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._devices = devices
        self._ledger = ledger
        self._receipts = receipts
        self._limits = limits
        self._clock = clock
        self._hub: Hub
        self._pings: list[Waiting] = []
        self._mailboxes: dict[str, None] = {}
        self._looking: frozenset[str] = frozenset()
        """Mailboxes whose look is under way."""
        self._work = asyncio.Event()
        self._looks_for_receipts = False
        self._was_deaf = False
        self._away_since: float | None = None

    def serve(self, hub: Hub) -> None:
        """Take the hub whose Pings are opened; the two know each other."""
        self._hub = hub
        hub.serve(self._look_soon)

    def begin(self, phone: Phone, device: Device, request: PingRequest, received: float) -> None:
        """Take a Ping in. Its answer comes through the phone, now or later."""
        seen = self._receipts.next_request(phone)
        if phone.rested is not None and self._resume(phone.rested, device, request, received):
            if seen is not None:
                self._receipts.keep(seen)
            return
        interval = self._limits.bounds.default
        if request.heartbeat is not None:
            interval = self._limits.bounds.nearest(request.heartbeat)
        opening = Opening(request, seen)
        waiting = Waiting(phone, device, received, due_at(received, interval), opening)
        if self._hub.enter(waiting):
            self._pings.append(waiting)
            self._work.set()

    def hinted(self, mailbox: str, payload: bytes) -> None:
        """Hear of a change."""
        self._hub.hinted(mailbox, payload)

    def confirmed(self, mailboxes: Sequence[str]) -> None:
        """Changes of these are heard from now on: read what happened before."""
        if self._was_deaf:
            # One asked for meanwhile may be that of a Redis that has gone since, unheard as well.
            self._ledger.forget_epoch()
            self._was_deaf = False
        for mailbox in mailboxes:
            for waiting in self._hub.of(mailbox):
                if isinstance(waiting.state, Opening):
                    # Its question may be under way since before: then it must look once more.
                    waiting.state.is_stale = True
                    self._pings.append(waiting)
                else:
                    self._mailboxes[mailbox] = None
        self._work.set()

    def unheard(self, mailboxes: Sequence[str]) -> None:
        """Changes of these, for which no Ping waits, are not heard from now on."""
        for mailbox in mailboxes:
            self._hub.forget_rests(mailbox)

    def disconnected(self) -> None:
        """Hints may be missed from now on, and Redis may come back without its data."""
        self._was_deaf = True
        self._hub.forget_all_rests()
        self._ledger.forget_epoch()

    def tick(self, _now: float) -> bool:
        """Wake the round trips for receipts; called once a second."""
        self._looks_for_receipts = True
        self._work.set()
        return False

    async def settle(self) -> None:
        """Write down what is known to have arrived; a failure costs phones a wake-up for nothing.

        Receipts of the last second would otherwise end with this process.
        """
        while seen := self._receipts.arrived(BATCH):
            try:
                await self._devices.settle(seen=seen)
            except DevicesError as error:
                _log.warning("receipts_lost", reason=str(error), devices=len(seen))

    async def run(self) -> None:
        """Serve arrivals and looks until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            pings, self._pings = self._pings[:BATCH], self._pings[BATCH:]
            mailboxes = list(self._mailboxes)[:BATCH]
            for mailbox in mailboxes:
                del self._mailboxes[mailbox]
            self._looking = frozenset(mailboxes)
            if self._pings or self._mailboxes:
                self._work.set()
            seen = self._receipts.arrived(BATCH, looks=self._looks_for_receipts)
            if len(seen) == BATCH:
                self._work.set()
            self._looks_for_receipts = False
            if not pings and not mailboxes and not seen:
                continue
            try:
                epoch = await self._ledger.epoch()
                if seen:
                    await self._devices.settle(seen=seen)
                await self._open(pings, epoch)
                await self._look(mailboxes, epoch)
                self._tell_redis(None)
                if len(pings) > 1:
                    await asyncio.sleep(GATHER)
            except (DevicesError, LedgerError) as error:
                self._tell_redis(str(error))
                self._ledger.forget_epoch()
                self._pings += filter(_is_opening, pings)
                self._mailboxes |= dict.fromkeys(mailboxes)
                await asyncio.sleep(PAUSE)
                self._work.set()

    def _resume(
        self, rested: Waiting, device: Device, request: PingRequest, received: float
    ) -> bool:
        """Hold a Ping that goes on from the one before, without asking Redis; False if not so."""
        session = rested.state
        if not isinstance(session, PingSession) or not session.is_of(request):
            return False
        if rested.mailbox != device.mailbox or rested.device != device.id:
            return False
        if device.mailbox in self._mailboxes or device.mailbox in self._looking:
            return False  # there may be a change already that only the look will find
        until = _due_at(received, session.heartbeat)
        if not self._hub.resume(rested, received, until):
            return False
        telemetry.HEARTBEAT.observe(session.heartbeat)
        return True

    def _look_soon(self, mailbox: str) -> None:
        self._mailboxes[mailbox] = None
        self._work.set()

    def _tell_redis(self, reason: str | None) -> None:
        """Log that Redis went away, or that it is back: once each, however long it takes."""
        if reason is not None and self._away_since is None:
            self._away_since = self._clock()
            _log.warning("redis_away", reason=reason, waiting=len(self._hub))
        elif reason is None and self._away_since is not None:
            seconds = round(self._clock() - self._away_since, 3)
            self._away_since = None
            _log.warning("redis_back", after_seconds=seconds, waiting=len(self._hub))

    async def _open(self, pings: list[Waiting], epoch: str) -> None:
        """Open Pings; a fault of ours costs these an answer of status 8, and nobody else."""
        if not pings:
            return
        try:
            await self._try_to_open(pings, epoch)
        except (DevicesError, LedgerError):
            raise
        except Exception:  # noqa: BLE001 (else it would cost all phones of this worker)
            _log.exception("opening_failed", pings=len(pings))
            for waiting in filter(_is_opening, pings):
                self._hub.end_at_once(waiting, FAULT)

    async def _try_to_open(self, pings: list[Waiting], epoch: str) -> None:
        batch = [
            (one, one.state)
            for one in dict.fromkeys(pings)
            if isinstance(one.state, Opening) and _is_opening(one)
        ]
        for _, opening in batch:
            opening.is_stale = False
        readings = await self._read(batch)
        superseded: list[tuple[Device, int]] = []
        strangers: list[Device] = []
        for (waiting, opening), reading in zip(batch, readings, strict=True):
            if reading is None:
                if _is_opening(waiting):
                    self._hub.end_at_once(waiting, FAULT)
                continue
            # It may have ended while Redis was asked: hung up, superseded, drained.
            if waiting.state is opening and waiting.phone.waiting is waiting:
                self._resolve(waiting, opening, reading, epoch)
            self._hub.newer(waiting.mailbox, waiting.device, reading.generation)
            if not reading.known.is_synchronised:
                strangers.append(waiting.whose)
            elif reading.before is not None:
                superseded.append((waiting.whose, reading.generation))
        if superseded or strangers:
            await self._devices.settle(superseded=superseded, strangers=strangers)

    async def _read(self, batch: list[tuple[Waiting, Opening]]) -> list[Reading | None]:
        readings = await self._devices.read_many(
            [self._question(one.whose, opening) for one, opening in batch]
        )
        # A Ping without a folder list relies on the cached one: its fields are known only now.
        cached = [
            (at, Read(batch[at][0].whose, watch(reading.known.folders).fields))
            for at, reading in enumerate(readings)
            if reading and reading.known.folders and not batch[at][1].request.folders
        ]
        if cached:
            more = await self._devices.read_many([read for _, read in cached])
            for (at, _), reading in zip(cached, more, strict=True):
                first = readings[at]
                readings[at] = (
                    reading
                    and first
                    and first._replace(marks=reading.marks, sequences=reading.sequences)
                )
        return readings

    def _question(self, device: Device, opening: Opening) -> Read:
        request = opening.request
        fields = watch(request.folders).fields if request.folders else ()
        return Read(device, fields, self._lasting(request), opening.seen)

    def _lasting(self, request: PingRequest) -> tuple[str | bytes | int, ...]:
        """Name what later Pings may rely on: what this one says, unless it is refused for it."""
        interval, folders = request.heartbeat, request.folders
        if interval is not None and self._limits.bounds.nearest(interval) != interval:
            return ()
        if folders is not None and len(folders) > self._limits.max_folders:
            return ()
        heartbeat = () if interval is None else ("heartbeat", interval)
        return heartbeat if folders is None else (*heartbeat, "folders", folders_to_text(folders))

    def _resolve(self, waiting: Waiting, opening: Opening, reading: Reading, epoch: str) -> None:
        """Answer or hold one Ping."""
        verdict = judge(opening.request, reading.known, self._limits)
        if isinstance(verdict, Answer):
            self._hub.end_at_once(waiting, verdict)
            return
        cursors = tuple(cursor(text, epoch, reading.base) for text in reading.marks)
        session = PingSession(verdict, cursors, epoch)
        answer = session.look(reading.sequences, epoch)
        if answer is not None:
            self._hub.end_at_once(waiting, answer)
        elif opening.newer > reading.generation:
            self._hub.end_at_once(waiting, SUPERSEDED)
        else:
            self._hold(waiting, session, verdict, reading.generation)
            if opening.is_stale:
                self._mailboxes[waiting.mailbox] = None
                self._work.set()

    def _hold(self, waiting: Waiting, session: PingSession, terms: Terms, generation: int) -> None:
        until = _due_at(waiting.received, terms.heartbeat)
        self._hub.hold(waiting, session, generation, until)
        telemetry.HEARTBEAT.observe(terms.heartbeat)

    async def _look(self, mailboxes: list[str], epoch: str) -> None:
        held: dict[tuple[str, tuple[str, ...]], list[tuple[Waiting, PingSession]]] = {}
        for mailbox in mailboxes:
            for one in self._hub.of(mailbox):
                if isinstance(one.state, PingSession):
                    # Phones of one mailbox mostly watch the same: one answer serves them all.
                    key = mailbox, one.state.watch.fields
                    held.setdefault(key, []).append((one, one.state))
        found = await self._ledger.sequences(list(held))
        for crowd, numbers in zip(held.values(), found, strict=True):
            for first in range(0, len(crowd), CHUNK):
                for waiting, session in crowd[first : first + CHUNK]:
                    if waiting.state is session:
                        self._hub.look(waiting, numbers, epoch)
                if len(crowd) > CHUNK:
                    await asyncio.sleep(0)
        self._looking = frozenset()
        for mailbox in mailboxes:  # whose rest began meanwhile was not compared
            self._hub.forget_rests(mailbox)


def _due_at(received: float, interval: float) -> float:
    return due_at(received, interval, random.random())  # noqa: S311 (spreads answers)


def _is_opening(waiting: Waiting) -> bool:
    return isinstance(waiting.state, Opening) and waiting.phone.waiting is waiting
