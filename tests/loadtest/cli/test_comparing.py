"""``loadtest compare``."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import orjson
import pytest

from loadtest.figures import Figures
from loadtest.reports import summary
from tests.loadtest.samples import moment, result

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def report(tmp_path):
    """Writes the summary of a run of two minutes, whose latency is of a size."""

    def written(name: str, latency: float, missed: int = 0) -> Path:
        figures, dice = Figures(), random.Random(2)
        moments = []
        for second in range(120):
            recent = Figures()
            for _ in range(100):
                recent.record("notify", latency * dice.uniform(0.9, 1.1))
            figures.add(recent)
            notify = {"notify": recent.latency("notify")}
            moments.append(moment(float(second), recent=notify, counts={"received": 100 * second}))
        figures.counts.update(published=12_000, expected=12_000, received=12_000, missed=missed)
        out = tmp_path / name
        out.mkdir()
        whole = summary.summary(result(figures=figures, moments=tuple(moments), devices=2000))
        (out / "summary.json").write_bytes(orjson.dumps(whole))
        return out

    return written


def test_a_run_is_like_itself(invoke, report) -> None:
    """A run against itself shows no difference, with its figures side by side."""
    out = report("a", 0.01)
    found = invoke("compare", str(out), str(out), "--strict")
    rows = [line.split("│")[1:5] for line in found.stdout.splitlines() if "notify.p99" in line]

    assert (0, "") == (found.exit_code, found.stderr)
    assert "no difference" in found.stdout.splitlines()[-1]
    assert [("notify.p99", True)] == [(row[0].strip(), row[1] == row[2]) for row in rows]


@pytest.mark.parametrize(("strict", "status"), [([], 0), (["--strict"], 1)])
def test_a_worse_run_is_told(invoke, report, strict, status) -> None:
    """A run that became worse is told so, and fails the command only where that was asked for."""
    runs = report("a", 0.01), report("b", 0.03)
    found = invoke("compare", *map(str, runs), *strict)

    assert status == found.exit_code
    assert "worse" in found.stdout.splitlines()[-1]


def test_a_better_run_is_no_failure(invoke, report) -> None:
    """What became better fails nobody, however strict; the file may be named itself."""
    runs = report("a", 0.03) / "summary.json", report("b", 0.01) / "summary.json"
    found = invoke("compare", *map(str, runs), "--strict")

    assert 0 == found.exit_code
    assert "better" in found.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "no such file or directory"),
        ("hello", "not JSON: "),
        ("[]", "found a list, allowed: an object"),
        ("{}", "found format None, allowed: "),
    ],
)
def test_what_is_no_run_is_refused(refused, report, tmp_path, content, text) -> None:
    """A file that is none, or none of a run, is refused with its name."""
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    (line,) = refused("compare", str(report("a", 0.01)), str(path))

    assert line.startswith(f"{path}: {text}")
