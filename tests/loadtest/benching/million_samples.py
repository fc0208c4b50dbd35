"""What a small run of the bench with a million phones came to, but for the facts that are given."""

from __future__ import annotations

from typing import Any

from loadtest.benching import million
from loadtest.benching.million import Found
from loadtest.benching.whole_machine import Look, Machine, Programs, Weighing
from loadtest.figures import Figures
from loadtest.result import Gateway
from tests.loadtest.samples import moment

GB = 1 << 30
BEFORE = Machine(available=23 * GB, kernel=GB, sockets=6, buffers=0)
FULL = Machine(available=7 * GB, kernel=11 * GB, sockets=2006, buffers=1 << 20)
SMALL = {"devices": 1000, "hold": 10.0}


def programs(*figures: float) -> Programs:
    return Programs(**dict(zip(("gateway", "valkey", "generator"), figures, strict=True)))


def look(at: float, phase: str, machine: Machine, cpu: Programs) -> Look:
    return Look(at=at, phase=phase, held=0, machine=machine, cpu=cpu)


def weighing(phase: str, held: int, memory: Programs) -> Weighing:
    return Weighing(at=0.0, phase=phase, held=held, memory=memory, cpu=programs(held, 0, 0))


def found(**facts: Any) -> Found:
    """Return what a run of 1,000 phones and ten seconds came to, in which all was well."""
    hold = Figures()
    hold.counts.update(published=5, pings=17, missed=0)
    for _ in range(5):
        hold.record("notify", 0.004)
    for name, times in {"heartbeat_early": 9, "heartbeat_late": 2}.items():
        for _ in range(times):
            hold.record(name, 0.5)
    held = {"states": {"held": 1000}, "gateway": Gateway(held=998)}
    usual: dict[str, Any] = {
        "profile": million.load(**SMALL),
        "before": BEFORE,
        "looks": (
            look(0.0, "", BEFORE, programs(1.0, 0.0, 2.0)),
            look(5.0, "running", FULL, programs(2.0, 0.1, 2.5)),
            look(15.0, "running", FULL, programs(7.0, 1.1, 9.5)),
        ),
        "weighings": (
            weighing("", 0, programs(1 << 20, 0, 0)),
            weighing("arriving", 500, programs(2 << 20, 0, 0)),
            weighing("settling", 1000, programs(3 << 20, 512_000, 2_048_000)),
            weighing("settling", 1000, programs(9 << 20, 0, 0)),
        ),
        "moments": (
            moment(1.0, phase="arriving", states={"held": 3}),
            moment(7.0, states={"held": 997}),
            *(moment(at, **held) for at in (8.0, 9.0, 10.0)),
            moment(18.0, phase="settling", states={"held": 2}),
        ),
        "hold": hold,
        "errors": {},
        "arrived": 2.5,
        "seconds": 90.0,
        "invalid": (),
    }
    return Found(**{**usual, **facts})
