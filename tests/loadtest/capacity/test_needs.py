"""Needs of the EAS server and the demand, loadtest/capacity/needs.py."""

from __future__ import annotations

import pytest

from loadtest.capacity.accesslog import Entry
from loadtest.capacity.demand import Demand, DemandError
from loadtest.capacity.needs import SOGO, ZPUSH, Needs, TrafficError, demand_from, needs
from loadtest.capacity.traffic import count

MIB = 1 << 20


def entry(at, command="Ping", device="D1", user="alice", **facts):
    return Entry(at=at, command=command, device=device, user=user, status=200, **facts)


def test_before_and_after():
    """Each held Ping and waiting Sync is a worker before, and none after."""
    traffic = count(
        [
            *(entry(600, device=f"D{number}", duration=500) for number in range(100)),
            entry(600, "Sync", duration=60),
            *(entry(605, "Sync", duration=1.5) for _ in range(10)),
        ]
    )

    found = needs(traffic)

    assert Needs(held=100, waiting=1, busy=1.5, is_busy_told=True) == found
    assert (103, 2) == (found.workers_before, found.workers_after)


def test_without_durations():
    """Without durations other commands are taken to keep a worker busy for 0.2 s each."""
    traffic = count([entry(5, "Sync") for _ in range(100)])

    found = needs(traffic)

    assert (2.0, False) == (found.busy, found.is_busy_told)


def test_one_worker_at_least():
    """An EAS server with nothing to do has one worker."""
    assert 1 == needs(count([])).workers_after


def test_memory():
    """Memory is that of the workers, with the bounds that were measured."""
    found = Needs(held=100, waiting=0, busy=1.5, is_busy_told=True)

    before, after = found.memory(SOGO)

    assert (102 * 11 * MIB, 102 * 11.75 * MIB, 102 * 12.5 * MIB) == (
        before.low,
        before.value,
        before.high,
    )
    assert 2 * 11.75 * MIB == after.value
    assert before.source.startswith("102 x SOGo 5.8.0")
    assert 102 * 5.4 * MIB == pytest.approx(found.memory(ZPUSH)[0].value)


def test_demand():
    """Users, devices, heartbeat and changes an hour come from the log."""
    traffic = count(
        [
            entry(0, "Sync"),
            entry(480, duration=480, ended="heartbeat"),
            entry(900, duration=400, ended="change"),
            entry(1800, "Ping", "D2", duration=470, ended="change"),
            entry(1800, "Ping", "D3", "bob", duration=480, ended="heartbeat"),
        ]
    )

    # Two changed Pings of three devices in half an hour.
    assert Demand(
        users=2, devices_per_user=1.5, heartbeat=480, changes_per_hour=4 / 3
    ) == demand_from(traffic)


def test_demand_known_better():
    """What the caller gives counts more than the log."""
    found = demand_from(count([entry(0)]), users=10, devices_per_user=2, tls="none", price=5)

    assert Demand(users=10, devices_per_user=2, tls="none", price=5) == found


def test_heartbeat_within_the_protocol():
    """A heartbeat outside what servers allow is taken at the nearest bound."""
    assert 60.0 == demand_from(count([entry(20, duration=10)])).heartbeat


def test_busiest_hour():
    """A day's log tells how much busier the busiest hour is."""
    pings = [entry(3600.0 * hour, ended="change") for hour in range(25)]

    assert 1.0 == demand_from(count(pings)).peak_factor


def test_users_unknown():
    """Devices without users are those of one user."""
    found = demand_from(count([entry(0, user=""), entry(0, device="D2", user="")]))

    assert (1, 2.0) == (found.users, found.devices_per_user)


def test_no_device():
    """A log without a device is no demand."""
    with pytest.raises(TrafficError, match="found no device in the log"):
        demand_from(count([entry(0, "OPTIONS", device="")]))


def test_nonsense():
    """What makes no sense is refused as in any demand."""
    with pytest.raises(DemandError, match="headroom"):
        demand_from(count([entry(0)]), headroom=2)
