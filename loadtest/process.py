"""Memory and CPU of a process tree, from Linux' /proc; None where that cannot be read.

Memory is PSS: private pages, and each shared page divided by those that share it, so that the sum
over a tree counts every page once.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROC: Final = Path("/proc")
_NANOSECONDS: Final = 1_000_000_000


def tree(root: int) -> list[int]:
    """Return the ids of a process and all its descendants; empty when it does not exist."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*/stat"):
        parent = _parent(entry)
        if parent is not None:
            children.setdefault(parent, []).append(int(entry.parent.name))
    found: list[int] = []
    todo = [root] if (_PROC / str(root)).is_dir() else []
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def _parent(stat: Path) -> int | None:
    try:
        # The name in parentheses may hold spaces and parentheses itself. Source: proc(5).
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def memory_bytes(root: int) -> int | None:
    """Return the PSS of a process tree in bytes."""
    try:
        return sum(_pss(pid) for pid in tree(root)) or None
    except (OSError, ValueError):
        return None


def pss_many(pids: Iterable[int]) -> int:
    """Return the PSS of some processes in bytes; those that cannot be read count nothing.

    Args:
        pids: Each once. Pages that all of them share count once as well.
    """
    total = 0
    for pid in pids:
        with suppress(OSError, ValueError):
            total += _pss(pid)
    return total


def _pss(pid: int) -> int:
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(root: int) -> float | None:
    """Return the CPU time that the living processes of a tree have used, all threads."""
    try:
        return sum(_cpu(pid) for pid in tree(root)) / _NANOSECONDS
    except (OSError, ValueError):
        return None


def cpu_many(pids: Iterable[int]) -> float:
    """Return the CPU time that some processes have used; those that are gone count nothing.

    Args:
        pids: Each once.
    """
    total = 0
    for pid in pids:
        with suppress(OSError, ValueError):
            total += _cpu(pid)
    return total / _NANOSECONDS


def _cpu(pid: int) -> int:
    tasks = (_PROC / str(pid) / "task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)
