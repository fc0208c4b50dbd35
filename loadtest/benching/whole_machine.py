"""Watches the memory and the CPU of a whole bench on one machine: its programs and the kernel.

Rules:
    1. What the machine lost of its available memory is the figure that nothing escapes from; the
       parts say who has it.
    2. The kernel walks all pages of a process for its memory, so the programs are weighed rarely,
       and by a thread; everything else is read every few seconds.
    3. A machine that runs out of memory kills what it likes: the bench ends before that.
"""

from __future__ import annotations

import asyncio
import mmap
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest import process
from loadtest.wording import size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from loadtest.result import Moment

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at the machine and at the CPU time of the programs."""
WEIGH_EVERY: Final = 60.0
"""Seconds between two weighings. One takes a second with 108 processes, and keeps each of them from
its work meanwhile: seen as 500 ms at the 99th percentile of a million phones' latencies. So none is
made while changes are timed; the first one after that finds all phones still held."""
TIMED: Final = "running"
"""The phase in which changes are timed."""
FLOOR: Final = 3 << 29
"""Bytes of available memory below which a bench ends: 1.5 GB."""
_KERNEL: Final = ("Slab", "KernelStack", "PageTables")


class LowMemoryError(RuntimeError):
    """The machine has too little memory left to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the kernel tells of the whole machine at one moment; in bytes, but for the sockets."""

    available: int
    """Memory that programs may still take."""
    kernel: int
    """Memory of the kernel's own objects, those of sockets among them, of its stacks and of page
    tables."""
    sockets: int
    """TCP sockets in use: a connection within the machine has two."""
    buffers: int
    """Memory of TCP's queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """A figure of each program."""

    gateway: float
    """With all its processes."""
    valkey: float
    generator: float
    """All generator processes, and the one that leads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The machine and its programs at one moment of a run."""

    at: float
    """Seconds since the watching began."""
    phase: str
    """Of the run; empty before it began."""
    held: int
    machine: Machine
    cpu: Programs
    """CPU seconds used since each program started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """The user memory of the programs at one moment of a run."""

    at: float
    """Seconds since the watching began."""
    phase: str
    """Of the run; empty before it began."""
    held: int
    memory: Programs
    """Bytes (PSS)."""
    cpu: Programs
    """CPU seconds used since each program started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Whose figures are read."""

    gateway: int
    """Root of its process tree."""
    valkey: int
    generator: tuple[int, ...]


class Watch:
    """Looks and weighs again and again. Open one with ``watch``.

    Args:
        roots: The programs.
        floor: Bytes of available memory below which ``check`` raises.
        root: Where proc is.
    """

    def __init__(self, roots: Roots, *, floor: int = FLOOR, root: Path = Path("/")) -> None:
        self.looks: list[Look] = []
        self.weighings: list[Weighing] = []
        """The first of both is that of the programs before the run."""
        self._roots = roots
        self._floor = floor
        self._root = root
        self._began_at = monotonic()
        self._phase = ""
        self._held = 0

    def show(self, moment: Moment) -> None:
        """Take the state of the run; weighs as soon as changes are timed no more."""
        was_timed, self._phase, self._held = self._phase == TIMED, moment.phase, moment.held
        if was_timed and moment.phase != TIMED:
            self.weigh()

    def check(self) -> None:
        """Do nothing while there is memory.

        Raises:
            LowMemoryError: If the last look found too little.
        """
        available = self.looks[-1].machine.available
        if available < self._floor:
            raise LowMemoryError(
                f"memory: {size(available)} available with {self._held:,} phones held, at least "
                f"{size(self._floor)} must stay: --devices with fewer, or free some"
            )

    def look(self) -> None:
        """Read the machine, and the CPU time of the programs."""
        at, phase, held = self._now(), self._phase, self._held
        machine = read(self._root)
        self.looks.append(Look(at=at, phase=phase, held=held, machine=machine, cpu=self._cpu()))

    def weigh_untimed(self) -> None:
        """Weigh unless changes are timed."""
        if self._phase != TIMED:
            self.weigh()

    def weigh(self) -> None:
        """Read the user memory of the programs, and their CPU time."""
        roots, at, phase, held = self._roots, self._now(), self._phase, self._held
        memory = Programs(
            gateway=process.memory_bytes(roots.gateway) or 0,
            valkey=process.pss_many((roots.valkey,)),
            generator=process.pss_many(roots.generator),
        )
        self.weighings.append(
            Weighing(at=at, phase=phase, held=held, memory=memory, cpu=self._cpu())
        )

    def _cpu(self) -> Programs:
        roots = self._roots
        return Programs(
            gateway=process.cpu_seconds(roots.gateway) or 0.0,
            valkey=process.cpu_many((roots.valkey,)),
            generator=process.cpu_many(roots.generator),
        )

    def _now(self) -> float:
        return monotonic() - self._began_at


@asynccontextmanager
async def watch(
    roots: Roots,
    *,
    look_every: float = LOOK_EVERY,
    weigh_every: float = WEIGH_EVERY,
    floor: int = FLOOR,
) -> AsyncIterator[Watch]:
    """Watch the machine until the end.

    Args:
        roots: The programs, which run by now.
        look_every: Seconds between looks.
        weigh_every: Seconds between weighings.
        floor: Bytes of available memory below which ``Watch.check`` raises.
    """
    found = Watch(roots, floor=floor)
    found.look()
    found.weigh()
    tasks = [
        asyncio.create_task(_repeat(found.look, look_every)),
        asyncio.create_task(_repeat(found.weigh_untimed, weigh_every)),
    ]
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()  # it failed: nothing else ends it


async def _repeat(work: Callable[[], None], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        await asyncio.to_thread(work)


def generators(pids: Iterable[int]) -> tuple[int, ...]:
    """Return the processes of the generator: those forked, and this one, which leads them."""
    return (os.getpid(), *pids)


def read(root: Path = Path("/")) -> Machine:
    """Read the state of this machine.

    Args:
        root: Where proc is.
    """
    memory = _memory((root / "proc/meminfo").read_text("ascii"))
    tcp = _tcp((root / "proc/net/sockstat").read_text("ascii"))
    return Machine(
        available=memory["MemAvailable"],
        kernel=sum(memory[name] for name in _KERNEL),
        sockets=tcp["inuse"],
        buffers=tcp["mem"] * mmap.PAGESIZE,
    )


def _memory(text: str) -> dict[str, int]:
    """Return the bytes of each line with an amount. Source: proc_meminfo(5)."""
    lines = (line.split() for line in text.splitlines() if line.endswith(" kB"))
    return {name.rstrip(":"): int(amount) * 1024 for name, amount, _ in lines}


def _tcp(text: str) -> dict[str, int]:
    """Return the fields of the line on TCP; its memory is in pages. Source: proc(5)."""
    (line,) = (line for line in text.splitlines() if line.startswith("TCP:"))
    words = line.split()[1:]
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))
