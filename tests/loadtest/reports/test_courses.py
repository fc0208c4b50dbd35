"""The charts over time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from matplotlib.figure import Figure

from loadtest.reports import courses

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

    from loadtest.result import Result


@pytest.fixture
def figure() -> Figure:
    """An empty picture."""
    return Figure()


def lines(figure: Figure) -> dict[str, Line2D]:
    found = [line for axes in figure.axes for line in axes.lines]
    return {str(line.get_label()): line for line in found}


def test_latency_has_only_intervals_with_changes(figure: Figure, good: Result) -> None:
    """Seconds in which no change was answered are left out; they are not 0 ms."""
    courses.latency(figure, good)

    found = lines(figure)["p50"]
    assert 300 == len(found.get_xdata())
    assert min(found.get_ydata()) > 1


def test_throughput_compares_with_the_target(figure: Figure, good: Result) -> None:
    """Published changes lie over the rate that the profile asks for."""
    courses.throughput(figure, good)

    assert 60 == max(lines(figure)["target"].get_ydata())
    assert {"published", "target", "answers", "connections"} <= set(lines(figure))


def test_memory_has_its_own_axis(figure: Figure, good: Result) -> None:
    """The gateway's memory is drawn in MB on the right."""
    courses.held(figure, good)

    axes, right = figure.axes
    assert good.most_held == max(axes.lines[0].get_ydata())
    assert ("phones", "MB of memory") == (axes.get_ylabel(), right.get_ylabel())
    assert 70 < max(right.lines[0].get_ydata()) < 75


def test_states_are_stacked(figure: Figure, good: Result) -> None:
    """States that never occurred are left out; held phones lie below all others."""
    courses.states(figure, good)

    names = [area.get_label() for area in figure.axes[0].collections]
    assert ["held", "waiting", "preparing", "connecting"] == names


def test_errors_are_drawn_by_kind(figure: Figure, good: Result) -> None:
    """Each kind of error has a line of failures a second."""
    courses.errors(figure, good)

    found = lines(figure)
    assert pytest.approx(2870) == max(found["reset"].get_ydata())
    assert {"reset", "closed", "http 503", "timeout"} <= set(found)


@pytest.mark.parametrize(
    "name", ["lag, p99", "busiest generator process", "gateway, all processes"]
)
def test_the_generator_is_drawn(figure: Figure, good: Result, name: str) -> None:
    """The lag of the generator, its CPU and that of the gateway have lines."""
    partial(courses.generator, figure)(good)

    assert max(lines(figure)[name].get_ydata()) > 0
