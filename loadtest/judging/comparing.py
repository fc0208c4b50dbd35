"""The files that are compared, and the table that comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError
from rich.markup import escape
from rich.table import Table

from loadtest.judging.compare import Verdict
from loadtest.judging.noise import percent
from loadtest.judging.summary import Summary
from loadtest.reports.summary import FORMAT

if TYPE_CHECKING:
    from pathlib import Path

    from loadtest.judging.compare import Comparison, Row

FILE: Final = "summary.json"
"""The summary's name within the directory of a run's reports."""
_STYLES: Final = {
    Verdict.BETTER: "green",
    Verdict.WORSE: "bold red",
    Verdict.SAME: "",
    Verdict.UNCLEAR: "yellow",
}
_SUMMARY: Final = TypeAdapter(Summary)


class CompareError(ValueError):
    """A summary that cannot be read; one line with the file and what is wrong with it."""


def read_summary(path: Path) -> Summary:
    """Read a run's summary.

    Args:
        path: The JSON file, or the directory that it is in.

    Raises:
        CompareError: If it is missing, no summary, or of another version.
    """
    file = path / FILE if path.is_dir() else path
    document = _document(file)
    found = document.get("format")
    if found != FORMAT:
        raise CompareError(f"{file}: found format {found}, allowed: {FORMAT}")
    try:
        return _SUMMARY.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CompareError(f"{file}: no summary of a run: {key}: {first['msg'].lower()}") from None


def table(comparison: Comparison) -> Table:
    """Show all figures of two runs; notes and verdict are lines of their own."""
    title = f"A: {escape(comparison.a)}, B: {escape(comparison.b)}"
    found = Table(title=title, title_justify="left")
    found.add_column("", no_wrap=True)
    for name in ("A", "B", "B to A"):
        found.add_column(name, justify="right", no_wrap=True)
    found.add_column("verdict")
    found.add_column("why")
    for row in comparison.rows:
        style = _STYLES[row.verdict]
        verdict = f"[{style}]{row.verdict}[/]" if style else row.verdict
        found.add_row(*_cells(row), verdict, escape(row.why))
    return found


def _document(file: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(file.read_bytes())
    except OSError as error:
        raise CompareError(f"{file}: {(error.strerror or 'cannot be read').lower()}") from None
    except orjson.JSONDecodeError as error:
        raise CompareError(f"{file}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise CompareError(f"{file}: found a {type(document).__name__}, allowed: an object")
    return document


def _cells(row: Row) -> tuple[str, str, str, str]:
    a, b = ("-" if one is None else row.quantity.say(one) for one in (row.a, row.b))
    return row.figure, a, b, "-" if row.ratio is None else percent(row.ratio)
