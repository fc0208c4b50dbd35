"""Read what the host allows, and take as many open files as this process may have."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

from pushgw.room import Host

NR_OPEN: Final = 1_048_576
"""fs.nr_open where it cannot be read; the kernel's own default."""
_ROOT: Final = Path("/")


def read(root: Path = _ROOT) -> Host:
    """Read what the host allows.

    Args:
        root: Where proc and sys are.
    """
    sysctl = root / "proc/sys"
    ports = _numbers(sysctl / "net/ipv4/ip_local_port_range")
    return Host(
        somaxconn=_number(sysctl / "net/core/somaxconn"),
        syn_backlog=_number(sysctl / "net/ipv4/tcp_max_syn_backlog"),
        has_syncookies=bool(_number(sysctl / "net/ipv4/tcp_syncookies")),
        conntrack_max=_number(sysctl / "net/netfilter/nf_conntrack_max"),
        files_max=_number(sysctl / "fs/file-max"),
        nr_open=_number(sysctl / "fs/nr_open"),
        ports=(ports[0], ports[1]) if len(ports) > 1 else None,
        memory_bytes=_available(root),
    )


def raise_files(root: Path = _ROOT) -> int:
    """Raise the soft limit of open files to the hard one; children inherit it.

    A limit above fs.nr_open, also "infinity", is as good as fs.nr_open: the kernel opens no file
    beyond it.

    Args:
        root: Where proc is.

    Returns:
        Files that this process may open now.
    """
    most = read(root).nr_open or NR_OPEN
    soft, hard = (_at_most(most, one) for one in resource.getrlimit(resource.RLIMIT_NOFILE))
    if soft < hard:
        # Both: the kernel refuses a hard limit above fs.nr_open, even one that is there already.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _at_most(most: int, limit: int) -> int:
    return most if limit == resource.RLIM_INFINITY else min(most, limit)


def _available(root: Path) -> int | None:
    found = [_available_of_machine(root / "proc/meminfo"), _available_of_group(root)]
    return min((one for one in found if one is not None), default=None)


def _available_of_machine(meminfo: Path) -> int | None:
    for line in _text(meminfo).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _available_of_group(root: Path) -> int | None:
    # Control groups of version 2; inside a container the group's own path is "/".
    for line in _text(root / "proc/self/cgroup").splitlines():
        if line.startswith("0::/"):
            group = root / "sys/fs/cgroup" / line.removeprefix("0::/")
            limit, used = _number(group / "memory.max"), _number(group / "memory.current")
            return None if limit is None or used is None else max(0, limit - used)
    return None


def _number(path: Path) -> int | None:
    numbers = _numbers(path)
    return numbers[0] if numbers else None


def _numbers(path: Path) -> list[int]:
    return [int(word) for word in _text(path).split() if word.isdecimal()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
