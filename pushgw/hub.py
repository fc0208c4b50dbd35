"""Who waits for what: every Ping of this process from its arrival to its answer.

A waiting Ping is one slotted record and one entry in two tables (by mailbox, by deadline). It is

    opening     its question to Redis is on the way (or Redis is away)
    held        it has a session; a hint, a look at the ledger or its deadline ends it
    postponed   its answer is decided, the brake holds it back

and the first of these ends it: change, deadline, newer Ping of the same device, drain, the phone's
next request on the same connection, disconnect. No task, future or timer belongs to it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from heartbeat.deadlines import Deadlines
from notifier.change import Hint
from pushgw import telemetry
from pushgw.devices import Device, Seen, parse_newer_ping
from pushgw.session import DRAINED, HEARTBEAT, INTERRUPTED, SUPERSEDED, Answer, PingSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pushgw.brake import Brake
    from pushgw.eas.ping import PingRequest
    from pushgw.receipts import Receipts

CHUNK: Final = 500
"""How many Pings are ended before other events get their turn: about 10 ms."""

PATIENT: Final = 10.0
"""Seconds; a phone whose Ping was held that long is not repeating itself."""


class Phone(Protocol):
    """A connection, as far as a waiting Ping needs it."""

    waiting: Waiting | None

    def answer(self, body: bytes, *, close: bool) -> None:
        """Write the answer; the connection is free for its next request."""
        ...

    def has_delivered(self) -> bool:
        """Tell if the peer acknowledged all that was written."""
        ...


class Channels(Protocol):
    """The bus, as far as the hub needs it."""

    def watch(self, mailbox: str) -> bool:
        """Subscribe; True if the subscription is in force already."""
        ...

    def unwatch(self, mailbox: str) -> None:
        """Unsubscribe some time later."""
        ...


class Opening:
    """What a Ping brings along, until Redis has answered."""

    __slots__ = ("is_stale", "newer", "request", "seen")

    def __init__(self, request: PingRequest, seen: Seen | None) -> None:
        self.request = request
        self.seen = seen
        """Receipt of the answer before, to be written first."""
        self.newer = 0
        """Highest number of a Ping of the same device that was heard of meanwhile."""
        self.is_stale = False
        """A change was heard of after the question had left: the ledger must be looked at again."""


State: TypeAlias = Opening | PingSession | Answer


class Waiting:
    """One Ping that waits."""

    __slots__ = ("device", "generation", "mailbox", "phone", "received", "state", "until")

    def __init__(
        self, phone: Phone, device: Device, received: float, until: float, opening: Opening
    ) -> None:
        self.phone = phone
        self.mailbox = device.mailbox
        self.device = device.id
        self.received = received
        """When its bytes arrived, seconds of the loop's clock."""
        self.until = until
        """When it is answered at the latest, same clock."""
        self.generation = 0
        """Number among all Pings of the device, over all workers; 0 until Redis gave it."""
        self.state: State = opening

    @property
    def whose(self) -> Device:
        """The device as a key."""
        return Device(self.mailbox, self.device)


