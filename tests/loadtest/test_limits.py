"""What a run needs, and whether a host has it."""

from __future__ import annotations

import os
import resource
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from loadtest import limits
from loadtest.limits import Host, Shortage, judge, needs, raise_files, read_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIB = 1 << 30
ROOMY = Host(
    cores=2,
    memory_bytes=100 * GIB,
    files_soft=1024,
    files_hard=20_000,
    files_max=10_000_000,
    somaxconn=65_535,
    syn_backlog=65_535,
    conntrack_max=10_000_000,
)
UNKNOWN = Host(cores=1)


@pytest.mark.parametrize(
    ("devices", "cores", "processes", "phones"),
    [(1, 8, 1, 1), (15_000, 2, 2, 7_500), (1_000_000, 2, 53, 18_868), (38_001, 2, 3, 12_667)],
)
def test_processes_are_for_cores_and_phones(
    devices: int, cores: int, processes: int, phones: int
) -> None:
    """There is a process for each core and for each 19,000 phones, but never an idle one."""
    found = needs(devices, cores=cores)

    assert (processes, phones) == (found.processes, found.phones_per_process)


def test_processes_may_be_asked_for() -> None:
    """The number of processes that was asked for is taken as it is."""
    assert 5 == needs(100, cores=2, processes=5).processes


def test_a_low_limit_of_files_means_more_processes() -> None:
    """A host where a process holds fewer phones needs more processes."""
    host = replace(ROOMY, files_hard=4_096)

    assert 5 == needs(15_000, cores=2, max_phones=host.max_phones).processes


@pytest.mark.parametrize(("hard", "phones"), [(None, 19_000), (20_000, 19_000), (100, 1)])
def test_a_host_knows_how_many_phones_a_process_holds(hard: int | None, phones: int) -> None:
    """Open files limit the phones of a process, up to what one can serve."""
    assert phones == replace(ROOMY, files_hard=hard).max_phones


def test_ports_are_spread_over_sources_and_targets() -> None:
    """Each pair of a source address and a target has its own ports."""
    found = needs(100_000, cores=2, sources=40, targets=2)

    assert (1_250, 40, 2) == (found.ports_per_source, found.sources, found.targets)


def test_without_sources_the_system_chooses_one() -> None:
    """No source address is one that the system chooses."""
    assert (100, 1) == (needs(100, cores=1, sources=0).ports_per_source, needs(1, cores=1).sources)


def test_memory_is_for_phones_and_processes() -> None:
    """A phone takes 2.5 KB, 22 KB more with TLS, and a process 12 MB."""
    plain, tls = needs(1_000, cores=1), needs(1_000, cores=1, tls=True)

    assert 1_000 * 2_560 + (12 << 20) == plain.memory_bytes
    assert 1_000 * 22 * 1024 == tls.memory_bytes - plain.memory_bytes


def test_a_roomy_host_lacks_nothing() -> None:
    """A host that has everything is not complained about."""
    assert [] == judge(needs(15_000, cores=2), ROOMY)


def test_what_cannot_be_read_is_not_judged() -> None:
    """Unknown limits are taken for no limits."""
    assert [] == judge(needs(15_000, cores=2), UNKNOWN)


