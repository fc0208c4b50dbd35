"""What a phone does next, from plain outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.scenario import Answer, Broken, FolderSync, Habits, Ping, Wait, phone

if TYPE_CHECKING:
    from loadtest.scenario import Command, Outcome

SYNCED = Answer(200, status=1)
OVER = Answer(200, status=1)
CHANGED = Answer(200, status=2, folders=("5",))


def commands(*outcomes: Outcome, habits: Habits | None = None) -> list[Command]:
    """Play outcomes; return the first command and the one after each outcome."""
    scenario = phone(habits or Habits())
    return [next(scenario), *(scenario.send(outcome) for outcome in outcomes)]


def test_the_hierarchy_comes_first() -> None:
    """A phone asks for the folder hierarchy, then waits with a full Ping."""
    expected = [FolderSync(), Ping(480, is_full=True)]

    assert expected == commands(SYNCED)


def test_a_phone_that_comes_back_pings_first() -> None:
    """A phone that knows its folders begins with a full Ping."""
    assert [Ping(480, is_full=True)] == commands(habits=Habits(knows_folders=True))


@pytest.mark.parametrize("outcome", [OVER, CHANGED])
def test_an_answered_ping_is_repeated_at_once(outcome: Answer) -> None:
    """After status 1 and status 2 the phone pings again with its whole body."""
    assert Ping(480, is_full=True) == commands(SYNCED, outcome)[-1]


def test_a_terse_phone_sends_an_empty_ping_after_the_first_answer() -> None:
    """A terse phone leaves the body out once the server has answered a full Ping."""
    habits = Habits(is_terse=True)
    expected = [FolderSync(), Ping(480, is_full=True), Ping(480, is_full=False)]

    assert expected == commands(SYNCED, OVER, habits=habits)


def test_status_3_makes_a_terse_phone_send_its_body() -> None:
    """A server that does not know the cached values gets the whole body at once."""
    habits = Habits(is_terse=True)

    found = commands(SYNCED, OVER, Answer(200, status=3), habits=habits)[-1]

    assert Ping(480, is_full=True) == found


def test_status_3_to_a_full_ping_is_a_fault() -> None:
    """A phone that sent everything backs off when it is asked for everything."""
    assert Wait(1.0) == commands(SYNCED, Answer(200, status=3))[-1]


def test_status_5_sets_the_heartbeat() -> None:
    """The phone takes the heartbeat that the server allows."""
    assert Ping(900, is_full=True) == commands(SYNCED, Answer(200, status=5, heartbeat=900))[-1]


def test_status_5_without_a_heartbeat_is_a_fault() -> None:
    """A phone that is not told which heartbeat is allowed backs off."""
    assert Wait(1.0) == commands(SYNCED, Answer(200, status=5))[-1]


def test_a_repeated_demand_is_followed_after_a_pause() -> None:
    """A server that demands something twice in a row does not get a busy loop."""
    low, high = Answer(200, status=5, heartbeat=60), Answer(200, status=5, heartbeat=900)

    found = commands(SYNCED, low, high, None)

    assert [Wait(2.0), Ping(900)] == found[-2:]


def test_an_answer_ends_the_row_of_faults() -> None:
    """After an ordinary answer, the next demand is followed at once again."""
    allowed = Answer(200, status=5, heartbeat=60)

    assert Ping(60) == commands(SYNCED, allowed, OVER, allowed)[-1]


def test_status_7_asks_for_the_hierarchy_again() -> None:
    """A changed hierarchy is fetched, and the next Ping is full."""
    habits = Habits(is_terse=True)

    found = commands(SYNCED, OVER, Answer(200, status=7), SYNCED, habits=habits)

    assert [FolderSync(), Ping(480, is_full=True)] == found[-2:]


def test_a_refused_hierarchy_is_asked_for_after_a_pause() -> None:
    """A FolderSync of another status is repeated after the back-off."""
    assert [Wait(1.0), FolderSync()] == commands(Answer(200, status=6), None)[-2:]


def test_retry_after_is_kept() -> None:
    """A phone stays away as long as the server asks it to."""
    assert Wait(30.0) == commands(SYNCED, Answer(503, retry_after=30.0))[-1]


def test_503_without_retry_after_is_a_fault() -> None:
    """A phone that is not told how long to stay away backs off."""
    assert Wait(1.0) == commands(SYNCED, Answer(503))[-1]


@pytest.mark.parametrize("http_status", [401, 403])
def test_a_refused_phone_stops(http_status: int) -> None:
    """A phone whose credentials are refused sends nothing more."""
    scenario = phone(Habits())
    next(scenario)

    with pytest.raises(StopIteration):
        scenario.send(Answer(http_status))


def test_a_broken_connection_is_a_fault() -> None:
    """A phone pings again after the back-off when its connection broke."""
    assert [Wait(1.0), Ping(480)] == commands(SYNCED, Broken("closed"), None)[-2:]


def test_the_back_off_doubles_up_to_a_minute() -> None:
    """Each fault in a row doubles the pause, from the phone's own patience to 60 s."""
    outcomes: list[Outcome] = [SYNCED]
    for _ in range(8):
        outcomes += [Broken("closed"), None]

    found = commands(*outcomes, habits=Habits(patience=0.75))

    expected = [0.75, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0, 60.0]
    assert expected == [one.interval for one in found if isinstance(one, Wait)]
