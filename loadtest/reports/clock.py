"""The time axis of a run's charts, with the marks and phases on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from loadtest.reports import canvas, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.axes import Axes

    from loadtest.result import Mark, Result

Side = Literal["top", "bottom"]
_UNITS: Final = ((3 * 3600, "hours", 3600), (300, "minutes", 60), (0, "seconds", 1))
"""From how many seconds on, the unit's name, its seconds."""
LONGEST_TEXT: Final = 30
"""Letters of a mark that a chart has room for; the page's table has all of them."""
CLOSEST: Final = 0.06
"""Share of the width that must lie between two marks with text."""
_NARROWEST: Final = 0.12
"""Share of the width that a phase needs for its name."""


class Clock:
    """The time of a run in the unit that suits its length."""

    def __init__(self, result: Result) -> None:
        self._begin = result.moments[0].at
        self._end = result.moments[-1].at
        self._marks = result.marks
        self._phases = timeline.phases(result.moments)
        self._unit, self._seconds = next(
            (unit, seconds) for least, unit, seconds in _UNITS if self._end >= least
        )

    def of(self, ats: Iterable[float]) -> list[float]:
        """Convert seconds since the run began into places on the axis."""
        return [at / self._seconds for at in ats]

    def scale(self, axes: Axes) -> None:
        """Limit the x axis to the run and name its unit."""
        begin, end = self.of((self._begin, self._end))
        axes.set_xlim(begin, end if end > begin else begin + 1)
        axes.set_xlabel(f"{self._unit} since the run began")

    def annotate(self, axes: Axes, *, text_at: Side | None = "top") -> None:
        """Shade all phases but the running one, and draw the marks.

        Args:
            axes: Its y axis must have its limits.
            text_at: Where the texts of marks and phases stand; None leaves them out.
        """
        self._shade(axes, with_text=text_at is not None)
        for mark, has_room in spaced(self._marks, (self._end - self._begin) * CLOSEST):
            x = mark.at / self._seconds
            axes.axvline(x, color=canvas.INK, linewidth=0.8, linestyle=(0, (3, 2)), alpha=0.7)
            if text_at and has_room:
                # left of its line, but inside of the chart
                is_left = mark.at - self._begin > (self._end - self._begin) * CLOSEST
                _write(axes, (x, -2 if is_left else 2), shorten(mark.text), text_at)

    def _shade(self, axes: Axes, *, with_text: bool) -> None:
        narrowest = _NARROWEST * (self._end - self._begin)
        for phase in self._phases:
            if phase.name == "running":
                continue
            begin, end = self.of((phase.begin, phase.end))
            axes.axvspan(begin, end, facecolor=canvas.INK, edgecolor="none", alpha=0.08, zorder=0)
            if with_text and phase.end - phase.begin > narrowest:
                place = ((begin + end) / 2, 0.03)
                across = axes.get_xaxis_transform()
                axes.annotate(phase.name, place, xycoords=across, ha="center", size=canvas.SMALL)


def spaced(marks: Iterable[Mark], least: float) -> Iterator[tuple[Mark, bool]]:
    """Yield each mark, and whether its text would not lie on that of the one before.

    Args:
        marks: In any order.
        least: Seconds between two texts.
    """
    free_from = float("-inf")
    for mark in sorted(marks, key=lambda one: one.at):
        has_room = mark.at >= free_from
        if has_room:
            free_from = mark.at + least
        yield mark, has_room


def shorten(text: str) -> str:
    """Cut a mark's text to what a chart has room for."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1].rstrip() + "…"


def _write(axes: Axes, place: tuple[float, int], text: str, side: Side) -> None:
    x, shift = place
    axes.annotate(
        text,
        (x, 0.98 if side == "top" else 0.03),
        xycoords=axes.get_xaxis_transform(),
        xytext=(shift, 0),
        textcoords="offset points",
        rotation=90,
        ha="right" if shift < 0 else "left",
        va=side,
        size=canvas.SMALL,
    )
