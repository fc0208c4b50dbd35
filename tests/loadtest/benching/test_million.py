"""What a million held Pings take, and what is asked of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtest import limits
from loadtest.benching import million
from loadtest.benching.rows import judge
from loadtest.limits import Host
from loadtest.profiles.profile import ProfileError
from tests.loadtest.benching.million_samples import BEFORE, FULL, GB, found
from tests.loadtest.samples import moment

HOST = Host(cores=2, memory_bytes=23 * GB, files_hard=20_000)


def figures(**facts: Any) -> dict[str, float]:
    return dict(million.measured(found(**facts)).figures)


def test_a_million_is_the_usual_load() -> None:
    """If nothing is said, a million phones are held for ten minutes, with real heartbeats."""
    load = million.load()

    assert (1_000_000, 600.0, 500.0) == (load.devices, load.duration, load.changes.rate)
    assert [(600, 3540)] == [one.heartbeat for one in load.groups]


def test_a_small_load_keeps_the_proportions() -> None:
    """Fewer phones have fewer changes, and heartbeats that end as often in a shorter run."""
    load = million.load(devices=100_000, hold=60.0)

    assert 50.0 == load.changes.rate
    assert [(60, 354)] == [one.heartbeat for one in load.groups]


def test_a_longer_run_keeps_real_heartbeats() -> None:
    """Heartbeats are never longer than those of real phones, nor shorter than 5 s."""
    longer, shortest = million.load(hold=6000.0), million.load(devices=1, hold=0.1)

    assert (600, 3540) == longer.groups[0].heartbeat
    assert (5, 5) == shortest.groups[0].heartbeat


def test_changes_may_be_asked_for() -> None:
    """A rate that is given is that of the whole run."""
    assert 7.0 == million.load(devices=300, rate=7.0).changes.rate


def test_a_load_of_nobody_is_refused() -> None:
    """Numbers that make no load are refused as those of any profile."""
    with pytest.raises(ProfileError, match="devices"):
        million.load(devices=0)


@pytest.mark.parametrize(
    ("devices", "host", "count"),
    [
        (1_000_000, HOST, 54),
        (100, HOST, 2),
        (100_000, replace(HOST, cores=16), 16),
        (1000, replace(HOST, files_hard=600), 15),
        (3, replace(HOST, files_hard=501), 3),
    ],
)
def test_workers_have_room_for_more_than_the_mean(devices: int, host: Host, count: int) -> None:
    """There is a worker for each core, and so many that chance fills none of them."""
    assert count == million.workers(devices, host)


def test_a_million_fits_here() -> None:
    """What a million phones need is there on a machine with 23 GB and 20,000 files a process."""
    needs = million.needs(million.load(), HOST)

    assert 53 == needs.processes
    assert 15 * GB < needs.memory_bytes < million.WHOLE_GB * GB
    assert [] == limits.judge(needs, HOST)


def test_a_small_machine_is_told() -> None:
    """Where the memory for all phones, servers and kernel is missing, that is a fatal shortage."""
    host = replace(HOST, memory_bytes=8 * GB)
    (shortage,) = limits.judge(million.needs(million.load(), host), host)

    assert shortage.is_fatal
    assert shortage.found.startswith("memory: 8 GB available, needs 1")


def test_a_good_run_reaches_everything() -> None:
    """A run in which all was well has a figure for each row, and reaches all that is asked."""
    one = found()
    rows, measured = million.rows(one.profile), million.measured(one)
    verdicts = judge(rows, measured, [])

    assert {row.key for row in rows} == set(measured.figures)
    assert 9 == len(verdicts)
    assert all(verdict.is_reached for verdict in verdicts)


def test_phones_are_counted_in_the_hold() -> None:
    """Held phones are those of the hold's first, worst and last moment, and the gateway's count."""
    moments = [moment(8.0 + at, states={"held": held}) for at, held in enumerate((1000, 997, 999))]
    one = figures(moments=tuple(moments))

    assert [1000, 997, 999] == [one[f"held_{name}"] for name in ("first", "least", "last")]
    assert "held_told" not in one
    assert 998 == figures()["held_told"]


def test_hold_begins_with_the_clock() -> None:
    """While all settle before the clock begins, the last phones may still be on their way."""
    early, first = (moment(at, states={"held": held}) for at, held in ((7.0, 900), (8.0, 1000)))
    one = figures(moments=(early, first))

    assert (1000, 1000) == (one["held_first"], one["held_least"])


def test_answers_are_told_apart() -> None:
    """Pings whose heartbeat was over, in time, late or cut short, are not answered by changes."""
    hold = found().hold
    hold.counts["cut_short"] = 1
    one = figures(hold=hold)

    assert [5, 12, 2] == [one[name] for name in ("woken", "lasted", "overdue")]
    assert (0.5, 0.0) == (one["rate"], one["lost"])
    assert {4.0} == {round(one[name], 2) for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")}


def test_memory_is_what_came_with_the_phones() -> None:
    """A phone weighs what the first weighing after the hold has more than the first of all."""
    one = figures()

    assert 2.048 == pytest.approx(one["held_kb"])
    assert (0.5, 2.0) == (one["redis_kb"], one["load_kb"])


def test_the_whole_machine_is_weighed_at_its_worst() -> None:
    """The machine's figure is the most available memory that was lost, whoever has it."""
    one = figures()

    assert 16.0 == one["whole_gb"]
    assert pytest.approx(10 * GB / 1000 / 1024) == one["kernel_kb"]


