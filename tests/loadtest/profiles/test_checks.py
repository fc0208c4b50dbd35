"""Lines for what is wrong with a value."""

from __future__ import annotations

from math import inf, nan

import pytest

from loadtest.profiles.checks import ProfileError, above_0, among, at_least, check, fraction


def test_all_mistakes_are_raised_together() -> None:
    """The error lists every mistake, and its text has a line for each."""
    with pytest.raises(ProfileError) as caught:
        check("a: wrong", None, "b: wrong too")

    assert (["a: wrong", "b: wrong too"], "a: wrong\nb: wrong too") == (
        caught.value.mistakes,
        str(caught.value),
    )


def test_nothing_is_raised_without_a_mistake() -> None:
    """Values that are right pass."""
    check(
        at_least("a", 1, 1),
        above_0("b", 0.1),
        above_0("c", 1.0, most=1.0),
        fraction("d", 0.0),
        among("e", "one", ("one", "two")),
    )


@pytest.mark.parametrize("found", [-1, inf, nan])
def test_a_number_below_the_least_is_a_mistake(found: float) -> None:
    """The line says what was found and the least that is allowed; endless is never allowed."""
    assert f"a: found {found:g}, allowed 0 or more" == at_least("a", found, 0)


@pytest.mark.parametrize("found", [0, -1, inf, nan])
def test_a_number_that_is_not_above_0_is_a_mistake(found: float) -> None:
    """The line says what was found; endless is never allowed."""
    assert f"a: found {found:g}, allowed more than 0" == above_0("a", found)


def test_a_number_above_the_most_is_a_mistake() -> None:
    """The line says what the most is."""
    assert "a: found 2, allowed more than 0 and at most 1" == above_0("a", 2, most=1)


@pytest.mark.parametrize("found", [-0.1, 1.1, nan])
def test_a_number_that_is_no_fraction_is_a_mistake(found: float) -> None:
    """The line names both ends."""
    assert f"a: found {found:g}, allowed 0 to 1" == fraction("a", found)


def test_an_unknown_name_is_a_mistake() -> None:
    """The line has the nearest name and all of them."""
    expected = "a: found 'too', did you mean 'two'? (allowed: one, two)"

    assert expected == among("a", "too", ("one", "two"))
