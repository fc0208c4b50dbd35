"""A run as one JSON document, for scripts and for comparing two runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtest.figures import COUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtest.figures import Latency
    from loadtest.result import Moment, Result

FORMAT: Final = 1
"""Grows when a key changes its meaning or goes away."""


def render(result: Result) -> bytes:
    """Return the document as JSON: indented for reading, but each moment on one line."""
    whole = summary(result)
    moments = b",\n    ".join(orjson.dumps(one) for one in whole.pop("moments"))
    head = orjson.dumps(whole, option=orjson.OPT_INDENT_2).removesuffix(b"\n}")
    return head + b',\n  "moments": [\n    ' + moments + b"\n  ]\n}\n"


def summary(result: Result) -> dict[str, Any]:
    """Return a run as JSON values; durations in seconds, sizes in bytes."""
    return {
        "format": FORMAT,
        "name": result.name,
        "command": result.command,
        "started": result.started,
        "duration": result.duration,
        "devices": result.devices,
        "seed": result.seed,
        "profile": dict(result.profile),
        "environment": dict(result.environment),
        **_figures(result),
        "bytes_per_phone": result.bytes_per_phone,
        "generator_bytes_per_phone": result.generator_bytes_per_phone,
        "invalid": list(result.invalid),
        "judged": [asdict(one) for one in result.judged],
        "missed": [asdict(one) for one in result.missed],
        "marks": [asdict(one) for one in result.marks],
        "most_held": result.most_held,
        "is_good": result.is_good,
        "valid": result.is_valid,
        "moments": [_moment(one) for one in result.moments],
    }


def _figures(result: Result) -> dict[str, Any]:
    figures = result.figures
    # zeros are written too: a reader need not know which counts a run can have
    return {
        "counts": dict.fromkeys(COUNTS, 0) | dict(figures.counts),
        "errors": dict(figures.errors),
        "histograms": _latencies(
            {name: one.latency() for name, one in figures.histograms.items() if one.count}
        ),
    }


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "at": moment.at,
        "phase": moment.phase,
        "held": moment.held,
        "states": dict(moment.states),
        "counts": dict(moment.counts),
        "errors": dict(moment.errors),
        "rate_target": moment.rate_target,
        "published_per_second": moment.published_per_second,
        "recent": _latencies(moment.recent),
        "cpu": moment.cpu,
        "generator_bytes": moment.generator_bytes,
        "gateway": asdict(moment.gateway),
    }


def _latencies(latencies: Mapping[str, Latency]) -> dict[str, dict[str, float]]:
    return {name: asdict(one) for name, one in latencies.items()}
