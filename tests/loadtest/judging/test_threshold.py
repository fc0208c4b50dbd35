"""Promises as text: what can be written, what is refused, what is met."""

from __future__ import annotations

from fractions import Fraction

import pytest

from loadtest.figures import Figures
from loadtest.judging.quantity import Quantity
from loadtest.judging.threshold import (
    ALLOWED,
    FIGURES,
    Clause,
    Threshold,
    ThresholdError,
    figures_of,
    judge,
    parse,
)
from loadtest.result import Judged, Result
from tests.loadtest import samples


def result(figures: Figures, *, bytes_per_phone: float | None = None) -> Result:
    return samples.result(
        figures=figures,
        moments=(samples.moment(states={"held": 9}),),
        invalid=("one reason",),
        bytes_per_phone=bytes_per_phone,
    )


def refusal(text: str) -> str:
    with pytest.raises(ThresholdError) as caught:
        parse(text)
    return str(caught.value)


def test_a_threshold_is_clauses_joined_by_and() -> None:
    """Each clause has its figure, its operator and its limit in seconds or pieces."""
    expected = Threshold(
        "notify.p99<250ms and missed==0",
        (
            Clause("notify.p99", "<", Fraction(1, 4)),
            Clause("missed", "==", Fraction(0)),
        ),
    )

    assert expected == parse(" notify.p99<250ms and missed==0 ")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("notify.p99<2", Fraction(2)),
        ("notify.p99<2us", Fraction(2, 1_000_000)),
        ("notify.max<1.5m", Fraction(90)),
        ("duration<=1h", Fraction(3600)),
        ("bytes_per_phone<3000", Fraction(3000)),
        ("bytes_per_phone<2.5KB", Fraction(2560)),
        ("generator_bytes_per_phone<1MiB", Fraction(1_048_576)),
        ("errors<10k", Fraction(10_000)),
        ("notify.count>1M", Fraction(1_000_000)),
    ],
)
def test_units_belong_to_the_kind_of_the_figure(text: str, limit: Fraction) -> None:
    """Durations, sizes and counts have units of their own, and a base unit without one."""
    assert limit == parse(text).clauses[0].limit


def test_white_space_is_free() -> None:
    """Parts may stand together or apart, over several lines."""
    apart = parse("errors <\n 10 k and held >= 99 %").clauses

    assert apart == parse("errors<10k and held>=99%").clauses


def test_a_limit_without_unit_may_touch_the_next_word() -> None:
    """A number ends where its digits end."""
    assert 2 == len(parse("missed==0and errors==0").clauses)


def test_the_fourth_percentile_has_two_spellings() -> None:
    """p99.9 is p999."""
    assert "heartbeat_late.p999" == parse("heartbeat_late.p99.9<1s").clauses[0].figure


def test_percentages_are_of_another_count() -> None:
    """A percentage names what it is a part of."""
    expected = Clause("held", ">=", Fraction(99, 100), whole="devices")

    assert (expected,) == parse("held>=99%").clauses


def test_an_unknown_figure_is_refused_with_the_nearest() -> None:
    """The text says where, what was found, the nearest figure and all allowed ones."""
    expected = (
        "'missed==0 and notify.p9<250ms', character 15: found 'notify.p9', "
        f"the nearest is 'notify.p90'; allowed: {ALLOWED}"
    )

    assert expected == refusal("missed==0 and notify.p9<250ms")


@pytest.mark.parametrize("text", ["", "missed==0 and"])
def test_a_threshold_may_not_end_before_a_figure(text: str) -> None:
    """Where a figure is missing nothing is near, and all are allowed."""
    expected = f"{text!r}, character {len(text) + 1}: found the end; allowed: {ALLOWED}"

    assert expected == refusal(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("missed=0", "character 7: found '='; allowed: <, <=, >, >=, ==, !="),
        ("missed", "character 7: found the end; allowed: <, <=, >, >=, ==, !="),
        ("missed==", "character 9: found the end; allowed: a number"),
        ("missed>-1", "character 8: found '-'; allowed: a number"),
        ("missed<3ms", "character 9: found 'ms'; allowed: k, M, % (missed is a count) or 'and'"),
        ("errors<3%", "character 9: found '%'; allowed: k, M (errors is a count) or 'and'"),
        (
            "connect.p99<3 or",
            "character 15: found 'or'; allowed: us, ms, s, m, h (connect.p99 is a dur",
        ),
        ("missed==0 errors==0", "character 11: found 'errors'; allowed: k, M, % (missed is a cou"),
        ("missed==0k errors==0", "character 12: found 'errors'; allowed: and"),
        ("missed==0 5", "character 11: found '5'; allowed: and"),
    ],
)
def test_what_does_not_follow_the_grammar_is_refused(text: str, expected: str) -> None:
    """The text says where, what was found and what is allowed there."""
    assert refusal(text).startswith(f"{text!r}, {expected}")


