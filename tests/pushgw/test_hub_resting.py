"""An answered Ping rests until its phone is back, or until anything happens that may matter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from notifier.change import Hint
from pushgw.devices import Device, newer_ping
from pushgw.eas.ping import CACHED, PingResponse
from pushgw.session import (
    DRAINED,
    FAULT,
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
    Scene,
    leaving_nothing,
    rests,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="scene")
def _scene() -> Iterator[Scene]:
    with leaving_nothing(Scene()) as scene:
        yield scene


def hint(number: int, folder: str = "INBOX") -> bytes:
    return Hint(folder, number).to_bytes()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CHANGE, True),
        (HEARTBEAT, True),
        (HIERARCHY_CHANGED, False),
        (SUPERSEDED, False),
        (INTERRUPTED, False),
        (DRAINED, False),
        (FAULT, False),
        (Answer(PingResponse(3), "terms"), False),
    ],
)
def test_only_some_answers_let_rest(scene: Scene, answer: Answer, *, expected: bool) -> None:
    """A phone comes back with the same Ping after a change or a heartbeat, after nothing else."""
    waiting = scene.hold()

    scene.hub.finish(waiting, answer)

    assert expected == rests(waiting)


def test_ping_that_was_not_held_does_not_rest(scene: Scene) -> None:
    """A change that is told at once, or a deadline before Redis answered, leaves no session."""
    told_at_once, late = scene.enter(device="D1"), scene.enter(device="D2")
    scene.hub.end_at_once(told_at_once, CHANGE)
    scene.hub.finish(late, HEARTBEAT)

    assert (False, False) == (rests(told_at_once), rests(late))


def test_postponed_answer_does_not_rest(scene: Scene) -> None:
    """An answer that the brake held back was decided without a session."""
    postponed = scene.ends(4, CHANGE)[3]
    scene.hub.expire(1010.0)

    assert [CHANGED] == told(postponed)
    assert not rests(postponed)


def test_resumed_ping_is_held(scene: Scene) -> None:
    """A phone that is back waits under the number it had, until its new deadline."""
    waiting = scene.rest(generation=7)
    scene.now = 1100.0

    assert scene.hub.resume(waiting, 1100.0, 1580.0) is True
    assert ([waiting], 7) == (scene.hub.of("anna"), waiting.generation)
    assert (waiting, False) == (waiting.phone.waiting, rests(waiting))

    scene.hub.expire(1579.75)
    assert [EXPIRED] == told(waiting)

    scene.hub.expire(1580.0)
    assert [EXPIRED, EXPIRED] == told(waiting)


def test_resting_ping_is_not_waiting(scene: Scene) -> None:
    """What rests is neither counted nor found, and its mailbox is given up as usual."""
    scene.rest()

    assert (0, [], set()) == (len(scene.hub), scene.hub.of("anna"), scene.channels.watched)


def test_ping_of_another_device_ends_the_rest(scene: Scene) -> None:
    """A connection that carries several phones goes on from the last Ping or from none."""
    first = scene.rest(device="D1")
    second = Waiting(first.phone, Device("anna", "D2"), 1000.0, 1480.0, Opening(CACHED, None))
    scene.hub.enter(second)

    assert (False, second) == (rests(first), first.phone.waiting)


@pytest.mark.parametrize(
    "payload",
    [hint(7), hint(1), hint(1, "Archive"), hint(1, ""), b"look", newer_ping("D1", 1), b""],
)
def test_whatever_is_heard_ends_the_rest(scene: Scene, payload: bytes) -> None:
    """Any message of the mailbox, of whatever folder or device, has the next Ping ask Redis."""
    waiting = scene.rest()

    scene.hub.hinted("anna", payload)

    assert not rests(waiting)


def test_hint_ends_all_rests_of_its_mailbox(scene: Scene) -> None:
    """Every phone of the mailbox asks Redis, phones of other mailboxes do not."""
    pings = [scene.rest(device="D1"), scene.rest(device="D2"), scene.rest(mailbox="bert")]

    scene.hub.hinted("anna", hint(7))

    assert [False, False, True] == [rests(one) for one in pings]


def test_hint_that_ends_a_ping_lets_it_rest(scene: Scene) -> None:
    """The change that is told is known: it does not end the rest that follows."""
    waiting = scene.hold()

    scene.hub.hinted("anna", hint(7))

    assert rests(waiting)


def test_arrival_of_the_same_device_ends_the_rest(scene: Scene) -> None:
    """A phone that pings on another connection, or for something else, begins anew."""
    mine, other = scene.rest(device="D1"), scene.rest(device="D2")

    scene.enter(device="D1")

    assert (False, True) == (rests(mine), rests(other))


def test_rest_that_began_while_a_newer_ping_was_opening_ends(scene: Scene) -> None:
    """An older Ping that ends before the newer one has its number is not taken up again."""
    older = scene.hold(generation=1)
    scene.enter()
    scene.hub.finish(older, HEARTBEAT)
    scene.hub.newer("anna", "D1", 2)

    assert not rests(older)


def test_own_number_does_not_end_the_rest(scene: Scene) -> None:
    """A rest ends for a newer Ping of its own device only."""
    mine, other = scene.rest(device="D1", generation=2), scene.rest(device="D2", generation=1)

    scene.hub.newer("anna", "D1", 2)

    assert (True, True) == (rests(mine), rests(other))


def test_forgotten_mailbox_has_no_rests(scene: Scene) -> None:
    """A mailbox that is not heard any more has its phones ask Redis."""
    pings = [scene.rest(device="D1"), scene.rest(device="D2"), scene.rest(mailbox="bert")]

    scene.hub.forget_rests("anna")
    assert [False, False, True] == [rests(one) for one in pings]

    scene.hub.forget_all_rests()
    assert not rests(pings[2])


def test_unheard_mailbox_is_not_resumed(scene: Scene) -> None:
    """A Ping whose mailbox must be subscribed first is taken in like any other."""
    waiting = scene.rest()
    scene.channels.in_force = False

    assert scene.resume(waiting) is False
    assert (False, 0) == (rests(waiting), len(scene.hub))
    scene.channels.watched.clear()


def test_ping_that_ends_unheard_does_not_rest(scene: Scene) -> None:
    """A Ping that ends while its mailbox is not heard may have missed a change already."""
    waiting = scene.hold()
    scene.channels.in_force = False

    scene.hub.finish(waiting, HEARTBEAT)

    assert not rests(waiting)


async def test_drain_ends_all_rests(scene: Scene) -> None:
    """A worker that drains takes nobody up again, and lets nobody rest."""
    before, during = scene.rest(), [scene.hold(mailbox=f"user{number}") for number in range(2)]
    task = asyncio.ensure_future(scene.hub.drain(0.1))
    await asyncio.sleep(0)
    scene.hub.finish(during[1], HEARTBEAT)
    await task

    assert [False] * 3 == [rests(one) for one in (before, *during)]


async def test_ping_of_a_draining_worker_is_not_resumed(scene: Scene) -> None:
    """A Ping that comes back to a worker that drains is not held."""
    waiting = scene.rest()
    scene.hub.is_draining = True

    assert scene.resume(waiting) is False
    assert len(scene.hub) == 0


def test_told_change_is_not_news_again(scene: Scene) -> None:
    """A hint of the number that was told proves nothing after a resume: the ledger must say."""
    waiting = scene.hold()
    scene.hub.hinted("anna", hint(7))
    scene.resume(waiting)
    scene.hub.hinted("anna", hint(7))

    assert ([CHANGED], ["anna"]) == (told(waiting), scene.looks)


def test_change_after_the_told_one_wakes(scene: Scene) -> None:
    """The next number after a resume is a change."""
    waiting = scene.hold()
    scene.hub.hinted("anna", hint(7))
    scene.resume(waiting)
    scene.hub.hinted("anna", hint(8))

    assert [CHANGED, CHANGED] == told(waiting)


def test_look_after_a_resume_compares_with_what_was_told(scene: Scene) -> None:
    """The ledger's number is no news if it was told, however far it had gone on at once."""
    waiting = scene.hold(cursors=(0, 0, 0, 5))
    scene.hub.hinted("anna", hint(7))
    scene.resume(waiting)

    scene.hub.look(waiting, (0, 0, 0, 7), "e1")
    assert [CHANGED] == told(waiting)

    scene.hub.look(waiting, (0, 0, 0, 8), "e1")
    assert [CHANGED, CHANGED] == told(waiting)


