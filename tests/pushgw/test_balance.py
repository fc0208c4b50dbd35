"""The shared counts of workers, and who moves phones because of them."""

from __future__ import annotations

import asyncio
import os
import time

import uvloop

from pushgw.balance import Balancer, Tally

NOW = 1000.2


class Worker:
    """A worker with a number of phones that it moves when told to."""

    def __init__(self, tally: Tally, index: int, phones: int) -> None:
        self.phones = phones
        self.asked: list[int] = []
        self.balancer = Balancer(tally, index, lambda: self.phones, self.shed)

    def shed(self, count: int) -> int:
        self.asked.append(count)
        self.phones -= count
        return count


def workers(*phones: int) -> list[Worker]:
    tally = Tally(len(phones))
    return [Worker(tally, index, count) for index, count in enumerate(phones)]


def tick(some: list[Worker], *times: float) -> None:
    for now in times:
        for one in some:
            one.balancer.tick(now)


def test_counts_are_read_a_second_later() -> None:
    """What workers write in one second is read in the next one."""
    tally = Tally(3)
    tally.publish(0, 17, NOW)
    tally.publish(2, 19_000, NOW + 0.5)

    assert {} == tally.read(NOW)
    assert {0: 17, 2: 19_000} == tally.read(NOW + 1)


def test_a_silent_worker_is_not_counted() -> None:
    """A worker that did not write in a second is none of those that share."""
    tally = Tally(2)
    tally.publish(0, 17, NOW)
    tally.publish(1, 18, NOW)
    tally.publish(1, 19, NOW + 1)

    assert {1: 19} == tally.read(NOW + 2)
    assert {} == tally.read(NOW + 3)


def test_reading_does_not_depend_on_who_wrote_already() -> None:
    """Counts of the second before are still there when those of this one were written."""
    tally = Tally(2)
    tally.publish(0, 10, NOW)
    tally.publish(1, 20, NOW)
    tally.publish(0, 11, NOW + 1)

    assert {0: 10, 1: 20} == tally.read(NOW + 1)


def test_forked_processes_share_the_counts() -> None:
    """What a child writes is read by its parent."""
    tally = Tally(2)
    pid = os.fork()
    if not pid:
        tally.publish(1, 12_345, NOW)
        os._exit(0)
    os.waitpid(pid, 0)

    assert {1: 12_345} == tally.read(NOW + 1)


def test_event_loops_read_the_clock_of_the_machine() -> None:
    """The loop's clock is the monotonic one, so all workers mean the same second."""

    async def difference() -> float:
        return abs(asyncio.get_running_loop().time() - time.monotonic())

    assert uvloop.run(difference()) < 1.0


def test_the_full_move_phones_and_the_others_do_not() -> None:
    """Workers far above the mean move phones, as many as a second allows; the empty one none."""
    some = workers(1200, 1200, 0)
    tick(some, 1.0, 2.0)

    assert [[24], [24], []] == [one.asked for one in some]
    assert [24, 24, 0] == [one.balancer.moved for one in some]


def test_nobody_moves_phones_in_the_first_second() -> None:
    """Before there is a second whose counts all can have written, nothing is compared."""
    some = workers(1000, 0)
    tick(some, 1.0)

    assert [[], []] == [one.asked for one in some]


def test_even_shares_stay_as_they_are() -> None:
    """Workers with similar counts move nobody."""
    some = workers(1000, 1010, 990)
    tick(some, 1.0, 2.0, 3.0)

    assert [[], [], []] == [one.asked for one in some]


def test_it_goes_on_until_shares_are_nearly_even() -> None:
    """What has begun goes on below the excess that begins it, and ends near the mean."""
    some = workers(0, 0)
    for second, own in enumerate((5300, 5600, 5300, 5200, 5300), 1):
        some[0].phones, some[1].phones = own, 10_000 - own
        tick(some, float(second))
    tick(some, 6.0)

    # For the seconds with 5,600 and with the 5,300 after it.
    assert [100, 100] == some[0].asked


def test_a_growing_worker_is_not_taken_for_a_full_one() -> None:
    """In a storm of arrivals the first one to look compares counts of the same moment."""
    some = workers(0, 0)
    for second in range(1, 10):
        for one in some:
            one.phones += 800
            one.balancer.tick(float(second))

    assert [[], []] == [one.asked for one in some]


def test_a_second_tick_in_a_second_does_nothing() -> None:
    """A clock that is a little early does not make phones move twice as fast."""
    some = workers(1000, 0)
    tick(some, 1.0, 2.0, 2.9)

    assert [20] == some[0].asked


def test_a_late_worker_moves_nobody() -> None:
    """A worker that missed a second, because its loop was late, does not add to its work."""
    some = workers(1000, 1000, 0)
    tick(some, 1.0)
    tick(some[1:], 2.0)
    tick(some, 3.0)

    assert [] == some[0].asked


def test_a_draining_worker_is_counted_no_more() -> None:
    """One that leaves neither moves phones to others nor makes them look too full."""
    some = workers(1000, 1000, 0)
    tick(some, 1.0)
    some[2].balancer.leave()
    tick(some, 2.0, 3.0, 4.0)

    assert [20] == some[0].asked


def test_a_lonely_worker_keeps_its_phones() -> None:
    """Without others there is nowhere to go."""
    some = workers(1000)
    tick(some, 1.0, 2.0, 3.0)

    assert [] == some[0].asked


def test_the_ticker_is_never_asked_back() -> None:
    """A tick has done all there was to do."""
    (only,) = workers(5)

    assert only.balancer.tick(1.0) is False
