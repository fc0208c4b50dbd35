"""A whole bench, as small as can be, with everything real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.benching import bench
from loadtest.benching.load_process import LoadError
from loadtest.benching.phases import Phases
from loadtest.benching.rivals import nchan
from loadtest.benching.size import Size
from loadtest.benching.small_rows import rows
from loadtest.calibration import certificates
from loadtest.servers import Redis

if TYPE_CHECKING:
    from pathlib import Path

    from loadtest.benching.rows import Measured

TINY = Size(40, 20, 0.2, idle=0.1, saturation=0.2, window=0.05)


def test_this_host_can_be_read() -> None:
    """Where processes can be read, nothing is said."""
    bench.check_readable()


def test_a_host_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Without /proc the error says what is missing."""
    monkeypatch.setattr("loadtest.process._PROC", tmp_path)

    with pytest.raises(LoadError, match="this needs Linux' /proc"):
        bench.check_readable()


async def no_certificate(_: Path) -> None:
    """Make nothing."""


async def test_without_a_certificate_tls_is_skipped(tmp_path: Path) -> None:
    """Where no certificate can be made, the reason is told, and no server is started."""
    phases = Phases(TINY, "gateway", lambda _: None)

    reason = await bench.secure(phases, no_certificate, Redis("", 0), tmp_path)

    assert bench.NO_CERTIFICATE == reason
    assert {} == phases.measured.figures


async def test_all_contenders_are_measured_in_turn() -> None:
    """The gateway comes first, then each rival that can run; what cannot has its reason told."""
    said: list[str] = []

    found = await bench.perform(TINY, said.append, certificates.make)

    reason = nchan.available()
    gateway, aiohttp, *rest = found.measured
    tls = {"tls_kb"} if certificates.can_make() else set()
    shared = {row.key for row in rows(40)} - {"tls_kb", "gc_ms"}
    assert ("gateway", shared | tls | {"gc_ms"}) == (gateway.name, gateway.figures.keys())
    assert ("aiohttp", shared) == (aiohttp.name, aiohttp.figures.keys())
    assert ["nchan"] * (reason is None) == [one.name for one in rest]
    assert ("nchan" in found.skipped) == (reason is not None)
    assert said[0] == "gateway: 40 new phones"
    assert [] == [one.name for one in found.measured if not is_sound(one)]


def is_sound(one: Measured) -> bool:
    """Whether all phones were held and woken, by CPU that counts, and all was kept for the plot."""
    figures, costs = one.figures, ("park_us", "storm_us", "wake_us")
    assert one.latency is not None
    return (
        figures["held"] == one.samples[-1].held == 40
        and figures["asleep"] == 0
        and all(figures[key] > 0 for key in costs)
        and 0 < one.latency.count <= 4
    )
