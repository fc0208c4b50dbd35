"""Histograms in HdrHistogram's percentile format."""

from __future__ import annotations

import pytest

from loadtest.figures import Figures
from loadtest.reports import hgrm


@pytest.fixture
def figures() -> Figures:
    """A hundred durations of 1 to 100 ms, and a histogram without any."""
    figures = Figures()
    for n in range(1, 101):
        figures.record("notify", n / 1000)
    figures.histograms["empty"] = figures.histogram("nothing")
    return figures


def test_the_format(figures: Figures) -> None:
    """Values are milliseconds, over their percentile and the count below it."""
    lines = hgrm.render(figures.histogram("notify")).decode().splitlines()

    names = ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    values = [line.split() for line in lines[2:] if not line.startswith("#")]
    assert names == lines[0].split()
    assert ["1.000", "0.000000000000", "1", "1.00"] == values[0]
    assert ["53.023", "0.521703100000", "53", "2.09"] == values[7]
    assert ["100.031", "1.000000000000", "100"] == values[-1]
    assert "#[Mean    =       50.504, StdDeviation   =       28.866]" == lines[-3]


def test_the_files(figures: Figures) -> None:
    """Each histogram that has data gets a file of its name."""
    assert ["notify.hgrm"] == list(hgrm.files(figures))
