"""A hub with phones and a bus that the test plays, on plain numbers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pushgw.brake import Brake
from pushgw.devices import Device
from pushgw.eas.ping import CACHED, PingFolder, PingResponse
from pushgw.hub import Hub
from pushgw.receipts import Receipts
from pushgw.session import HEARTBEAT, Answer, PingSession, Terms
from pushgw.waiting import Opening, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

INBOX = (PingFolder("5", "Email"),)
QUIET = (0, 0, 0, 0)
"""Of the hierarchy and the three names of the Inbox."""
CHANGE = Answer(PingResponse(2, folders=("5",)), "change", (("INBOX", "7.e1"),))
CHANGED = CHANGE.response.to_bytes()
EXPIRED = HEARTBEAT.response.to_bytes()


class Phone:
    """A connection that keeps what it is told."""

    def __init__(self) -> None:
        self.waiting: Waiting | None = None
        self.rested: Waiting | None = None
        self.answers: list[bytes] = []
        self.closes: list[bool] = []
        self.delivered = False

    def answer(self, body: bytes, *, close: bool) -> None:
        self.answers.append(body)
        self.closes.append(close)

    def has_delivered(self) -> bool:
        return self.delivered


class Channels:
    """A bus that keeps who is watched."""

    def __init__(self) -> None:
        self.watched: set[str] = set()
        self.in_force = True

    def watch(self, mailbox: str) -> bool:
        self.watched.add(mailbox)
        return self.in_force

    def unwatch(self, mailbox: str) -> None:
        self.watched.remove(mailbox)


class Scene:
    """A hub with everything around it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.channels = Channels()
        self.receipts = Receipts()
        self.hub = Hub(self.channels, self.receipts, Brake(), lambda: self.now)
        self.looks: list[str] = []
        """Mailboxes whose held Pings must be compared with the ledger."""
        self.hub.serve(self.looks.append)

    def enter(self, mailbox: str = "anna", device: str = "D1", until: float = 1480.0) -> Waiting:
        opening = Opening(CACHED, None)
        waiting = Waiting(Phone(), Device(mailbox, device), self.now, until, opening)
        self.hub.enter(waiting)
        return waiting

    def hold(
        self,
        mailbox: str = "anna",
        device: str = "D1",
        generation: int = 1,
        until: float = 1480.0,
        cursors: tuple[int, ...] = QUIET,
    ) -> Waiting:
        waiting = self.enter(mailbox, device, until)
        self.hub.hold(waiting, held(cursors), generation, until)
        return waiting

    def rest(self, mailbox: str = "anna", device: str = "D1", generation: int = 1) -> Waiting:
        """A Ping that was answered with status 1, and may be taken up again."""
        waiting = self.hold(mailbox, device, generation)
        self.hub.finish(waiting, HEARTBEAT)
        return waiting

    def resume(self, rested: Waiting) -> bool:
        """Take it up again, as if its phone came back."""
        return self.hub.resume(rested, self.now, self.now + 480.0)

    def ends(self, count: int, answer: Answer) -> list[Waiting]:
        """Pings of one device that are all answered at once with the same."""
        pings = []
        for _ in range(count):
            pings.append(self.enter())
            self.hub.end_at_once(pings[-1], answer)
        return pings


def held(cursors: tuple[int, ...] = QUIET) -> PingSession:
    """A session of the Inbox that has seen so much."""
    return PingSession(Terms(480, INBOX), cursors, "e1")


def told(waiting: Waiting) -> list[bytes]:
    """All that the phone of a Ping was told."""
    assert isinstance(waiting.phone, Phone)
    return waiting.phone.answers


def rests(waiting: Waiting) -> bool:
    """Whether its phone may go on from there."""
    return waiting.phone.rested is waiting


@contextlib.contextmanager
def leaving_nothing(scene: Scene) -> Iterator[Scene]:
    """Check at the end that the hub keeps nothing of those who have gone."""
    yield scene
    hub = scene.hub
    for waiting in list(hub._waiters):
        hub.abandon(waiting)
    hub.forget_all_rests()
    for kept in (hub._waiters, hub._resting):
        assert (len(kept), kept._by_mailbox) == (0, {})
    assert (len(hub._deadlines), scene.channels.watched) == (0, set())
