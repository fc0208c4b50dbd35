"""Results to report on: a run with a fault in it, an empty one, and variations."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from random import Random
from typing import Final

import pytest

from loadtest.figures import Figures, Latency
from loadtest.result import Gateway, Judged, Mark, Missed, Moment, Result
from tests.loadtest import samples

ARRIVAL: Final = 60
FAULT: Final = 200
SETTLING: Final = 360
END: Final = 370
PHONES: Final = 15_000
RATE: Final = 60


class Interval(Figures):
    """Figures that also keep each duration: summaries of them cost no walk through a histogram."""

    def __init__(self) -> None:
        super().__init__()
        self.durations: dict[str, list[float]] = {}

    def record(self, name: str, interval: float) -> None:
        super().record(name, interval)
        self.durations.setdefault(name, []).append(interval)

    def latency(self, name: str) -> Latency:
        found = sorted(self.durations[name])
        cuts = [found[int(share * (len(found) - 1))] for share in (0.5, 0.9, 0.99, 0.999, 1)]
        return Latency(len(found), *cuts, sum(found) / len(found))


class Course:
    """A run in which phones arrive within a minute, and at 200 s a fifth of them is cut off."""

    def __init__(self) -> None:
        self.dice = Random(7)
        self.total = Figures()
        self.used = 0.0
        self.states: dict[str, int] = {}
        self.moments: list[Moment] = []

    def play(self) -> None:
        for second in range(END + 1):
            self.step(second)

    def step(self, second: int) -> None:
        now = Interval()
        lost = 3000 * exp(-(second - FAULT) / 6) if second >= FAULT else 0
        begun = min(PHONES, PHONES * second // ARRIVAL)
        held = int(begun * 0.994 - lost)
        connecting = int((begun - held) * 0.4)
        waiting = int(lost * 0.5)
        preparing = begun - held - connecting - waiting
        self.states = {"held": held, "connecting": connecting, "waiting": waiting}
        self.states |= {"preparing": preparing, "stopped": 0}
        self.connect(now, second, begun)
        published = self.publish(now, second)
        self.keep_time(now, held)
        self.total.add(now)
        self.remember(second, published, now)

    def connect(self, now: Interval, second: int, begun: int) -> None:
        arrived = PHONES // ARRIVAL if second and begun < PHONES else 3
        if second == FAULT:
            now.errors["reset"] += 2870
            now.errors["closed"] += 130
        again = int(3000 * exp(-(second - FAULT) / 6) / 6) if second > FAULT else 0
        if again:
            now.errors["http 503"] += again // 9
        now.errors["timeout"] += self.dice.random() < 0.02
        now.counts["connects"] += arrived + again
        for _ in range(min(arrived + again, 40)):
            now.record("connect", self.dice.lognormvariate(-7.6, 0.5))
            now.record("command", self.dice.lognormvariate(-5.6, 0.6))
            now.record("first_hold", self.dice.lognormvariate(-4.2, 0.5))
        for _ in range(min(again, 40)):
            now.record("reconnect", self.dice.lognormvariate(0.6, 0.7))

    def publish(self, now: Interval, second: int) -> int:
        if not ARRIVAL <= second < SETTLING:
            return 0
        published = max(0, round(self.dice.gauss(RATE, 8)))
        now.counts.update(published=published, expected=published, received=published)
        now.counts.update(answers=published, pings=published)
        slow = 8 if FAULT <= second < FAULT + 12 else 1
        for _ in range(published):
            now.record("notify", slow * self.dice.lognormvariate(-6.0, 0.55))
            now.record("ping", slow * self.dice.lognormvariate(-6.3, 0.5))
            now.record("publish", self.dice.lognormvariate(-9, 0.4))
        return published

    def keep_time(self, now: Interval, held: int) -> None:
        ended = held // 480
        now.counts["answers"] += ended
        now.counts["pings"] += ended
        now.record("lag", self.dice.lognormvariate(-7.5, 0.8))
        for _ in range(ended):
            early = self.dice.random() < 0.3
            now.record(
                "heartbeat_early" if early else "heartbeat_late", self.dice.lognormvariate(-5, 0.6)
            )

    def remember(self, second: int, published: int, now: Interval) -> None:
        held, running = self.states["held"], ARRIVAL <= second < SETTLING
        self.used += self.dice.gauss(0.55 if second < ARRIVAL else 0.21, 0.03)
        gateway = Gateway(
            memory_bytes=48_000_000 + self.most_held(held) * 1730 + self.dice.randrange(400_000),
            cpu_seconds=self.used,
            held=held,
        )
        self.moments.append(
            Moment(
                at=second + 0.01,
                phase="arriving" if second < ARRIVAL else "running" if running else "settling",
                states=self.states,
                counts=dict(self.total.counts),
                errors=dict(self.total.errors),
                rate_target=RATE if running else 0,
                published_per_second=published,
                recent={name: now.latency(name) for name in now.histograms},
                total={"notify": Latency(1, 0.002, 0.003, 0.009, 0.01, 0.02, 0.003)},
                cpu=0.62 if second < ARRIVAL else self.dice.gauss(0.18, 0.02),
                processes=1,
                generator_bytes=30_000_000 + held * 1900,
                gateway=gateway,
            )
        )

    def most_held(self, held: int) -> int:
        return max([held, *(one.held for one in self.moments)])


def judged(total: Figures) -> tuple[Judged, ...]:
    p99 = total.latency("notify").p99 * 1000
    return (
        Judged("notify.p99<250ms", is_met=True, found=f"notify.p99 = {p99:.1f} ms"),
        Judged("bytes_per_phone<3000", is_met=True, found="bytes_per_phone = 1,744"),
    )


@pytest.fixture(scope="session")
def good() -> Result:
    """Nothing missed, every threshold met, but with a fault, marks and errors."""
    course = Course()
    course.play()
    return Result(
        name="storm",
        command="loadtest run storm --devices 15000 --rate 60 --assert 'notify.p99<250ms'",
        started="2026-09-12T08:15:00Z",
        duration=END + 0.4,
        devices=PHONES,
        seed=7,
        profile={"name": "storm", "phones": {"devices": PHONES}, "changes": {"rate": RATE}},
        environment={"CPU": "EPYC 7B13", "cores": "2", "kernel": "Linux 6.1.0", "Python": "3.11.2"},
        figures=course.total,
        moments=tuple(course.moments),
        marks=(
            Mark(ARRIVAL, "all phones have arrived"),
            Mark(FAULT, "cut 20 % of the connections"),
            Mark(SETTLING, "last change"),
        ),
        judged=judged(course.total),
        bytes_per_phone=1744.2,
        generator_bytes_per_phone=1902.7,
    )


@pytest.fixture(scope="session")
def bad(good: Result) -> Result:
    """Three changes missed and a threshold not met."""
    figures = Figures()
    figures.add(good.figures)
    figures.counts.update(missed=3, received=-3)
    missed = tuple(
        Missed(f"c{n}", f"user{n}@example.org", f"phone{n}", "INBOX", 200.5 + n) for n in range(3)
    )
    unmet = Judged("notify.max<50ms", is_met=False, found="notify.max = 91.8 ms")
    return replace(good, figures=figures, missed=missed, judged=(*good.judged, unmet))


@pytest.fixture(scope="session")
def invalid(good: Result) -> Result:
    """The generator was too slow."""
    return replace(good, invalid=("a generator process used 98 % of a core", "its lag was 61 ms"))


@pytest.fixture(scope="session")
def empty() -> Result:
    """Stopped before anything happened."""
    return samples.result(duration=0.0, devices=0)
