"""The memory and CPU of a whole bench on one machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from loadtest.benching import whole_machine
from loadtest.benching.whole_machine import LowMemoryError, Machine, Roots, Watch
from tests.loadtest.samples import moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMINFO = """\
MemTotal:       24684084 kB
MemAvailable:    2000000 kB
Slab:             162304 kB
KernelStack:        1480 kB
PageTables:         2156 kB
HugePages_Total:       0
"""
SOCKSTAT = """\
sockets: used 14
TCP: inuse 7 orphan 0 tw 3 alloc 9 mem 4
UDP: inuse 1 mem 5
"""
ME = os.getpid()
GONE = 2**22 + 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with 2,000,000 KB to spare."""
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    (tmp_path / "proc/net/sockstat").write_text(SOCKSTAT)
    return tmp_path


@pytest.fixture
def child() -> Iterator[int]:
    """A program that has just started."""
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        one.stdout.readline()
        yield one.pid
        one.communicate(b"\n")


def test_a_machine_is_read(root: Path) -> None:
    """Memory is told in bytes, the kernel's from its three places, TCP's from its own line."""
    expected = Machine(
        available=2_000_000 * 1024,
        kernel=(162_304 + 1480 + 2156) * 1024,
        sockets=7,
        buffers=4 * os.sysconf("SC_PAGE_SIZE"),
    )

    assert expected == whole_machine.read(root)


def test_this_machine_is_read() -> None:
    """The machine that this runs on has memory to spare, and a kernel that takes some."""
    found = whole_machine.read()

    assert min(found.available, found.kernel) > 1 << 20


def test_the_leader_is_one_of_the_generator() -> None:
    """What leads the generator processes counts as one of them."""
    assert (ME, 7, 8) == whole_machine.generators([7, 8])


def test_programs_are_looked_at_and_weighed(root: Path, child: int) -> None:
    """Each program has its own figures, taken at the moment that the run showed last."""
    watch = Watch(Roots(gateway=child, valkey=child, generator=(ME, child)), root=root)
    watch.show(moment(phase="arriving", states={"held": 5}))
    watch.look()
    watch.weigh()
    (look,), (weighing,) = watch.looks, watch.weighings

    assert ("arriving", 5) == (look.phase, look.held) == (weighing.phase, weighing.held)
    assert 7 == look.machine.sockets
    assert 0 < look.cpu.gateway == look.cpu.valkey < look.cpu.generator
    assert 1 << 20 < weighing.memory.gateway < weighing.memory.generator
    assert weighing.memory.gateway == pytest.approx(weighing.memory.valkey, rel=0.1)
    assert 0 <= look.at <= weighing.at
    assert weighing.cpu.generator >= look.cpu.generator


def test_a_program_that_is_gone_weighs_nothing(root: Path) -> None:
    """A program that ended meanwhile does not end the watching: others see to that."""
    watch = Watch(Roots(gateway=GONE, valkey=GONE, generator=(GONE,)), root=root)
    watch.look()
    watch.weigh()

    assert (0, 0.0) == (watch.weighings[0].memory.gateway, watch.looks[0].cpu.gateway)


def test_too_little_memory_is_an_error(root: Path) -> None:
    """What is left, how many phones there are and what must be left is said in one line."""
    watch = Watch(Roots(gateway=GONE, valkey=GONE, generator=()), root=root, floor=2 << 30)
    watch.show(moment(states={"held": 1234}))
    watch.look()

    with pytest.raises(
        LowMemoryError, match=r"memory: 1\.91 GB available with 1,234 phones .* 2 G"
    ):
        watch.check()


def test_enough_memory_is_none(root: Path) -> None:
    """While there is memory, nothing happens."""
    watch = Watch(Roots(gateway=GONE, valkey=GONE, generator=()), root=root)
    watch.look()

    watch.check()


async def test_a_watch_goes_on_until_the_end() -> None:
    """The programs are read before anything else, and again and again until the block ends."""
    roots = Roots(gateway=ME, valkey=ME, generator=(ME,))
    async with whole_machine.watch(roots, look_every=0.005, weigh_every=0.005) as watch:
        before = len(watch.looks), len(watch.weighings)
        async with asyncio.timeout(5):
            while len(watch.looks) < 3 or len(watch.weighings) < 2:  # noqa: ASYNC110 - a thread's
                await asyncio.sleep(0.005)
    after = len(watch.looks)
    await asyncio.sleep(0.03)

    assert (1, 1) == before
    assert len(watch.looks) <= after + 1  # a thread may just be reading


async def test_a_watch_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that cannot be read any more is told when the block ends."""
    asked = threading.Event()

    def fail(_root: Path) -> Machine:
        asked.set()
        raise OSError("gone")

    async def watch() -> None:
        roots = Roots(gateway=GONE, valkey=GONE, generator=())
        async with whole_machine.watch(roots, look_every=0.001):
            monkeypatch.setattr(whole_machine, "read", fail)
            async with asyncio.timeout(5):
                while not asked.is_set():  # noqa: ASYNC110 - a thread's
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.02)

    with pytest.raises(OSError, match="gone"):
        await watch()


def test_nothing_is_weighed_while_changes_are_timed() -> None:
    """Weighing waits for the end of the timed phase, and happens as soon as that is over."""
    watch = Watch(Roots(gateway=ME, valkey=ME, generator=()))
    watch.show(moment(1.0, phase="running", states={"held": 3}))
    watch.weigh_untimed()
    before = len(watch.weighings)
    watch.show(moment(2.0, phase="settling", states={"held": 3}))

    assert (0, [("settling", 3)]) == (before, [(one.phase, one.held) for one in watch.weighings])
