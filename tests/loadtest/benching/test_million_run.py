"""A small run of the bench with a million held Pings."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from loadtest import ending, process
from loadtest.benching import million, million_run
from loadtest.benching.whole_machine import LowMemoryError
from loadtest.controller import Audience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtest.benching.million import Found
    from loadtest.result import Moment

SMALL = replace(million.load(devices=120, hold=0.5, rate=40.0), settle=0.1)


@dataclass(frozen=True, slots=True)
class Ran:
    """A small run, and how its processes were scheduled."""

    found: Found
    policies: set[int]


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    """A run of 120 phones, held for half a second."""
    others = set(process.tree(os.getpid()))
    policies: set[int] = set()

    def look(_: Moment) -> None:
        policies.update(map(os.sched_getscheduler, set(process.tree(os.getpid())) - others))

    order = million_run.engage(SMALL)
    try:
        main = million_run.perform(order, Audience(show=look, mark=lambda _: None))
        yield Ran(ending.run(main), policies)
    finally:
        order.crew.dismiss()


def test_everything_is_measured(ran: Ran) -> None:
    """Each row of the bench has its figure, and nothing was lost."""
    figures = million.measured(ran.found).figures

    assert {row.key for row in million.rows(SMALL)} == set(figures)
    assert [120] * 4 == [figures[f"held_{name}"] for name in ("first", "least", "last", "told")]
    assert (40, 0, 0) == (figures["rate"], figures["lost"], figures["errors"])
    assert 0 < figures["arrive_s"] < figures["minutes"] * 60


def test_processes_take_turns(ran: Ran) -> None:
    """Servers and generators do not interrupt each other; what leads the run stays as it was."""
    assert {os.SCHED_BATCH} == ran.policies
    assert os.SCHED_OTHER == os.sched_getscheduler(0)


def test_a_machine_without_memory_ends_a_run() -> None:
    """A run ends at once when too little memory is left, and nothing goes on running."""
    others = set(process.tree(os.getpid()))
    order = replace(million_run.engage(SMALL), floor=1 << 50)
    audience = Audience(show=lambda _: None, mark=lambda _: None)
    try:
        with pytest.raises(LowMemoryError, match=r"memory: .* available with 0 phones held"):
            ending.run(million_run.perform(order, audience))
    finally:
        order.crew.dismiss()

    assert others >= set(process.tree(os.getpid()))
