"""Counts and histograms of one process and of many, against HdrHistogram itself."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.figures import (
    COUNTS,
    HISTOGRAMS,
    LONGEST_US,
    PERCENTILES,
    Figures,
    Histogram,
    Latency,
)

MICROSECONDS = st.integers(1, LONGEST_US)
DURATIONS = st.lists(MICROSECONDS | st.integers(1, 5000), min_size=1, max_size=300)


def recorded(microseconds: list[int]) -> Histogram:
    histogram = Histogram()
    for value in microseconds:
        histogram.record(value / 1e6)
    return histogram


def reference(microseconds: list[int]) -> HdrHistogram:
    histogram = HdrHistogram(1, LONGEST_US, 3)
    for value in microseconds:
        histogram.record_value(value)
    return histogram


# Histograms.


def test_an_empty_histogram_is_all_zero() -> None:
    """Nothing recorded is summarised as zeros."""
    histogram = Histogram()

    assert (Latency(), 0, 0.0) == (histogram.latency(), histogram.count, histogram.percentile(50))


def test_percentiles_tell_the_tail_from_the_middle() -> None:
    """One slow answer of a hundred shows in the maximum, not in the median."""
    found = recorded([1000] * 99 + [1_000_000]).latency()

    assert (100, 0.001) == (found.count, found.p50)
    assert found.max == pytest.approx(1, rel=0.001)


@settings(deadline=None)
@given(DURATIONS, st.sampled_from((*PERCENTILES, 0.1, 25.0, 75.0, 99.99)))
def test_percentiles_are_those_of_hdrhistogram(microseconds: list[int], percentile: float) -> None:
    """For the same values each percentile is the same number, but never beyond the longest."""
    expected = min(reference(microseconds).get_value_at_percentile(percentile), LONGEST_US)

    assert expected / 1e6 == recorded(microseconds).percentile(percentile)


@settings(deadline=None)
@given(DURATIONS)
def test_a_summary_has_the_same_percentiles(microseconds: list[int]) -> None:
    """One pass for all percentiles gives what each of them gives alone."""
    histogram = recorded(microseconds)

    found = histogram.latency()

    assert [histogram.percentile(one) for one in PERCENTILES] == [
        found.p50,
        found.p90,
        found.p99,
        found.p999,
        found.max,
    ]
    assert found.count == len(microseconds)


@settings(deadline=None)
@given(DURATIONS)
def test_the_mean_is_exact(microseconds: list[int]) -> None:
    """The mean is that of the durations, not of their buckets."""
    expected = sum(microseconds) / len(microseconds) / 1e6

    assert recorded(microseconds).latency().mean == pytest.approx(expected, rel=1e-12)


@settings(deadline=None)
@given(DURATIONS)
def test_the_counts_can_be_had_as_hdrhistogram(microseconds: list[int]) -> None:
    """A histogram turned into HdrHistogram counts the same in each of its buckets."""
    found = recorded(microseconds).counts

    assert list(reference(microseconds).counts) == list(found.counts)
    assert len(microseconds) == found.get_total_count()


@pytest.mark.parametrize(
    ("interval", "expected"), [(-1.0, 1e-6), (0.0, 1e-6), (0.4e-6, 1e-6), (7200.0, 3600.0)]
)
def test_durations_outside_the_range_count_as_its_ends(interval: float, expected: float) -> None:
    """A negative duration counts as 1 microsecond, and two hours as one."""
    histogram = Histogram()
    histogram.record(interval)

    assert (expected, expected) == (histogram.percentile(100), histogram.latency().mean)


def test_a_duration_can_be_recorded_many_times() -> None:
    """A batch of equal durations counts like as many single ones."""
    histogram, singles = Histogram(), recorded([2500] * 3)
    histogram.record(0.0025, 3)

    assert singles.encode() == histogram.encode()


def test_equal_buckets_are_one_entry() -> None:
    """Durations that three digits cannot tell apart are one number: a report stays small."""
    assert 1 == len(recorded(list(range(1_000_448, 1_000_959))).buckets)


@settings(deadline=None)
@given(DURATIONS, DURATIONS)
def test_histograms_add_up(first: list[int], second: list[int]) -> None:
    """Two histograms added are that of all durations."""
    histogram = recorded(first)
    histogram.add(recorded(second))

    assert recorded(first + second).latency() == histogram.latency()


@settings(deadline=None)
@given(DURATIONS)
def test_a_histogram_travels_as_json(microseconds: list[int]) -> None:
    """What was encoded, written as JSON and decoded is the same histogram."""
    histogram = recorded(microseconds)

    found = Histogram.decode(json.loads(json.dumps(histogram.encode())))

    assert (histogram.buckets, histogram.latency()) == (found.buckets, found.latency())


# Figures.


@pytest.fixture
def figures() -> Figures:
    found = Figures()
    found.counts["received"] += 2
    found.errors["timeout"] += 1
    found.record("notify", 0.25)
    return found


def test_a_histogram_that_nothing_was_recorded_in_is_empty(figures: Figures) -> None:
    """Asking for a histogram makes none."""
    found = (figures.histogram("ping").count, figures.latency("ping"))

    assert ((0, Latency()), ["notify"]) == (found, list(figures.histograms))


def test_figures_have_histograms_by_name(figures: Figures) -> None:
    """A duration is found in the histogram of its name."""
    figures.record("notify", 0.25)

    assert (2, 2) == (figures.latency("notify").count, figures.histogram("notify").count)


def test_figures_add_up(figures: Figures) -> None:
    """Counts, errors and histograms of two processes are added name by name."""
    other = Figures()
    other.counts.update(received=3, missed=1)
    other.errors["reset"] += 1
    other.record("notify", 0.5)
    other.record("tls", 0.125)

    figures.add(other)

    assert Counter(received=5, missed=1) == figures.counts
    assert Counter(timeout=1, reset=1) == figures.errors
    assert (2, 1) == (figures.latency("notify").count, figures.latency("tls").count)


def test_adding_leaves_the_other_alone(figures: Figures) -> None:
    """What is recorded into a sum later is not recorded into its parts."""
    total = Figures()
    total.add(figures)

    total.record("notify", 0.5)

    assert 1 == figures.latency("notify").count


def test_what_moves_between_counts_is_added(figures: Figures) -> None:
    """A negative number takes back what an earlier interval counted."""
    other = Figures()
    other.counts["received"] -= 1

    figures.add(other)

    assert 1 == figures.counts["received"]


def test_taking_begins_anew(figures: Figures) -> None:
    """What was taken is not reported again."""
    figures.take()

    assert {"counts": {}, "errors": {}, "histograms": {}} == figures.take()


def test_what_was_taken_can_be_read(figures: Figures) -> None:
    """A report that travelled as JSON gives the same figures."""
    latency = figures.latency("notify")

    found = Figures.read(json.loads(json.dumps(figures.take())))

    assert (Counter(received=2), Counter(timeout=1)) == (found.counts, found.errors)
    assert latency == found.latency("notify")


def test_a_quiet_report_is_small() -> None:
    """A second in which nothing happened costs a line."""
    assert len(json.dumps(Figures().take())) < 100


def test_each_figure_is_explained() -> None:
    """Every name has a line of text, and no count is named like a histogram."""
    assert all({**HISTOGRAMS, **COUNTS}.values())
    assert not HISTOGRAMS.keys() & COUNTS.keys()
