"""What a run needs, whether this host has it, and what mends it where not."""

from __future__ import annotations

import math
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from loadtest.wording import size, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_PHONES: Final = 19_000
"""Phones of one process."""
SPARE_FILES: Final = 500
"""Open files of a process beside its phones: libraries, publisher, second connections."""
BYTES_PER_PHONE: Final = 2_560
"""User memory of a phone without TLS."""
TLS_BYTES: Final = 22 * 1024
"""User memory that TLS adds to a phone: OpenSSL's state and its buffers."""
PROCESS_BYTES: Final = 12 << 20
"""User memory that a forked process does not share."""
ENOUGH_BACKLOG: Final = 4_096
"""Connections that wait to be accepted; the kernel's own default since Linux 5.4."""
ENOUGH_SYN_BACKLOG: Final = 1_024
"""Handshakes under way; the kernel's default on a machine of 1 GB."""
_CROWDED: Final = 0.9
"""Share of the ports from which on the kernel has to search for a free one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run needs of the host that it runs on."""

    processes: int
    phones_per_process: int
    files_per_process: int
    connections: int
    ports_per_source: int
    """Ports for each pair of a source address and a target."""
    sources: int
    """Source addresses; 1 where the system chooses."""
    targets: int = 1
    memory_bytes: int
    """User memory of all processes."""
    duration: float
    """Seconds of the profile, without the time that phones take to arrive."""
    changes: int
    """Changes that will be published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this host has; None where there is no limit, or where it could not be read."""

    cores: int
    memory_bytes: int | None = None
    """Available, of the machine and of the container."""
    files_soft: int | None = None
    """Open files of a process, as the limit is now."""
    files_hard: int | None = None
    """Open files of a process that it may allow itself."""
    files_max: int | None = None
    """fs.file-max: open files of all processes."""
    ports: tuple[int, int] = (32_768, 60_999)
    """net.ipv4.ip_local_port_range: the first and the last one."""
    somaxconn: int | None = None
    syn_backlog: int | None = None
    """net.ipv4.tcp_max_syn_backlog."""
    conntrack_max: int | None = None
    """nf_conntrack_max; None where connections are not tracked."""

    @property
    def port_count(self) -> int:
        """Connections that one source address can have to one target."""
        return self.ports[1] - self.ports[0] + 1

    @property
    def max_phones(self) -> int:
        """Phones that one process can hold here; at least one."""
        if self.files_hard is None:
            return MAX_PHONES
        return max(1, min(MAX_PHONES, self.files_hard - SPARE_FILES))


@dataclass(frozen=True, slots=True)
class Shortage:
    """Something that the host has too little of."""

    found: str
    """What, how much of it there is, and how much is needed."""
    remedy: str
    """Command or option that mends it."""
    is_fatal: bool = True
    """Whether the run cannot begin; else its figures may suffer."""

    def __str__(self) -> str:
        return f"{self.found}: {self.remedy}"


def needs(  # noqa: PLR0913 - keywords, each a figure of its own
    devices: int,
    *,
    cores: int,
    sources: int = 1,
    targets: int = 1,
    processes: int | None = None,
    max_phones: int = MAX_PHONES,
    tls: bool = False,
    duration: float = 0.0,
    changes: int = 0,
) -> Needs:
    """Work out what a run needs.

    Args:
        devices: Phones, at least 1; each has one connection.
        cores: Of this host.
        sources: Number of source addresses; 0 or 1 where the system chooses.
        targets: Number of addresses and ports to connect to.
        processes: As asked for; if None, one for each core and for each ``max_phones``.
        max_phones: That one process can hold here.
        tls: Whether the connections have TLS.
        duration: Seconds.
        changes: That will be published.
    """
    count = processes or max(min(cores, devices), math.ceil(devices / max_phones))
    phones = math.ceil(devices / count)
    pairs = max(1, sources) * max(1, targets)
    return Needs(
        processes=count,
        phones_per_process=phones,
        files_per_process=phones + SPARE_FILES,
        connections=devices,
        ports_per_source=math.ceil(devices / pairs),
        sources=max(1, sources),
        targets=max(1, targets),
        memory_bytes=devices * (BYTES_PER_PHONE + TLS_BYTES * tls) + count * PROCESS_BYTES,
        duration=duration,
        changes=changes,
    )


def judge(needs: Needs, host: Host) -> list[Shortage]:
    """List what the host has too little of, the fatal ones first.

    Limits of the other end (queues of a listener, tracked connections) count as if the target
    were on this host; they are warnings.
    """
    found = [*_processes(needs), *_files(needs, host), *_ports(needs, host)]
    found += [*_memory(needs, host), *_queues(needs, host), *_tables(needs, host)]
    return sorted(found, key=lambda one: not one.is_fatal)


def _processes(needs: Needs) -> Iterator[Shortage]:
    if needs.phones_per_process > MAX_PHONES:
        yield Shortage(
            f"phones of a process: {needs.phones_per_process:,}, at most {MAX_PHONES:,}",
            f"--processes {math.ceil(needs.connections / MAX_PHONES)}",
        )


def _files(needs: Needs, host: Host) -> Iterator[Shortage]:
    wanted = needs.files_per_process
    if host.files_hard is not None and host.files_hard < wanted:
        yield Shortage(f"open files: {host.files_hard:,}, needs {wanted:,}", f"ulimit -n {wanted}")


