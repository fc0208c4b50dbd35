"""Reading the summaries that the JSON report writes, and the table of a comparison."""

from __future__ import annotations

import io
from random import Random
from typing import TYPE_CHECKING

import orjson
import pytest
from rich.console import Console

from loadtest.figures import Figures, Latency
from loadtest.judging.compare import Comparison, Row, Verdict, compare
from loadtest.judging.comparing import FILE, CompareError, read_summary, table
from loadtest.judging.quantity import Quantity
from loadtest.reports import summary
from loadtest.result import Gateway, Result
from tests.loadtest import samples

if TYPE_CHECKING:
    from pathlib import Path


def result() -> Result:
    figures = Figures()
    figures.record("notify", 0.004)
    figures.errors["reset"] = 2
    moment = samples.moment(
        counts={"answers": 5},
        recent={"notify": Latency(1, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004)},
        gateway=Gateway(memory_bytes=1_000_000, cpu_seconds=0.5),
    )
    return samples.result(
        profile={"rate": 5.0},
        environment={"kernel": "Linux"},
        figures=figures,
        moments=(moment,),
        invalid=("too busy",),
    )


def refusal(path: Path) -> str:
    with pytest.raises(CompareError) as caught:
        read_summary(path)
    return str(caught.value)


def test_what_the_json_report_writes_is_read(tmp_path: Path) -> None:
    """A run is read with its figures and its moments, from its directory."""
    (tmp_path / FILE).write_bytes(summary.render(result()))

    found = read_summary(tmp_path)

    assert ("smoke", 10, {"rate": 5.0}) == (found.name, found.devices, found.profile)
    assert ({"reset": 2}, ("too busy",), None) == (
        found.errors,
        found.invalid,
        found.bytes_per_phone,
    )
    assert result().figures.latency("notify") == found.histograms["notify"]
    assert result().moments[0].gateway == found.moments[0].gateway


def test_a_file_is_read_under_any_name(tmp_path: Path) -> None:
    """A summary may have been copied elsewhere."""
    file = tmp_path / "before.json"
    file.write_bytes(summary.render(result()))

    assert "smoke" == read_summary(file).name


def test_a_missing_summary_is_refused(tmp_path: Path) -> None:
    """A directory without reports is named with the file that is missing."""
    assert f"{tmp_path / FILE}: no such file or directory" == refusal(tmp_path)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    """The text says where it stops to be JSON, in one line."""
    file = tmp_path / "x.json"
    file.write_bytes(b'{"name": ')

    found = refusal(file)

    assert found.startswith(f"{file}: not JSON: ")
    assert "\n" not in found


def test_json_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A list is no summary."""
    file = tmp_path / "x.json"
    file.write_bytes(b"[]")

    assert f"{file}: found a list, allowed: an object" == refusal(file)


def test_another_format_is_refused(tmp_path: Path) -> None:
    """A summary of another version may mean something else by the same keys."""
    file = tmp_path / "x.json"
    file.write_bytes(b'{"format": 99}')

    assert f"{file}: found format 99, allowed: {summary.FORMAT}" == refusal(file)


def test_a_summary_with_a_wrong_value_is_refused(tmp_path: Path) -> None:
    """The first key that is wrong is named."""
    file = tmp_path / "x.json"
    document = summary.summary(result())
    document["moments"][0]["recent"]["notify"]["p99"] = "fast"
    file.write_bytes(orjson.dumps(document))

    found = refusal(file)

    assert found.startswith(f"{file}: no summary of a run: moments.0.recent.notify.p99: input")
    assert "\n" not in found


def test_runs_that_were_read_can_be_compared(tmp_path: Path) -> None:
    """A run that was written and read is compared with itself without a difference."""
    (tmp_path / FILE).write_bytes(summary.render(result()))
    run = read_summary(tmp_path)

    found = compare(run, run, Random(1))

    assert {Verdict.SAME, Verdict.UNCLEAR} == {one.verdict for one in found.rows}


def test_the_table_shows_both_runs() -> None:
    """Each figure has its values, its change, its verdict and what that rests on."""
    rows = (
        Row("notify.p99", Quantity.DURATION, 0.004, 0.00524, Verdict.WORSE, "[95 %]"),
        Row("missed", Quantity.COUNT, 0, None, Verdict.SAME, "no data in B"),
    )
    console = Console(file=io.StringIO(), width=100)

    console.print(table(Comparison("steady [1]", "storm", rows, (), "")))

    lines = console.file.getvalue().splitlines()
    assert "A: steady [1], B: storm" == lines[0].strip()
    words = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines[4:6]]
    assert [
        ["notify.p99", "4 ms", "5.24 ms", "+31 %", "worse", "[95 %]"],
        ["missed", "0", "-", "-", "same", "no data in B"],
    ] == words