def test_cpu_is_told_of_the_arrival_and_of_the_hold() -> None:
    """A new phone takes what was used until the hold; the hold's shares are of a core."""
    one = figures()

    assert pytest.approx([1000.0, 100.0, 500.0]) == [
        one[name] for name in ("first_us", "redis_first_us", "load_first_us")
    ]
    assert pytest.approx([50.0, 10.0, 70.0]) == [
        one[name] for name in ("cpu", "redis_cpu", "load_cpu")
    ]


def test_what_was_not_measured_is_absent() -> None:
    """A run that ended before its hold has no figures of it, and one look tells no speed."""
    before, first, _ = found().looks
    one = figures(looks=(before,), weighings=found().weighings[:2], moments=())
    other = figures(looks=(before, first))

    assert not {"held_first", "held_kb", "cpu", "first_us", "held_told"} & set(one)
    assert "first_us" in other
    assert "cpu" not in other


def test_the_arrival_is_there_for_the_plot() -> None:
    """Samples are those taken while phones came; latencies are those of the hold."""
    one = million.measured(found())

    assert [0, 500] == [sample.held for sample in one.samples]
    assert (2 << 20, 500.0) == (one.samples[1].memory_bytes, one.samples[1].cpu)
    assert one.latency is not None
    assert 5 == one.latency.count


def test_others_on_the_machine_are_told() -> None:
    """Sockets beyond both ends of each phone are others', and so is a part of the figures."""
    crowd = replace(FULL, sockets=BEFORE.sockets + 2000 + 4567)
    before, *_ = found().looks
    crowded = found(looks=(before, replace(before, machine=crowd)), invalid=("late",))

    assert ("late",) == million.doubts(found(invalid=("late",)))
    assert "4,567 TCP sockets of others" in million.doubts(crowded)[1]


def test_a_lost_change_is_not_reached() -> None:
    """A change that no phone heard of, an error and a late tail are said to be not reached."""
    hold = found().hold
    hold.counts["missed"] = 1
    hold.record("notify", 0.3)
    one = found(hold=hold, errors={"timeout": 2})
    verdicts = judge(million.rows(one.profile), million.measured(one), [])

    assert ["lost", "errors", "p99_ms"] == [
        verdict.row.key for verdict in verdicts if not verdict.is_reached
    ]
