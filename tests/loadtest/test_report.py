"""What a run prints."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from loadtest import report, view
from loadtest.account import Change, Heartbeats, Latency
from loadtest.profile import find
from loadtest.report import Memory, Snapshot

GOOD = Snapshot(
    elapsed=31.0,
    publishing=30.0,
    rate=50.0,
    states={"held": 1999, "waiting": 1},
    published=1500,
    answered=1500,
    open=0,
    lost=(),
    spurious=2,
    duplicates=1,
    latency=Latency(1.5, 3.25, 4.0, 5.75),
    heartbeats=Heartbeats(reached=800, max_late=0.012, max_early=0.9),
    errors={"closed": 3},
    lag_ms=1.0,
    memory=Memory(50 << 20, 50, (50 << 20) + 1950 * 2048, 2000),
)
LOST = replace(GOOD, open=30, lost=tuple(Change(n, "a@x", "5", 1.0) for n in range(1, 31)))


def text(content: object) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(content)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_final_table_says_what_happened() -> None:
    """The summary has counts, latencies, heartbeats, errors and the memory of a held Ping."""
    found = text(report.final(find("smoke"), GOOD))

    expected = ["1,999 of 2,000", "1,500", "3.25 ms", "max late 12 ms", "closed 3", "2.00 KB"]
    assert [] == [one for one in expected if one not in found]


def test_the_live_table_says_how_it_goes() -> None:
    """The live view compares the publish rate with its target."""
    found = text(report.live(find("smoke"), GOOD))

    expected = ["held 1,999, waiting 1", "50.0/s (target 50/s)", "p99"]
    assert [] == [one for one in expected if one not in found]


def test_a_good_run_ends_with_lost_0() -> None:
    """Nothing lost is said in these words."""
    assert ["lost 0"] == list(report.verdict(GOOD))


def test_lost_changes_are_listed() -> None:
    """The first 20 lost changes are listed one by one, the others are counted."""
    found = list(report.verdict(LOST))

    assert "lost: change 1, a@x, folder 5" == found[0]
    assert ["lost: and 10 more", "lost 30"] == found[20:]


@pytest.mark.parametrize(
    ("end", "is_good"),
    [(GOOD, True), (LOST, False), (replace(GOOD, answered=0, published=0), False)],
    ids=["good", "lost", "no answers"],
)
def test_a_run_is_good_when_nothing_was_lost(end: Snapshot, is_good: bool) -> None:  # noqa: FBT001 - a table's column
    """A loss is a failure, and so are no answers at all."""
    assert is_good is end.is_good


def test_a_slow_generator_makes_a_run_invalid() -> None:
    """A loop that is 0.2 s late measures itself, and the verdict says so."""
    found = list(report.verdict(replace(GOOD, lag_ms=201.0)))

    assert ["invalid: the generator was the bottleneck", "lost 0"] == found


def test_memory_that_cannot_be_read_is_not_available() -> None:
    """Without a reading there is no figure per held Ping."""
    assert "per held n/a" in report.line(replace(GOOD, memory=Memory()))


def test_plain_lines_need_no_terminal() -> None:
    """Without a terminal each state is one line, and there is one every five seconds."""
    console = Console(file=StringIO(), width=40)
    with view.open_screen(console, find("smoke")) as screen:
        screen.show(GOOD)
        screen.show(GOOD)

    assert isinstance(console.file, StringIO)
    assert (5.0, 2) == (screen.interval, console.file.getvalue().count("\n"))


def test_a_terminal_shows_a_live_table() -> None:
    """On a terminal the table is drawn again for each state."""
    console = Console(file=StringIO(), width=100, force_terminal=True)
    with view.open_screen(console, find("smoke")) as screen:
        screen.show(GOOD)

    assert isinstance(console.file, StringIO)
    assert "gateway memory" in console.file.getvalue()
