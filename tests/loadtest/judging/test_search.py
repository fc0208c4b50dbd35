"""The search for the highest load that keeps a promise, against servers that are a number."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from loadtest.judging.search import Search, SearchError, Trial

if TYPE_CHECKING:
    from collections.abc import Callable


def run(search: Search, keeps: Callable[[float], bool]) -> list[float]:
    loads = []
    while (load := search.next()) is not None:
        loads.append(load)
        search.tell(load, keeps(load))
    return loads


def test_it_grows_until_a_load_fails() -> None:
    """Loads double until one fails, twice at once, and are halved by the geometric mean after."""
    search = Search(100, 10_000, precision=0.5)

    loads = run(search, lambda load: load <= 500)

    assert [100, 200, 400, 800, 800] == loads[:5]
    assert loads[5] == pytest.approx(565.7, abs=0.1)


def test_it_ends_within_its_precision() -> None:
    """The highest load that kept and the lowest that failed are at most a tenth apart."""
    search = Search(100, 100_000, precision=0.1)

    run(search, lambda load: load <= 7300)

    assert search.found is not None
    assert search.broken is not None
    assert search.found <= 7300 < search.broken <= search.found * 1.1


def test_a_server_that_always_keeps_reaches_the_highest_load() -> None:
    """The highest load is tried, nothing above it, and nothing is broken."""
    search = Search(100, 500)

    loads = run(search, lambda _: True)

    assert [100, 200, 400, 500] == loads
    assert (500, None) == (search.found, search.broken)


def test_a_server_that_never_keeps_ends_at_the_lowest_load() -> None:
    """The lowest load is tried again as often as asked, and nothing below it."""
    search = Search(100, 500, repeats=2)

    loads = run(search, lambda _: False)

    assert [100, 100, 100] == loads
    assert (None, 100) == (search.found, search.broken)


def test_one_failure_is_noise() -> None:
    """A load that fails once and keeps the next time has kept."""
    search = Search(100, 200)

    search.tell(100, False)
    search.tell(100, True)

    assert (100, None, 200) == (search.found, search.broken, search.next())


def test_failures_of_another_load_do_not_count() -> None:
    """Each load has all its repeats, whatever the one before needed."""
    search = Search(100, 400)
    outcomes = iter([False, True, False, True, False, True])

    run(search, lambda _: next(outcomes))

    assert 400 == search.found


def test_without_repeats_the_first_failure_counts() -> None:
    """A search of exact servers needs no second look."""
    search = Search(100, 400, repeats=0)

    search.tell(100, False)

    assert (100, None) == (search.broken, search.next())


def test_a_noisy_server_is_found_all_the_same() -> None:
    """One run of ten that fails for no reason moves the result by no more than a few percent."""
    dice = random.Random(7)
    search = Search(100, 100_000, precision=0.05, repeats=2)

    run(search, lambda load: load <= 5000 and dice.random() > 0.1)

    assert search.found == pytest.approx(5000, rel=0.05)


def test_one_load_is_a_search_as_well() -> None:
    """Where lowest and highest are one, it is tried and that is all."""
    search = Search(100, 100)

    assert [100] == run(search, lambda _: True)
    assert 100 == search.found


def test_next_changes_nothing() -> None:
    """Asking twice gives the same load twice."""
    search = Search(100, 200)

    assert [100, 100] == [search.next(), search.next()]


def test_all_runs_are_listed() -> None:
    """Trials are kept in order, with those that failed by noise."""
    search = Search(100, 100)

    search.tell(100, False)
    search.tell(100, True)

    assert [Trial(100, kept=False), Trial(100, kept=True)] == search.trials


def test_a_load_that_was_not_asked_for_is_refused() -> None:
    """The outcome of another load would end the search at a wrong place."""
    search = Search(100, 200)

    with pytest.raises(SearchError, match="a trial at 150; allowed: the one asked for, 100"):
        search.tell(150, True)


@pytest.mark.parametrize(
    ("lowest", "highest", "options", "text"),
    [
        (0, 1, {}, "loads 0 to 1; allowed: 0 < lowest <= highest, finite"),
        (2, 1, {}, "loads 2 to 1; allowed: 0 < lowest <= highest, finite"),
        (1, float("inf"), {}, "loads 1 to inf; allowed: 0 < lowest <= highest, finite"),
        (1, 2, {"step": 1.0}, "step 1; allowed: more than 1"),
        (1, 2, {"precision": 0.0}, "precision 0; allowed: 0.001 and more"),
        (1, 2, {"repeats": -1}, "repeats -1; allowed: 0 and more"),
    ],
)
def test_numbers_out_of_range_are_refused(
    lowest: float, highest: float, options: dict[str, float], text: str
) -> None:
    """A search that would never end is not begun."""
    with pytest.raises(SearchError) as caught:
        Search(lowest, highest, **options)

    assert text == str(caught.value)
