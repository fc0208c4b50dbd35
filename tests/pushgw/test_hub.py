"""The hub on plain numbers: who ends whose Ping, with what, and that nothing stays behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from notifier.change import Hint
from pushgw import telemetry
from pushgw.brake import Brake
from pushgw.devices import Device, Seen, newer_ping
from pushgw.eas.ping import CACHED, PingFolder, PingResponse
from pushgw.hub import CHUNK, Hub, Opening, Waiting
from pushgw.receipts import Receipts
from pushgw.session import (
    DRAINED,
    HEARTBEAT,
    HIERARCHY_CHANGED,
    INTERRUPTED,
    SUPERSEDED,
    Answer,
    PingSession,
    Terms,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

INBOX = (PingFolder("5", "Email"),)
QUIET = (0, 0, 0, 0)
"""Of the hierarchy and the three names of the Inbox."""
CHANGE = Answer(PingResponse(2, folders=("5",)), "change", (("INBOX", "7.e1"),))
EXPIRED = HEARTBEAT.response.to_bytes()


class Phone:
    """A connection that keeps what it is told."""

    def __init__(self) -> None:
        self.waiting: Waiting | None = None
        self.answers: list[bytes] = []
        self.closes: list[bool] = []
        self.delivered = False

    def answer(self, body: bytes, *, close: bool) -> None:
        self.answers.append(body)
        self.closes.append(close)

    def has_delivered(self) -> bool:
        return self.delivered


class Channels:
    """A bus that counts who is watched."""

    def __init__(self) -> None:
        self.watched: Counter[str] = Counter()
        self.in_force = True

    def watch(self, mailbox: str) -> bool:
        self.watched[mailbox] = 1
        return self.in_force

    def unwatch(self, mailbox: str) -> None:
        del self.watched[mailbox]


class Scene:
    """A hub with everything around it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.channels = Channels()
        self.receipts = Receipts()
        self.hub = Hub(self.channels, self.receipts, Brake(), lambda: self.now)

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

    def ends(self, count: int, answer: Answer) -> list[Waiting]:
        """Pings of one device that are all answered at once with the same."""
        pings = []
        for _ in range(count):
            pings.append(self.enter())
            self.hub.end_at_once(pings[-1], answer)
        return pings


def held(cursors: tuple[int, ...] = QUIET) -> PingSession:
    return PingSession(Terms(480, INBOX), cursors, "e1")


def told(waiting: Waiting) -> list[bytes]:
    assert isinstance(waiting.phone, Phone)
    return waiting.phone.answers


@pytest.fixture(name="scene")
def _scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    for waiting in list(scene.hub._all()):
        scene.hub.abandon(waiting)
    assert (len(scene.hub), scene.hub._by_mailbox, len(scene.hub._deadlines)) == (0, {}, 0)
    assert not scene.channels.watched


def test_entered_ping_is_counted_and_heard(scene: Scene) -> None:
    """A Ping that enters is counted, watched, and known to its phone."""
    waiting = scene.enter()

    assert (len(scene.hub), scene.hub.of("anna"), scene.hub.of("bert")) == (1, [waiting], [])
    assert scene.channels.watched == {"anna": 1}
    assert waiting.phone.waiting is waiting


@pytest.mark.parametrize("in_force", [True, False])
def test_entering_tells_if_changes_are_heard(scene: Scene, *, in_force: bool) -> None:
    """The bus says if the mailbox is subscribed already."""
    scene.channels.in_force = in_force
    waiting = Waiting(Phone(), Device("anna", "D1"), 1000.0, 1480.0, Opening(CACHED, None))

    assert in_force == scene.hub.enter(waiting)


def test_change_ends_a_held_ping(scene: Scene) -> None:
    """A hint beyond the cursor answers with the folder; the phone's receipt is waited for."""
    waiting = scene.hold()

    assert scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes()) is False
    assert [CHANGE.response.to_bytes()] == told(waiting)
    assert waiting.phone.waiting is None
    assert Seen(Device("anna", "D1"), CHANGE.seen) == scene.receipts.next_request(waiting.phone)


