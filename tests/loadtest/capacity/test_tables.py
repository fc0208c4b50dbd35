"""Tables for a terminal, loadtest/capacity/tables.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from loadtest.capacity import tables
from loadtest.capacity.accesslog import Entry, Unreadable
from loadtest.capacity.casestudy import ASSUMED, case_study
from loadtest.capacity.demand import Demand
from loadtest.capacity.model import Figure, Validation, reference
from loadtest.capacity.needs import needs
from loadtest.capacity.plan import growth, plan
from loadtest.capacity.traffic import count


@pytest.fixture(scope="module")
def model():
    return reference()


@pytest.fixture(scope="module")
def planned(model):
    return plan(Demand(users=80_000, price=3000), model)


def shown(table, width=200):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def a_traffic():
    return count(
        [
            Entry(at=600, command="Ping", user="alice", device="D1", status=200, duration=480.0),
            Entry(at=3600, command="Sync", user="alice", device="D1", status=200, duration=0.5),
            Unreadable("what is this", "found no log format that is known"),
        ]
    )


def test_plan(planned):
    """The plan's table has each figure with value, formula and source."""
    text = shown(tables.plan_table(planned))

    assert "104,000 phones of 80,000 users" in text
    assert [] == [one.name for one in planned.figures if one.name.replace("_", " ") not in text]
    assert "users x devices per user" in text
    assert "redis us per cycle" in text


def test_headline(model, planned):
    """The headline says how many nodes there are and what decides, spare ones only if any."""
    alone = plan(Demand(users=100, spare=0, tls="none"), model)

    assert "nodes, 1 of them spare, decided by " in tables.headline(planned)
    assert tables.headline(alone).startswith(
        "130 phones of 100 users: 1 node, one would do (TLS: TLS ends before the nodes"
    )


def test_notes(model, planned):
    """What is left out of a plan is said, and a proxy's share where there is one."""
    without = plan(Demand(users=100, tls="gateway"), model)

    assert "commands other than Ping are not counted" in next(tables.plan_notes(planned))
    assert [4, 3] == [len(list(tables.plan_notes(one))) for one in (planned, without)]


def test_measurements():
    """Each cost that was used stands with its error and its source."""
    cost = Figure(212.0, 199.0, 225.0, "us", "two runs of 10,000 held Pings")
    text = shown(tables.measurements_table({"cycle_us": cost}))

    assert "cycle us" in text
    assert "212 ± 13 us" in text
    assert cost.source in text


def test_validation(model):
    """Predictions stand beside measurements with their error in percent."""
    model = replace(model, validation=(Validation("memory", 4.4e6, 4e6, "bytes"),))

    text = shown(tables.validation_table(model))

    assert "+10.0 %" in text


def test_growth(model):
    """Each size is a line of the growth table."""
    text = shown(tables.growth_table(growth(Demand(users=1), model)))

    assert "10,000,000" in text
    assert "memory" in text


def test_case_study(model):
    """The case study stands region by region, then and now."""
    text = shown(tables.case_study_table(case_study(model)))

    assert "Redmond" in text
    assert "$201,000" in text
    assert "1,000 Syncs/s" in text


def test_jump(model):
    """The notes tell whether the jump took more nodes, and what those cost."""
    easy = list(tables.case_study_notes(case_study(model)))
    tight = replace(ASSUMED, memory_per_node=2 << 30)
    hard = list(tables.case_study_notes(case_study(model, tight)))

    assert "now: the nodes planned for the phones before it take the jump as they are" == easy[1]
    assert "now: 1 node more in Redmond, $3,000 at the same price" == hard[1]


def test_traffic():
    """The log's table tells what was held, how that is known, and the lines not parsed."""
    text = shown(tables.traffic_table(a_traffic()))

    assert "from durations" in text
    assert "480 s, median" in text
    assert "found no log format that is known: what is this" in text


def test_traffic_without_durations():
    """Where the log has no durations the table says so, and leaves out what it does not tell."""
    text = shown(tables.traffic_table(count([])))

    assert "from the gaps between Pings" in text
    assert "median" not in text
    assert "none" in text


def test_needs():
    """The EAS server's table has workers and memory before and after, with their sources."""
    told = shown(tables.needs_table(needs(a_traffic())))
    guessed = shown(tables.needs_table(needs(count([]))))

    assert "SOGo 5.8.0" in told
    assert "durations in the log" in told
    assert "0.2 s per command" in guessed
