"""Readings of this host."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from loadtest.calibration import readings

NOBODY = 2**22 + 1
"""Above the highest process id of Linux."""
GROWING = """
import mmap
input()
kept = mmap.mmap(-1, 10 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
kept.write(b"x" * (10 << 20))
print("grown", flush=True)
input()
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
def test_anonymous_memory_grows_with_what_is_written() -> None:
    """Ten MB of private memory more are exactly so much more of it."""
    command = [sys.executable, "-c", GROWING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        grown = readings.anonymous_bytes(child.pid)
        child.communicate(b"\n")

    assert grown is not None
    assert 10 << 20 < grown < 30 << 20


def test_a_process_that_is_gone_has_no_memory() -> None:
    """What cannot be read is None, not zero."""
    assert readings.anonymous_bytes(NOBODY) is None


def test_a_kernel_that_does_not_tell_leaves_a_gap(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """Files that are not there, or have no such line, give None."""
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\n")
    monkeypatch.setattr(readings, "_PROC", tmp_path)

    assert readings.slab_bytes() is None
    assert readings.anonymous_bytes(os.getpid()) is None


@linux
def test_the_kernel_has_small_objects() -> None:
    """The slab of a running system is at least a MB."""
    found = readings.slab_bytes()

    assert found is not None
    assert found > 1 << 20


def test_files_may_have_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit is None, a limit is its number."""
    found = []
    for hard in (resource.RLIM_INFINITY, 4096):
        monkeypatch.setattr(resource, "getrlimit", lambda _, hard=hard: (1024, hard))
        found.append(readings.max_files())

    assert [None, 4096] == found


@linux
async def test_the_use_of_the_cpu_is_a_share() -> None:
    """This host is busy to some degree between not at all and wholly."""
    found = await readings.busy(0.05)

    assert found is not None
    assert 0 <= found <= 1


async def test_an_unknown_use_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Without /proc/stat, and where no time passed, there is no share."""
    monkeypatch.setattr(readings, "_PROC", tmp_path)
    missing = await readings.busy(0)
    (tmp_path / "stat").write_text("cpu 1 2 3 4 5 6 7 8 0 0\n")
    frozen = await readings.busy(0)

    assert (None, None) == (missing, frozen)


async def test_redis_tells_its_memory(valkey_url: str) -> None:
    """An empty Valkey uses between a quarter of a MB and 50 MB."""
    assert 1 << 18 < await readings.redis_bytes(valkey_url) < 50 << 20