def test_latency_is_measured_from_the_record(scene: Scene) -> None:
    """A hint that says when its change was recorded is measured, also with a clock ahead."""
    before = telemetry.NOTIFY_LATENCY._sum.get()
    scene.hold()
    scene.hub.hinted("anna", Hint("INBOX", 7, at_ms=9e15).to_bytes())

    assert before == telemetry.NOTIFY_LATENCY._sum.get()


def test_answer_without_marks_waits_for_no_receipt(scene: Scene) -> None:
    """Only an answer that tells of changes has to arrive."""
    scene.hub.finish(scene.hold(), HEARTBEAT)

    assert len(scene.receipts) == 0


@pytest.mark.parametrize("payload", [b"", b"look", b'{"f":"INBOX"}', b'{"f":"INBOX","s":3}'])
def test_unclear_hint_asks_for_a_look(scene: Scene, payload: bytes) -> None:
    """Any message that does not prove a change sends to the ledger; nobody is answered yet."""
    waiting = scene.hold(cursors=(0, 0, 0, 3))

    assert scene.hub.hinted("anna", payload) is True
    assert told(waiting) == []


def test_hint_of_an_unwatched_folder_is_nothing(scene: Scene) -> None:
    """A change elsewhere in the mailbox needs no look and ends nobody."""
    waiting = scene.hold()

    assert scene.hub.hinted("anna", Hint("Archive", 1).to_bytes()) is False
    assert told(waiting) == []


def test_hint_of_a_mailbox_nobody_waits_for_is_nothing(scene: Scene) -> None:
    """A lingering subscription may still deliver."""
    scene.hold()

    assert scene.hub.hinted("bert", b"look") is False


def test_hint_reaches_all_devices_of_a_mailbox(scene: Scene) -> None:
    """One hint ends every Ping of the mailbox that it concerns, whatever becomes of the list."""
    pings = [scene.hold(device=f"D{number}") for number in range(4)]

    scene.hub.hinted("anna", Hint("5", 1).to_bytes())

    assert [1] * 4 == [len(told(one)) for one in pings]


def test_hint_for_an_opening_ping_makes_its_reading_stale(scene: Scene) -> None:
    """What is heard while Redis is asked is remembered, not acted on."""
    waiting = scene.enter()

    assert scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes()) is False
    assert isinstance(waiting.state, Opening)
    assert waiting.state.is_stale
    assert told(waiting) == []


def test_look_ends_a_ping_that_differs(scene: Scene) -> None:
    """Numbers that differ from the cursors answer."""
    waiting = scene.hold()

    scene.hub.look(waiting, (0, 0, 0, 7), "e1")

    assert [CHANGE.response.to_bytes()] == told(waiting)


def test_look_that_finds_nothing_lets_wait(scene: Scene) -> None:
    """Equal numbers change nothing."""
    waiting = scene.hold()

    scene.hub.look(waiting, QUIET, "e1")

    assert told(waiting) == []


def test_late_look_is_ignored(scene: Scene) -> None:
    """A Ping that ended, or is not held yet, is not answered by a look."""
    gone, opening = scene.hold(device="D1"), scene.enter(device="D2")
    scene.hub.interrupt(gone)

    scene.hub.look(gone, (0, 0, 0, 7), "e1")
    scene.hub.look(opening, (0, 0, 0, 7), "e1")

    assert (len(told(gone)), len(told(opening))) == (1, 0)


def test_deadline_ends_with_status_1(scene: Scene) -> None:
    """A Ping, held or still opening, is answered at its deadline and not before."""
    pings = [scene.hold(device="D1", until=1480.0), scene.enter(device="D2", until=1480.0)]

    scene.hub.expire(1479.9)
    assert [[], []] == [told(one) for one in pings]

    scene.hub.expire(1480.0)
    assert [[EXPIRED], [EXPIRED]] == [told(one) for one in pings]


def test_holding_sets_the_deadline_anew(scene: Scene) -> None:
    """The interval that Redis knew replaces the one that was assumed, in either direction."""
    pings = [scene.enter(device=f"D{number}") for number in range(2)]
    scene.hub.hold(pings[0], held(), 1, 1060.0)
    scene.hub.hold(pings[1], held(), 1, 1900.0)

    scene.hub.expire(1060.0)
    assert [1, 0] == [len(told(one)) for one in pings]

    scene.hub.expire(1899.0)
    assert [1, 0] == [len(told(one)) for one in pings]

    scene.hub.expire(1900.0)
    assert [1, 1] == [len(told(one)) for one in pings]


