"""Two runs side by side, built from plain numbers."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from loadtest.figures import Latency
from loadtest.judging.compare import Comparison, Row, Verdict, compare
from loadtest.judging.quantity import Quantity
from loadtest.judging.summary import Second, Summary
from loadtest.result import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable


def latency(scale: float = 1.0) -> Latency:
    return Latency(100, 0.002 * scale, 0.003 * scale, 0.004 * scale, 0.005 * scale, 0.006 * scale)


def jitter(at: int) -> float:
    """Scatter by a few percent, the same in each run."""
    return 1 + (at * 7919 % 11 - 5) / 100


def run(scale: float = 1.0, *, size: int = 30, cpu: float = 100e-6, **changes: object) -> Summary:
    """Return a run with 100 answers a second, whose notify latency and CPU are given."""
    moments = tuple(
        Second(
            at=float(at),
            phase="running",
            counts={"answers": 100 * at},
            recent={"notify": latency(scale * jitter(at))},
            gateway=Gateway(cpu_seconds=cpu * 100 * at),
        )
        for at in range(size)
    )
    summary = Summary(
        name="steady",
        devices=15_000,
        duration=60.0,
        profile={},
        environment={},
        counts={"expected": 3000, "answers": 3000},
        errors={},
        histograms={"notify": latency(scale)},
        bytes_per_phone=2000.0,
        moments=moments,
    )
    return replace(summary, **changes)


def compared(a: Summary, b: Summary) -> Comparison:
    return compare(a, b, Random(1))


def row(a: Summary, b: Summary, figure: str) -> Row:
    return next(one for one in compared(a, b).rows if one.figure == figure)


def moved(summary: Summary, change: Callable[[Second], Second]) -> Summary:
    return replace(summary, moments=tuple(change(one) for one in summary.moments))


def test_equal_runs_show_no_difference() -> None:
    """A run compared with itself is the same in every figure."""
    found = compared(run(), run())

    assert {Verdict.SAME} == {one.verdict for one in found.rows}
    assert ("no difference shown", ()) == (found.verdict, found.notes)


def test_figures_that_were_measured_have_a_row() -> None:
    """Histograms without data and memory that was not read have none."""
    found = compared(run(bytes_per_phone=None), run(bytes_per_phone=None))

    expected = [
        *("missed", "duplicate", "spurious", "errors"),
        *("notify.p50", "notify.p90", "notify.p99", "notify.max", "gateway CPU per answer"),
    ]
    assert expected == [one.figure for one in found.rows]


def test_a_slower_run_is_worse() -> None:
    """A latency that grew by more than its noise is told with the whole run's figures."""
    found = row(run(), run(1.31), "notify.p99")

    assert (Quantity.DURATION, 0.004, Verdict.WORSE) == (found.quantity, found.a, found.verdict)
    assert found.ratio == pytest.approx(1.31)
    assert found.why.startswith("+31 % (95 %: +")


def test_a_worse_run_says_so() -> None:
    """The verdict names all figures that are worse, with their noise."""
    found = compared(run(), run(1.31)).verdict

    assert found.startswith("B is worse: notify.p50 +31 % (95 %: +2")
    assert "notify.p99 +31 %" in found


def test_losses_come_first() -> None:
    """A missed change is told before any latency."""
    lossy = run(1.31, counts={"expected": 3000, "answers": 3000, "missed": 3})

    assert compared(run(), lossy).verdict.startswith("B is worse: missed 0 to 3, notify.p50 +31 %")


def test_a_faster_run_is_better() -> None:
    """The same runs the other way round are a gain."""
    found = compared(run(1.31), run()).verdict

    assert found.startswith("B is better: notify.p50 -24 % (95 %: -2")


def test_some_of_each_is_worse_in_part() -> None:
    """A run that is faster and takes more CPU says both."""
    found = compared(run(1.31), run(cpu=200e-6)).verdict

    assert found.startswith("B is worse in part: gateway CPU per answer +100 % (95 %: ")
    assert "; better: notify.p50 -24 %" in found


