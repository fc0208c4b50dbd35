"""What every well-behaved client does with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.scenario.commands import (
    NOTHING,
    Answer,
    Broken,
    Collection,
    Document,
    FolderSync,
    Move,
    Options,
    Provision,
    Sync,
    Wait,
    Watched,
)
from loadtest.scenario.obeying import StoppedError, ask, obey

if TYPE_CHECKING:
    from loadtest.scenario.memory import Memory
    from tests.loadtest.scenario.samples import Play


GOOD = Answer(200, Document("FolderSync", 1))
OFFER = Answer(200, Document("Provision", 1, key="7", policy_status=1))
FINAL = Answer(200, Document("Provision", 1, key="8", policy_status=1))
NO_POLICY = Answer(200, Document("Provision", 1, policy_status=2))
SYNC = Sync((Collection(Watched("5", "Email", "INBOX"), "5a"),))
ACKNOWLEDGED = Provision("7", is_acknowledgement=True)


def of_status(status: int) -> Answer:
    return Answer(200, Document("FolderSync", status))


def test_a_good_answer_is_returned(memory: Memory, play: Play) -> None:
    """A document whose status is the command's own affair is the result, also a refusal of it."""
    found = play(ask(memory, FolderSync()), of_status(9))

    assert [FolderSync(), ("ended", of_status(9).document)] == found


def test_a_broken_connection_is_followed_by_a_pause(memory: Memory, play: Play) -> None:
    """A request without an answer is repeated after a back-off."""
    found = play(ask(memory, Options()), Broken("reset"), None, Answer(200))

    assert [Options(), Wait(1.0), Options(), ("ended", NOTHING)] == found


@pytest.mark.parametrize("http_status", [404, 500, 501, 502, 503, 504, 507])
def test_a_failure_is_followed_by_a_pause(memory: Memory, play: Play, http_status: int) -> None:
    """A request that failed is repeated after a back-off."""
    found = play(ask(memory, FolderSync()), Answer(http_status), None)

    assert [FolderSync(), Wait(1.0), FolderSync()] == found


@pytest.mark.parametrize("status", [110, 111, 132, 150])
def test_a_common_status_is_followed_by_a_pause(memory: Memory, play: Play, status: int) -> None:
    """A status that no command owns is a failure like others."""
    assert [FolderSync(), Wait(1.0)] == play(ask(memory, FolderSync()), of_status(status))


def test_retry_after_is_obeyed_exactly(memory: Memory, play: Play) -> None:
    """A phone stays away as long as the server asks it to, no matter its dice."""
    found = play(ask(memory, FolderSync()), Answer(503, retry_after=30.0))

    assert Wait(30.0) == found[-1]


def test_retry_after_of_nothing_is_a_pause(memory: Memory, play: Play) -> None:
    """A server that asks to come back at once gets no busy loop."""
    found = play(ask(memory, FolderSync()), Answer(503, retry_after=0.0))

    assert Wait(1.0) == found[-1]


@pytest.mark.parametrize("status", [126, 127, 128, 129, 130, 131, 139, 141, 177])
def test_a_refused_account_stops(memory: Memory, play: Play, status: int) -> None:
    """A status that means the account stops the phone."""
    with pytest.raises(StoppedError):
        play(ask(memory, FolderSync()), of_status(status))


def test_refused_credentials_stop(memory: Memory, play: Play) -> None:
    """A phone whose credentials are refused gives up."""
    with pytest.raises(StoppedError):
        play(ask(memory, FolderSync()), Answer(401))


@pytest.mark.parametrize("outcome", [Answer(449), Answer(403), *map(of_status, (142, 143, 144))])
def test_a_demanded_provision_has_two_phases(memory: Memory, play: Play, outcome: Answer) -> None:
    """The policy is fetched, acknowledged under its temporary key, and the request repeated."""
    found = play(ask(memory, FolderSync()), outcome, OFFER, FINAL, GOOD)

    expected = [Provision(), ACKNOWLEDGED, FolderSync(policy="8"), ("ended", GOOD.document)]
    assert expected == found[1:]


def test_options_carry_no_policy(memory: Memory, play: Play) -> None:
    """OPTIONS are repeated as they were, and the policy key is kept for the rest."""
    found = play(ask(memory, Options()), Answer(449), OFFER, FINAL)

    assert (Options(), "8") == (found[-1], memory.policy)


def test_no_policy_is_fine(memory: Memory, play: Play) -> None:
    """Where there is no policy for this client it goes on without."""
    found = play(ask(memory, FolderSync()), Answer(449), NO_POLICY)

    assert [FolderSync(), Provision(), FolderSync()] == found


