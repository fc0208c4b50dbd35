"""What is printed when a run is over."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from loadtest.figures import Figures
from loadtest.result import Judged, Missed, Result
from loadtest.screen import summary_table
from tests.loadtest.samples import moment, result


def figures(**counts: int) -> Figures:
    found = Figures()
    found.counts.update({"published": 1500, "expected": 1500, "received": 1500} | counts)
    return found


GOOD = result(
    duration=36.2,
    devices=2000,
    figures=figures(),
    moments=(moment(states={"held": 1999}, cpu=0.4),),
    bytes_per_phone=2048.0,
)
MISSED = tuple(Missed(f"3-{n}", f"user{n}@x", f"D{n}", "INBOX", 12.34) for n in range(1, 31))


def text(result: Result) -> str:
    console = Console(file=StringIO(), width=80)
    console.print(summary_table.final(result))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def rows(result: Result) -> dict[str, str]:
    cells = [line.split("│") for line in text(result).splitlines() if "│" in line]
    return {name.strip(): value.strip() for _, name, value, _ in cells}


def test_the_title_says_which_run_it_was() -> None:
    """The first line has profile, phones, duration and seed."""
    assert "smoke: 2,000 phones, 36.2 s, seed 1" == text(GOOD).splitlines()[0].rstrip()


def test_the_account_is_in_the_table() -> None:
    """Phones and changes are counted, and what should be none is shown all the same."""
    found = rows(GOOD)

    expected = {
        "held": "1,999 of 2,000",
        "published": "1,500",
        "received": "1,500 (1,500 expected)",
        "missed": "0",
        "late": "0",
        "duplicate": "0",
        "spurious": "0",
    }
    assert expected == {name: found[name] for name in expected}


def test_what_was_left_out_of_the_account_is_told() -> None:
    """Changes that were not counted as expected have rows only if there are any."""
    found = rows(replace(GOOD, figures=figures(unsure=2, withdrawn=1)))

    shown = ("unsure" in rows(GOOD), found["unsure"], found["withdrawn"])
    assert (False, "2", "1") == shown


def test_latency_is_in_milliseconds() -> None:
    """The latency of changes counts from the intended time."""
    run = replace(GOOD, figures=figures())
    run.figures.record("notify", 0.0015)

    names = ("p50", "p99", "p99.9", "max")
    expected = ["1.5 ms from the intended time"] * 4
    assert expected == [rows(run)[f"latency {name}"] for name in names]


def test_without_an_answer_there_is_no_latency() -> None:
    """A run without answers has no latency of zero."""
    assert "n/a" == rows(GOOD)["latency p99"]


def test_other_durations_have_a_row_where_there_are_any() -> None:
    """The first hold is told if a phone was held, the reconnect only if one came back."""
    run = replace(GOOD, figures=figures())
    run.figures.record("first_hold", 2.5)

    found = rows(run)
    assert ("2.5 s", False) == (found["first hold p99"], "reconnect p99" in found)


def test_heartbeats_tell_the_worst() -> None:
    """Heartbeats are counted, with the earliest, the latest and those cut short."""
    run = replace(GOOD, figures=figures(cut_short=3))
    run.figures.record("heartbeat_early", 0.5)
    run.figures.record("heartbeat_late", 0.25)

    found = " ".join(line.split("│")[2].strip() for line in text(run).splitlines() if "│" in line)
    assert "2 (early at most 500 ms, late at most 250 ms, cut short 3)" in found


def test_conditions_are_in_the_table() -> None:
    """Errors, the generator's load and memory of both sides are told."""
    run = replace(GOOD, figures=figures())
    run.figures.errors.update({"closed [x]": 3, "reset": 5})
    found = rows(run)

    expected = {
        "errors": "reset 5, closed [x] 3",
        "generator lag p99": "0 ms",
        "generator CPU": "40 % of a core at most, busiest process",
        "user memory per held phone": "2 KB",
        "generator memory per phone": "n/a",
    }
    assert expected == {name: found[name] for name in expected}


def test_memory_of_few_phones_is_told_as_such() -> None:
    """A process has memory of its own: 400 phones do not say what a phone needs."""
    few = replace(GOOD, moments=(moment(states={"held": 400}),))
    none = replace(few, bytes_per_phone=None)

    found = [rows(run)["user memory per held phone"] for run in (few, none)]
    assert ["2 KB (few phones: mostly a fixed cost)", "n/a"] == found


def test_a_good_run_ends_with_lost_0() -> None:
    """Nothing lost is said in these words."""
    assert ["lost 0"] == list(summary_table.verdict(GOOD))


def test_missed_changes_are_listed() -> None:
    """The first 20 missed changes are listed one by one, the others are counted."""
    found = list(summary_table.verdict(replace(GOOD, figures=figures(missed=2030), missed=MISSED)))

    first = "missed: change 3-1, user1@x, device D1, folder INBOX, intended at 12.3 s"
    assert (first, ["missed: and 2,010 more", "lost 2030"]) == (found[0], found[20:])


@pytest.mark.parametrize(("missed", "expected"), [((), 1), (MISSED[:3], 4)])
def test_a_list_that_is_complete_has_no_rest(missed: tuple[Missed, ...], expected: int) -> None:
    """Where all missed changes are listed, or none of them is, no rest is counted."""
    found = list(summary_table.verdict(replace(GOOD, figures=figures(missed=3), missed=missed)))

    assert (expected, "lost 3") == (len(found), found[-1])


def test_the_verdict_begins_with_what_failed() -> None:
    """Failed thresholds come first, then why the run is invalid, then what was lost."""
    judged = (
        Judged("missed==0", is_met=True, found="missed = 0"),
        Judged("notify.p99<250ms", is_met=False, found="notify.p99 = 312 ms"),
    )
    run = replace(GOOD, judged=judged, invalid=("the generator's loop was 0.3 s late",))

    expected = [
        "failed: notify.p99<250ms (notify.p99 = 312 ms)",
        "invalid: the generator's loop was 0.3 s late",
        "lost 0",
    ]
    assert expected == list(summary_table.verdict(run))


def test_a_run_without_answers_is_told() -> None:
    """Changes that nobody answered are a failure even if none was expected."""
    run = replace(GOOD, figures=figures(expected=0, received=0))

    assert ["no change was answered", "lost 0"] == list(summary_table.verdict(run))


def test_a_run_without_changes_needs_no_answers() -> None:
    """An idle run publishes nothing and misses nothing."""
    run = replace(GOOD, figures=figures(published=0, expected=0, received=0))

    assert ["lost 0"] == list(summary_table.verdict(run))


def test_a_run_without_moments_was_not_seen() -> None:
    """A run that ended before its first moment held nobody."""
    assert "0 of 2,000" == rows(replace(GOOD, moments=()))["held"]
