"""The directory of reports: checked before a run, filled after it.

Whatever draws is loaded when a report is written, not before: the generator forks its processes
out of this one, and each of them would carry it.
"""

from __future__ import annotations

import shutil
import tempfile
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from loadtest.reports import hgrm, html, junit, series, summary
from loadtest.wording import size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadtest.result import Result

NEEDED_BYTES: Final = 20 << 20
"""Free space asked for, enough for any run: it has about ``moments.MOST`` moments of 2,200 bytes
in all files together, and charts, histograms and missed changes of a bounded size."""
LIBRARIES: Final = ("jinja2", "matplotlib")


class ReportError(ValueError):
    """A directory that reports cannot be written to."""


def prepare(out: Path, *, needed_bytes: int = NEEDED_BYTES) -> None:
    """Make the directory and see that a report can be written there.

    Args:
        out: May exist.
        needed_bytes: Free space to insist on.

    Raises:
        ReportError: If it cannot; a run of hours must not end with this news.
    """
    for library in LIBRARIES:
        if find_spec(library) is None:
            raise ReportError(f"--out {out}: a report needs {library}, which is not installed")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):  # access() says yes to root on read-only disks
            free = shutil.disk_usage(out).free
    except OSError as error:
        raise ReportError(_unwritable(out, error)) from error
    if free < needed_bytes:
        raise ReportError(f"--out {out}: {size(free)} free, a report needs {size(needed_bytes)}")


def write(result: Result, out: Path) -> list[Path]:
    """Write all reports into the directory, over those of an earlier run.

    Returns:
        The files, the one for people last.

    Raises:
        ReportError: If a file cannot be written.
    """
    written: list[Path] = []
    try:
        for name, content in _files(result):
            path = out / name
            path.write_bytes(content)
            written.append(path)
    except OSError as error:
        raise ReportError(_unwritable(out, error)) from error
    return written


def _files(result: Result) -> Iterator[tuple[str, bytes]]:
    # one after the other, the smallest and most important first: a disk that fills up takes the
    # pictures, not the figures
    yield "summary.json", summary.render(result)
    yield "junit.xml", junit.render(result)
    yield "series.csv", series.render(result).encode()
    yield from hgrm.files(result.figures).items()
    yield "report.html", html.render(result).encode()


def _unwritable(out: Path, error: OSError) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"--out {out}: not a directory"
    reason = (error.strerror or str(error)).lower()
    return f"--out {out}: cannot be written: {reason}"
