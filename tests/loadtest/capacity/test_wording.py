"""How numbers are written, loadtest/capacity/wording.py."""

from __future__ import annotations

import math

import pytest

from loadtest.capacity import wording
from loadtest.capacity.plan import Derived


def a_figure(value, low, high, unit):
    return Derived("", value, low, high, unit, "", ())


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (104_000, "phones", "104,000 phones"),
        (1, "nodes", "1 node"),
        (1, "addresses", "1 addresses"),
        (0.471, "cores", "0.471 cores"),
        (0.05, "cores", "0.05 cores"),
        (0.000412, "cores", "0.000412 cores"),
        (0, "bytes", "0 bytes"),
        (512, "bytes", "512 bytes"),
        (1981, "bytes", "1.93 KB"),
        (4 * 1024**3, "bytes", "4 GB"),
        (5000 * 1024**4, "bytes", "5,000 TB"),
        (7_284_622, "bit/s", "7.28 Mbit/s"),
        (0.118, "share", "11.8 %"),
        (1155.6, "1/s", "1,156/s"),
        (9000, "money", "9,000"),
        (13.88, "s", "13.9 s"),
        (math.inf, "s", "never"),
    ],
)
def test_amount(value, unit, text):
    """A number has three digits and a unit that fits."""
    assert text == wording.amount(value, unit)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (a_figure(3, 3, 3, "nodes"), "3 nodes"),
        (a_figure(212, 199, 225, "us"), "212 ± 13 us"),
        (a_figure(4864, 4608, 5325, "bytes"), "4.75 (4.5 .. 5.2) KB"),
        (a_figure(0.5, 0.4, 0.8, "share"), "50 (40 .. 80) %"),
        (a_figure(20.0, 10.0, math.inf, "s"), "20 s (10 s .. never)"),
    ],
)
def test_spread(figure, text):
    """Bounds stand behind the number, as one where both halves are alike."""
    assert text == wording.spread(figure)


def test_names():
    """Names are written as words."""
    assert "redis cpu, price" == wording.listed(["redis_cpu", "price"])