def test_a_small_change_is_none() -> None:
    """3 % more in every second is clear, and too little to speak of."""
    assert Verdict.SAME is row(run(), run(1.03), "notify.p99").verdict


def test_a_change_within_the_noise_is_none() -> None:
    """Seconds that scatter by a factor of ten do not tell 20 %."""
    dice = Random(4)

    def scattered(scale: float) -> Summary:
        return moved(
            run(),
            lambda one: replace(one, recent={"notify": latency(scale * 10 ** dice.random())}),
        )

    assert Verdict.SAME is row(scattered(1.0), scattered(1.2), "notify.p99").verdict


def test_stalls_that_the_median_hides_are_unclear() -> None:
    """A run whose few worst seconds are ten times slower is not the same."""
    stalled = replace(run(), histograms={"notify": latency(10.0)})

    found = row(run(), stalled, "notify.p99")

    assert Verdict.UNCLEAR is found.verdict
    assert found.why.endswith(" in the median second, but +900 % in all")


def test_a_few_seconds_tell_nothing() -> None:
    """Seven seconds are too few for a verdict, and the figures are shown all the same."""
    found = row(run(size=7), run(1.5), "notify.p99")

    assert (Verdict.UNCLEAR, "too few seconds with data") == (found.verdict, found.why)
    assert found.ratio == pytest.approx(1.5)


def test_unclear_figures_are_named() -> None:
    """No difference shown is not the same as no difference."""
    found = compared(run(size=1), run(size=1))

    expected = "no difference shown; unclear: notify.p50, notify.p90, notify.p99, notify.max"
    assert expected == found.verdict


def test_seconds_without_answers_do_not_count() -> None:
    """A second in which nothing was recorded has no latency of zero."""
    idle = moved(run(), lambda one: replace(one, recent={"notify": Latency()}))

    assert "too few seconds with data" == row(run(), idle, "notify.p99").why


@pytest.mark.parametrize(("missing", "expected"), [("a", "no data in A"), ("b", "no data in B")])
def test_a_figure_of_one_run_only_is_unclear(missing: str, expected: str) -> None:
    """What one of the runs did not measure cannot be compared."""
    runs = {"a": run(), "b": run(), missing: run(histograms={"notify": Latency()})}

    found = row(runs["a"], runs["b"], "notify.p99")

    assert (Verdict.UNCLEAR, expected, None) == (found.verdict, found.why, found.ratio)


def test_only_the_running_phase_counts() -> None:
    """Latencies while phones arrive are no part of the median second."""
    busy = run(9.0, size=40).moments
    arriving = tuple(replace(one, phase="arriving", at=one.at - 40) for one in busy)
    ramped = replace(run(), moments=(*arriving, *run().moments))

    assert Verdict.SAME is row(run(), ramped, "notify.p99").verdict


def test_connections_count_while_phones_arrive() -> None:
    """Connecting is measured when it happens: in the phase of arriving, too."""
    a, b = (
        moved(
            run(histograms={"connect": latency(scale)}),
            lambda one, scale=scale: replace(
                one, phase="arriving", recent={"connect": latency(scale * jitter(int(one.at)))}
            ),
        )
        for scale in (1.0, 1.5)
    )

    assert Verdict.WORSE is row(a, b, "connect.p99").verdict


def test_cpu_is_per_answer_while_running() -> None:
    """CPU per answer is CPU seconds over answers, both of the gateway's running phase."""
    found = row(run(), run(cpu=130e-6), "gateway CPU per answer")

    assert found.a == pytest.approx(100e-6)
    assert (Verdict.WORSE, "+30 % (95 %: +30..+30)") == (found.verdict, found.why)


