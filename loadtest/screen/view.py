"""Shows a run while it goes on: one screen on a terminal, else a plain line now and then."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from rich.live import Live

from loadtest import wording
from loadtest.figures import Latency
from loadtest.screen import dashboard
from loadtest.screen.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from loadtest.result import Mark, Moment
    from loadtest.screen.dashboard import Plan

LINES_EVERY: Final = 5.0
"""Seconds between plain lines."""


class Screen(Protocol):
    """Where a run is shown. Drawing takes the loop for some milliseconds; there is no thread."""

    def show(self, moment: Moment) -> None:
        """Show the state of the run; to be called about once a second."""

    def mark(self, mark: Mark) -> None:
        """Show what was done to the run."""


@contextmanager
def open_screen(console: Console, plan: Plan) -> Iterator[Screen]:
    """Open the screen that fits the console."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(console)
        return
    # No thread of its own: it would take turns from the controller at any moment.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _Picture(live, plan)


def line(history: History) -> str:
    """Return the newest moment as one line of text."""
    now = history.now
    notify = now.total.get("notify", Latency())
    counts = {name: now.counts.get(name, 0) for name in ("published", "expected", "received")}
    return (
        f"{now.at:4.0f} s  {now.phase}  held {now.held:,}  published {counts['published']:,} "
        f"({wording.rate(now.published_per_second)})  received {counts['received']:,}  "
        f"open {max(counts['expected'] - counts['received'], 0):,}  "
        f"p50 {wording.duration(notify.p50)} p99 {wording.duration(notify.p99)} "
        f"max {wording.duration(notify.max)}  errors {sum(now.errors.values()):,}  "
        f"lag {wording.duration(now.total.get('lag', Latency()).p99)}  "
        f"CPU {wording.share(now.cpu)}  per held {wording.size(history.bytes_per_phone())}"
    )


class _Picture:
    def __init__(self, live: Live, plan: Plan) -> None:
        self._live = live
        self._plan = plan
        self._history = History()

    def show(self, moment: Moment) -> None:
        self._history.add(moment)
        size = self._live.console.size  # the window may have been resized
        self._live.update(dashboard.draw(self._plan, self._history, size), refresh=True)

    def mark(self, mark: Mark) -> None:
        self._history.marks.append(mark)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._history = History()
        self._slot = -1

    def show(self, moment: Moment) -> None:
        self._history.add(moment)
        # Slots of the run's own time: a moment that comes late does not shift those after it.
        slot = int(moment.at // LINES_EVERY)
        if slot > self._slot:
            self._slot = slot
            self._print(line(self._history))

    def mark(self, mark: Mark) -> None:
        self._print(f"{mark.at:4.0f} s  mark: {mark.text}")

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)
