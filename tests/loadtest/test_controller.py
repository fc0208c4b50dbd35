"""A run is led from the first phone to the closed account."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from loadtest import running, watching
from loadtest.controller import Audience, Controller, GeneratorError
from loadtest.profiles import reading
from loadtest.profiles.profile import Changes, Fault
from loadtest.profiles.units import Span
from loadtest.running import Place
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtest.profiles.profile import Profile
    from loadtest.running import Crew

SURGE = reading.find("overnight-surge")
STORM = reading.find("storm")
RESTART = Fault(at=Span(part=0.5), kind="restart")


@pytest.fixture(scope="module")
def ran(standing: Place, perform: Callable[..., Any]) -> Any:
    """The surge with 240 phones of two processes, and the two storms over it.

    It has a restart as well, and nobody who could do that.
    """
    small = SURGE.resized(devices=240, duration=2.0, rate=50.0)
    load = replace(small, faults=(*STORM.faults, RESTART), settle=0.1)
    return perform(load, standing, processes=2)


def test_every_change_is_accounted_for(ran: Any) -> None:
    """In spite of late phones and two storms nothing is missed, and all that is due is received."""
    counts = ran.result.figures.counts

    assert 50 < counts["published"] < 150
    assert 0 == counts["missed"]
    assert 30 < counts["expected"] == counts["received"]
    assert ran.result.is_good


def test_the_phones_of_before_are_there_when_the_clock_starts(ran: Any) -> None:
    """Half of the phones come first, and a mark says so; the stage brings the others."""
    early = [one.phones for one in ran.result.moments if one.phase == "arriving"]

    assert "120 of 120 phones held" == ran.marked[-1]
    assert max(early) <= 120
    assert 240 == ran.result.moments[-1].phones


def test_what_is_left_out_is_marked(ran: Any) -> None:
    """A run that knows no way to restart servers goes on without, and says so."""
    assert "no restart: this run knows no command for it (--restart)" == ran.marked[0]
    assert ran.marked == [mark.text for mark in ran.result.marks]


def test_a_run_has_three_phases(ran: Any) -> None:
    """Phones arrive, changes run, the account settles."""
    phases = list(dict.fromkeys(moment.phase for moment in ran.result.moments))

    assert ["arriving", "running", "settling"] == phases


def test_there_is_a_moment_each_second(ran: Any) -> None:
    """Moments are about a second apart; the last one is the end."""
    moments = ran.result.moments
    gaps = [after.at - before.at for before, after in pairwise(moments[:-1])]

    assert moments == tuple(ran.shown)
    assert all(0.9 < gap < 3.0 for gap in gaps), gaps
    assert dict(ran.result.figures.counts) == moments[-1].counts


def test_a_moment_tells_what_is_asked_and_done(ran: Any) -> None:
    """While the clock runs the rate asked for is that of the profile, and about that is done."""
    asked = {one.rate_target for one in ran.result.moments if one.phase == "running"}

    assert {50.0} == asked - {0.0}
    assert any(20 < one.published_per_second < 80 for one in ran.result.moments)


def test_storms_hit_the_connected_phones(ran: Any) -> None:
    """Each storm cuts its share; both are counted as what they are, and nothing else failed."""
    errors = ran.result.figures.errors

    assert {"cut"} == set(errors)
    assert 60 < errors["cut"] <= 2 * 72
    assert 60 < ran.result.figures.latency("reconnect").count <= errors["cut"]


def test_the_gateway_is_watched(ran: Any) -> None:
    """Its held Pings and its memory are in the last moment, and give bytes for each phone."""
    gateway = ran.result.moments[-1].gateway

    assert gateway.held > 200
    assert gateway.memory_bytes > 10 << 20
    assert gateway.cpu_seconds > 0
    assert ran.result.bytes_per_phone is None or ran.result.bytes_per_phone > 0


def test_generators_tell_their_own_cost(ran: Any) -> None:
    """Both processes are counted, with the CPU of the busiest one and how late they were."""
    last = ran.result.moments[-1]

    assert 2 == last.processes
    assert 0 < max(one.cpu for one in ran.result.moments) < 1
    assert last.generator_bytes > 0
    assert ran.result.figures.latency("lag").count > 0


# Below, a server that needs no processes of its own, and a controller without ``running``.


@pytest.fixture
def crew() -> Iterator[Crew]:
    one = running.engage(1)
    yield one
    one.dismiss()


class Server:
    """Answers each request in the same way, or not at all."""

    def __init__(self, answer: bytes = b"") -> None:
        self._answer = answer

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while await reader.read(4096):
                writer.write(self._answer)


REFUSING = Server(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
SILENT = Server()


def lead(
    load: Profile,
    crew: Crew,
    server: Server,
    *,
    held_within: float = 0.2,
    react: Callable[[Controller], object] = lambda _: None,
) -> Controller:
    """Lead a run against a server; ``react`` is called at each moment."""

    async def main() -> Controller:
        async with (
            await asyncio.start_server(server.take, "127.0.0.1", 0) as listener,
            watching.watch(()) as watched,
        ):
            place = Place(
                targets=(Target("127.0.0.1", listener.sockets[0].getsockname()[1]),),
                publisher_url="unix:///nowhere/valkey.sock",
            )
            controller = Controller(
                running.assignments(load, place, 1),
                crew.channels,
                watching=watched,
                audience=Audience(show=lambda _: react(controller), mark=lambda _: None),
                held_within=held_within,
            )
            async with asyncio.timeout(30):
                await controller.perform()
            return controller

    return uvloop.run(main())


def test_phones_that_do_not_come_in_time_are_not_waited_for(
    crew: Crew, profile: Callable[..., Profile]
) -> None:
    """The clock starts without phones that get no answer, and nobody misses failed changes."""
    found = lead(profile(), crew, SILENT)

    assert ["0 of 40 phones held: not waiting any longer for the others"] == texts(found)
    assert {"preparing": 40} == found.moments[-1].states
    assert (20, 0) == (found.figures.counts["withdrawn"], found.figures.counts["missed"])
    assert 20 == sum(found.figures.errors.values())


@pytest.fixture(scope="module")
def refused(profile: Callable[..., Profile]) -> Iterator[Controller]:
    """A run of an hour whose phones are refused for good; it is stopped, and once more."""

    def stop(controller: Controller) -> None:
        if controller.phase == "running":
            controller.stop()
            controller.stop()

    load = profile(duration=3600.0, changes=Changes())
    one = running.engage(1)
    yield lead(load, one, REFUSING, held_within=3600.0, react=stop)
    one.dismiss()


def test_phones_that_gave_up_are_not_waited_for(refused: Controller) -> None:
    """Phones that stopped for good do not hold up the clock."""
    assert {"HTTP 401": 40} == refused.figures.errors
    assert {"stopped": 40} == refused.moments[-1].states
    assert "0 of 40 phones held: not waiting any longer for the others" == texts(refused)[0]


def test_a_stopped_run_ends_soon(refused: Controller) -> None:
    """A run ramps down when it is stopped, and says so once."""
    refused.stop()

    assert ["stopped"] == texts(refused)[1:]
    assert refused.moments[-1].at < 20


def test_a_process_that_fails_tells_why(crew: Crew, profile: Callable[..., Profile]) -> None:
    """What made a process fail is the error of the run, with the number of the process."""

    def spoil(controller: Controller) -> None:
        controller._members[0].order(do="dance")

    with pytest.raises(GeneratorError, match=r"(?s)^generator process 0 failed: .*dance"):
        lead(profile(), crew, SILENT, react=spoil)


def texts(controller: Controller) -> list[str]:
    return [mark.text for mark in controller.marks]