@pytest.mark.parametrize(
    ("host", "devices", "text", "is_fatal"),
    [
        (
            replace(ROOMY, files_hard=1_024),
            20_000,
            "open files: 1,024, needs 10,500: ulimit -n 10500",
            True,
        ),
        (
            replace(ROOMY, memory_bytes=GIB // 32),
            4_000,
            "memory: 32 MB available, needs 33.8 MB: free some, or --devices 3790",
            True,
        ),
        (
            ROOMY,
            30_000,
            (
                "ports: 28,232 for each source address and target, needs 30,000: "
                "--source with 2 addresses"
            ),
            True,
        ),
        (
            ROOMY,
            28_000,
            (
                "ports: 28,232 for each source address and target, needs 28,000: "
                "--source with 2 addresses"
            ),
            False,
        ),
        (
            replace(ROOMY, somaxconn=128),
            1_000,
            (
                "net.core.somaxconn is 128, connections that come at once are dropped: "
                "sysctl -w net.core.somaxconn=65535"
            ),
            False,
        ),
        (
            replace(ROOMY, syn_backlog=128),
            1_000,
            (
                "net.ipv4.tcp_max_syn_backlog is 128, connections that come at once are dropped: "
                "sysctl -w net.ipv4.tcp_max_syn_backlog=65535"
            ),
            False,
        ),
        (
            replace(ROOMY, files_max=1_000),
            1_000,
            "fs.file-max is 1,000, needs 2,000: sysctl -w fs.file-max=4000",
            False,
        ),
        (
            replace(ROOMY, conntrack_max=999),
            1_000,
            (
                "net.netfilter.nf_conntrack_max is 999, needs 1,000: "
                "sysctl -w net.netfilter.nf_conntrack_max=2000"
            ),
            False,
        ),
    ],
)
def test_a_shortage_says_what_mends_it(
    host: Host,
    devices: int,
    text: str,
    is_fatal: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Each thing that is missing comes with how much there is, how much is needed, and a remedy."""
    found = judge(needs(devices, cores=2), host)

    assert [(text, is_fatal)] == [(str(one), one.is_fatal) for one in found]


def test_too_few_processes_are_a_shortage() -> None:
    """More phones than a process can serve are refused with the number that can."""
    found = judge(needs(38_000, cores=2, processes=1, sources=9), replace(ROOMY, files_hard=None))

    assert ["phones of a process: 38,000, at most 19,000: --processes 2"] == list(map(str, found))


def test_a_small_run_needs_no_long_queue() -> None:
    """Queues are judged by the connections that can come at once."""
    assert [] == judge(needs(100, cores=2), replace(ROOMY, somaxconn=128, syn_backlog=128))


def test_what_is_fatal_comes_first() -> None:
    """Shortages that keep the run from beginning are listed before warnings."""
    host = replace(ROOMY, somaxconn=128, files_hard=600, memory_bytes=1)

    found = [one.is_fatal for one in judge(needs(1_000, cores=1), host)]

    assert [True, True, False] == found


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """The files of a host with 1 GB available in a container of 100 MB."""
    for name, text in {
        "proc/meminfo": "MemTotal:       2097152 kB\nMemAvailable:   1048576 kB\n",
        "proc/sys/fs/file-max": "9223372036854775807\n",
        "proc/sys/net/ipv4/ip_local_port_range": "1024\t65535\n",
        "proc/sys/net/core/somaxconn": "4096\n",
        "proc/sys/net/ipv4/tcp_max_syn_backlog": "512\n",
        "proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
        "sys/fs/cgroup/memory.max": "104857600\n",
        "sys/fs/cgroup/memory.current": "4857600\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_host_is_read_from_the_kernel(kernel: Path) -> None:
    """Limits come from the kernel's files, memory from the tightest of machine and container."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    found = read_host(kernel)

    assert found == Host(
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=100_000_000,
        files_soft=soft,
        files_hard=hard,
        files_max=9223372036854775807,
        ports=(1024, 65535),
        somaxconn=4096,
        syn_backlog=512,
        conntrack_max=262144,
    )
    assert 64_512 == found.port_count


def test_a_container_without_a_limit_has_the_machines_memory(kernel: Path) -> None:
    """The word max in a container's limit is none."""
    (kernel / "sys/fs/cgroup/memory.max").write_text("max\n")

    assert GIB == read_host(kernel).memory_bytes


def test_a_host_that_tells_nothing_is_read_all_the_same(tmp_path: Path) -> None:
    """Files that are not there leave the kernel's defaults or nothing."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1 kB\n")

    found = read_host(tmp_path)

    assert (None, (32_768, 60_999), None) == (found.memory_bytes, found.ports, found.somaxconn)


@pytest.fixture
def low_limit() -> Iterator[int]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_files_is_raised(low_limit: int) -> None:
    """The soft limit rises to what is wanted, where the hard one allows it."""
    assert 700 == raise_files(700)
    assert (700, low_limit) == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_the_limit_of_files_is_never_lowered(low_limit: int) -> None:
    """A limit above what is wanted stays."""
    assert 600 == raise_files(100)


def test_the_limit_of_files_ends_at_the_hard_one(low_limit: int) -> None:
    """What was got is told, also when it is less than what was wanted."""
    assert low_limit == raise_files(low_limit + 1)


def test_a_dry_run_shows_needs_beside_the_host() -> None:
    """The table has a row for each need, and one for each shortage with its remedy."""
    found = needs(100_000, cores=2, sources=40, duration=600.0, changes=12_000)
    shortage = [Shortage("soup", "cook"), Shortage("salt", "buy", is_fatal=False)]
    console = Console(width=160)

    with console.capture() as capture:
        console.print(limits.dry_run_table(found, replace(ROOMY, files_hard=None), shortage))

    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capture.get().splitlines()]
    assert [
        ["connections", "100,000", "fs.file-max 10,000,000"],
        ["source addresses", "40", ""],
        ["ports per source and target", "2,500", "28,232 (32768-60999)"],
        ["processes", "6 with 16,667 phones each", "2 cores"],
        ["open files per process", "17,167", "1,024, may be raised to no limit"],
        ["memory", "316 MB", "100 GB available"],
        ["duration", "10 min 00 s", ""],
        ["changes", "12,000", ""],
        ["missing", "soup", "cook"],
        ["warning", "salt", "buy"],
    ] == [row for row in rows if row and len(row) == 3]


@pytest.mark.parametrize(("memory", "text"), [(None, "unknown"), (512, "512 bytes available")])
def test_a_dry_run_shows_what_is_known_of_memory(memory: int | None, text: str) -> None:
    """Memory that could not be read is shown as unknown, not as none."""
    console = Console(width=160)

    with console.capture() as capture:
        host = replace(UNKNOWN, memory_bytes=memory)
        console.print(limits.dry_run_table(needs(1, cores=1), host, []))

    assert text in capture.get()
