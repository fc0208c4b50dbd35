"""How clients choose their heartbeat, as plain rules: a pace in, the next pace out.

A rule hears of three events: an interval lasted (status 1), a Ping ended without an answer, and
the server named another value (status 5). Paces are few: phones at the same point of the same rule
share one object.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SHARED: Final = 4096
"""Paces kept of each event; phones of one profile pass through a few dozen."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Where an adaptive client stands. All but the last field are seconds."""

    heartbeat: int
    """Of the next Ping."""
    low: int
    """It shortens itself no further."""
    high: int
    """It grows no further."""
    step: int = 0
    best: int = 0
    """Longest interval that lasted; 0 while none did."""
    is_settled: bool = False
    """It does not grow any more."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one family of clients adapts."""

    start: Callable[[int], Pace]
    """From the seconds of the first Ping."""
    lasted: Callable[[Pace], Pace]
    """After status 1; the same object where nothing changes."""
    failed: Callable[[Pace], Pace]
    """After a Ping without an answer."""
    told: Callable[[Pace, int], Pace]
    """After status 5, with the seconds that the server allows."""


def _unmoved(pace: Pace) -> Pace:
    return pace


@lru_cache(_SHARED)
def _fixed(heartbeat: int) -> Pace:
    return Pace(heartbeat, heartbeat, heartbeat)


@lru_cache(_SHARED)
def _taken(pace: Pace, heartbeat: int) -> Pace:
    """Take the server's value unchecked, as AOSP 2013 does."""
    return replace(pace, heartbeat=heartbeat)


@lru_cache(_SHARED)
def _bounded(pace: Pace, heartbeat: int) -> Pace:
    """Take the server's value as the bound that it must be, and try again to grow up to it."""
    low, high = pace.low, pace.high
    if heartbeat > pace.heartbeat:
        low = max(low, heartbeat)
        high = max(low, high)
    elif heartbeat < pace.heartbeat:
        high = heartbeat
        low = min(low, high)
    return replace(pace, heartbeat=heartbeat, low=low, high=high, is_settled=False)


@lru_cache(_SHARED)
def _aosp(heartbeat: int) -> Pace:
    return Pace(heartbeat, low=480, high=1680, step=300)


@lru_cache(_SHARED)
def _aosp_lasted(pace: Pace) -> Pace:
    return _moved(pace, min(pace.heartbeat + pace.step, pace.high))


@lru_cache(_SHARED)
def _aosp_failed(pace: Pace) -> Pace:
    return _moved(pace, max(pace.heartbeat - pace.step, pace.low))


def _moved(pace: Pace, heartbeat: int) -> Pace:
    return pace if heartbeat == pace.heartbeat else replace(pace, heartbeat=heartbeat)


@lru_cache(_SHARED)
def _aosp_2012(heartbeat: int) -> Pace:
    return Pace(heartbeat, low=290, high=1790, step=180)


@lru_cache(_SHARED)
def _aosp_2012_lasted(pace: Pace) -> Pace:
    best = max(pace.best, pace.heartbeat)
    if pace.is_settled or pace.heartbeat >= pace.high:
        return pace if best == pace.best else replace(pace, best=best)
    return replace(pace, heartbeat=min(pace.heartbeat + pace.step, pace.high), best=best)


@lru_cache(_SHARED)
def _aosp_2012_failed(pace: Pace) -> Pace:
    if pace.heartbeat <= max(pace.low, pace.best):
        return pace
    shorter = max(pace.heartbeat - pace.step, pace.low)
    return replace(pace, heartbeat=shorter, is_settled=True)


@lru_cache(_SHARED)
def _windows_mobile(heartbeat: int) -> Pace:
    # HeartbeatMax has no published number: the longest that Exchange grants stands in for it.
    return Pace(heartbeat, low=480, high=3540, step=240)


@lru_cache(_SHARED)
def _windows_mobile_lasted(pace: Pace) -> Pace:
    if pace.is_settled or pace.heartbeat >= pace.high:
        return pace if pace.best == pace.heartbeat else replace(pace, best=pace.heartbeat)
    longer = min(pace.heartbeat + pace.step, pace.high)
    return replace(pace, heartbeat=longer, best=pace.heartbeat)


@lru_cache(_SHARED)
def _windows_mobile_failed(pace: Pace) -> Pace:
    was_raised = 0 < pace.best < pace.heartbeat
    if was_raised:
        return replace(pace, heartbeat=pace.best, is_settled=True)
    return replace(pace, heartbeat=pace.low, best=0, is_settled=False)


FIXED: Final = Rule(_fixed, _unmoved, _unmoved, _taken)
"""Never moves by itself."""

AOSP: Final = Rule(_aosp, _aosp_lasted, _aosp_failed, _taken)
"""480 to 1680 s in steps of 300: up after status 1, down after any failure of the network.

Source: AOSP EasPing (2013).
"""

AOSP_2012: Final = Rule(_aosp_2012, _aosp_2012_lasted, _aosp_2012_failed, _bounded)
"""290 to 1790 s in steps of 180: down only while above the longest that lasted (its high-water
mark), and never up again after that, until status 5 moves a bound.

Source: AOSP EasSyncService (2012), runPingLoop and resetHeartbeats.
"""

WINDOWS_MOBILE: Final = Rule(
    _windows_mobile, _windows_mobile_lasted, _windows_mobile_failed, _bounded
)
"""480 s and up in steps of 240: a failure after a raise settles on the last that worked, any other
failure begins anew at the minimum. What it does after status 5 is not published: AOSP 2012's way.

Source: MSFP cc182270, "Heartbeat Interval Adjustment"; Exchange's Direct Push page (example).
"""