def test_cohort_expires_in_chunks(scene: Scene) -> None:
    """A cohort of equal deadlines is ended in portions, and the last one says so."""
    for number in range(CHUNK + 10):
        scene.hold(mailbox=f"user{number}")

    assert scene.hub.expire(1480.0) is True
    assert len(scene.hub) == 10
    assert scene.hub.expire(1480.0) is False
    assert len(scene.hub) == 0


def test_newer_ping_ends_the_older(scene: Scene) -> None:
    """A second Ping of a device ends the first one with status 1, another device's stays."""
    older, other = scene.hold(generation=1), scene.hold(device="D2")
    newer = scene.enter()
    scene.hub.newer("anna", "D1", 2)

    assert [SUPERSEDED.response.to_bytes()] == told(older)
    assert [[], []] == [told(other), told(newer)]
    assert [other, newer] == scene.hub.of("anna")


def test_older_ping_stays_until_the_newer_has_its_number(scene: Scene) -> None:
    """Answered before that, its phone could get a lower number for the next Ping elsewhere."""
    older = scene.hold()
    scene.enter()

    assert told(older) == []


def test_same_device_of_another_mailbox_is_another(scene: Scene) -> None:
    """A device with two accounts has a Ping for each."""
    older = scene.hold(mailbox="anna", generation=1)
    scene.hub.newer("bert", "D1", 2)

    assert told(older) == []


@pytest.mark.parametrize(("generation", "ended"), [(4, 0), (5, 0), (6, 1)])
def test_message_of_a_newer_ping_ends_the_older(scene: Scene, generation: int, ended: int) -> None:
    """Only a higher number ends a held Ping: its own message comes back as well."""
    waiting = scene.hold(generation=5)

    assert scene.hub.hinted("anna", newer_ping("D1", generation)) is False
    assert ended == len(told(waiting))


def test_message_of_a_newer_ping_concerns_one_device(scene: Scene) -> None:
    """Other devices of the mailbox wait on."""
    waiting = scene.hold(device="D2")

    scene.hub.hinted("anna", newer_ping("D1", 9))

    assert told(waiting) == []


def test_newer_ping_is_remembered_while_opening(scene: Scene) -> None:
    """A Ping that does not know its number yet keeps the highest one it heard of."""
    waiting = scene.enter()
    for generation in (3, 7, 5):
        scene.hub.hinted("anna", newer_ping("D1", generation))

    assert isinstance(waiting.state, Opening)
    assert waiting.state.newer == 7


def test_interrupted_ping_is_answered(scene: Scene) -> None:
    """A phone that sends its next request gets its Ping's answer first, a legal one."""
    waiting = scene.hold()

    scene.hub.interrupt(waiting)

    assert [INTERRUPTED.response.to_bytes()] == told(waiting)


def test_abandoned_ping_is_forgotten(scene: Scene) -> None:
    """Nothing is written to a connection that is gone."""
    waiting = scene.hold()

    scene.hub.abandon(waiting)

    assert told(waiting) == []
    assert len(scene.hub) == 0


def test_last_ping_of_a_mailbox_unwatches_it(scene: Scene) -> None:
    """A mailbox is listened to as long as somebody waits for it."""
    pings = [scene.hold(device=f"D{number}") for number in range(3)]

    scene.hub.abandon(pings[0])
    scene.hub.interrupt(pings[2])
    assert scene.channels.watched == {"anna": 1}

    scene.hub.finish(pings[1], HEARTBEAT)
    assert scene.channels.watched == {}


def test_repeated_instant_answer_is_postponed(scene: Scene) -> None:
    """From the fourth time on the same instant answer is held back, never shortened."""
    pings = scene.ends(4, HIERARCHY_CHANGED)

    assert [1, 1, 1, 0] == [len(told(one)) for one in pings]

    scene.hub.expire(1000.99)
    assert told(pings[3]) == []

    scene.hub.expire(1002.0)
    assert [HIERARCHY_CHANGED.response.to_bytes()] == told(pings[3])


