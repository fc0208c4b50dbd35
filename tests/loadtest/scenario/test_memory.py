"""What a phone remembers."""

from __future__ import annotations

import pytest

from loadtest.scenario.commands import Collection, Habits, Ping, Wait, Watched
from loadtest.scenario.memory import Memory
from loadtest.scenario.pace import AOSP, FIXED, Pace
from tests.loadtest.scenario.samples import INBOX

NOTES = Watched("6", "Notes", "Notes")


@pytest.mark.parametrize(
    ("jitter", "expected"),
    [
        (0.0, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]),
        (0.5, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]),
    ],
)
def test_pauses_double_up_to_a_minute(jitter: float, expected: list[float]) -> None:
    """Pauses double from about 1 s, spread by the phone's dice, up to 60 s."""
    memory = Memory(Habits(), jitter, FIXED, syncs=False)

    found = [memory.pause() for _ in expected]

    assert [Wait(interval) for interval in expected] == found


def test_a_good_answer_ends_the_row_of_pauses(memory: Memory) -> None:
    """After a good answer the first pause is a short one again."""
    memory.pause()
    memory.pause()

    memory.settle()

    assert Wait(1.0) == memory.pause()


def test_a_demand_is_repeated_until_a_good_answer(memory: Memory) -> None:
    """A demand counts as repeated, also with another one in between, until a good answer."""
    found = [memory.is_repeated(demand) for demand in (5, 7, 5)]
    memory.settle()

    assert [False, False, True, False] == [*found, memory.is_repeated(5)]


def test_the_body_is_left_out_by_a_terse_phone(folders: tuple[Watched, ...]) -> None:
    """A terse phone that was answered sends empty Pings, and the body again when asked."""
    memory = Memory(Habits(is_terse=True), 0.5, FIXED, syncs=False)
    memory.watch(folders)

    memory.shorten()
    short = memory.ping
    memory.lengthen()

    assert (Ping(480, folders, is_full=False), Ping(480, folders)) == (short, memory.ping)


def test_another_phone_sends_its_body_always(memory: Memory) -> None:
    """A phone without that habit leaves its Ping as it is."""
    before = memory.ping

    memory.shorten()

    assert before is memory.ping


def test_a_new_heartbeat_needs_the_body(folders: tuple[Watched, ...]) -> None:
    """A terse phone sends a full Ping when its heartbeat has changed, then empty ones."""
    memory = Memory(Habits(heartbeat=1380, is_terse=True), 0.5, AOSP, syncs=False)
    memory.watch(folders)

    memory.lasted()
    longer = memory.ping
    memory.lasted()

    assert (Ping(1680, folders), Ping(1680, folders, is_full=False)) == (longer, memory.ping)


def test_a_failure_changes_the_heartbeat(folders: tuple[Watched, ...]) -> None:
    """An adaptive phone pings for a shorter time after a failure."""
    memory = Memory(Habits(heartbeat=1380), 0.5, AOSP, syncs=False)
    memory.watch(folders)

    memory.failed()

    assert Ping(1080, folders) == memory.ping


def test_a_pace_of_the_same_heartbeat_leaves_the_ping(memory: Memory) -> None:
    """What only the rule knows does not change the Ping."""
    before = memory.ping

    memory.keep(Pace(480, 60, 900))

    assert (True, Pace(480, 60, 900)) == (memory.ping is before, memory.pace)


def test_a_folder_that_stays_keeps_its_key(syncing: Memory) -> None:
    """Other folders begin with key 0, those watched before go on."""
    syncing.watch((NOTES, INBOX))

    assert (Collection(NOTES, "0"), Collection(INBOX, "5a")) == syncing.collections()


def test_folders_never_synced_belong_to_every_sync(syncing: Memory) -> None:
    """A Sync takes the folders asked for and those that still have key 0."""
    syncing.watch((NOTES, *syncing.ping.folders))

    assert (Collection(NOTES, "0"), Collection(INBOX, "5a")) == syncing.collections(["5"])
