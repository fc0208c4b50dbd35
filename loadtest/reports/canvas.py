"""The look of all charts: SVG made to stand inside a page, in the page's font and colours.

Rules:
    1. A chart is drawn for a width of 520 pixels, where two stand side by side on a desk and one
       fills a phone; so nothing in it may be smaller than ``SMALL``.
    2. Colours are CSS variables with the light value as fallback: the page decides about dark.
    3. No identifier is shared between two charts of a page, and nothing points outside.
    4. matplotlib is loaded when the first chart is drawn; its settings are given back after each.
"""

from __future__ import annotations

import re
import warnings
from io import StringIO
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, Final

from loadtest.reports.timeline import thin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH: Final = 520
"""Pixels, before the page scales it."""
HEIGHT: Final = 310
SMALL: Final = 10
"""Pixels of the smallest letters."""
POINTS: Final = 1000
"""Most points of a line: twice as many as a chart is wide cannot be told apart."""

INK: Final = "#4b5563"
GRID: Final = "#dfe3e8"
BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"
GREEN: Final = "#009e73"
PURPLE: Final = "#b5548c"
SKY: Final = "#56b4e9"
AMBER: Final = "#e69f00"
COLOURS: Final = {
    INK: "ink",
    GRID: "grid",
    BLUE: "blue",
    VERMILION: "vermilion",
    GREEN: "green",
    PURPLE: "purple",
    SKY: "sky",
    AMBER: "amber",
}
"""Names of the CSS variables ``--chart-NAME``; the lines are those of Okabe and Ito, which
colour-blind people can tell apart, with a darker purple."""
LINES: Final = (BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY)
"""In the order in which lines of equal rank take them."""

STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar is a dollar
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0.01,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.7,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.2,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.3,
}
"""Settings of matplotlib; the page is the background."""
_PIXELS_PER_INCH: Final = 72
"""Of SVG: one point of matplotlib becomes one pixel."""
_NO_METADATA: Final = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def draw(name: str, label: str, paint: Callable[[Figure], None]) -> str:
    """Draw a chart.

    Args:
        name: Unique in the page.
        label: What it shows, for those who have it read to them.
        paint: Puts axes and lines into an empty figure.

    Returns:
        An ``svg`` element.
    """
    import matplotlib as mpl  # noqa: PLC0415 - rule 4
    from matplotlib.figure import Figure  # noqa: PLC0415

    text = StringIO()
    style = {**STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings():
        # letters that matplotlib's font lacks are measured wrong, but the browser draws them
        warnings.filterwarnings("ignore", message="Glyph")
        size = (WIDTH / _PIXELS_PER_INCH, HEIGHT / _PIXELS_PER_INCH)
        figure = Figure(figsize=size, dpi=_PIXELS_PER_INCH, layout="constrained")
        paint(figure)
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    return _embed(text.getvalue(), label)


def line(axes: Axes, xs: Sequence[float], ys: Sequence[float], label: str, **style: Any) -> None:
    """Add a line, thinned out where it has more points than can be seen."""
    chosen = thin(ys, POINTS)
    if len(chosen) == 1:
        style["marker"] = "o"  # a line of one point cannot be seen
    if len(chosen) < len(ys):
        style["linewidth"] = 0.8  # up and down in each pixel: a thick line would be a solid band
    axes.plot([xs[n] for n in chosen], [ys[n] for n in chosen], label=label, **style)


def legend(*axes: Axes, columns: int = 4) -> None:
    """Name the lines of one axes, or of two that lie on each other, above them."""
    handles, labels = [], []
    for one in axes:
        found = one.get_legend_handles_labels()
        handles += found[0]
        labels += found[1]
    if handles:
        axes[0].legend(handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns)


def logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """Make the y axis logarithmic, from the decade under the values to the one above them."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = floor(log10(min(positive))), ceil(log10(max(positive)))
    axes.set_yscale("log")
    axes.set_ylim(10.0**low, 10.0 ** max(high, low + 1))
    axes.yaxis.set_major_formatter(plain)


def from_zero(*axes: Axes, headroom: float = 0.08) -> None:
    """Let y axes begin at 0, with a share of their height left above the lines."""
    for one in axes:
        one.set_ylim(0.0, max(one.dataLim.y1, 0.0) * (1 + headroom) or 1.0)
        one.yaxis.set_major_formatter(plain)
        one.locator_params(axis="y", nbins=5)


def second_axis(axes: Axes, unit: str) -> Axes:
    """Add a y axis on the right side; its grid would cross the other one's."""
    right = axes.twinx()
    right.grid(visible=False)
    right.set_ylabel(unit)
    return right


def plain(value: float, _: float) -> str:
    """Write a tick: 0.01, 10, 1,000."""
    return f"{value:,.10g}"


def _embed(svg: str, label: str) -> str:
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(
        r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", rf"<svg \1 {_root(label)}>", svg, count=1
    )
    # its only rule is meant for one picture, but a style element speaks for the whole page
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"<g id=\"[^\"]*\"", "<g", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"font-family: 'DejaVu Sans', sans-serif;? ?", "", svg)
    svg = re.sub(r" d=\"[^\"]*\"", _shorten, svg)
    for colour, name in COLOURS.items():
        svg = svg.replace(colour, f"var(--chart-{name}, {colour})")
    return re.sub(r">\s+<", "><", svg)


def _root(label: str) -> str:
    style = "stroke-linejoin: round; stroke-linecap: butt"
    escaped = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return rf'role="img" aria-label="{escaped}" style="{style}"'


def _shorten(path: re.Match[str]) -> str:
    # a hundredth of a pixel is enough, and a third of the size
    return re.sub(r"(\.\d\d)\d+", r"\1", path[0].replace(" \n", "").replace("\n", " "))
