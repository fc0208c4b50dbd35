"""A memory that is bounded."""

from __future__ import annotations

from loadtest.wire.memory import remember


def test_a_value_is_kept_and_returned() -> None:
    """What was made is there the next time."""
    memory: dict[str, int] = {}

    assert remember(memory, "a", 1, most=2) == 1
    assert {"a": 1} == memory


def test_a_full_memory_is_emptied() -> None:
    """A value that has no place left drives out all others."""
    memory = {"a": 1, "b": 2}

    remember(memory, "c", 3, most=2)

    assert {"c": 3} == memory