def test_a_restarted_worker_is_left_out() -> None:
    """CPU time that a worker took along does not become negative."""
    restarted = moved(
        run(),
        lambda one: replace(
            one, gateway=Gateway(cpu_seconds=one.at * 0.01 - (0.1 if one.at >= 15 else 0.0))
        ),
    )

    found = row(run(), restarted, "gateway CPU per answer")

    assert (Verdict.SAME, pytest.approx(100e-6)) == (found.verdict, found.b)


def test_seconds_without_an_answer_keep_their_cpu() -> None:
    """CPU of idle seconds belongs to the next answers."""
    slow = moved(run(), lambda one: replace(one, counts={"answers": 200 * (int(one.at) // 2)}))

    found = row(run(), slow, "gateway CPU per answer")

    assert found.b == pytest.approx(100e-6)


def test_a_gateway_that_does_not_tell_its_cpu_has_no_row() -> None:
    """Servers without metrics are compared by what the phones see."""
    silent = moved(run(), lambda one: replace(one, gateway=Gateway()))

    figures = [one.figure for one in compared(silent, silent).rows]

    assert "gateway CPU per answer" not in figures


@pytest.mark.parametrize(
    ("before", "after", "verdict", "why"),
    [
        (2000.0, 2600.0, Verdict.WORSE, "+30 %"),
        (2000.0, 1500.0, Verdict.BETTER, "-25 %"),
        (2000.0, 2080.0, Verdict.SAME, "+4 %"),
        (None, 2000.0, Verdict.UNCLEAR, "no data in A"),
        (2000.0, None, Verdict.UNCLEAR, "no data in B"),
        (2000.0, -10.0, Verdict.UNCLEAR, "too small to tell"),
    ],
)
def test_memory_is_compared_as_it_is(
    before: float | None, after: float | None, verdict: Verdict, why: str
) -> None:
    """Bytes for each phone differ from 5 % on."""
    found = row(run(bytes_per_phone=before), run(bytes_per_phone=after), "bytes_per_phone")

    assert (verdict, why) == (found.verdict, found.why)


def test_memory_of_few_phones_is_unclear() -> None:
    """Of 200 phones the interpreter's own memory is too large a part."""
    found = row(run(devices=200), run(devices=200, bytes_per_phone=4000.0), "bytes_per_phone")

    assert (Verdict.UNCLEAR, "fewer than 1,000 phones") == (found.verdict, found.why)


@pytest.mark.parametrize(
    ("before", "after", "verdict", "why"),
    [
        (0, 0, Verdict.SAME, "0 to 0"),
        (0, 1, Verdict.WORSE, "0 to 1"),
        (9, 0, Verdict.SAME, "9 to 0, within chance"),
        (20, 0, Verdict.BETTER, "20 to 0"),
        (100, 130, Verdict.SAME, "100 to 130, within chance"),
        (100, 160, Verdict.WORSE, "100 to 160"),
    ],
)
def test_losses_are_counted(before: int, after: int, verdict: Verdict, why: str) -> None:
    """The first missed change is worse; more of them are when it is no chance."""
    counts = {"expected": 3000}
    a, b = (run(counts=counts | {"missed": missed}) for missed in (before, after))

    found = row(a, b, "missed")

    assert (verdict, why) == (found.verdict, found.why)


def test_counts_are_for_as_many_chances() -> None:
    """Twice as many missed of twice as many expected are as many."""
    a = run(counts={"expected": 3000, "missed": 100})
    b = run(counts={"expected": 6000, "missed": 200})

    assert Verdict.SAME is row(a, b, "missed").verdict


def test_errors_are_those_of_all_kinds() -> None:
    """Errors are summed up, and any after none are worse."""
    found = row(run(), run(errors={"reset": 2, "timeout": 1}), "errors")

    assert (Verdict.WORSE, "0 to 3") == (found.verdict, found.why)


def test_an_invalid_run_gets_no_verdict() -> None:
    """Figures that the generator made are shown and noted, and decide nothing."""
    found = compared(run(), run(2.0, invalid=("too busy",)))

    assert "no verdict: in B the generator was the bottleneck" == found.verdict
    assert ("B is invalid: too busy",) == found.notes
