"""The figures of a bench, as people and programs read them."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import orjson
from rich.console import Console

from loadtest.benching import report
from loadtest.benching.rows import Measured, Row, Sample
from loadtest.figures import Histogram

if TYPE_CHECKING:
    from pathlib import Path

ROWS = (
    Row(key="held", title="phones held", at_least=1000),
    Row(key="held_kb", title="memory", unit="KB", limit=2.5, ratios={"nchan": 0.25}),
    Row(key="park_us", title="CPU", unit="us"),
    Row(key="gone", title="never measured", limit=1),
)
LATENCY = Histogram()
LATENCY.record(0.001, 2)
LATENCY.record(0.0005)
GATEWAY = Measured("gateway", {"held": 1000.0, "held_kb": 2.404}, [Sample(0, 5, 0.25)], LATENCY)
NCHAN = Measured("nchan", {"held": 999.0, "held_kb": 9.0, "park_us": 37.2})


def test_the_table_compares_and_judges() -> None:
    """A row has the figure of each contender, or a dash, and a line for each thing asked."""
    console = Console(file=StringIO(), width=120)
    console.print(report.table("1,000 phones", ROWS, [GATEWAY, NCHAN]))

    assert isinstance(console.file, StringIO)
    title, *lines = console.file.getvalue().splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert "1,000 phones" == title.strip()
    assert [
        ["phones held", "1,000", "999", "at least 1,000", "reached"],
        ["memory, KB", "2.4", "9", "at most 2.5 KB", "reached"],
        ["", "", "", "at most 0.25 of nchan", "not reached"],
        ["CPU, us", "-", "37.2", "", ""],
    ] == cells


def test_the_document_holds_everything() -> None:
    """The JSON has machine, rows, figures, verdicts, samples, latencies, and what is added."""
    found = orjson.loads(report.document(ROWS, [GATEWAY, NCHAN], {"skipped": {"TLS": "no"}}))

    assert {"machine", "python", "uvloop"} <= found["environment"].keys()
    assert {"nchan": 0.25} == found["rows"][1]["ratios"]
    assert {"gateway": GATEWAY.figures, "nchan": NCHAN.figures} == found["figures"]
    assert {"key": "held", "found": 1000.0, "asked": "at least 1,000", "reached": True} == (
        found["verdicts"][0]
    )
    assert [{"held": 0, "memory_bytes": 5, "cpu": 0.25}] == found["samples"]["gateway"]
    assert {"gateway": {"500": 1, "1000": 2}, "nchan": {}} == found["latency_us"]
    assert {"TLS": "no"} == found["skipped"]


def test_document_and_picture_stand_side_by_side(tmp_path: Path) -> None:
    """Both have the name of the bench, in a directory that is made for them."""
    directory = tmp_path / "a" / "b"

    paths = report.write(directory, "bench", ROWS, [GATEWAY], {})

    assert [directory / "bench.json", directory / "bench.png"] == paths
    assert paths == sorted(directory.iterdir())


def test_no_picture_of_an_earlier_run_stays(tmp_path: Path) -> None:
    """Where nothing is drawn, there is no picture either."""
    (tmp_path / "bench.png").touch()

    paths = report.write(tmp_path, "bench", ROWS, [NCHAN], {})

    assert [tmp_path / "bench.json"] == paths == list(tmp_path.iterdir())
