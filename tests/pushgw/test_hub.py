"""The hub on plain numbers: who ends whose Ping, with what, and that nothing stays behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notifier.change import Hint
from pushgw import telemetry
from pushgw.devices import Device, Seen, newer_ping
from pushgw.eas.ping import CACHED
from pushgw.session import (
    HEARTBEAT,
    HIERARCHY_CHANGED,
    INTERRUPTED,
    SUPERSEDED,
    Answer,
)
from pushgw.waiting import Opening, Waiting
from tests.pushgw.hub_scene import (
    CHANGE,
    CHANGED,
    EXPIRED,
    QUIET,
    Phone,
    Scene,
    held,
    leaving_nothing,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="scene")
def _scene() -> Iterator[Scene]:
    with leaving_nothing(Scene()) as scene:
        yield scene


def test_entered_ping_is_counted_and_heard(scene: Scene) -> None:
    """A Ping that enters is counted, watched, and known to its phone."""
    waiting = scene.enter()

    assert (len(scene.hub), scene.hub.of("anna"), scene.hub.of("bert")) == (1, [waiting], [])
    assert scene.channels.watched == {"anna"}
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

    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())

    assert [CHANGED] == told(waiting)
    assert (waiting.phone.waiting, scene.looks) == (None, [])
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

    scene.hub.hinted("anna", payload)

    assert (["anna"], []) == (scene.looks, told(waiting))


def test_hint_of_an_unwatched_folder_is_nothing(scene: Scene) -> None:
    """A change elsewhere in the mailbox needs no look and ends nobody."""
    waiting = scene.hold()

    scene.hub.hinted("anna", Hint("Archive", 1).to_bytes())

    assert ([], []) == (scene.looks, told(waiting))


def test_hint_of_a_mailbox_nobody_waits_for_is_nothing(scene: Scene) -> None:
    """A lingering subscription may still deliver."""
    scene.hold()

    scene.hub.hinted("bert", b"look")

    assert scene.looks == []


def test_hint_reaches_all_devices_of_a_mailbox(scene: Scene) -> None:
    """One hint ends every Ping of the mailbox that it concerns, whatever becomes of the list."""
    pings = [scene.hold(device=f"D{number}") for number in range(4)]

    scene.hub.hinted("anna", Hint("5", 1).to_bytes())

    assert [1] * 4 == [len(told(one)) for one in pings]


def test_hint_for_an_opening_ping_makes_its_reading_stale(scene: Scene) -> None:
    """What is heard while Redis is asked is remembered, not acted on."""
    waiting = scene.enter()

    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())

    assert isinstance(waiting.state, Opening)
    assert waiting.state.is_stale
    assert ([], []) == (scene.looks, told(waiting))


def test_look_ends_a_ping_that_differs(scene: Scene) -> None:
    """Numbers that differ from the cursors answer."""
    waiting = scene.hold()

    scene.hub.look(waiting, (0, 0, 0, 7), "e1")

    assert [CHANGED] == told(waiting)


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


def test_newer_ping_ends_the_older(scene: Scene) -> None:
    """A second Ping of a device ends the first one with status 1, another device's stays."""
    older, other = scene.hold(generation=1), scene.hold(device="D2")
    newer = scene.enter()
    scene.hub.newer("anna", "D1", 2)

    assert [SUPERSEDED.response.to_bytes()] == told(older)
    assert [[], []] == [told(other), told(newer)]
    assert {other, newer} == set(scene.hub.of("anna"))


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

    scene.hub.hinted("anna", newer_ping("D1", generation))

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
    assert scene.channels.watched == {"anna"}

    scene.hub.finish(pings[1], HEARTBEAT)
    assert scene.channels.watched == set()


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
