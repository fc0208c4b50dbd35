"""Remember what was read before: few distinct answers exist, and most come again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

Key = TypeVar("Key", bound="Hashable")
Value = TypeVar("Value")


def remember(memory: dict[Key, Value], key: Key, value: Value, *, most: int) -> Value:
    """Keep a value that was hard to come by, and return it.

    Args:
        memory: Where to keep it; emptied when full, which costs less than to know what is old.
        key: What it was made of.
        value: What was made.
        most: Entries that the memory may have.
    """
    if len(memory) >= most:
        memory.clear()
    memory[key] = value
    return value
