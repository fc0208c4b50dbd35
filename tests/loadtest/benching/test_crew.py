"""Several load processes that act as one."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadtest import servers
from loadtest.benching import crew
from loadtest.benching.crew import Crew
from loadtest.figures import Histogram


class Member:
    """A load process that writes down its orders and has its outcome ready."""

    pid = 7

    def __init__(self, **outcome: Any) -> None:
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self._outcome = outcome

    async def perform(self, do: str, **numbers: object) -> dict[str, Any]:
        self.orders.append((do, numbers))
        return self._outcome

    def numbers(self, key: str) -> list[Any]:
        return [numbers[key] for _, numbers in self.orders]


def latency(*seconds: float) -> list[list[int]]:
    found = Histogram()
    for one in seconds:
        found.record(one)
    return found.encode()


def notified(count: int, lag_ms: float, *seconds: float) -> dict[str, Any]:
    return {
        "published": count,
        "answered": count - 1,
        "lost": 1,
        "histogram": latency(*seconds),
        "errors": {"timeout": 1},
        "lag_p99_ms": lag_ms,
    }


async def test_phones_are_parted() -> None:
    """Each process plays its own part of the phones, the first ones a phone more."""
    members = [Member(), Member(), Member()]
    await Crew(members).gather(8, known=True)

    assert [[3], [3], [2]] == [one.numbers("devices") for one in members]
    assert [[0], [1], [2]] == [one.numbers("part") for one in members]
    assert [[3], [3], [3]] == [one.numbers("parts") for one in members]


async def test_waves_that_cannot_be_halved_add_up() -> None:
    """However phones are cut into waves, no process is asked for more than it has."""
    members = [Member(held=2, errors={}), Member(held=1, errors={})]
    team = Crew(members)
    await team.gather(7, known=True)
    for wave in (3, 3, 1):
        await team.arrive(wave, 100.0)

    assert [[4, 2, 1, 1], [3, 1, 2, 0]] == [one.numbers("devices") for one in members]
    assert [50.0, 50.0, 50.0] == [numbers["rate"] for _, numbers in members[0].orders[1:]]


async def test_phones_gathered_anew_have_not_arrived() -> None:
    """After each gathering the waves begin with the first phone again."""
    members = [Member(held=1, errors={}), Member(held=0, errors={})]
    team = Crew(members)
    for _ in range(2):
        await team.gather(2, known=True)
        await team.arrive(1, 100.0)

    assert [1, 1, 1, 1] == members[0].numbers("devices")
    assert [1, 0, 1, 0] == members[1].numbers("devices")


async def test_what_phones_tell_is_added_up() -> None:
    """Phones held and errors of each kind are those of all processes."""
    one = Member(held=3, errors={"timeout": 1})
    other = Member(held=4, errors={"timeout": 2, "reset": 1})
    told = await Crew([one, other]).tell()

    assert (7, {"timeout": 3, "reset": 1}) == (told.held, dict(told.errors))


async def test_changes_are_shared_and_their_latencies_put_together() -> None:
    """Processes publish their parts of the rate with dice of their own; latencies are merged."""
    members = [Member(**notified(3, 1.5, 0.001, 0.002)), Member(**notified(2, 4.0, 0.250))]
    found = await Crew(members).notify(100.0, 5.0, seed=2)

    assert [[50.0], [50.0]] == [one.numbers("rate") for one in members]
    assert [[4], [5]] == [one.numbers("seed") for one in members]
    assert (5, 3, 2, 4.0) == (found.published, found.answered, found.lost, found.lag_ms)
    assert {"timeout": 2} == found.errors
    assert (3, 250) == (found.latency.count, round(found.latency.latency().max * 1000))


async def test_processes_hold_phones_together() -> None:
    """Two real processes hold all phones, and each change reaches one of them."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        async with (
            servers.valkey(directory) as redis,
            servers.rival(redis.url, directory) as rival,
            crew.start(2, rival.target, redis.url, directory) as team,
        ):
            await team.gather(25, known=True)
            held = [(await team.arrive(wave, 1000.0)).held for wave in (10, 15)]
            found = await team.notify(40.0, 0.2, seed=1)
            await team.close()

            assert 2 == len(set(team.pids))

    assert [10, 25] == held
    assert (8, 8, 0, 8) == (found.published, found.answered, found.lost, found.latency.count)
