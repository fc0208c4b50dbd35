"""Which faults a server can have, and when they are due."""

from __future__ import annotations

import pytest

from loadtest.faulty.faults import Done, Every, Faults, FaultsError


def due(every: Every, counts: int) -> list[bool]:
    found = []
    for _ in range(counts):
        every.count()
        found.append(every.take())
    return found


def test_the_nth_is_due() -> None:
    """Every third of six is the third and the sixth."""
    assert [False, False, True, False, False, True] == due(Every(3), 6)


def test_zero_is_never_due() -> None:
    """With 0 nothing is due, however much is counted."""
    assert [False] * 5 == due(Every(0), 5)


def test_what_was_not_taken_stays_due() -> None:
    """Two that were due and not taken are taken one after the other."""
    every = Every(2)
    for _ in range(4):
        every.count()

    assert [True, True, False] == [every.take() for _ in range(3)]


def test_what_was_given_back_is_due_again() -> None:
    """One that was taken in vain is taken with the next."""
    every = Every(2)
    due(every, 2)
    every.give_back()

    assert [True, False] == [*due(every, 1), every.take()]


def test_faults_become_options() -> None:
    """Each field is one option of the server's command line."""
    faults = Faults(lose=1, delay=2, spurious=3, duplicate=4, delay_seconds=5.0, quiet_seconds=0.5)

    expected = ["--lose=1", "--delay=2", "--spurious=3", "--duplicate=4"]
    assert [*expected, "--delay-seconds=5.0", "--quiet-seconds=0.5"] == faults.options()


def test_a_negative_number_is_refused() -> None:
    """A fault at every minus third is none."""
    with pytest.raises(FaultsError, match="lose: found -3, allowed 0 or more"):
        Faults(lose=-3)


def test_what_was_done_travels_as_json() -> None:
    """What was written is read as the same."""
    done = Done(changes=9, lost=["r-1"], delayed=["r-2", "r-3"], spurious=4, duplicate=5)

    assert done == Done.from_json(done.as_json())
