"""What follows each answer of a Ping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loadtest.scenario.commands import (
    Answer,
    Broken,
    Collection,
    Document,
    Folder,
    FolderSync,
    Habits,
    Options,
    Ping,
    Provision,
    Sync,
    Synced,
    Wait,
)
from loadtest.scenario.memory import Memory
from loadtest.scenario.pace import AOSP, FIXED
from loadtest.scenario.pinging import pinging
from tests.loadtest.scenario.samples import CALENDAR, CHANGED, INBOX, OVER, Play

if TYPE_CHECKING:
    from loadtest.scenario.commands import Script


BOTH = (INBOX, CALENDAR)
FULL, EMPTY = Ping(480, BOTH), Ping(480, BOTH, is_full=False)


def of_status(status: int, **facts: Any) -> Answer:
    return Answer(200, Document("Ping", status, **facts))


def script(*, syncs: bool = False, **habits: Any) -> Script:
    """Begin where the phone comes back with its folders."""
    return pinging(Memory(Habits(known=BOTH, **habits), 0.5, FIXED, syncs=syncs))


def test_a_new_phone_prepares_and_pings(play: Play, hierarchy: Answer) -> None:
    """A phone prepares, then waits with a full Ping."""
    phone = pinging(Memory(Habits(), 0.5, FIXED, syncs=False))

    assert [Options(), FolderSync(), FULL] == play(phone, Answer(200), hierarchy)


def test_a_phone_that_comes_back_pings_first(play: Play) -> None:
    """A phone that knows its folders begins with a full Ping, even if it syncs."""
    assert [FULL] == play(script(syncs=True))


@pytest.mark.parametrize("outcome", [OVER, CHANGED])
def test_an_answered_ping_is_repeated_at_once(play: Play, outcome: Answer) -> None:
    """After status 1 and status 2 the phone pings again with its whole body."""
    assert [FULL, FULL] == play(script(), outcome)


@pytest.mark.parametrize("outcome", [OVER, CHANGED])
def test_a_terse_phone_leaves_the_body_out(play: Play, outcome: Answer) -> None:
    """A terse phone sends empty Pings once the server has answered a full one."""
    assert [FULL, EMPTY, EMPTY] == play(script(is_terse=True), outcome, outcome)


def test_status_2_is_synced_before_the_next_ping(play: Play) -> None:
    """A phone that syncs fetches the named folder, then pings again."""
    memory = Memory(Habits(known=BOTH), 0.5, FIXED, syncs=True)
    phone = pinging(memory)
    next(phone)
    memory.learn({"5": "5a", "1": "1a"})

    synced = phone.send(CHANGED)
    pinged = phone.send(Answer(200, Document("Sync", collections=(Synced("5", 1, "5b"),))))

    assert (Sync((Collection(INBOX, "5a"),)), FULL) == (synced, pinged)


def test_a_server_without_sync_gets_pings_only(play: Play) -> None:
    """A phone that met HTTP 501 for its Sync goes on with Pings."""
    found = play(script(syncs=True), CHANGED, Answer(501), CHANGED)

    assert [FULL, Sync, FULL, FULL] == [
        one if isinstance(one, Ping) else type(one) for one in found
    ]


def test_a_broken_ping_is_repeated_after_a_pause(play: Play) -> None:
    """A phone whose connection broke backs off and pings again."""
    assert [FULL, Wait(1.0), FULL] == play(script(), Broken("closed"), None)


@pytest.mark.parametrize("outcome", [Broken("timeout"), Answer(200)])
def test_a_ping_without_an_answer_shortens_the_interval(play: Play, outcome: Any) -> None:
    """An adaptive phone takes a broken connection and an empty answer for a failed network."""
    phone = pinging(Memory(Habits(heartbeat=1080, known=BOTH), 0.5, AOSP, syncs=False))

    assert [Ping(1080, BOTH), Wait(1.0), Ping(780, BOTH)] == play(phone, outcome, None)


def test_an_interval_that_lasted_grows(play: Play) -> None:
    """An adaptive phone asks for more after status 1, and for the same after status 2."""
    phone = pinging(Memory(Habits(known=BOTH), 0.5, AOSP, syncs=False))

    assert [480, 780, 780] == [one.heartbeat for one in play(phone, OVER, CHANGED)]


def test_status_3_makes_a_terse_phone_send_its_body(play: Play) -> None:
    """A server that does not know the cached values gets the whole body at once."""
    assert [EMPTY, FULL] == play(script(is_terse=True), OVER, of_status(3))[1:]


def test_status_5_sets_the_heartbeat(play: Play) -> None:
    """The phone takes the heartbeat that the server allows, in a full Ping."""
    found = play(script(is_terse=True), OVER, of_status(5, heartbeat=900))

    assert Ping(900, BOTH) == found[-1]


def test_status_6_leaves_folders_out(play: Play) -> None:
    """The phone watches as many folders as the server allows, the first ones."""
    assert Ping(480, (INBOX,)) == play(script(), of_status(6, max_folders=1))[-1]


def test_status_7_asks_for_the_hierarchy(play: Play, hierarchy: Answer) -> None:
    """A changed hierarchy is fetched, and the next Ping is full."""
    found = play(script(is_terse=True), OVER, of_status(7), hierarchy)

    assert [EMPTY, FolderSync(), FULL] == found[1:]


def test_status_7_syncs_folders_that_are_new(play: Play) -> None:
    """A phone that syncs fetches a folder that came with the hierarchy before it pings."""
    habits = Habits(known=(INBOX,), watches=("INBOX", "Calendar"))
    memory = Memory(habits, 0.5, FIXED, syncs=True)
    phone = pinging(memory)
    next(phone)
    memory.learn({"5": "5a"})
    found = (Folder("5", "Inbox", 2), Folder("1", "Calendar", 8))

    phone.send(of_status(7))
    synced = phone.send(Answer(200, Document("FolderSync", 1, hierarchy=found)))

    assert Sync((Collection(CALENDAR, "0"),)) == synced


@pytest.mark.parametrize(
    "outcome",
    [
        of_status(0),
        of_status(3),
        of_status(4),
        of_status(5),
        of_status(6),
        of_status(6, max_folders=2),
        of_status(8),
        of_status(111),
    ],
)
def test_what_asks_for_nothing_is_a_fault(play: Play, outcome: Answer) -> None:
    """An answer that says nothing new to a full Ping is followed by a back-off."""
    assert [FULL, Wait(1.0), FULL] == play(script(), outcome, None)


@pytest.mark.parametrize("status", [132, 140, 142, 150])
def test_a_ping_leaves_provisioning_to_the_next_sync(
    play: Play, hierarchy: Answer, status: int
) -> None:
    """After a status that a Ping does not obey the phone pauses and asks for the hierarchy."""
    found = play(script(), of_status(status), None, hierarchy)

    assert [FULL, Wait(1.0), FolderSync(), FULL] == found


def test_a_repeated_demand_is_followed_after_a_pause(play: Play) -> None:
    """A server that demands something twice in a row does not get a busy loop."""
    low, high = of_status(5, heartbeat=60), of_status(5, heartbeat=900)

    found = play(script(), low, high, None)

    assert [Ping(60, BOTH), Wait(1.0), Ping(900, BOTH)] == found[1:]


def test_demands_in_turn_are_repeated_too(play: Play, hierarchy: Answer) -> None:
    """Two demands that take turns do not make a busy loop either."""
    bound = of_status(5, heartbeat=480)

    found = play(script(), bound, of_status(7), hierarchy, bound, None, of_status(7))

    assert [Wait(1.0), FULL, Wait(2.0)] == found[-3:]


def test_a_good_answer_ends_the_row_of_demands(play: Play) -> None:
    """After an ordinary answer, the next demand is followed at once again."""
    bound = of_status(5, heartbeat=60)

    assert Ping(60, BOTH) == play(script(), bound, OVER, bound)[-1]


def test_an_http_failure_is_obeyed(play: Play) -> None:
    """A Ping that meets HTTP 503 is repeated when the server asked for it."""
    found = play(script(), Answer(503, retry_after=7.0), None)

    assert [FULL, Wait(7.0), FULL] == found


def test_449_provisions_before_the_next_ping(play: Play) -> None:
    """A Ping that meets HTTP 449 is repeated after Provision."""
    no_policy = Answer(200, Document("Provision", 1, policy_status=2))

    assert [FULL, Provision(), FULL] == play(script(), Answer(449), no_policy)


@pytest.mark.parametrize("outcome", [Answer(401), of_status(129)])
def test_a_refused_phone_ends(play: Play, outcome: Answer) -> None:
    """A phone that is refused sends nothing more."""
    assert [FULL, ("ended", None)] == play(script(), outcome)
