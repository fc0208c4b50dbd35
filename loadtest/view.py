"""Shows a run while it goes on: a live table on a terminal, else a plain line now and then."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.live import Live

from loadtest import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from loadtest.profile import Profile
    from loadtest.report import Snapshot

LINES_EVERY: Final = 5.0
"""Seconds between plain lines."""
DRAW_EVERY: Final = 2.0
"""Seconds between drawings: each takes the loop from the phones for about 10 ms."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Where states are shown, and how often."""

    interval: float
    """Seconds between two states."""
    show: Callable[[Snapshot], None]


@contextmanager
def open_screen(console: Console, profile: Profile) -> Iterator[Screen]:
    """Open the screen that fits the console."""
    if not console.is_terminal:
        yield Screen(LINES_EVERY, lambda now: _print(console, now))
        return
    # No thread of its own: it would take turns from the phones at any moment.
    with Live(console=console, auto_refresh=False, transient=True) as drawn:
        yield Screen(DRAW_EVERY, lambda now: drawn.update(report.live(profile, now), refresh=True))


def _print(console: Console, now: Snapshot) -> None:
    console.print(report.line(now), soft_wrap=True, highlight=False)
