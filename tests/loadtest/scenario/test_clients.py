"""The documented clients: which heartbeats they ask for, and how they sync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loadtest.scenario import clients
from loadtest.scenario.commands import Broken, Habits, Ping, Sync
from tests.loadtest.scenario.samples import CHANGED, INBOX, OVER, Play

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtest.scenario.commands import Script


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (clients.fixed, [900, 900, 900, 900]),
        (clients.aosp, [900, 1200, 1500, 1200]),
        (clients.aosp_2012, [900, 1080, 1260, 1080]),
        (clients.windows_mobile, [900, 1140, 1380, 1140]),
        (clients.ios, [900, 900, 900, 900]),
    ],
)
def test_each_client_has_its_rule(
    play: Play, client: Callable[..., Script], expected: list[int]
) -> None:
    """Two intervals that last and one failure move the heartbeat as the client's rule says."""
    phone = client(Habits(heartbeat=900, known=(INBOX,)), 0.5)

    found = play(phone, OVER, OVER, Broken("closed"), None)

    assert expected == [one.heartbeat for one in found if isinstance(one, Ping)]


@pytest.mark.parametrize(
    "client", [clients.fixed, clients.aosp, clients.aosp_2012, clients.windows_mobile]
)
@pytest.mark.parametrize(("syncs", "expected"), [(False, Ping), (True, Sync)])
def test_a_change_is_fetched_by_habit(
    play: Play, client: Callable[..., Script], expected: Any, *, syncs: bool
) -> None:
    """These clients sync after status 2 if that is the habit of their group."""
    found = play(client(Habits(known=(INBOX,), syncs=syncs), 0.5), CHANGED)

    assert expected is type(found[-1])


def test_ios_always_syncs(play: Play) -> None:
    """An iOS-like phone fetches each change, whatever the habit of its group."""
    assert [Ping, Sync] == [
        type(one) for one in play(clients.ios(Habits(known=(INBOX,)), 0.5), CHANGED)
    ]


def test_a_hanging_sync_needs_no_habit(play: Play) -> None:
    """A client that waits with Sync syncs from the beginning."""
    phone = clients.hanging_sync(Habits(known=(INBOX,)), 0.5)

    assert [Sync] == [type(one) for one in play(phone)]
