"""Limits as the kernel tells them, and the limit of open files as the kernel takes it."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pushgw import host
from pushgw.room import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RAISE = """
import resource, sys
from pathlib import Path
from pushgw import host
hard = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
print(host.raise_files(Path(sys.argv[1])), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A root directory with the files of a kernel."""
    for name, text in {
        "proc/meminfo": "MemTotal:       2097152 kB\nMemAvailable:   1048576 kB\n",
        "proc/self/cgroup": "4:memory:/old\n0::/system.slice/pushgw.service\n",
        "proc/sys/fs/file-max": "9223372036854775807\n",
        "proc/sys/fs/nr_open": "1048576\n",
        "proc/sys/net/core/somaxconn": "4096\n",
        "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
        "proc/sys/net/ipv4/tcp_max_syn_backlog": "512\n",
        "proc/sys/net/ipv4/tcp_syncookies": "1\n",
        "proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
        "sys/fs/cgroup/system.slice/pushgw.service/memory.max": "104857600\n",
        "sys/fs/cgroup/system.slice/pushgw.service/memory.current": "4857600\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return tmp_path


@pytest.fixture
def soft_limit() -> Iterator[tuple[int, int]]:
    """The limits of this process, of which the soft one was lowered meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
    yield hard - 1, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_host_is_read_from_the_kernel(kernel: Path) -> None:
    """Each limit is that of its file, memory that of the tighter one of machine and group."""
    assert host.read(kernel) == Host(
        somaxconn=4096,
        syn_backlog=512,
        has_syncookies=True,
        conntrack_max=262_144,
        files_max=9_223_372_036_854_775_807,
        nr_open=1_048_576,
        ports=(32_768, 60_999),
        memory_bytes=100_000_000,
    )


def test_a_host_that_tells_nothing_is_unknown(tmp_path: Path) -> None:
    """Files that are not there leave nothing known."""
    assert Host() == host.read(tmp_path)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sys/fs/cgroup/system.slice/pushgw.service/memory.max", "max\n"),
        ("proc/self/cgroup", "4:memory:/old\n"),
    ],
)
def test_a_group_without_a_limit_has_the_machines_memory(
    kernel: Path, file: str, text: str
) -> None:
    """Without a limit of the control group the machine's memory is what there is."""
    (kernel / file).write_text(text, encoding="ascii")

    assert 1 << 30 == host.read(kernel).memory_bytes


def test_the_group_of_a_container_is_the_root(kernel: Path) -> None:
    """Inside a container the control group is the root of those that can be seen."""
    (kernel / "proc/self/cgroup").write_text("0::/\n", encoding="ascii")
    (kernel / "sys/fs/cgroup/memory.max").write_text("2000\n", encoding="ascii")
    (kernel / "sys/fs/cgroup/memory.current").write_text("3000\n", encoding="ascii")

    assert 0 == host.read(kernel).memory_bytes


def test_old_kernels_tell_no_available_memory(kernel: Path) -> None:
    """Memory of which only the total is told is unknown."""
    (kernel / "proc/meminfo").write_text("MemTotal: 1 kB\n", encoding="ascii")
    (kernel / "proc/self/cgroup").unlink()

    assert host.read(kernel).memory_bytes is None


def test_this_host_is_read() -> None:
    """The files of this machine's kernel are where they are looked for."""
    found = host.read()

    assert None not in {found.somaxconn, found.files_max, found.nr_open, found.memory_bytes}


def test_the_soft_limit_is_raised(soft_limit: tuple[int, int]) -> None:
    """This process may open as many files afterwards as its hard limit allows."""
    _, hard = soft_limit

    assert hard == host.raise_files()
    assert (hard, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_a_raised_limit_stays(soft_limit: tuple[int, int]) -> None:
    """Raising again changes nothing."""
    host.raise_files()

    assert soft_limit[1] == host.raise_files()


def raised(root: Path, hard: int) -> list[int]:
    """Raise in a process of its own, because nobody gets a hard limit back."""
    command = [sys.executable, "-c", RAISE, str(root), str(hard)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=20)
    return [int(word) for word in done.stdout.split()]


def test_no_more_than_the_kernel_opens(kernel: Path) -> None:
    """A hard limit above fs.nr_open is worth fs.nr_open."""
    (kernel / "proc/sys/fs/nr_open").write_text("300\n", encoding="ascii")

    assert [300, 300, 300] == raised(kernel, 400)


def test_no_limit_is_that_of_the_kernel(monkeypatch: pytest.MonkeyPatch, kernel: Path) -> None:
    """Where the limit is infinity, the kernel's own bound is what can be opened."""
    infinity = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: infinity)

    assert 1_048_576 == host.raise_files(kernel)