def test_instant_changes_with_new_numbers_are_not_repetitions(scene: Scene) -> None:
    """Mail that keeps coming is not braked: only the same change counts as the same."""
    answers = [
        Answer(CHANGE.response, "change", (("INBOX", f"{number}.e1"),)) for number in range(6)
    ]
    pings = [scene.ends(1, answer)[0] for answer in answers]

    assert [1] * 6 == [len(told(one)) for one in pings]


def test_held_ping_releases_the_brake(scene: Scene) -> None:
    """A device that has waited may be answered at once again."""
    scene.ends(3, HIERARCHY_CHANGED)
    waiting = scene.hold()
    scene.now += 120.0
    scene.hub.interrupt(waiting)

    (fourth,) = scene.ends(1, HIERARCHY_CHANGED)

    assert len(told(fourth)) == 1


def test_postponed_ping_keeps_its_answer(scene: Scene) -> None:
    """Hints, looks and newer Pings do not end a Ping that is held back by the brake."""
    postponed = scene.ends(4, HIERARCHY_CHANGED)[3]

    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())
    scene.hub.hinted("anna", newer_ping("D1", 9))
    scene.hub.look(postponed, (0, 0, 0, 7), "e1")
    newer = scene.enter()
    assert told(postponed) == []

    scene.hub.expire(1002.0)
    assert [HIERARCHY_CHANGED.response.to_bytes()] == told(postponed)
    assert told(newer) == []


def test_pings_that_end_each_other_are_braked(scene: Scene) -> None:
    """Two Pings of one device that repeat at status 1 do not end each other for ever.

    One that was held for a moment only has not waited: it does not release the brake.
    """
    pings = []
    for number in range(6):
        pings.append(scene.hold(generation=number))
        scene.hub.newer("anna", "D1", number)

    assert [1, 1, 1, 0, 0, 0] == [len(told(one)) for one in pings]
    assert sum(isinstance(one.state, Answer) for one in pings) == 2


async def test_drain_ends_all_legally(scene: Scene) -> None:
    """Every Ping, in whatever state, is answered with status 1 on a connection that closes."""
    pings = [scene.hold(mailbox=f"user{number}") for number in range(3)]
    pings += [scene.enter(), scene.ends(4, HIERARCHY_CHANGED)[3]]

    await scene.hub.drain(0.0)

    assert [DRAINED.response.to_bytes()] * 3 == [told(one)[-1] for one in pings[:3]]
    assert all(one.phone.closes == [True] for one in pings[:3] if isinstance(one.phone, Phone))
    assert len(scene.hub) == 0


async def test_drain_is_spread(scene: Scene) -> None:
    """Answers leave in equal portions over the given time, so that phones come back spread."""
    for number in range(40):
        scene.hold(mailbox=f"user{number}")
    task = asyncio.ensure_future(scene.hub.drain(0.2))
    left = []
    while not task.done():
        await asyncio.sleep(0.005)
        left.append(len(scene.hub))

    assert [30, 20, 10, 0] == list(dict.fromkeys(left))


async def test_drain_leaves_out_who_is_gone(scene: Scene) -> None:
    """A Ping that ends by itself during the drain is not answered twice."""
    pings = [scene.hold(mailbox=f"user{number}") for number in range(4)]
    task = asyncio.ensure_future(scene.hub.drain(0.1))
    await asyncio.sleep(0)
    scene.hub.finish(pings[3], HEARTBEAT)
    await task

    assert [1] * 4 == [len(told(one)) for one in pings]


async def test_late_ping_is_drained(scene: Scene) -> None:
    """A Ping that comes during the drain, or after it, is ended at once."""
    scene.hold()
    task = asyncio.ensure_future(scene.hub.drain(0.1))
    await asyncio.sleep(0)
    during = told(scene.enter(mailbox="during"))
    await task
    after = told(scene.enter(mailbox="after"))

    assert ([DRAINED.response.to_bytes()], [DRAINED.response.to_bytes()]) == (during, after)
    assert len(scene.hub) == 0


async def test_drain_of_nothing_ends_at_once(scene: Scene) -> None:
    """An idle worker does not wait for its drain."""
    await asyncio.wait_for(scene.hub.drain(3600.0), 1.0)

    assert scene.hub.is_draining
