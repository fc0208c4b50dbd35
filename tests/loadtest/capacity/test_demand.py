"""The demand, loadtest/capacity/demand.py."""

from __future__ import annotations

import math

import pytest

from loadtest.capacity.demand import DEMAND, Demand, DemandError


def test_rates():
    """Phones, changes, woken phones, heartbeats and cycles follow from users and habits."""
    demand = Demand(
        users=36_000, devices_per_user=1.5, heartbeat=900, changes_per_hour=10, peak_factor=2
    )

    assert 54_000 == demand.phones
    assert 200.0 == demand.changes
    assert 300.0 == demand.woken
    assert 60.0 == demand.heartbeats
    assert 360.0 == demand.cycles


def test_phones_are_whole():
    """A part of a phone is a phone, but a product that is off by a hair is not."""
    assert 2 == Demand(users=1, devices_per_user=1.1).phones
    assert 104_000 == Demand(users=80_000, devices_per_user=1.3).phones


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"users": 0}, "users: found 0, allowed 1 to"),
        ({"users": 1.5}, "users: found 1.5, allowed whole numbers"),
        ({"heartbeat": 59}, "heartbeat: found 59, allowed 60 to 3,540"),
        ({"headroom": 1.1}, "headroom: found 1.1, allowed 0.05 to 1"),
        ({"changes_per_hour": math.nan}, "changes_per_hour: found nan"),
        ({"max_files": 100}, "max_files: found 100, allowed 128"),
        ({"tls": "nginx"}, "tls: found 'nginx', allowed proxy, gateway, none"),
    ],
)
def test_nonsense(changes, error):
    """A demand that makes no sense is refused with what is allowed."""
    with pytest.raises(DemandError, match=error):
        Demand(**{"users": 1000, **changes})


def test_names():
    """The names of the fields can be told from those of costs."""
    assert "devices_per_user" in DEMAND
