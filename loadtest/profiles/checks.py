"""What is wrong with the values of a profile: a line for each mistake.

A line begins with the key, as a profile's file spells it, and a colon.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING

from loadtest.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable


class ProfileError(ValueError):
    """A profile that cannot be used; the text has one line for each mistake."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = list(mistakes)
        """One line each: the key, what was found, what is allowed."""
        super().__init__("\n".join(self.mistakes))


def check(*mistakes: str | None) -> None:
    """Raise all mistakes that were found, if there are any.

    Args:
        mistakes: What the functions below return; None is none.

    Raises:
        ProfileError: With all of them.
    """
    found = [mistake for mistake in mistakes if mistake is not None]
    if found:
        raise ProfileError(found)


def at_least(key: str, found: float, least: float) -> str | None:
    """Return the mistake of a number that is below the least one, endless or none."""
    if least <= found < inf:
        return None
    return f"{key}: found {found:g}, allowed {least:g} or more"


def above_0(key: str, found: float, *, most: float = inf) -> str | None:
    """Return the mistake of a number that is not above 0, or above the most."""
    if 0 < found <= most and isfinite(found):
        return None
    return f"{key}: found {found:g}, allowed more than 0" + (
        f" and at most {most:g}" if isfinite(most) else ""
    )


def fraction(key: str, found: float) -> str | None:
    """Return the mistake of a number that is no share."""
    return None if 0 <= found <= 1 else f"{key}: found {found:g}, allowed 0 to 1"


def among(key: str, found: str, choices: Iterable[str]) -> str | None:
    """Return the mistake of a name that is none of the choices, with the nearest one."""
    allowed = tuple(choices)
    if found in allowed:
        return None
    return (
        f"{key}: found {found!r}, did you mean {nearest(found, allowed)!r}? "
        f"(allowed: {', '.join(allowed)})"
    )
