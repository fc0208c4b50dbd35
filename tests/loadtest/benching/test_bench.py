"""Sizes of the bench, and the measurement of one server."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest import limits, servers
from loadtest.benching import bed, bench
from loadtest.benching.bench import Size
from loadtest.benching.load_process import LoadError


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"devices": 0}, "devices is 0, 1 to"),
        ({"devices": 99_999}, "devices is 99999, 1 to"),
        ({"devices": 10}, "rate is 200 changes a second, more than 0 and at most 25"),
        ({"rate": 0}, "rate is 0 changes a second"),
        ({"seconds": 0}, "seconds is 0, more than 0"),
    ],
)
def test_a_size_is_checked(change: dict[str, float], text: str) -> None:
    """A bench has phones that fit into this host, and changes that they can answer one by one."""
    with pytest.raises(ValueError, match=text):
        replace(Size(1000, 200, 20), **change)


def test_this_host_can_be_read() -> None:
    """Where processes can be read, nothing is said."""
    bench.check_readable()


def test_a_host_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Without /proc the error says what is missing."""
    monkeypatch.setattr("loadtest.process._PROC", tmp_path)

    with pytest.raises(LoadError, match="this needs Linux' /proc"):
        bench.check_readable()


async def test_a_server_is_measured() -> None:
    """A small bench of the rival finds phones, memory, CPU and latencies, phase by phase."""
    # So many that their memory outweighs what neighbours add: libraries that are shared with others
    # count in parts, and others come and go.
    size = Size(400, 20, 0.3, idle=0.1, saturation=0.2)
    said: list[str] = []
    limits.raise_files(1000)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with (
            servers.valkey(directory) as redis,
            bed.make(bench.RIVAL.start, redis, directory) as one,
        ):
            found = await bench._Bench(size, "rival", one, said.append).measure(400, 0.001)

    assert ("rival", 400, 400, 1000.0) == (found.name, found.asked, found.held, found.first_us)
    assert min(found.held_bytes, found.park_us, found.cycle_us, found.redis_us) > 0
    assert min(found.load_bytes, found.saturation["load_us"]) > 0
    assert (6, 6, 0) == tuple(found.notify[key] for key in ("published", "answered", "lost"))
    assert len(said) == 4