class Hub:
    """All waiting Pings of a process."""

    def __init__(
        self,
        channels: Channels,
        receipts: Receipts,
        brake: Brake,
        clock: Callable[[], float],
    ) -> None:
        self._channels = channels
        self._receipts = receipts
        self._brake = brake
        self._clock = clock
        self._by_mailbox: dict[str, Waiting | list[Waiting]] = {}
        self._deadlines: Deadlines[Waiting] = Deadlines(clock())
        self._count = 0
        self.is_draining = False

    def __len__(self) -> int:
        return self._count

    def of(self, mailbox: str) -> list[Waiting]:
        """All waiting Pings of a mailbox."""
        found = self._by_mailbox.get(mailbox)
        if found is None:
            return []
        return found.copy() if isinstance(found, list) else [found]

    def enter(self, waiting: Waiting) -> bool:
        """Take a Ping in.

        An older one of its device stays until this one has its number (``newer``): answered before
        that, its phone could send the next Ping to another worker, which would get the lower number
        and be taken for the older one.

        Returns:
            True if changes of its mailbox are heard already; otherwise the bus confirms later, or
            the Ping is over because this process drains.
        """
        found = self._by_mailbox.get(waiting.mailbox)
        if found is None:
            self._by_mailbox[waiting.mailbox] = waiting
        elif isinstance(found, list):
            found.append(waiting)
        else:
            self._by_mailbox[waiting.mailbox] = [found, waiting]
        self._count += 1
        self._deadlines.arm(waiting, waiting.until)
        waiting.phone.waiting = waiting
        is_heard = self._channels.watch(waiting.mailbox)
        if self.is_draining:
            self.finish(waiting, DRAINED)
            return False
        return is_heard

    def hold(self, waiting: Waiting, session: PingSession, generation: int, until: float) -> None:
        """Let a Ping wait that Redis knows of no change for."""
        waiting.state = session
        waiting.generation = generation
        self._rearm(waiting, until)

    def end_at_once(self, waiting: Waiting, answer: Answer) -> None:
        """Answer a Ping that did not wait, unless its device repeats itself."""
        now = self._clock()
        told = hash((answer.reason, answer.response, answer.seen))
        delay = self._brake.delay(self._brake_key(waiting), told, now)
        if delay:
            waiting.state = answer
            # The wheel fires up to a second early, a brake must not.
            self._rearm(waiting, now + delay + 1.0)
            telemetry.REFUSED.labels("brake").inc()
        else:
            self.finish(waiting, answer)

    def hinted(self, mailbox: str, payload: bytes) -> bool:
        """Act on a message of a mailbox's channel.

        Returns:
            True if the ledger must be looked at for held Pings of that mailbox.
        """
        newer = parse_newer_ping(payload)
        if newer is not None:
            self.newer(mailbox, *newer)
            return False
        hint = Hint.parse(payload)
        must_look = False
        for waiting in self.of(mailbox):
            state = waiting.state
            if isinstance(state, Opening):
                state.is_stale = True
            elif isinstance(state, PingSession):
                verdict = "look" if hint is None else state.hinted(hint.folder, hint.seq)
                if isinstance(verdict, Answer):
                    self.finish(waiting, verdict, None if hint is None else hint.at_ms)
                elif verdict == "look":
                    must_look = True
        return must_look

    def newer(self, mailbox: str, device: str, generation: int) -> None:
        """End the Pings of a device that are older than one of that number, here or elsewhere."""
        for waiting in self.of(mailbox):
            if waiting.device != device:
                continue
            if isinstance(waiting.state, Opening):
                waiting.state.newer = max(waiting.state.newer, generation)
            elif waiting.generation < generation:
                self._supersede(waiting)

    def look(self, waiting: Waiting, sequences: tuple[int, ...], epoch: str) -> None:
        """Compare a held Ping with what the ledger says."""
        if isinstance(waiting.state, PingSession) and waiting.phone.waiting is waiting:
            answer = waiting.state.look(sequences, epoch)
            if answer is not None:
                self.finish(waiting, answer)

    def expire(self, now: float) -> bool:
        """End what is due, a chunk of it; True if there is more."""
        due = self._deadlines.due(now, CHUNK)
        for waiting in due:
            state = waiting.state
            self.finish(waiting, state if isinstance(state, Answer) else HEARTBEAT)
        return len(due) == CHUNK

    def interrupt(self, waiting: Waiting) -> None:
        """End a Ping whose phone has sent its next request already."""
        self.finish(waiting, INTERRUPTED)

    def abandon(self, waiting: Waiting) -> None:
        """Forget a Ping whose connection is gone."""
        self._leave(waiting)
        telemetry.abandoned(
            mailbox=waiting.mailbox, device=waiting.device, held_seconds=self._held(waiting)
        )

    async def drain(self, seconds: float) -> None:
        """End all Pings legally, spread over ``seconds``; later ones are ended as they come."""
        self.is_draining = True
        steps = max(1, int(seconds / 0.05))
        left = list(self._all())
        for step in range(steps):
            share = -(-len(left) // (steps - step))
            for waiting in left[:share]:
                if waiting.phone.waiting is waiting:
                    self.finish(waiting, DRAINED)
            left = left[share:]
            if not left and not self._count:
                break
            await asyncio.sleep(0.05)
        for waiting in list(self._all()):
            self.finish(waiting, DRAINED)

    def finish(self, waiting: Waiting, answer: Answer, at_ms: float | None = None) -> None:
        """Write a Ping's answer; the record is free afterwards.

        Args:
            waiting: The Ping, in whatever state.
            answer: What it is told.
            at_ms: When the change behind it was recorded, UNIX time in milliseconds, if known.
        """
        phone = waiting.phone
        self._leave(waiting)
        if self._held(waiting) >= PATIENT and isinstance(waiting.state, PingSession):
            self._brake.release(self._brake_key(waiting))
        phone.answer(answer.response.to_bytes(), close=self.is_draining)
        if answer.seen:
            self._receipts.sent(phone, Seen(waiting.whose, answer.seen))
        self._tell(waiting, answer, at_ms)

    def _all(self) -> Iterable[Waiting]:
        for found in self._by_mailbox.values():
            yield from found if isinstance(found, list) else (found,)

    def _held(self, waiting: Waiting) -> float:
        return self._clock() - waiting.received

    def _tell(self, waiting: Waiting, answer: Answer, at_ms: float | None) -> None:
        if at_ms is not None:
            telemetry.NOTIFY_LATENCY.observe(max(0.0, time.time() - at_ms / 1000))
        telemetry.answered(
            mailbox=waiting.mailbox,
            device=waiting.device,
            command="Ping",
            code=200,
            status=int(answer.response.status),
            held_seconds=self._held(waiting),
            reason=answer.reason,
        )

    def _brake_key(self, waiting: Waiting) -> str:
        return f"{waiting.mailbox}\n{waiting.device}"

    def _rearm(self, waiting: Waiting, until: float) -> None:
        if until != waiting.until:
            self._deadlines.disarm(waiting, waiting.until)
            waiting.until = until
            self._deadlines.arm(waiting, until)

    def _supersede(self, older: Waiting) -> None:
        # Through the brake: two Pings of one device that each repeat at status 1 would otherwise
        # end each other for ever, as fast as the network allows.
        if not isinstance(older.state, Answer):
            self.end_at_once(older, SUPERSEDED)

    def _leave(self, waiting: Waiting) -> None:
        waiting.phone.waiting = None
        self._deadlines.disarm(waiting, waiting.until)
        found = self._by_mailbox[waiting.mailbox]
        if isinstance(found, list) and len(found) > 1:
            found.remove(waiting)
        else:
            del self._by_mailbox[waiting.mailbox]
            self._channels.unwatch(waiting.mailbox)
        self._count -= 1
