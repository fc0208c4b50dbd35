"""Where a run is shown."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from loadtest.figures import Latency
from loadtest.result import Mark, Moment
from loadtest.screen import view
from loadtest.screen.dashboard import Plan
from loadtest.screen.history import History
from tests.loadtest.samples import moment

PLAN = Plan("smoke", devices=2000, duration=36.0)
NOW = moment(
    at=31.0,
    states={"held": 1999},
    counts={"published": 1500, "expected": 1500, "received": 1499},
    errors={"closed": 3},
    published_per_second=50.0,
    total={"notify": Latency(9, 0.0015, 0.002, 0.00325, 0.004, 0.00575, 0.001)},
    cpu=0.4,
)


def show(console: Console, *events: Moment | Mark) -> str:
    with view.open_screen(console, PLAN) as screen:
        for event in events:
            if isinstance(event, Mark):
                screen.mark(event)
            else:
                screen.show(event)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_line_has_the_essentials() -> None:
    """One line tells of phones, changes, latency, errors, the generator and memory."""
    history = History()
    history.add(NOW)

    expected = (
        "  31 s  running  held 1,999  published 1,500 (50/s)  received 1,499  open 1  "
        "p50 1.5 ms p99 3.25 ms max 5.75 ms  errors 3  lag 0 ms  CPU 40 %  per held n/a"
    )
    assert expected == view.line(history)


def test_without_a_terminal_there_is_a_line_every_five_seconds() -> None:
    """Moments come each second, lines every five, and a late moment does not shift the others."""
    moments = [replace(NOW, at=at) for at in (0.1, 1.1, 4.9, 6.4, 9.9, 10.0)]

    found = show(Console(file=StringIO(), width=40), *moments)
    assert ["0", "6", "10"] == [line.split()[0] for line in found.splitlines()]


def test_without_a_terminal_a_mark_is_a_line_of_its_own() -> None:
    """A mark is printed when it happens, as it was written."""
    found = show(Console(file=StringIO(), width=40), Mark(62.0, "kill [red]20 %"))

    assert "  62 s  mark: kill [red]20 %\n" == found


def test_a_terminal_shows_one_screen() -> None:
    """On a terminal the screen has the newest moment and the marks."""
    console = Console(file=StringIO(), width=100, height=30, force_terminal=True, _environ={})
    found = show(console, NOW, Mark(30.0, "drained"), replace(NOW, at=32.0))

    expected = ["0:31 of 0:36", "0:32 of 0:36", "drained"]
    assert [] == [one for one in expected if one not in found]


def test_a_dumb_terminal_gets_lines() -> None:
    """A terminal that cannot move its cursor is printed to."""
    environment = {"TERM": "dumb"}
    console = Console(file=StringIO(), width=100, force_terminal=True, _environ=environment)

    assert "31 s  running" in show(console, NOW)