def test_change_of_another_name_of_the_folder_is_still_news(scene: Scene) -> None:
    """What was told of one field says nothing of the others."""
    waiting = scene.hold()
    scene.hub.hinted("anna", hint(7, "INBOX"))
    scene.resume(waiting)
    scene.hub.hinted("anna", hint(7, "Inbox"))

    assert [CHANGED, CHANGED] == told(waiting)


def test_look_does_not_wake_who_rests(scene: Scene) -> None:
    """An answer of the ledger that comes late writes nothing between two requests."""
    waiting = scene.rest()

    scene.hub.look(waiting, (0, 0, 0, 7), "e1")

    assert [EXPIRED] == told(waiting)


def test_newer_ping_supersedes_a_resumed_one(scene: Scene) -> None:
    """A message of a higher number ends a Ping that was taken up again under its old one."""
    waiting = scene.rest(generation=5)
    scene.resume(waiting)

    scene.hub.hinted("anna", newer_ping("D1", 5))
    assert [EXPIRED] == told(waiting)

    scene.hub.hinted("anna", newer_ping("D1", 6))
    assert [EXPIRED, SUPERSEDED.response.to_bytes()] == told(waiting)


def test_resumed_ping_ends_like_any_other(scene: Scene) -> None:
    """A Ping that was taken up again is interrupted and abandoned as usual."""
    pings = [scene.rest(device="D1"), scene.rest(device="D2")]
    for one in pings:
        scene.resume(one)
    scene.hub.interrupt(pings[0])
    scene.hub.abandon(pings[1])

    assert ([EXPIRED, INTERRUPTED.response.to_bytes()], 0) == (told(pings[0]), len(scene.hub))


def test_resumed_ping_is_measured_from_its_own_arrival(scene: Scene) -> None:
    """A phone that was just taken up again has not waited: it does not release the brake."""
    scene.ends(3, HIERARCHY_CHANGED)
    waiting = scene.rest()
    scene.now += 120.0
    scene.resume(waiting)
    scene.hub.interrupt(waiting)

    (fourth,) = scene.ends(1, HIERARCHY_CHANGED)

    assert told(fourth) == []


def test_hierarchy_is_told_to_a_resumed_ping(scene: Scene) -> None:
    """A change of the hierarchy ends a Ping that was taken up again, which then begins anew."""
    waiting = scene.rest()
    scene.resume(waiting)

    scene.hub.hinted("anna", hint(1, ""))

    assert HIERARCHY_CHANGED.response.to_bytes() == told(waiting)[-1]
    assert not rests(waiting)


def test_rested_ping_many_times(scene: Scene) -> None:
    """Rest and resume follow each other as long as the phone comes back."""
    waiting = scene.hold(cursors=QUIET)
    for number in range(1, 6):
        scene.hub.hinted("anna", hint(number))
        assert scene.resume(waiting)

    assert [CHANGED] * 5 == told(waiting)
