"""Moments and results in which nothing happened, but for the facts that are given."""

from __future__ import annotations

from typing import Any

from loadtest.figures import Figures
from loadtest.result import Gateway, Moment, Result


def moment(at: float = 1.0, **facts: Any) -> Moment:
    """Return a moment of a run that is under way."""
    usual: dict[str, Any] = {
        "phase": "running",
        "states": {},
        "counts": {},
        "errors": {},
        "rate_target": 0.0,
        "published_per_second": 0.0,
        "recent": {},
        "total": {},
        "cpu": 0.0,
        "processes": 1,
        "generator_bytes": 0,
        "gateway": Gateway(),
    }
    return Moment(at=at, **{**usual, **facts})


def result(**facts: Any) -> Result:
    """Return what a run came to."""
    usual: dict[str, Any] = {
        "name": "smoke",
        "command": "loadtest run smoke",
        "started": "2026-01-01T00:00:00Z",
        "duration": 12.5,
        "devices": 10,
        "seed": 1,
        "profile": {},
        "environment": {},
        "figures": Figures(),
        "moments": (),
    }
    return Result(**{**usual, **facts})
