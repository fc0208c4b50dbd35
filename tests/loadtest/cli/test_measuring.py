"""``loadtest measure``: wrong orders, and what is printed and written at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from loadtest.capacity.model import Validation, from_json, reference
from loadtest.cli import app, measuring

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "found a directory, the name of a file is allowed"),
        ("nowhere/costs.json", "found no file or directory that may be written"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """It is said before anything is measured, in one line and with status 2."""
    found = CliRunner().invoke(app, ["measure", "--out", str(tmp_path / name)])

    assert (2, 1) == (found.exit_code, found.stderr.count("\n"))
    assert text in found.stderr


def test_a_file_may_be_there_already(tmp_path: Path) -> None:
    """A file of before is written over."""
    out = tmp_path / "costs.json"
    out.write_text("old")

    measuring.check_out(out)


def test_costs_are_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has every cost, and the file is what the planner reads."""
    model, out = reference(), tmp_path / "costs.json"
    good = replace(model, validation=(Validation("memory", 110.0, 100.0, "bytes"),))

    assert measuring.finish(good, out)
    assert good == from_json(out.read_text())
    output = capsys.readouterr().out
    assert "phone bytes plain" in output
    assert "+10.0 %" in output
    assert f"wrote {out}" in output


def test_a_bad_prediction_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error beyond the promise is said, and is no success."""
    bad = replace(reference(), validation=(Validation("memory", 80.0, 100.0, "bytes"),))

    assert not measuring.finish(bad, tmp_path / "costs.json")
    assert "memory: -20.0 %, allowed 15 %" in capsys.readouterr().out


def test_without_a_comparison_nothing_is_promised(tmp_path: Path) -> None:
    """Costs that were not validated are written all the same."""
    assert measuring.finish(replace(reference(), validation=()), tmp_path / "costs.json")


def test_a_file_that_fails_in_the_end_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the directory is gone by then, it is said in one line."""
    with pytest.raises(typer.Exit) as ended:
        measuring.finish(reference(), tmp_path / "gone" / "costs.json")

    assert 1 == ended.value.exit_code
    assert "No such file or directory" in capsys.readouterr().err