def _ports(needs: Needs, host: Host) -> Iterator[Shortage]:
    wanted = needs.ports_per_source
    if wanted <= host.port_count * _CROWDED:
        return
    room = int(host.port_count * _CROWDED) * needs.targets
    yield Shortage(
        f"ports: {host.port_count:,} for each source address and target, needs {wanted:,}",
        f"--source with {math.ceil(needs.connections / room)} addresses",
        is_fatal=wanted > host.port_count,
    )


def _memory(needs: Needs, host: Host) -> Iterator[Shortage]:
    if host.memory_bytes is not None and host.memory_bytes < needs.memory_bytes:
        share = host.memory_bytes / needs.memory_bytes
        yield Shortage(
            f"memory: {size(host.memory_bytes)} available, needs {size(needs.memory_bytes)}",
            f"free some, or --devices {int(needs.connections * share)}",
        )


def _queues(needs: Needs, host: Host) -> Iterator[Shortage]:
    for name, found, enough in (
        ("net.core.somaxconn", host.somaxconn, ENOUGH_BACKLOG),
        ("net.ipv4.tcp_max_syn_backlog", host.syn_backlog, ENOUGH_SYN_BACKLOG),
    ):
        if found is not None and found < min(needs.connections, enough):
            yield Shortage(
                f"{name} is {found:,}, connections that come at once are dropped",
                f"sysctl -w {name}=65535",
                is_fatal=False,
            )


def _tables(needs: Needs, host: Host) -> Iterator[Shortage]:
    ends = 2 * needs.connections  # both of them, if the target is here
    for name, found, wanted in (
        ("fs.file-max", host.files_max, ends),
        ("net.netfilter.nf_conntrack_max", host.conntrack_max, needs.connections),
    ):
        if found is not None and found < wanted:
            yield Shortage(
                f"{name} is {found:,}, needs {wanted:,}",
                f"sysctl -w {name}={2 * wanted}",
                is_fatal=False,
            )


def read_host(root: Path = Path("/")) -> Host:
    """Read what this host has.

    Args:
        root: Where proc and sys are.
    """
    sysctl = root / "proc/sys"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ports = _numbers(sysctl / "net/ipv4/ip_local_port_range")
    return Host(
        cores=_cores(),
        memory_bytes=_available(root),
        files_soft=_limited(soft),
        files_hard=_limited(hard),
        files_max=_number(sysctl / "fs/file-max"),
        ports=(ports[0], ports[1]) if len(ports) > 1 else (32_768, 60_999),
        somaxconn=_number(sysctl / "net/core/somaxconn"),
        syn_backlog=_number(sysctl / "net/ipv4/tcp_max_syn_backlog"),
        conntrack_max=_number(sysctl / "net/netfilter/nf_conntrack_max"),
    )


def raise_files(wanted: int) -> int:
    """Raise this process' limit of open files as far as it may be raised; never lower it.

    Returns:
        Open files that it has now; ``wanted`` if there is no limit.
    """
    soft, hard = map(_limited, resource.getrlimit(resource.RLIMIT_NOFILE))
    if soft is None or soft >= wanted:
        return wanted if soft is None else soft
    soft = wanted if hard is None else min(hard, wanted)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (soft, resource.RLIM_INFINITY if hard is None else hard)
    )
    return soft


def dry_run_table(needs: Needs, host: Host, shortages: Sequence[Shortage]) -> Table:
    """Return what a run would take beside what there is, and what is missing."""
    table = Table(title="dry run", title_justify="left")
    for heading in ("", "needs", "this host"):
        table.add_column(heading)
    for row in _rows(needs, host):
        table.add_row(*row)
    for one in shortages:
        table.add_row("missing" if one.is_fatal else "warning", one.found, one.remedy)
    return table


def _rows(needs: Needs, host: Host) -> Iterator[tuple[str, str, str]]:
    yield "connections", f"{needs.connections:,}", f"fs.file-max {_count(host.files_max)}"
    yield "source addresses", f"{needs.sources:,}", ""
    yield (
        "ports per source and target",
        f"{needs.ports_per_source:,}",
        f"{host.port_count:,} ({host.ports[0]}-{host.ports[1]})",
    )
    yield (
        "processes",
        f"{needs.processes:,} with {needs.phones_per_process:,} phones each",
        f"{host.cores} cores",
    )
    yield (
        "open files per process",
        f"{needs.files_per_process:,}",
        f"{_count(host.files_soft)}, may be raised to {_count(host.files_hard)}",
    )
    available = "unknown" if host.memory_bytes is None else f"{size(host.memory_bytes)} available"
    yield "memory", size(needs.memory_bytes), available
    yield "duration", span(needs.duration), ""
    yield "changes", f"{needs.changes:,}", ""


def _count(limit: int | None) -> str:
    return "no limit" if limit is None else f"{limit:,}"


def _cores() -> int:
    # Those this process may run on, which a container or taskset may have cut.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _available(root: Path) -> int | None:
    free = [_free(root / "proc/meminfo"), _free_in_group(root / "sys/fs/cgroup")]
    return min((one for one in free if one is not None), default=None)


def _free(meminfo: Path) -> int | None:
    for line in _text(meminfo).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _free_in_group(group: Path) -> int | None:
    limit, used = _number(group / "memory.max"), _number(group / "memory.current")
    return None if limit is None or used is None else max(0, limit - used)


def _limited(limit: int) -> int | None:
    return None if limit == resource.RLIM_INFINITY else limit


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
