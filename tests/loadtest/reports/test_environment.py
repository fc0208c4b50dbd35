"""Facts of the machine."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from loadtest.reports import environment

if TYPE_CHECKING:
    import pytest


def test_what_it_tells() -> None:
    """It tells what may change the figures."""
    found = environment.environment()

    expected = {"CPU", "cores", "memory", "kernel", "Python", "uvloop", "open files", "somaxconn"}
    assert expected <= set(found)
    assert all(found.values())


def test_what_it_does_not_tell() -> None:
    """It has neither the name of the host nor a path."""
    text = "\n".join(environment.environment().values())

    assert str(Path.cwd()) not in text
    assert socket.gethostname() not in text


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    """A file, a field or a package that is missing is an empty text."""
    odd = tmp_path / "meminfo"
    odd.write_text("MemTotal: much\n")

    assert "" == environment._memory(tmp_path / "none")
    assert "" == environment._memory(odd)
    assert "" == environment._version("no-such-package-of-ours")
    assert "" == environment._setting(tmp_path / "none")


def test_a_cpu_without_a_name(tmp_path: Path) -> None:
    """Where the kernel gives no model, the architecture stands for it."""
    assert (platform.processor() or platform.machine()) == environment._cpu(tmp_path / "none")


def test_fewer_cores_than_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cores that may not be used are not counted, but said."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(os, "cpu_count", lambda: 8)

    assert "1 of 8" == environment._cores()


def test_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of the current directory is told, and that it has changes."""
    monkeypatch.chdir(tmp_path)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "First."]):
        (tmp_path / "file").write_text("1")
        subprocess.run(["git", *command], check=True)
    (tmp_path / "file").write_text("2")

    found, _, dirty = environment._commit().partition("-")

    assert (12, "dirty") == (len(found), dirty)


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a repository there is no commit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert "" == environment._commit()


def test_no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git there is no commit."""
    monkeypatch.setenv("PATH", "")

    assert "" == environment._commit()
