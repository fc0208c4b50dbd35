"""The picture of a bench."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import matplotlib.image
import pytest

from loadtest.benching import plot
from loadtest.benching.rows import Measured, Sample
from loadtest.figures import Histogram

if TYPE_CHECKING:
    from pathlib import Path


def latency() -> Histogram:
    found = Histogram()
    for number in range(1, 1000):
        found.record(number / 1e5)
    return found


SAMPLES = [Sample(held, (40 << 20) + held * 2048, held / 1e4) for held in range(0, 1001, 250)]
FULL = Measured("gateway", {}, SAMPLES, latency())


@pytest.mark.parametrize(
    "measured",
    [
        [FULL, Measured("aiohttp", {}, SAMPLES), Measured("nchan", {}, (), latency())],
        [Measured("gateway", {}, (), latency())],
        [Measured("gateway", {}, SAMPLES)],
    ],
)
def test_what_there_is_is_drawn(measured: list[Measured], tmp_path: Path) -> None:
    """Samples and latencies are drawn for those that have them, in a picture of one size."""
    path = tmp_path / "bench.png"

    assert plot.save(path, measured)
    assert (440, 1500) == matplotlib.image.imread(path).shape[:2]


@pytest.mark.parametrize("latency", [None, Histogram()])
def test_without_anything_there_is_no_picture(latency: Histogram | None, tmp_path: Path) -> None:
    """Figures alone are not drawn."""
    path = tmp_path / "bench.png"

    assert not plot.save(path, [Measured("gateway", {"held": 3}, (), latency)])
    assert not path.exists()


def test_without_matplotlib_there_is_no_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where matplotlib is not installed, nothing is drawn and nothing fails."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert not plot.save(tmp_path / "bench.png", [FULL])
