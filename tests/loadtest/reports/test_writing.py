"""The directory of reports."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadtest.reports import writing
from loadtest.reports.writing import ReportError

if TYPE_CHECKING:
    from loadtest.result import Result


def test_the_files(tmp_path: Path, good: Result) -> None:
    """All reports are written, the figures before the pictures."""
    found = writing.write(good, tmp_path)

    names = [path.name for path in found]
    histograms = [f"{name}.hgrm" for name in sorted(good.figures.histograms)]
    expected = ["summary.json", "junit.xml", "series.csv", *histograms, "report.html"]
    assert expected == names
    assert all(path.stat().st_size for path in found)


def test_an_empty_run(tmp_path: Path, empty: Result) -> None:
    """A run that was stopped before anything happened has its reports."""
    writing.write(empty, tmp_path)

    assert "smoke" == json.loads((tmp_path / "summary.json").read_text())["name"]


def test_the_directory_is_made(tmp_path: Path) -> None:
    """A directory is made with those above it, may be there, and is left empty."""
    out = tmp_path / "a" / "b"

    writing.prepare(out)
    writing.prepare(out)

    assert [] == list(out.iterdir())


def test_a_file_in_the_way(tmp_path: Path) -> None:
    """A file, or a directory below one, is refused."""
    file = tmp_path / "file"
    file.touch()

    for out in (file, file / "below"):
        with pytest.raises(ReportError, match=f"^--out {out}: not a directory$"):
            writing.prepare(out)


def test_a_directory_that_takes_no_files() -> None:
    """What not even root can write to is found before the run."""
    with pytest.raises(ReportError, match=r"^--out /proc: cannot be written: [a-z ]+$"):
        writing.prepare(Path("/proc"))


def test_a_full_disk(tmp_path: Path) -> None:
    """Too little space is said with what is needed."""
    expected = rf"^--out {tmp_path}: [\d.,]+ [A-Z]+ free, a report needs 1,024 TB$"
    with pytest.raises(ReportError, match=expected):
        writing.prepare(tmp_path, needed_bytes=1 << 50)


def test_a_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What draws must be there before the run, not only after it."""
    monkeypatch.setattr(writing, "LIBRARIES", ("jinja2", "no_such_library"))

    with pytest.raises(
        ReportError, match=r"a report needs no_such_library, which is not installed$"
    ):
        writing.prepare(tmp_path)


def test_a_directory_that_went_away(tmp_path: Path, empty: Result) -> None:
    """A report that cannot be written is an error in words."""
    out = tmp_path / "gone"

    with pytest.raises(ReportError, match=rf"^--out {out}: cannot be written: no such file"):
        writing.write(empty, out)


def test_nothing_heavy_is_loaded() -> None:
    """The generator forks before it draws: its processes must not carry what draws."""
    code = "import loadtest.reports.writing, sys; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    heavy = {"matplotlib", "numpy", "jinja2"}
    assert set() == heavy & set(done.stdout.split())
    assert all(importlib.util.find_spec(name) for name in heavy)
