"""Who waits for what: every Ping of this process from its arrival to its answer.

A waiting Ping is one slotted record and one entry in two tables (by mailbox, by deadline). It is

    opening     its question to Redis is on the way (or Redis is away)
    held        it has a session; a hint, a look at the ledger or its deadline ends it
    postponed   its answer is decided, the brake holds it back
    resting     answered, and its phone may come back on the same connection with the same Ping

and the first of these ends it: change, deadline, newer Ping of the same device, drain, the phone's
next request on the same connection, disconnect. No task, future or timer belongs to it.

Resting saves the round trip to Redis at the next Ping, which is half of what a wake-up at a low
rate costs. The subscription outlives the Ping, so until it is given up or lost whatever happens to
the mailbox is heard, exactly as while a Ping is held. A Ping that comes back and of whose mailbox
nothing was heard meanwhile is therefore held at once, under the same number among all Pings of its
device: a Ping that another worker took in between would have been heard of, too. Whatever is
heard ends the rest, and the next Ping asks Redis. A Ping rests only if its mailbox is heard at that
moment, and none goes on while a look at its mailbox is outstanding. So resting can make a phone
wait, which it would have done anyway, and never decides an answer.
"""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from heartbeat.deadlines import Deadlines
from notifier.change import Hint
from pushgw import telemetry
from pushgw.devices import Seen, parse_newer_ping
from pushgw.session import (
    BALANCED,
    DRAINED,
    HEARTBEAT,
    INTERRUPTED,
    SUPERSEDED,
    Answer,
    PingSession,
)
from pushgw.waiters import Waiters
from pushgw.waiting import Opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushgw.brake import Brake
    from pushgw.receipts import Receipts
    from pushgw.waiting import Waiting

CHUNK: Final = 500
"""How many Pings are ended before other events get their turn: about 10 ms."""

RESOLUTION: Final = 0.25
"""Seconds between two looks at the deadlines: phones that came together with equal heartbeats end
in several portions."""
DRAIN_STEP: Final = 0.05
"""Seconds between two portions of a drain."""
PATIENT: Final = 10.0
"""Seconds; a phone whose Ping was held that long is not repeating itself."""


_RESTS: Final = frozenset({"change", HEARTBEAT.reason})
"""Answers after which a phone comes back with the same Ping."""


