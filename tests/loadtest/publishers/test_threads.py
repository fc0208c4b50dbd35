"""Blocking clients in threads, and the connections they leave for the next change."""

from __future__ import annotations

import asyncio
import threading

import pytest

from loadtest.publishers.publishing import PublishFailedError
from loadtest.publishers.threads import Kept, Threads


def outcomes(found: list[BaseException | None]) -> list[str | None]:
    return [None if one is None else str(one) for one in found]


async def test_jobs_run_at_the_same_time() -> None:
    """As many jobs run at once as there are threads."""
    threads = Threads(threads=3)
    together = threading.Barrier(3, timeout=5.0)

    found = await asyncio.gather(*(threads.run(together.wait) for _ in range(3)))
    await threads.close()

    assert [None] * 3 == found


async def test_too_many_jobs_fail() -> None:
    """A job that finds no room fails at once."""
    threads = Threads(threads=1, room=2)
    may = threading.Event()

    jobs = [asyncio.create_task(threads.run(may.wait)) for _ in range(3)]
    await asyncio.wait([jobs[2]])
    may.set()
    found = await asyncio.gather(*jobs, return_exceptions=True)
    await threads.close()

    assert [None, None, "queue full"] == outcomes(found)


async def test_jobs_that_wait_fail_when_closed() -> None:
    """A closed pool ends what runs, and fails what waits and what comes later."""
    threads = Threads(threads=1)
    has_begun, may = threading.Event(), threading.Event()

    def work() -> None:
        has_begun.set()
        may.wait(5.0)

    jobs = [asyncio.create_task(threads.run(work)) for _ in range(2)]
    await asyncio.to_thread(has_begun.wait, 5.0)
    closing = asyncio.create_task(threads.close())
    await asyncio.wait([jobs[1]])
    may.set()
    await closing
    jobs.append(asyncio.create_task(threads.run(work)))
    found = await asyncio.gather(*jobs, return_exceptions=True)

    assert [None, "closed", "closed"] == outcomes(found)


async def test_a_caller_may_give_up() -> None:
    """A caller that is cancelled ends as cancelled, and makes room."""
    threads = Threads(threads=1, room=1)
    may = threading.Event()

    impatient = asyncio.create_task(threads.run(may.wait))
    await asyncio.sleep(0.001)
    impatient.cancel()
    await asyncio.wait([impatient])
    may.set()
    await threads.run(lambda: None)
    await threads.close()

    assert impatient.cancelled()


class Connections:
    """What was connected and dropped, by number."""

    def __init__(self, most: int = 2) -> None:
        self.keys: list[str] = []
        self.used: list[int] = []
        self.dropped: list[int] = []
        self.kept: Kept[int] = Kept(self._connect, self.dropped.append, most)

    def _connect(self, key: str) -> int:
        if key == "nobody":
            raise ConnectionRefusedError
        self.keys.append(key)
        return len(self.keys)

    def use(self, key: str) -> None:
        self.kept.use(key, self.used.append)


def test_a_connection_is_used_again() -> None:
    """A second job for the same key finds the connection of the first."""
    connections = Connections()
    for key in ("alice", "bob", "alice"):
        connections.use(key)

    assert (["alice", "bob"], [1, 2, 1]) == (connections.keys, connections.used)


def test_the_longest_unused_one_goes_first() -> None:
    """Beyond the bound the connection goes that was not used for longest."""
    connections = Connections()
    for key in ("alice", "bob", "alice", "carol", "alice"):
        connections.use(key)

    assert ([1, 2, 1, 3, 1], [2]) == (connections.used, connections.dropped)


def test_a_connection_in_use_is_nobody_elses() -> None:
    """A job that begins while another one runs gets a connection of its own."""
    connections = Connections()
    connections.kept.use("alice", lambda _: connections.use("alice"))

    assert (["alice", "alice"], [2]) == (connections.keys, connections.used)


def test_a_kept_one_that_is_gone_is_replaced() -> None:
    """A job that finds its kept connection closed is done once more on a new one."""
    connections = Connections()
    connections.use("alice")

    def work(connection: int) -> None:
        if connection == 1:
            raise BrokenPipeError
        connections.used.append(connection)

    connections.kept.use("alice", work)

    assert ([1, 2], [1]) == (connections.used, connections.dropped)


def test_a_new_one_that_is_gone_fails() -> None:
    """A job that loses a new connection is not done again."""
    connections = Connections()

    def work(_: int) -> None:
        raise TimeoutError

    with pytest.raises(PublishFailedError, match=r"^timeout$"):
        connections.kept.use("alice", work)
    assert [1] == connections.dropped


def test_a_refusal_keeps_the_connection() -> None:
    """A job that was refused leaves its connection for the next one."""
    connections = Connections()

    def work(_: int) -> None:
        raise PublishFailedError("refused")

    with pytest.raises(PublishFailedError, match=r"^refused$"):
        connections.kept.use("alice", work)
    connections.use("alice")
    assert ([1], []) == (connections.used, connections.dropped)


def test_who_does_not_answer_is_a_failure() -> None:
    """A connection that cannot be made has its kind."""
    with pytest.raises(PublishFailedError, match=r"^connection refused$"):
        Connections().use("nobody")


def test_all_are_dropped_at_the_end() -> None:
    """Closing drops every connection that is kept, once."""
    connections = Connections()
    for key in ("alice", "bob"):
        connections.use(key)
    connections.kept.close()
    connections.kept.close()

    assert [1, 2] == connections.dropped
