"""Changes are published at their intended times, whatever a single publish does."""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from loadtest.figures import Figures
from loadtest.generators.publishing import LANES, Publishing
from loadtest.phones.account import Account
from loadtest.phones.connecting import Dialler
from loadtest.phones.fleet import Fleet
from loadtest.phones.phone import HELD
from loadtest.phones.witness import Witness
from loadtest.profiles.population import populate
from loadtest.profiles.schedule import Planned
from loadtest.profiles.users import Users
from loadtest.publishers.publishing import PublishFailedError
from loadtest.scenario.commands import Habits, Watched
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

PHONES = 300
INBOX = Watched("5", "Email", "INBOX")


class Backend:
    """Takes changes into a list; may be slow for one mailbox or for all, or fail."""

    def __init__(self, *, slow: str = "", pause: float = 0.0, fails: bool = False) -> None:
        self.carries_tags = False
        self.taken: list[tuple[str, str, str]] = []
        self._slow = slow
        self._pause = pause
        self._fails = fails

    async def publish(self, mailbox: str, folder: str, tag: str) -> None:
        await asyncio.sleep(self._pause if mailbox.startswith(self._slow) else 0)
        if self._fails:
            raise PublishFailedError("away")
        self.taken.append((mailbox, folder, tag))

    async def close(self) -> None: ...


class Desk:
    """A publishing, and what it enters its changes into; each mailbox has one phone."""

    def __init__(self, backend: Backend) -> None:
        self.figures = Figures()
        self.account = Account(PHONES, self.figures, slo=1.0)
        users = Users(name="u{n}@x")
        dice = random.Random(1)
        fleet = Fleet(
            populate(users, devices=PHONES, part=0, parts=1, rng=dice),
            [Habits()] * PHONES,
            dialler=Dialler((Target("127.0.0.1", 1),), (), None, self.figures),
            witness=Witness(self.figures, self.account, settle=0.0),
            errors=self.figures.errors,
            rng=dice,
        )
        for phone in fleet.phones:
            phone.watched, phone.state = (INBOX,), HELD
            self.account.arm(phone.number, 0.0)
        self.publishing = Publishing(backend, fleet, self.account, self.figures, prefix="run-0")


def at_once(count: int, offset: float = 0.0) -> Iterator[Planned]:
    return (Planned(offset, mailbox, "INBOX") for mailbox in range(count))


async def test_every_change_is_published_with_its_tag() -> None:
    """Each planned change reaches the backend once, under an id that begins with the prefix."""
    backend = Backend()
    desk = Desk(backend)

    await desk.publishing.run([Planned(0.0, 0, "INBOX"), Planned(0.001, 1, "Tasks")], monotonic())

    assert [
        ("u1@x", "INBOX", "pushgw-loadtest run-0-1"),
        ("u2@x", "Tasks", "pushgw-loadtest run-0-2"),
    ] == backend.taken
    assert (2, 1) == (desk.figures.counts["published"], desk.account.open)


async def test_a_slow_publish_does_not_delay_the_next() -> None:
    """While one publish takes 50 ms, the next begins at its own time."""
    backend = Backend(slow="u1@", pause=0.05)

    await Desk(backend).publishing.run(
        [Planned(0.0, 0, "INBOX"), Planned(0.01, 1, "INBOX")], monotonic()
    )

    assert ["u2@x", "u1@x"] == [mailbox for mailbox, *_ in backend.taken]


async def test_intended_times_are_kept() -> None:
    """A backend that is far behind moves no change: all of them count from when they were due."""
    desk = Desk(Backend(pause=0.02))
    start = monotonic()

    await desk.publishing.run(at_once(4 * LANES), start)

    assert {start} == {change.at for _, change in desk.account.missed()}
    assert desk.figures.latency("publish").max > 0.05


async def test_a_change_is_not_dated_into_the_future() -> None:
    """A timer that is early by less than a millisecond does not make an answer come too soon."""
    desk = Desk(Backend())
    start = monotonic()
    plan = [Planned(0.0003 * number, number, "INBOX") for number in range(100)]

    await desk.publishing.run(plan, start)

    changes = [change for _, change in desk.account.missed()]
    dated = [one.at - start - due.offset for one, due in zip(changes, plan, strict=True)]
    assert -0.002 < min(dated)
    assert max(dated) < 1e-6
    assert all(one.at <= one.recorded_at for one in changes)


async def test_a_recorded_change_says_when() -> None:
    """Once the backend has a change, the account knows since when."""
    desk = Desk(Backend(pause=0.01))
    start = monotonic()

    await desk.publishing.run(at_once(1), start)

    ((_, change),) = desk.account.missed()
    assert 0.008 < change.recorded_at - start < 5


async def test_a_failed_change_is_withdrawn() -> None:
    """A change that the backend never got is counted by the kind of failure; nobody misses it."""
    desk = Desk(Backend(fails=True))

    await desk.publishing.run(at_once(3), monotonic())

    assert {"publish: away": 3} == desk.figures.errors
    assert (3, 0, 0) == (
        desk.figures.counts["withdrawn"],
        desk.figures.counts["expected"],
        desk.account.open,
    )


async def test_tags_are_looked_for_where_they_are_carried() -> None:
    """Where the backend carries tags, the account waits for those."""
    backend = Backend()
    backend.carries_tags = True
    desk = Desk(backend)

    await desk.publishing.run(at_once(1), monotonic())

    assert [True] == [change.has_tag for _, change in desk.account.missed()]


async def test_a_stopped_plan_publishes_nothing_more() -> None:
    """After a stop the changes to come are neither published nor expected."""
    backend = Backend()
    desk = Desk(backend)
    asyncio.get_running_loop().call_later(0.01, desk.publishing.stop)

    async with asyncio.timeout(5):
        await desk.publishing.run(at_once(1, offset=60.0), monotonic())

    assert ([], 0) == (backend.taken, desk.figures.counts["published"])


async def test_a_stop_does_not_wait_for_a_backlog() -> None:
    """What waits for a slow backend at a stop is given up: nobody can miss it."""
    backend = Backend(pause=0.05)
    desk = Desk(backend)
    asyncio.get_running_loop().call_later(0.01, desk.publishing.stop)

    async with asyncio.timeout(5):
        await desk.publishing.run(at_once(PHONES), monotonic())

    assert LANES == len(backend.taken) == desk.figures.counts["published"] == desk.account.open


async def test_an_unknown_failure_is_not_swallowed() -> None:
    """A mistake of the publisher ends the plan."""
    backend = Backend()
    backend.publish = None  # type: ignore[method-assign, assignment]  # the mistake

    with pytest.raises(ExceptionGroup) as found:
        await Desk(backend).publishing.run(at_once(1), monotonic())

    assert found.group_contains(TypeError)
