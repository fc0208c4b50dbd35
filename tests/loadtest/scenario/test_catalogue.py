"""All scenarios by name."""

from __future__ import annotations

import pytest

from loadtest.scenario.catalogue import DESCRIPTIONS, SCENARIOS, start, synchronises
from loadtest.scenario.commands import (
    Answer,
    Broken,
    Collection,
    Document,
    Folder,
    FolderSync,
    Habits,
    Half,
    HangUp,
    Move,
    Options,
    Ping,
    Provision,
    Sync,
    Synced,
    Wait,
    Watched,
)

COMMANDS = (Options, FolderSync, Provision, Sync, Ping, Half, Wait, HangUp, Move)
WELL_BEHAVED = [kind for kind in SCENARIOS if kind not in {"ping-loop", "half-request"}]
HIERARCHY = (Folder("5", "Inbox", 2), Folder("1", "Calendar", 8))
LET_IN = Answer(200, Document("FolderSync", 1, hierarchy=HIERARCHY))
GOOD = {
    Options: Answer(200),
    FolderSync: LET_IN,
    Provision: Answer(200, Document("Provision", 1, key="7", policy_status=1)),
}
UNWILLING = [
    Answer(200, Document("Ping", 5, heartbeat=480)),
    Answer(200, Document("Ping", 7)),
    Answer(200),
    Answer(449),
    Answer(451, location="https://other.example/"),
    Answer(200, Document("Sync", 3)),
    Answer(200, Document("Sync", 12)),
    Answer(200, Document("Sync", 13)),
    Answer(500),
    Broken("closed"),
]


def test_each_scenario_is_described() -> None:
    """Every name has a script and a line about it."""
    assert list(SCENARIOS) == list(DESCRIPTIONS)


@pytest.mark.parametrize("kind", SCENARIOS)
def test_each_scenario_begins(kind: str) -> None:
    """Every script begins with a command."""
    script = start(Habits(kind=kind), 0.25)

    assert isinstance(next(script), COMMANDS)


def test_an_unknown_scenario_is_refused() -> None:
    """A name that is not in the catalogue is an error."""
    with pytest.raises(KeyError, match="walkman"):
        start(Habits(kind="walkman"), 0.5)


@pytest.mark.parametrize("kind", SCENARIOS)
@pytest.mark.parametrize("syncs", [False, True])
def test_who_synchronises_is_known_beforehand(kind: str, *, syncs: bool) -> None:
    """A phone is said to fetch changes exactly if a Ping's or a Sync's answer makes it do so."""
    habits = Habits(kind=kind, syncs=syncs, known=(Watched("5", "Email", "INBOX"),))
    script = start(habits, 0.5)

    commands = [next(script), script.send(Answer(200, Document("Ping", 2, folders=("5",))))]

    assert synchronises(habits) is any(isinstance(one, Sync) for one in commands)


@pytest.mark.parametrize("kind", WELL_BEHAVED)
@pytest.mark.parametrize("outcome", UNWILLING)
@pytest.mark.parametrize("lets_in", [False, True])
def test_no_answer_makes_a_busy_loop(kind: str, outcome: Answer | Broken, *, lets_in: bool) -> None:
    """No answer, repeated for ever, makes a busy loop, before or after the phone was let in."""
    script = start(Habits(kind=kind, syncs=True), 0.5)
    command, waited, requests = next(script), 0.0, 0
    while waited < 600.0 and requests < 100:
        if isinstance(command, Wait | Move):
            waited += command.interval if isinstance(command, Wait) else 0.0
            command = script.send(None)
        else:
            requests += 1
            command = script.send(GOOD.get(type(command), outcome) if lets_in else outcome)

    assert requests < 50


def test_a_waiting_phone_shares_its_ping() -> None:
    """Phones of one group wait with one and the same Ping object."""
    known = (Watched("5", "Email", "INBOX"),)
    pings = {id(next(start(Habits(known=known), jitter))) for jitter in (0.1, 0.9)}

    assert 1 == len(pings)


def test_equal_dice_make_equal_phones() -> None:
    """The dice decide alone: the same ones bring the same pauses."""
    pauses = []
    for jitter in (0.25, 0.25, 0.75):
        script = start(Habits(), jitter)
        next(script)
        pauses.append(script.send(Broken("closed")))

    assert [Wait(0.75), Wait(0.75), Wait(1.25)] == pauses


def test_a_whole_life() -> None:
    """Versions, folders, keys, Ping, a change, its Sync, and the next Ping follow each other."""
    inbox = Watched("5", "Email", "INBOX")
    synced = [
        Answer(200, Document("Sync", collections=(Synced("5", 1, key),))) for key in ("a", "b", "c")
    ]
    changed = Answer(200, Document("Ping", 2, folders=("5",)))
    script = start(Habits(syncs=True, watches=("INBOX",)), 0.5)

    outcomes = [None, Answer(200), LET_IN, *synced[:2], changed, synced[2]]
    commands = [script.send(outcome) for outcome in outcomes]

    syncs = [Sync((Collection(inbox, key),)) for key in ("0", "a", "b")]
    ping = Ping(480, (inbox,))
    assert [Options(), FolderSync(), *syncs[:2], ping, syncs[2], ping] == commands
