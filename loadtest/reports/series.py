"""The course of a run as CSV: a row for each moment, for spreadsheets and plots of one's own."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, Final

from loadtest.figures import COUNTS, Latency
from loadtest.reports.timeline import STATES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtest.result import Gateway, Moment, Result

Cell = str | int | float | None
"""None, what was not to be had, becomes an empty cell."""


def render(result: Result) -> str:
    """Return the rows under a line of names."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(moment) for moment in result.moments)
    return text.getvalue()


def _row(moment: Moment) -> dict[str, Cell]:
    return {
        "at": round(moment.at, 3),
        "phase": moment.phase,
        **{state: moment.states.get(state, 0) for state in STATES},
        **{name: moment.counts.get(name, 0) for name in COUNTS},
        "errors": sum(moment.errors.values()),
        "rate_target": moment.rate_target,
        "published_per_second": round(moment.published_per_second, 3),
        **_notify("notify", moment.recent),
        **_notify("notify_total", moment.total),
        "lag_p99_ms": _ms(moment.recent.get("lag"), "p99"),
        "cpu": round(moment.cpu, 4),
        "generator_bytes": moment.generator_bytes,
        **_gateway(moment.gateway),
    }


def _notify(prefix: str, latencies: Mapping[str, Latency]) -> dict[str, Cell]:
    found = latencies.get("notify")
    return {f"{prefix}_{figure}_ms": _ms(found, figure) for figure in ("p50", "p99", "max")}


def _ms(latency: Latency | None, figure: str) -> float | None:
    if latency is None or not latency.count:
        return None
    seconds: float = getattr(latency, figure)
    return round(seconds * 1000, 3)


def _gateway(gateway: Gateway) -> dict[str, Cell]:
    cpu = gateway.cpu_seconds
    return {
        "gateway_memory_bytes": gateway.memory_bytes,
        "gateway_cpu": None if cpu is None else round(cpu, 3),
        "gateway_held": gateway.held,
    }


COLUMNS: Final = (
    "at",
    "phase",
    *STATES,
    *COUNTS,
    "errors",
    "rate_target",
    "published_per_second",
    "notify_p50_ms",
    "notify_p99_ms",
    "notify_max_ms",
    "notify_total_p50_ms",
    "notify_total_p99_ms",
    "notify_total_max_ms",
    "lag_p99_ms",
    "cpu",
    "generator_bytes",
    "gateway_memory_bytes",
    "gateway_cpu",
    "gateway_held",
)
"""Names of the columns; ``notify_`` is of the last interval, ``notify_total_`` of the run so far,
``gateway_cpu`` in seconds used since the gateway started."""