def test_a_second_demand_for_provision_waits(memory: Memory, play: Play) -> None:
    """A server that is not content with the policy it gave does not get a busy loop."""
    found = play(ask(memory, FolderSync()), Answer(449), NO_POLICY, Answer(449), None)

    assert [FolderSync(), Wait(1.0), Provision()] == found[-3:]


def test_a_second_403_stops(memory: Memory, play: Play) -> None:
    """A 403 that Provision did not cure is final."""
    with pytest.raises(StoppedError):
        play(ask(memory, FolderSync()), Answer(403), NO_POLICY, Answer(403))


@pytest.mark.parametrize(
    "document",
    [
        Document("Provision", 3),
        Document("Provision", 1, key="7", policy_status=3),
        Document("Provision", 1, policy_status=1),
    ],
)
def test_a_refused_policy_is_asked_for_again(
    memory: Memory, play: Play, document: Document
) -> None:
    """A Provision that brings no key is repeated after a back-off."""
    found = play(ask(memory, FolderSync()), Answer(449), Answer(200, document), None)

    assert [Provision(), Wait(1.0), Provision()] == found[1:]


def test_a_refused_acknowledgement_begins_anew(memory: Memory, play: Play) -> None:
    """A wrong temporary key leads back to the first phase, after a back-off."""
    refused = Answer(200, Document("Provision", 1, policy_status=5))

    found = play(ask(memory, FolderSync()), Answer(449), OFFER, refused, None)

    assert [ACKNOWLEDGED, Wait(1.0), Provision()] == found[2:]


def test_a_failed_provision_is_repeated(memory: Memory, play: Play) -> None:
    """A Provision that failed is repeated after a back-off, also when it meets the same demand."""
    found = play(ask(memory, FolderSync()), Answer(449), Answer(500), None, Answer(449), None)

    assert [Provision(), Wait(1.0), Provision(), Wait(2.0), Provision()] == found[1:]


def test_a_wiped_phone_stops(memory: Memory, play: Play) -> None:
    """A remote wipe is acknowledged, and nothing more is sent."""
    wipe = Answer(200, Document("Provision", 1, wipe=True))
    script = ask(memory, FolderSync())

    found = play(script, of_status(140), wipe)

    assert Provision(wipes=True) == found[-1]
    with pytest.raises(StoppedError):
        script.send(Answer(200, Document("Provision", 1)))


def test_a_phone_moves_and_repeats(memory: Memory, play: Play) -> None:
    """An HTTP 451 with a location is followed at once."""
    moved = Answer(451, location="https://other.example/")

    found = play(ask(memory, FolderSync()), moved, None, GOOD)

    assert [Move("https://other.example/"), FolderSync()] == found[1:3]


def test_moves_in_a_row_are_bounded(memory: Memory, play: Play) -> None:
    """After three moves in a row a phone backs off instead."""
    moved = Answer(451, location="https://other.example/")

    found = play(ask(memory, FolderSync()), *[moved, None] * 4)

    assert [Move, FolderSync, Move, FolderSync, Wait, FolderSync] == [
        type(one) for one in found[3:]
    ]


def test_a_move_that_is_not_allowed_is_a_failure(memory: Memory, play: Play) -> None:
    """A phone that may not go there backs off and stays."""
    moved = Answer(451, location="https://other.example/")

    found = play(ask(memory, FolderSync()), moved, Broken("not allowed"), None)

    assert [Wait(1.0), FolderSync()] == found[2:]


def test_451_without_a_location_is_a_failure(memory: Memory, play: Play) -> None:
    """A phone that is not told where to go backs off."""
    assert Wait(1.0) == play(ask(memory, FolderSync()), Answer(451))[-1]


def test_a_server_without_sync_is_remembered(syncing: Memory, play: Play) -> None:
    """An HTTP 501 to a Sync ends it with nothing, and the phone syncs no more."""
    found = play(ask(syncing, SYNC), Answer(501))

    assert ([SYNC, ("ended", NOTHING)], False) == (found, syncing.syncs)


def test_another_failure_of_a_sync_is_no_501(syncing: Memory, play: Play) -> None:
    """A Sync that failed is repeated after a back-off."""
    assert [SYNC, Wait(1.0), SYNC] == play(ask(syncing, SYNC), Answer(500), None)


def test_an_obeyed_pause_ends(memory: Memory, play: Play) -> None:
    """What is no demand for Provision is over after the pause."""
    assert [Wait(1.0), ("ended", None)] == play(obey(memory, Broken("closed")), None)
