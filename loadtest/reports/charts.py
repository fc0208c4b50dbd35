"""The charts of a run, as SVG with their titles.

Only ``canvas`` loads matplotlib, and only when it draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from loadtest.reports import canvas, courses
from loadtest.reports.canvas import LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from loadtest.figures import Histogram
    from loadtest.result import Result

DISTRIBUTIONS: Final = (
    "notify",
    "ping",
    "command",
    "connect",
    "first_hold",
    "reconnect",
    "delivered",
    "tls",
)
"""Histograms whose distribution is drawn where they have data."""
_PERCENTILES: Final = {
    1.0: "0",
    2.0: "50",
    10.0: "90",
    1e2: "99",
    1e3: "99.9",
    1e4: "99.99",
    1e5: "99.999",
    1e6: "99.9999",
}
"""What stands at a place of the axis 1/(1-p)."""
_TICKS: Final = 5
"""Percentiles in each halving of the distance to 100 %."""
_US_PER_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and what it shows."""

    title: str
    explanation: str
    svg: str


def charts(result: Result) -> list[Chart]:
    """Draw every chart that the run has data for."""
    return [
        Chart(title, explanation, canvas.draw(paint.__name__, title, partial(paint, result=result)))
        for paint, title, explanation in _wanted(result)
    ]


def _wanted(result: Result) -> Iterator[tuple[Callable[..., None], str, str]]:
    if _drawn(result):
        yield distribution, *_DISTRIBUTION
    if len(result.moments) > 1:  # a single one has no course
        for paint, title, explanation in _COURSES:
            if paint is not courses.errors or any(result.moments[-1].errors.values()):
                yield paint, title, explanation


def distribution(figure: Figure, result: Result) -> None:
    """Paint milliseconds over percentiles, out to the slowest answer."""
    found = {name: result.figures.histogram(name) for name in _drawn(result)}
    spectra(figure.subplots(), found)


def spectra(axes: Axes, histograms: Mapping[str, Histogram]) -> None:
    """Paint milliseconds over percentiles, a line for each histogram.

    Args:
        axes: Empty.
        histograms: By the names of their lines; each has something in it.
    """
    values: list[float] = []
    most = 10.0
    for number, (name, histogram) in enumerate(histograms.items()):
        xs, ys = spectrum(histogram)
        color, dashes = LINES[number % len(LINES)], "-" if number < len(LINES) else "--"
        end = {"marker": "o", "markersize": 3, "markevery": [-1]}
        canvas.line(axes, xs, ys, name, color=color, linestyle=dashes, **end)
        values += ys
        most = max(most, xs[-1])
    axes.set_xscale("log")
    ticks = [one for one in _PERCENTILES if one <= most]
    axes.set_xticks(ticks, [_PERCENTILES[one] for one in ticks])
    axes.set_xlim(1, most)
    canvas.logarithmic(axes, values)
    axes.set_xlabel("percentile")
    axes.set_ylabel("ms")
    canvas.legend(axes)


def spectrum(histogram: Histogram) -> tuple[list[float], list[float]]:
    """Return places on the axis 1/(1-p) and the milliseconds there, as HDR plots have them.

    100 % has no place on that axis: the slowest of n is put where 1 - 1/n is.
    """
    xs: list[float] = []
    ys: list[float] = []
    for step in histogram.counts.get_percentile_iterator(_TICKS):
        left = 1 - step.percentile_level_iterated_to / 100
        xs.append(min(1 / left, histogram.count) if left > 0 else histogram.count)
        ys.append(step.value_iterated_to / _US_PER_MS)
    return xs, ys


def _drawn(result: Result) -> list[str]:
    return [name for name in DISTRIBUTIONS if result.figures.histogram(name).count]


_DISTRIBUTION: Final = (
    "Latency distribution",
    "Time within which each percentile was over, out to the slowest one; both axes logarithmic.",
)
_COURSES: Final = (
    (
        courses.latency,
        "Latency over time",
        "From a change's intended time to the answer that names its folder, of each interval.",
    ),
    (
        courses.throughput,
        "Throughput over time",
        "Changes published beside the profile's target; answers and new connections.",
    ),
    (
        courses.held,
        "Held phones and gateway memory",
        "Phones whose Ping waits at the server, and user memory of all processes of the gateway.",
    ),
    (
        courses.states,
        "Phones by state",
        "What the phones that have begun are doing, one state upon the other.",
    ),
    (
        courses.errors,
        "Errors over time",
        "Failures a second of the most frequent kinds; all others are added up.",
    ),
    (
        courses.generator,
        "Generator lag, and CPU",
        "How late the generator's event loops were; a generator near 100 % of a core is too slow.",
    ),
)
