import pytest

from heartbeat.interval import LEAD, SPREAD, Bounds, due_at


@pytest.fixture(name="bounds")
def _bounds():
    return Bounds(low=60, high=3540, default=480)


@pytest.mark.parametrize(
    ("requested", "granted"),
    [(-1, 60), (0, 60), (59, 60), (60, 60), (480, 480), (3540, 3540), (3541, 3540), (10**9, 3540)],
)
def test_interval_is_clamped_to_the_nearest_bound(bounds, requested, granted):
    """An interval outside the bounds becomes the nearest one, both ends are granted."""
    assert granted == bounds.nearest(requested)


@pytest.mark.parametrize(("low", "high", "default"), [(0, 10, 5), (60, 30, 40), (60, 3540, 59)])
def test_bounds_that_contradict_each_other_are_refused(low, high, default):
    """Bounds must be positive and in order, the default between them."""
    with pytest.raises(ValueError, match="allowed: 1 <= low <= default <= high"):
        Bounds(low=low, high=high, default=default)


def test_answer_is_due_before_the_interval_ends():
    """The latest moment for an answer lies one lead before the end that the phone waits for."""
    assert due_at(1000.25, 480) == 1000.25 + 480 - LEAD


@pytest.mark.parametrize(("dice", "earlier"), [(0.0, 0.0), (0.5, SPREAD / 2), (1.0, SPREAD)])
def test_answers_are_spread(dice, earlier):
    """The dice move an answer at most by the spread, always to the early side."""
    assert due_at(1000.25, 480) - earlier == due_at(1000.25, 480, dice)


@pytest.mark.parametrize("dice", [0.0, 0.999])
def test_answer_leaves_one_to_two_seconds_early(dice):
    """With a wheel of quarters of a second no answer leaves more than 2 s before the end."""
    at = due_at(1000.0, 480, dice)

    assert 1.0 <= 1480.0 - at <= 2.0 - 0.25
