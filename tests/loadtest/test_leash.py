"""Commands on a leash."""

from __future__ import annotations

import os
import subprocess
import sys
from time import monotonic, sleep

import pytest

from loadtest import process
from loadtest.leash import leashed

PARENT = """
import subprocess, sys
from loadtest.leash import leashed
child = subprocess.Popen(leashed(["sleep", "60"]))
print(child.pid, flush=True)
sys.stdin.read()
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")


def test_a_leashed_command_is_the_command() -> None:
    """The command gets its arguments and keeps its streams and its exit status."""
    done = subprocess.run(
        leashed(["sh", "-c", "cat; exit $0", "7"]), input=b"x", capture_output=True, check=False
    )

    assert (7, b"x", b"") == (done.returncode, done.stdout, done.stderr)


@linux
def test_a_leashed_command_dies_with_its_parent() -> None:
    """When the parent is killed, the command is gone soon after."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()

    until = monotonic() + 10
    while process.memory_bytes(child) and monotonic() < until:
        sleep(0.02)
    assert process.memory_bytes(child) is None


def test_a_command_without_its_parent_does_not_start() -> None:
    """A parent that died before the leash was on leaves no command behind."""
    command = leashed(["echo", "started"])
    command[3] = str(os.getppid())

    done = subprocess.run(command, capture_output=True, check=True)

    assert b"" == done.stdout
