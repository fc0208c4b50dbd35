"""The hub with many at once: woken and expired in chunks, drained, or sent to other workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from notifier.change import Hint
from pushgw.hub import CHUNK, PATIENT
from pushgw.session import BALANCED, DRAINED, HEARTBEAT, HIERARCHY_CHANGED
from tests.pushgw.hub_scene import (
    CHANGED,
    Phone,
    Scene,
    leaving_nothing,
    rests,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushgw.waiting import Waiting


@pytest.fixture(name="scene")
def _scene() -> Iterator[Scene]:
    with leaving_nothing(Scene()) as scene:
        yield scene


def crowd(scene: Scene, count: int) -> list[Waiting]:
    """Hold Pings of as many devices of one mailbox."""
    return [scene.hold(device=f"D{number}") for number in range(count)]


def test_cohort_expires_in_chunks(scene: Scene) -> None:
    """A cohort of equal deadlines is ended in portions, and the last one says so."""
    for number in range(CHUNK + 10):
        scene.hold(mailbox=f"user{number}")

    assert scene.hub.expire(1480.0) is True
    assert len(scene.hub) == 10
    assert scene.hub.expire(1480.0) is False
    assert len(scene.hub) == 0


async def test_crowd_is_woken_in_chunks(scene: Scene) -> None:
    """Between two chunks of a crowd whatever else the loop has to do gets its turn."""
    pings = crowd(scene, 2 * CHUNK + 10)
    seen_by_others = []

    def look_on() -> None:
        seen_by_others.append(sum(len(told(one)) for one in pings))
        if len(seen_by_others) < 3:
            loop.call_soon(look_on)

    loop = asyncio.get_running_loop()
    loop.call_soon(look_on)
    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())
    for _ in range(4):
        await asyncio.sleep(0)

    assert [CHUNK, 2 * CHUNK, 2 * CHUNK + 10] == seen_by_others
    assert {1} == {len(told(one)) for one in pings}


async def test_crowd_of_one_chunk_is_woken_at_once(scene: Scene) -> None:
    """As many as fit into one chunk are all answered in the turn in which the hint came."""
    pings = crowd(scene, CHUNK)

    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())

    assert {1} == {len(told(one)) for one in pings}


async def test_each_chunk_asks_for_its_look(scene: Scene) -> None:
    """A hint that proves nothing sends every chunk of a crowd to the ledger."""
    crowd(scene, CHUNK + 1)

    scene.hub.hinted("anna", b"look")
    assert scene.looks == ["anna"]

    await asyncio.sleep(0)
    assert scene.looks == ["anna", "anna"]


async def test_phone_of_a_later_chunk_that_has_gone_is_left_alone(scene: Scene) -> None:
    """Who ended while the crowd before was woken is not answered twice."""
    pings = crowd(scene, CHUNK + 2)
    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())
    scene.hub.abandon(pings[-1])
    scene.hub.interrupt(pings[-2])
    await asyncio.sleep(0)

    assert [1, 0] == [len(told(one)) for one in pings[-2:]]


async def test_opening_ping_of_a_later_chunk_hears_of_the_change(scene: Scene) -> None:
    """A Ping that Redis is asked for reads once more, wherever in the crowd it is."""
    crowd(scene, CHUNK)
    waiting = scene.enter(device="late")
    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())
    await asyncio.sleep(0)

    assert waiting.state.is_stale  # type: ignore[union-attr]  # it is opening


async def test_ping_that_rests_before_its_chunk_does_not_go_on(scene: Scene) -> None:
    """A heartbeat that is over between the hint and its chunk does not hide the change."""
    last = crowd(scene, CHUNK + 1)[-1]
    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())
    scene.hub.finish(last, HEARTBEAT)
    await asyncio.sleep(0)

    assert not rests(last)


async def test_ping_that_comes_back_before_its_chunk_is_woken_by_it(scene: Scene) -> None:
    """A phone that was answered and is held again when its chunk's turn comes is told."""
    last = crowd(scene, CHUNK + 1)[-1]
    scene.hub.hinted("anna", Hint("INBOX", 7).to_bytes())
    scene.hub.finish(last, HEARTBEAT)
    assert scene.resume(last)
    await asyncio.sleep(0)

    assert CHANGED == told(last)[-1]


def test_shed_takes_those_that_waited_longest(scene: Scene) -> None:
    """Phones are sent away in the order in which they came, with status 1 and an end."""
    pings = []
    for number in range(4):
        pings.append(scene.hold(mailbox=f"user{number}"))
        scene.now += PATIENT

    assert scene.hub.shed(2) == 2
    assert [1, 1, 0, 0] == [len(told(one)) for one in pings]
    assert BALANCED.response.to_bytes() == told(pings[0])[0]
    assert all(one.phone.closes == [True] for one in pings[:2] if isinstance(one.phone, Phone))


def test_shed_spares_those_that_have_just_come(scene: Scene) -> None:
    """A phone that would be sent from worker to worker has its 10 s first."""
    patient = scene.hold(mailbox="patient")
    scene.now += 0.001
    fresh = scene.hold(mailbox="fresh")
    scene.now += PATIENT - 0.001

    assert scene.hub.shed(5) == 1
    assert [1, 0] == [len(told(one)) for one in (patient, fresh)]


def test_shed_counts_from_the_last_request(scene: Scene) -> None:
    """A phone that has just been answered has just come, however long its connection is there."""
    waiting = scene.hold()
    scene.now += 60.0
    scene.hub.finish(waiting, HEARTBEAT)
    scene.resume(waiting)

    assert scene.hub.shed(1) == 0


def test_shed_leaves_out_who_is_not_held(scene: Scene) -> None:
    """A Ping that Redis is asked for, or whose answer is decided, is not sent away."""
    opening = scene.enter(mailbox="opening")
    postponed = scene.ends(4, HIERARCHY_CHANGED)[3]
    scene.now += 60.0

    assert scene.hub.shed(2) == 0
    assert ([], []) == (told(opening), told(postponed))


def test_shed_ping_does_not_rest(scene: Scene) -> None:
    """A phone that was sent away comes back elsewhere."""
    waiting = scene.hold()
    scene.now += PATIENT
    scene.hub.shed(1)

    assert not rests(waiting)


async def test_drain_ends_all_legally(scene: Scene) -> None:
    """Every Ping, in whatever state, is answered with status 1 on a connection that closes."""
    pings = [scene.hold(mailbox=f"user{number}") for number in range(3)]
    pings += [scene.enter(), scene.ends(4, HIERARCHY_CHANGED)[3]]

    await scene.hub.drain(0.0)

    assert [DRAINED.response.to_bytes()] * 3 == [told(one)[-1] for one in pings[:3]]
    assert all(one.phone.closes == [True] for one in pings[:3] if isinstance(one.phone, Phone))
    assert len(scene.hub) == 0


async def test_drain_is_spread(scene: Scene) -> None:
    """Answers leave over the given time, not at its begin, so that phones come back spread."""
    for number in range(40):
        scene.hold(mailbox=f"user{number}")
    clock = asyncio.get_running_loop().time
    began = clock()
    task = asyncio.ensure_future(scene.hub.drain(0.2))
    await asyncio.sleep(0)
    at_once = 40 - len(scene.hub)
    await task

    assert (True, True) == (at_once < 10, clock() - began >= 0.15)


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
