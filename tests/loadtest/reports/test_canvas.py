"""The look of all charts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

import matplotlib as mpl
import pytest

from loadtest.reports import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def slope(figure: Figure) -> None:
    axes = figure.subplots()
    canvas.line(axes, [0.0, 1.0], [0.0, 2.5], "a $ and a $ & 日本", color=canvas.BLUE)
    canvas.from_zero(axes)
    canvas.legend(axes)


def test_it_is_an_element_of_a_page() -> None:
    """A chart is one element without size, style sheet, identifiers of groups or references out."""
    found = canvas.draw("slope", 'A "slope" < 3', slope)

    element = fromstring(found)  # noqa: S314 - our own text
    assert {"viewBox", "role", "aria-label", "style"} == set(element.attrib)
    assert 'A "slope" < 3' == element.get("aria-label")
    assert None is re.search(r"<style|<g id|http|xlink|DOCTYPE", found)


def test_the_page_decides_about_colours() -> None:
    """Colours are variables that have the light value for a page without them."""
    found = canvas.draw("slope", "", slope)

    assert "stroke: var(--chart-blue, #0072b2)" in found
    assert set() == set(re.findall(r"(?<!, )#[0-9a-f]{6}\b", found)) - {"#000000"}


def test_text_stays_text() -> None:
    """Letters are written in the page's font, dollars are no formula, other scripts no warning."""
    found = canvas.draw("slope", "", slope)

    assert "a $ and a $ &amp; 日本</text>" in found
    assert "font-family" not in found


def test_two_charts_share_no_identifier() -> None:
    """The same picture under two names can stand in one page."""
    one, two = (
        set(re.findall(r' id="([^"]+)"', canvas.draw(name, "", slope))) for name in ("one", "two")
    )

    assert one
    assert set() == one & two


def test_settings_are_given_back() -> None:
    """Drawing leaves matplotlib's settings as they were."""
    before = dict(mpl.rcParams)

    canvas.draw("slope", "", slope)

    assert before == dict(mpl.rcParams)


def test_a_long_line_is_thinned_out() -> None:
    """A line of a day has no more points than can be seen, but its peak."""
    seen: list[int] = []
    peaks: list[float] = []

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        ys = [1.0] * 86_400
        ys[12_345] = 7.0
        canvas.line(axes, [float(n) for n in range(86_400)], ys, "day")
        seen.append(len(axes.lines[0].get_xydata()))
        peaks.append(max(axes.lines[0].get_ydata()))

    canvas.draw("day", "", paint)

    assert seen[0] <= canvas.POINTS
    assert [7.0] == peaks


def test_a_single_point_is_seen() -> None:
    """A line of one point is a dot."""
    markers: list[object] = []

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        canvas.line(axes, [1.0], [1.0], "dot")
        markers.append(axes.lines[0].get_marker())

    canvas.draw("dot", "", paint)

    assert ["o"] == markers


@pytest.mark.parametrize(
    ("values", "limits"),
    [([0.5, 30.0], (0.1, 100.0)), ([0.0], (1.0, 10.0)), ([], (1.0, 10.0)), ([10.0], (10.0, 100.0))],
)
def test_a_logarithmic_axis_has_whole_decades(
    values: list[float], limits: tuple[float, float]
) -> None:
    """It reaches from the decade under the values to the one above, and is never empty."""
    found: list[tuple[float, float]] = []

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        canvas.logarithmic(axes, values)
        found.append(axes.get_ylim())

    canvas.draw("decades", "", paint)

    assert [pytest.approx(limits)] == found


def test_an_empty_chart() -> None:
    """A chart without lines has an axis from 0 to 1 and no legend."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        canvas.from_zero(axes, canvas.second_axis(axes, "MiB"))
        canvas.legend(axes)
        assert (0.0, 1.0) == axes.get_ylim()

    assert "MiB" in canvas.draw("empty", "", paint)


@pytest.mark.parametrize(("value", "text"), [(0.01, "0.01"), (10.0, "10"), (1e5, "100,000")])
def test_ticks(value: float, text: str) -> None:
    """Ticks are plain numbers."""
    assert text == canvas.plain(value, 0)
