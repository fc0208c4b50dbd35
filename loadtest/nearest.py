"""Which of the allowed names was probably meant."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return the choice that is most like a name, whatever the case of its letters.

    Args:
        name: What was found.
        choices: At least one; of equally good ones the first is returned.
    """

    def likeness(choice: str) -> float:
        return SequenceMatcher(None, name.casefold(), choice.casefold()).ratio()

    return max(choices, key=likeness)
