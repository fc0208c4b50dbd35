"""One process' part of a run, against a small real server."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from loadtest.generators.generator import Generator
from loadtest.phones.account import Change
from loadtest.polling import poll
from loadtest.profiles.profile import Arrival, Changes, Fault, Stage
from loadtest.profiles.units import Span
from loadtest.publishers import PublisherError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from loadtest.generators.assignment import Assignment
    from loadtest.profiles.profile import Profile


@pytest.fixture(autouse=True)
def _thaw() -> Iterator[None]:
    # A generator has its process for itself, and freezes what is there.
    yield
    gc.unfreeze()


@asynccontextmanager
async def generating(assignment: Assignment) -> AsyncIterator[Generator]:
    """A generator whose phones of before are held."""
    before = assignment.before
    async with (
        asyncio.timeout(20),
        asyncio.TaskGroup() as group,
        Generator(assignment, group) as generator,
    ):
        generator.arrive(0, before, 0.02)
        assert await poll(lambda: generator.fleet.held == before, within=10)
        await asyncio.sleep(0.05)
        yield generator


async def finish(generator: Generator) -> None:
    assert await poll(lambda: generator.is_over, within=15)


async def test_a_part_is_performed(rival: Any, profile: Callable[..., Profile]) -> None:
    """Phones are held, changes are published at their rate, and all of them are received."""
    async with generating(rival.assignment(profile(settle=0.0))) as generator:
        generator.go(0.05)
        await finish(generator)

    counts = generator.figures.counts
    assert (20, 20, 20) == (counts["published"], counts["expected"], counts["received"])
    assert [] == generator.missed()


async def test_a_report_holds_what_is_new(rival: Any, profile: Callable[..., Profile]) -> None:
    """A report has the states of now, and of the figures only what the one before had not."""
    async with generating(rival.assignment(profile(devices=10))) as generator:
        first, second = generator.report(), generator.report()

    assert {"held": 10} == first["states"] == second["states"]
    assert (10, {}) == (first["counts"]["connects"], second["counts"])
    assert first["cpu"] <= second["cpu"]
    assert not second["is_over"]


async def test_phones_of_a_stage_come_while_the_clock_runs(
    rival: Any, profile: Callable[..., Profile]
) -> None:
    """A stage brings its phones at its time, and not before."""
    stage = Stage(at=Span(part=0.5), over=Span(part=0.2), share=0.5)
    load = profile(arrival=Arrival(rate=2000.0, stages=(stage,)), changes=Changes())
    async with generating(rival.assignment(load)) as generator:
        generator.go(0.0)
        await asyncio.sleep(0.05)
        early = generator.fleet.held
        await finish(generator)

    assert 20 == early
    assert 40 == generator.figures.counts["connects"]


async def test_a_storm_cuts_its_share(rival: Any, profile: Callable[..., Profile]) -> None:
    """A cut is done to that part of the connected phones, at its time."""
    storm = Fault(at=Span(part=0.4), kind="cut", share=0.25, how="close")
    load = profile(faults=(storm,), changes=Changes(), duration=0.1)
    async with generating(rival.assignment(load)) as generator:
        generator.go(0.0)
        await finish(generator)

    assert {"cut": 10} == generator.figures.errors


async def test_a_nat_forgets_for_its_time(rival: Any, profile: Callable[..., Profile]) -> None:
    """Flows are dropped from the beginning of the fault to its end."""
    nat = Fault(at=Span(0.05), until=Span(0.25), kind="nat", share=0.5, idle=60.0)
    load = profile(faults=(nat,), changes=Changes(), duration=0.3)
    async with generating(rival.assignment(load)) as generator:
        shares = [generator.fleet._nat_share]
        generator.go(0.0)
        assert await poll(lambda: generator.fleet._nat_share > 0, within=5)
        shares.append(generator.fleet._nat_share)
        await finish(generator)
        shares.append(generator.fleet._nat_share)

    assert [0.0, 0.5, 0.0] == shares


async def test_a_restart_is_not_for_phones(rival: Any, profile: Callable[..., Profile]) -> None:
    """Of a restart the phones see only what the server does."""
    restart = Fault(at=Span(), kind="restart")
    load = profile(faults=(restart,), changes=Changes(), duration=0.05)
    async with generating(rival.assignment(load)) as generator:
        generator.go(0.0)
        await finish(generator)

    assert {} == generator.figures.errors


async def test_a_stop_ends_the_plan(rival: Any, profile: Callable[..., Profile]) -> None:
    """After a stop nothing is published, nobody else arrives, and no storm breaks out."""
    stage = Stage(at=Span(part=0.5), share=0.5)
    storm = Fault(at=Span(part=0.5), kind="cut", share=1.0)
    load = profile(duration=3600.0, arrival=Arrival(rate=2000.0, stages=(stage,)), faults=(storm,))
    async with generating(rival.assignment(load)) as generator:
        generator.go(0.0)
        await poll(lambda: generator.figures.counts["published"] > 2, within=5)
        generator.stop()
        generator.arrive(0, 20, 0.0)
        await finish(generator)
        published = generator.figures.counts["published"]

    assert 0 < published < 100
    assert ({}, 20) == (generator.figures.errors, generator.figures.counts["connects"])


async def test_missed_changes_have_names(rival: Any, profile: Callable[..., Profile]) -> None:
    """What no answer told of is listed with mailbox, device and the time on the profile's clock."""
    load = profile(changes=Changes(), duration=0.05, grace=0.05)
    async with generating(rival.assignment(load)) as generator:
        generator.go(0.0)
        lost = Change("run-0-1", 6, "INBOX", generator._went_at + 0.02)
        generator.account.arm(6, lost.at)
        generator.account.publish(lost, generator.fleet.watchers(6, "INBOX"))
        await finish(generator)
        (missed,) = generator.missed()

    assert 1 == generator.figures.counts["missed"]
    assert {
        "change": "run-0-1",
        "mailbox": "user000007@example.org",
        "device": "PHONE000007N1",
        "folder": "INBOX",
        "at": pytest.approx(0.02),
    } == missed


async def test_all_misses_are_counted_and_some_told(
    rival: Any, profile: Callable[..., Profile]
) -> None:
    """However many changes are missed, a thousand of them are told one by one."""
    async with generating(rival.assignment(profile(devices=10))) as generator:
        for number in range(1010):
            phone = number % 10
            lost = Change(f"run-0-{number}", phone, "INBOX", 1.0)
            generator.account.arm(phone, 0.0)
            generator.account.publish(lost, generator.fleet.watchers(phone, "INBOX"))
        told = generator.missed()

    assert (1000, 1010) == (len(told), generator.figures.counts["missed"])


async def test_a_process_may_have_no_phones(rival: Any, profile: Callable[..., Profile]) -> None:
    """With more processes than phones, those without any are over when the clock is."""
    async with generating(rival.assignment(profile(duration=0.05), devices=0)) as generator:
        generator.go(0.0)
        await finish(generator)

    assert 0 == generator.figures.counts["published"]


async def test_a_publisher_must_be_allowed(rival: Any, profile: Callable[..., Profile]) -> None:
    """Changes are not published on a host that may not be loaded."""
    assignment = rival.assignment(profile(), publisher_url="redis://192.0.2.1")

    with pytest.raises(ExceptionGroup) as found:
        async with generating(assignment):
            pass

    assert found.group_contains(PublisherError, match=r"192\.0\.2\.1")
