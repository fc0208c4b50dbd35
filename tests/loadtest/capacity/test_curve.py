"""The curve of growth, loadtest/capacity/curve.py."""

from __future__ import annotations

import pytest

from loadtest.capacity.curve import curve, held
from loadtest.capacity.demand import Demand
from loadtest.capacity.model import reference
from loadtest.capacity.plan import growth, plan
from loadtest.capacity.traffic import Level


@pytest.fixture(scope="module")
def drawn():
    demand, model = Demand(users=1000, tls="gateway"), reference()
    return lambda: curve(plan(demand, model), growth(demand, model))


def test_element(drawn):
    """The picture is an SVG element without an XML declaration, to stand in a page."""
    assert drawn().startswith("<svg")


def test_same_picture(drawn):
    """The same plan gives the same picture, byte for byte."""
    assert drawn() == drawn()


def test_no_proxy(drawn):
    """What a demand has no use for is not drawn."""
    assert "proxy" not in drawn()
    assert "kernel" in drawn()


def test_held_over_time():
    """The picture of a log names the hours, and the p95 in figures."""
    text = held(Level(peak=1500, p95=1200, mean=800.0, curve=((0.0, 700), (7200.0, 1500))))

    assert "Pings held at the same time" in text
    assert "p95 1,200" in text
