"""The picture of a bench: what it takes to hold phones, and how late changes reached them.

A line for each contender, in the look of the other charts. matplotlib is loaded when a picture is
drawn; where it is not installed there is none.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from loadtest.reports import canvas, charts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from loadtest.benching.rows import Measured, Sample

INCHES: Final = (15.0, 4.4)
"""Width and height of the picture: three charts side by side."""
DOTS: Final = 100
"""Pixels of an inch."""
_MB: Final = 1024**2


def save(path: Path, measured: Sequence[Measured]) -> bool:
    """Draw what was measured; return whether there was anything to draw it with and from.

    Args:
        path: A PNG file.
        measured: Those with samples or latencies are drawn.
    """
    painters = _painters(measured)
    if not painters:
        return False
    try:
        import matplotlib as mpl  # noqa: PLC0415 - only here, see above
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        return False
    with mpl.rc_context({**canvas.STYLE, "figure.facecolor": "white"}):
        figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
        for paint, axes in zip(
            painters, figure.subplots(1, len(painters), squeeze=False)[0], strict=True
        ):
            paint(axes)
        figure.savefig(path)
    return True


def _painters(measured: Sequence[Measured]) -> list[Callable[[Axes], None]]:
    """Return what paints each chart that there is something for."""
    found: list[Callable[[Axes], None]] = []
    courses = {one.name: one.samples for one in measured if one.samples}
    if courses:
        found += [partial(_memory, courses=courses), partial(_cpu, courses=courses)]
    latencies = {one.name: one.latency for one in measured if one.latency and one.latency.count}
    if latencies:
        found.append(partial(charts.spectra, histograms=latencies))
    return found


def _memory(axes: Axes, courses: Mapping[str, Sequence[Sample]]) -> None:
    _over_phones(axes, courses, lambda one, _: one.memory_bytes / _MB)
    axes.set_ylabel("user memory, MB")


def _cpu(axes: Axes, courses: Mapping[str, Sequence[Sample]]) -> None:
    _over_phones(axes, courses, lambda one, first: one.cpu - first.cpu)
    axes.set_ylabel("CPU to accept and hold them, s")


def _over_phones(
    axes: Axes,
    courses: Mapping[str, Sequence[Sample]],
    value: Callable[[Sample, Sample], float],
) -> None:
    """Paint a line for each contender.

    Args:
        axes: Empty.
        courses: Samples by contender.
        value: Of a sample, and the first one of its contender.
    """
    for color, (name, samples) in zip(canvas.LINES, courses.items(), strict=False):
        phones = [float(one.held) for one in samples]
        canvas.line(axes, phones, [value(one, samples[0]) for one in samples], name, color=color)
    canvas.from_zero(axes)
    axes.xaxis.set_major_formatter(canvas.plain)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("phones held")
    canvas.legend(axes)
