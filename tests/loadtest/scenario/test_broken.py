"""Clients that misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.scenario.broken import half_request, never_syncs, ping_loop, two_pings
from loadtest.scenario.commands import (
    Answer,
    Broken,
    Document,
    FolderSync,
    Habits,
    Half,
    Ping,
    Wait,
)
from tests.loadtest.scenario.samples import CHANGED, INBOX, OVER, Play

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtest.scenario.commands import Script


PING = Ping(480, (INBOX,))
TWIN = Ping(480, (INBOX,), twin=True)
BACK = Habits(known=(INBOX,), syncs=True)


def test_ping_loop_repeats_whatever_comes(play: Play) -> None:
    """The same Ping follows at once after errors, refusals and Retry-After."""
    outcomes = [
        Broken("closed"),
        Answer(401),
        Answer(503, retry_after=30.0),
        Answer(200, Document("Ping", 5, heartbeat=900)),
        CHANGED,
    ]

    assert [PING] * 6 == play(ping_loop(BACK, 0.5), *outcomes)


def test_two_pings_are_sent_as_twins(play: Play) -> None:
    """Each Ping goes out on two connections."""
    found = play(two_pings(Habits(known=(INBOX,)), 0.5), OVER, CHANGED)

    assert [TWIN, TWIN, TWIN] == found


@pytest.mark.parametrize("client", [ping_loop, two_pings])
def test_a_phone_refused_at_first_ends(play: Play, client: Callable[..., Script]) -> None:
    """A broken client that is not let in at all sends nothing more."""
    assert ("ended", None) == play(client(Habits(), 0.5), Answer(401))[-1]


def test_never_syncs_pings_again(play: Play) -> None:
    """A change is answered with the next Ping, though the group's habit is to sync."""
    assert [PING, PING, PING] == play(never_syncs(BACK, 0.5), CHANGED, CHANGED)


def test_half_requests_come_back(play: Play) -> None:
    """Half a FolderSync is sent again after a pause, spread by the phone's dice."""
    half = Half(FolderSync())

    found = play(half_request(Habits(), 0.25), Broken("timeout"), None)

    assert [half, Wait(7.5), half] == found


def test_a_phone_that_comes_back_sends_half_a_ping(play: Play) -> None:
    """A phone that knows its folders leaves its Ping unfinished."""
    assert [Half(PING)] == play(half_request(BACK, 0.5))
