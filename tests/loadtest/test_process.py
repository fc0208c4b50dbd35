"""Memory and CPU of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from loadtest import process

NOBODY = 2**22 + 1
"""Above the highest process id of Linux."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
def test_a_child_belongs_to_the_tree() -> None:
    """The tree of a process holds itself and its children."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = process.tree(os.getpid())
        child.communicate(b"\n")

    assert {os.getpid(), child.pid} <= set(found)


GROWING = """
import mmap
input()
kept = mmap.mmap(-1, 10 << 20)
kept.write(b"x" * (10 << 20))
print("grown", flush=True)
input()
"""


@linux
def test_memory_grows_with_what_is_written() -> None:
    """Ten MB more of private memory are ten MB more of PSS."""
    command = [sys.executable, "-c", GROWING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        grown = process.memory_bytes(child.pid)
        child.communicate(b"\n")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        bare = process.memory_bytes(child.pid)
        child.communicate(b"\n")

    assert grown is not None
    assert bare is not None
    assert 9 << 20 < grown - bare


@linux
def test_cpu_grows_with_work() -> None:
    """The CPU time of a process that works rises about as Python's own count of it."""
    before, own = process.cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() - own < 0.05:
        pass
    after = process.cpu_seconds(os.getpid())

    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(0.05, abs=0.04)


def test_a_process_that_is_gone_has_no_memory() -> None:
    """What cannot be read is None, not zero."""
    assert process.memory_bytes(NOBODY) is None


@linux
def test_many_processes_are_weighed_together() -> None:
    """The sum over some processes is that of their own figures, and leaves out those gone."""
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = process.pss_many([child.pid, NOBODY])
        alone = process.memory_bytes(child.pid)
        child.communicate(b"\n")

    assert alone is not None
    assert found == pytest.approx(alone, rel=0.2)


def test_nobody_weighs_nothing() -> None:
    """Without processes that can be read the sum is zero."""
    assert 0 == process.pss_many([NOBODY])


@linux
def test_the_cpu_of_many_processes_is_added_up() -> None:
    """The CPU time of some processes is that of each, and leaves out those gone."""
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = process.cpu_many([child.pid, NOBODY])
        alone = process.cpu_seconds(child.pid)
        child.communicate(b"\n")

    assert alone is not None
    assert found == pytest.approx(alone, abs=0.05)
    assert found > 0
