"""Counting of requests, loadtest/capacity/traffic.py."""

from __future__ import annotations

import pytest

from loadtest.capacity.accesslog import Entry, Unreadable
from loadtest.capacity.traffic import Level, count


def entry(at, command="Ping", device="D1", **facts):
    given = {"user": "alice", "status": 200, **facts}
    return Entry(at=at, command=command, device=device, **given)


def test_nothing():
    """An empty log has no traffic and no rates."""
    found = count([])

    assert (0.0, 0.0, {}, Level()) == (
        found.span,
        found.pings_per_second,
        found.commands,
        found.held,
    )
    assert (None, None, None) == (found.heartbeat, found.busy_peak, found.peak_factor)


def test_who_and_what():
    """Requests are counted by command and status, users and devices once each."""
    found = count(
        [
            entry(0),
            entry(5),
            entry(10, "Sync", status=503),
            entry(10, "Sync", device="D2", user="bob"),
            entry(10, "OPTIONS", device="", user=""),
        ]
    )

    assert {"Ping": 2, "Sync": 2, "OPTIONS": 1} == found.commands
    assert {200: 4, 503: 1} == found.statuses
    assert (2, 2) == (found.users, found.devices)
    assert (10.0, 0.2) == (found.span, found.pings_per_second)


def test_concurrency_from_durations():
    """Pings that overlap are counted together, those that follow each other are not."""
    found = count(
        [
            entry(10.5, duration=10.0),  # held at seconds 1 to 10
            entry(10.0, device="D2", duration=5.0),  # 5 to 9
            entry(20.5, duration=9.9),  # 11 to 20
        ]
    )

    assert found.has_durations
    # Of seconds 1 to 20, 5 to 9 have two and the others one.
    assert (2, 2, pytest.approx(25 / 20)) == (found.held.peak, found.held.p95, found.held.mean)
    assert (5.0, 2) in found.held.curve


def test_p95():
    """A peak of less than 5 % of the time does not move the p95."""
    found = count([entry(100, duration=100), entry(100, device="D2", duration=4)])

    assert (2, 1) == (found.held.peak, found.held.p95)


def test_held_before_the_log_begins():
    """A Ping that was held before the first line counts from its begin."""
    found = count([entry(1000, duration=900), entry(1010, device="D2", duration=900)])

    assert (2, 2) == (found.held.peak, found.held.p95)
    assert pytest.approx(1800 / 910) == found.held.mean


def test_concurrency_from_gaps():
    """Without durations a Ping is held since the device's last one, unless that is too long ago."""
    found = count(
        [
            entry(0),
            entry(100),
            entry(130, status=503),
            entry(50, device="D2"),
            entry(150, device="D2"),
            entry(5000),
        ]
    )

    assert not found.has_durations
    assert 2 == found.held.peak
    assert 100.0 == found.heartbeat


def test_pings_shorter_than_a_second():
    """Durations count as known even where no Ping was held at a full second."""
    found = count([entry(1.5, duration=0.2), entry(30.5, duration=0.2)])

    assert (True, Level()) == (found.has_durations, found.held)


def test_waiting_sync():
    """A Sync of twenty seconds or more was waiting, a shorter one was working."""
    found = count([entry(60, "Sync", duration=60.0), entry(61, "Sync", duration=2.0)])

    assert (1, 0.1, 0.2) == (found.waiting.peak, found.others_peak, found.busy_peak)


def test_busiest_seconds():
    """The other commands' rate and the workers they keep busy are those of the busiest window."""
    found = count(
        [
            *(entry(12, "Sync", duration=2.0) for _ in range(30)),
            *(entry(25, "Search", duration=None) for _ in range(50)),
        ]
    )

    assert (5.0, 6.0) == (found.others_peak, found.busy_peak)


def test_heartbeat_from_those_that_ended():
    """The heartbeat is the median of the Pings that no change ended, if any is told."""
    some = [entry(1000 * n, duration=n, ended="change") for n in (5, 6, 7)]
    over = [entry(9000 + n, duration=n, ended="heartbeat") for n in (470, 480, 900)]

    assert 6.0 == count(some).heartbeat
    assert 480.0 == count(some + over).heartbeat


def test_refused_pings_tell_no_heartbeat():
    """A Ping that was not answered with 200 says nothing of the heartbeat."""
    assert count([entry(10, duration=10, status=401)]).heartbeat is None


def test_changes():
    """Changed Pings are counted; less than a day has no busiest hour."""
    found = count([entry(10, duration=10, ended="change"), entry(20, ended="heartbeat")])

    assert (1, None) == (found.changed, found.peak_factor)


def test_peak_factor():
    """Over a day or more the busiest hour is compared with the mean."""
    quiet = [entry(3600.0 * hour, ended="change") for hour in range(24)]
    busy = [entry(3600.0 * 9 + n, ended="change") for n in range(23)]

    found = count([*quiet, *busy, entry(24 * 3600.0, "Sync")])

    assert (47, 24 / (47 / 24)) == (found.changed, found.peak_factor)


def test_day_without_changes():
    """A day in which no change can be told has no busiest hour."""
    assert count([entry(0), entry(90_000.0)]).peak_factor is None


def test_unreadable_lines():
    """Lines that cannot be read are counted, and the first three kept."""
    lines = [Unreadable(f"line {number}", "why") for number in range(5)]

    found = count([*lines, entry(0)])

    assert 5 == found.unreadable
    assert tuple(lines[:3]) == found.shown


def test_curve_is_short():
    """The curve over time has a bounded number of points, with peaks kept."""
    found = count(
        [
            *(entry(60.0 * n, duration=59) for n in range(1, 2000)),
            entry(600, "Ping", "D2", duration=5),
        ]
    )

    assert 240 == len(found.held.curve)
    assert 2 == max(held for _, held in found.held.curve)
