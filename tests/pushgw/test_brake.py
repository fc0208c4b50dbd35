"""The brake in plain numbers."""

from __future__ import annotations

from pushgw.brake import FORGET, LONGEST, Brake

SAME = 1
OTHER = 2


def delays(brake: Brake, count: int, step: float = 1.0) -> list[float]:
    """How long equal answers, one each ``step`` seconds, are held back."""
    return [brake.delay("phone", SAME, number * step) for number in range(count)]


def test_repeated_answer_is_held_back_longer_and_longer() -> None:
    """Three equal answers are free, then each waits twice as long, a minute at most."""
    assert [0, 0, 0, 1, 2, 4, 8, 16, 32, LONGEST, LONGEST] == delays(Brake(), 11)


def test_delay_is_bounded_for_ever() -> None:
    """A phone that repeats itself for days waits a minute each time."""
    assert LONGEST == delays(Brake(), 5000, step=60.0)[-1]


def test_another_answer_is_free() -> None:
    """A phone that is told something else has not repeated itself."""
    brake = Brake()
    delays(brake, 5)

    assert brake.delay("phone", OTHER, 5.0) == 0.0
    assert brake.delay("phone", SAME, 6.0) == 0.0


def test_devices_are_counted_apart() -> None:
    """One phone's repetitions do not slow another one down."""
    brake = Brake()
    delays(brake, 5)

    assert brake.delay("other", SAME, 5.0) == 0.0


def test_device_that_waited_is_free_again() -> None:
    """A Ping that was really held ends the count."""
    brake = Brake()
    delays(brake, 5)
    brake.release("phone")
    brake.release("phone")

    assert brake.delay("phone", SAME, 5.0) == 0.0


def test_quiet_device_is_forgotten() -> None:
    """After a quiet time beyond the longest delay the count starts anew."""
    brake = Brake()
    delays(brake, 4)

    assert brake.delay("phone", SAME, 3.0 + FORGET + LONGEST) == 0.0


def test_device_that_is_not_quiet_long_enough_is_not_forgotten() -> None:
    """A delay counts as activity: waiting for one's answer does not end the count."""
    brake = Brake()
    delays(brake, 4)

    assert brake.delay("phone", SAME, 2.9 + FORGET + LONGEST) == 2.0


def test_memory_is_bounded() -> None:
    """Of more devices than the limit the one that has been quiet longest is forgotten."""
    brake = Brake(limit=2)
    for number in range(4):
        brake.delay("early", SAME, number)
    brake.delay("second", SAME, 4.0)
    brake.delay("third", SAME, 5.0)

    assert brake.delay("early", SAME, 6.0) == 0.0


def test_active_device_is_not_the_one_forgotten() -> None:
    """A device that repeats itself keeps its place."""
    brake = Brake(limit=2)
    brake.delay("second", SAME, 0.0)
    delays(brake, 3)
    brake.delay("third", SAME, 5.0)

    assert brake.delay("phone", SAME, 6.0) == 1.0