def test_a_threshold_is_met_when_all_clauses_hold() -> None:
    """Each figure is found with its value."""
    threshold = parse("notify.p99<250ms and missed==0")

    judged = judge(threshold, {"notify.p99": 0.0042, "missed": 0})

    assert Judged(threshold.expression, True, "notify.p99 = 4.2 ms, missed = 0") == judged


def test_one_clause_that_fails_is_enough() -> None:
    """A threshold is not met if one of its clauses is not."""
    judged = judge(parse("notify.p99<250ms and missed==0"), {"notify.p99": 0.0042, "missed": 1})

    assert (False, "notify.p99 = 4.2 ms, missed = 1") == (judged.is_met, judged.found)


@pytest.mark.parametrize(
    ("sign", "expected"),
    [("<", [6]), ("<=", [6, 7]), (">", [8]), (">=", [7, 8]), ("==", [7]), ("!=", [6, 8])],
)
def test_operators_mean_what_they_say(sign: str, expected: list[int]) -> None:
    """A figure is compared with its limit in the order written."""
    threshold = parse(f"errors{sign}7")

    met = [count for count in (6, 7, 8) if judge(threshold, {"errors": count}).is_met]

    assert expected == met


def test_a_figure_is_found_once() -> None:
    """A figure that is compared twice is listed once."""
    assert "errors = 5" == judge(parse("errors>1 and errors<9"), {"errors": 5}).found


@pytest.mark.parametrize("text", ["notify.p99<1s", "notify.p99>=0", "notify.p99!=7"])
def test_what_was_not_measured_keeps_no_promise(text: str) -> None:
    """A figure without data meets no threshold, whatever its operator."""
    judged = judge(parse(text), {})

    assert (False, "notify.p99 = no data") == (judged.is_met, judged.found)


def test_a_percentage_is_exact() -> None:
    """7 of 100 are 7 %, which binary fractions would make a little more."""
    judged = judge(parse("held>=7%"), {"held": 7, "devices": 100})

    assert (True, "held = 7 (7 % of devices)") == (judged.is_met, judged.found)


@pytest.mark.parametrize(
    ("text", "values", "found"),
    [
        ("notify.p99<=250ms", {"notify.p99": 0.2504}, "notify.p99 = 250.4 ms"),
        ("bytes_per_phone<=1KB", {"bytes_per_phone": 1024.2}, "bytes_per_phone = 1,024.2 bytes"),
        ("notify.p99<250ms", {"notify.p99": 0.25}, "notify.p99 = 250 ms"),
    ],
)
def test_what_was_found_reads_unlike_the_limit(
    text: str, values: dict[str, float], found: str
) -> None:
    """A value just beyond its limit has the digits that show it; the limit itself needs none."""
    judged = judge(parse(text), values)

    assert (False, found) == (judged.is_met, judged.found)


def test_a_percentage_is_not_rounded() -> None:
    """6,999 of 100,000 are fewer than 7 %."""
    judged = judge(parse("held>=7%"), {"held": 6999, "devices": 100_000})

    assert (False, "held = 6,999 (6.999 % of devices)") == (judged.is_met, judged.found)


@pytest.mark.parametrize("values", [{"missed": 0}, {"missed": 0, "expected": 0}])
def test_a_percentage_of_nothing_is_not_met(values: dict[str, float]) -> None:
    """Where nothing was expected, no part of it can be promised."""
    judged = judge(parse("missed<=1%"), values)

    assert (False, "missed = 0 (no data of expected)") == (judged.is_met, judged.found)


def test_a_run_measures_figures() -> None:
    """A run's histograms, counts, errors and sizes are figures by the names of thresholds."""
    figures = Figures()
    figures.record("notify", 0.5)
    figures.counts["missed"] = 2
    figures.errors.update({"reset": 3, "timeout": 1})

    found = figures_of(result(figures, bytes_per_phone=2345.0))

    expected = {
        "notify.count": 1,
        "missed": 2,
        "published": 0,
        "errors": 4,
        "held": 9,
        "devices": 10,
        "invalid": 1,
        "bytes_per_phone": 2345.0,
        "duration": 12.5,
    }
    assert expected == {name: found[name] for name in expected}
    assert found["notify.p99"] == pytest.approx(0.5, rel=0.001)


def test_what_a_run_did_not_measure_is_missing() -> None:
    """An empty histogram has a count of zero and no durations; a size not read is none."""
    found = figures_of(result(Figures()))

    assert 0 == found["notify.count"]
    assert set() == {"notify.p99", "bytes_per_phone", "generator_bytes_per_phone"} & found.keys()


def test_every_figure_of_a_run_may_be_named() -> None:
    """A threshold may name what a run measures, and nothing else."""
    figures = Figures()
    for name in {name.partition(".")[0] for name in FIGURES if "." in name}:
        figures.record(name, 0.001)

    found = figures_of(result(figures, bytes_per_phone=1.0))

    assert FIGURES.keys() - {"generator_bytes_per_phone"} == found.keys()
    assert Quantity.SIZE is FIGURES["generator_bytes_per_phone"]