class Channels(Protocol):
    """The bus, as far as the hub needs it."""

    def watch(self, mailbox: str) -> bool:
        """Subscribe; True if the subscription is in force already."""
        ...

    def unwatch(self, mailbox: str) -> None:
        """Unsubscribe some time later."""
        ...


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
        self._waiters: Waiters[Waiting] = Waiters()
        self._resting: Waiters[Waiting] = Waiters()
        self._deadlines: Deadlines[Waiting] = Deadlines(clock(), RESOLUTION)
        self._must_look: Callable[[str], None]
        self.is_draining = False

    def serve(self, must_look: Callable[[str], None]) -> None:
        """Take who compares the held Pings of a mailbox with the ledger when that is asked for."""
        self._must_look = must_look

    def __len__(self) -> int:
        return len(self._waiters)

    def of(self, mailbox: str) -> list[Waiting]:
        """All waiting Pings of a mailbox."""
        return self._waiters.of(mailbox)

    def enter(self, waiting: Waiting) -> bool:
        """Take a Ping in.

        An older one of its device stays until this one has its number (``newer``): answered before
        that, its phone could send the next Ping to another worker, which would get the lower number
        and be taken for the older one.

        Returns:
            True if changes of its mailbox are heard already; otherwise the bus confirms later, or
            the Ping is over because this process drains.
        """
        if waiting.phone.rested is not None:
            self.forget_rest(waiting.phone.rested)
        for rested in self._resting.of_device(waiting.mailbox, waiting.device):
            self.forget_rest(rested)
        self._admit(waiting)
        is_heard = self._channels.watch(waiting.mailbox)
        if self.is_draining:
            self.finish(waiting, DRAINED)
            return False
        return is_heard

    def resume(self, rested: Waiting, received: float, until: float) -> bool:
        """Hold a Ping whose phone is back with the same one.

        Args:
            rested: The record of the one before.
            received: When the new one arrived.
            until: When it is answered at the latest.

        Returns:
            False if it must be taken in like any other; the record is of no use then.
        """
        self.forget_rest(rested)
        if self.is_draining or not self._channels.watch(rested.mailbox):
            return False
        rested.received, rested.until = received, until
        self._admit(rested)
        return True

    def forget_rest(self, rested: Waiting) -> None:
        """Let a resting Ping go."""
        rested.phone.rested = None
        self._resting.remove(rested)

    def forget_rests(self, mailbox: str) -> None:
        """Let the resting Pings of a mailbox go: something happened to it, or will not be heard."""
        for rested in self._resting.of(mailbox):
            self.forget_rest(rested)

    def forget_all_rests(self) -> None:
        """Let all resting Pings go: nothing is heard any more."""
        for rested in list(self._resting):
            self.forget_rest(rested)

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
            # The wheel fires up to one resolution early, a brake must not.
            self._rearm(waiting, now + delay + RESOLUTION)
            telemetry.REFUSED.labels("brake").inc()
        else:
            self.finish(waiting, answer)

    def hinted(self, mailbox: str, payload: bytes) -> None:
        """Act on a message of a mailbox's channel."""
        self.forget_rests(mailbox)
        newer = parse_newer_ping(payload)
        if newer is None:
            self._act(mailbox, Hint.parse(payload), self._waiters.of(mailbox))
        else:
            self.newer(mailbox, *newer)

    def newer(self, mailbox: str, device: str, generation: int) -> None:
        """End the Pings of a device that are older than one of that number, here or elsewhere."""
        for rested in self._resting.of_device(mailbox, device):
            # It ended, and began to rest, after the newer one had come in.
            if rested.generation < generation:
                self.forget_rest(rested)
        for waiting in self._waiters.of_device(mailbox, device):
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

    def shed(self, count: int) -> int:
        """Send phones away that another worker shall hold, those first that waited longest.

        Their Pings end legally and their connections close: the next one lands anywhere.

        Returns:
            How many were sent away; fewer where the others have only just come.
        """
        now = self._clock()
        longest = (
            one
            for one in self._waiters
            if isinstance(one.state, PingSession) and now - one.received >= PATIENT
        )
        chosen = list(islice(longest, count))
        for waiting in chosen:
            self.finish(waiting, BALANCED)
        return len(chosen)

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
        self.forget_all_rests()
        clock = asyncio.get_running_loop().time
        began = clock()
        left = list(self._waiters)
        left.reverse()
        total = len(left)
        while left:
            # By the clock, not by steps: a busy machine must not make the drain any longer.
            passed = (clock() - began) / seconds if seconds else 1.0
            while left and total - len(left) < total * passed:
                self._drain_one(left.pop())
            if not self._waiters:
                break
            await asyncio.sleep(DRAIN_STEP)
        for waiting in list(self._waiters):
            self.finish(waiting, DRAINED)

    def _drain_one(self, waiting: Waiting) -> None:
        if waiting.phone.waiting is waiting:
            self.finish(waiting, DRAINED)

    def finish(self, waiting: Waiting, answer: Answer, at_ms: float | None = None) -> None:
        """Write a Ping's answer; the record is free afterwards, or rests.

        Args:
            waiting: The Ping, in whatever state.
            answer: What it is told.
            at_ms: When the change behind it was recorded, UNIX time in milliseconds, if known.
        """
        phone, state = waiting.phone, waiting.state
        # Still watched, so this only asks: one that is deaf may have missed a change already.
        is_heard = self._channels.watch(waiting.mailbox)
        self._leave(waiting)
        held = self._clock() - waiting.received
        if held >= PATIENT and isinstance(state, PingSession):
            self._brake.release(self._brake_key(waiting))
        phone.answer(
            answer.response.to_bytes(), close=self.is_draining or answer.reason == BALANCED.reason
        )
        if answer.seen:
            self._receipts.sent(phone, Seen(waiting.whose, answer.seen))
        if is_heard and answer.reason in _RESTS and isinstance(state, PingSession):
            self._rest(waiting, state, answer)
        self._tell(waiting, answer, held, at_ms)

    def _admit(self, waiting: Waiting) -> None:
        self._waiters.add(waiting)
        self._deadlines.arm(waiting, waiting.until)
        waiting.phone.waiting = waiting

    def _act(self, mailbox: str, hint: Hint | None, crowd: list[Waiting]) -> None:
        """Act on a hint for a chunk of those who wait; the others follow after other events."""
        must_look = False
        for waiting in crowd[:CHUNK]:
            state = waiting.state
            if isinstance(state, Opening):
                state.is_stale = True
            elif waiting.phone.rested is waiting:
                self.forget_rest(waiting)  # it ended before its chunk had its turn
            elif isinstance(state, PingSession) and waiting.phone.waiting is waiting:
                verdict = "look" if hint is None else state.hinted(hint.folder, hint.seq)
                if isinstance(verdict, Answer):
                    self.finish(waiting, verdict, None if hint is None else hint.at_ms)
                elif verdict == "look":
                    must_look = True
        if must_look:
            self._must_look(mailbox)
        if len(crowd) > CHUNK:
            asyncio.get_running_loop().call_soon(self._act, mailbox, hint, crowd[CHUNK:])

    def _rest(self, waiting: Waiting, session: PingSession, answer: Answer) -> None:
        if not self.is_draining:
            session.told(answer)
            waiting.phone.rested = waiting
            self._resting.add(waiting)

    def _held(self, waiting: Waiting) -> float:
        return self._clock() - waiting.received

    def _tell(self, waiting: Waiting, answer: Answer, held: float, at_ms: float | None) -> None:
        if at_ms is not None:
            telemetry.NOTIFY_LATENCY.observe(max(0.0, time.time() - at_ms / 1000))
        telemetry.answered(
            mailbox=waiting.mailbox,
            device=waiting.device,
            command="Ping",
            code=200,
            status=int(answer.response.status),
            held_seconds=held,
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
        if self._waiters.remove(waiting):
            self._channels.unwatch(waiting.mailbox)
