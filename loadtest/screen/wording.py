"""How times are written where there is little room: in a column, and beside a bar."""

from __future__ import annotations

from typing import Final

from loadtest.wording import number

_MINUTE: Final = 60
_LONG_MS: Final = 9_999.5
"""From here on milliseconds no longer fit a column."""


def cell(seconds: float) -> str:
    """Write a duration for a column of milliseconds, in at most five characters."""
    milliseconds = round(seconds * 1000, 3)
    if milliseconds < _LONG_MS:
        return number(milliseconds)
    return f"{number(seconds).replace(',', '')}s"


def clock(seconds: float) -> str:
    """Write seconds since the run began: ``3:12``, ``1:03:12``."""
    minutes, rest = divmod(int(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
