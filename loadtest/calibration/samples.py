"""What was measured, before anything is fitted to it.

Each point is an amount and its cost; each number one repetition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtest.capacity.fit import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Bytes of HTTP in real messages between a phone and the gateway."""

    request: int
    """A Ping with its body."""
    terse: int
    """One without."""
    changed: int
    """The answer that names a folder."""
    over: int
    """The answer at the end of the interval."""


@dataclass(slots=True)
class Samples:
    """Everything that was measured; what is empty could not be."""

    nodes: list[Point] = field(default_factory=list)
    """Workers, and user memory of a gateway without phones, in bytes."""
    plain: list[Point] = field(default_factory=list)
    """Phones held, and the user memory that came with them, in bytes."""
    secure: list[Point] = field(default_factory=list)
    """The same where the gateway speaks TLS."""
    sockets: list[Point] = field(default_factory=list)
    """Sockets of both ends, and the kernel memory that came with them, in bytes."""
    parks: list[float] = field(default_factory=list)
    """CPU for each phone that came back, in microseconds."""
    slow_parks: list[float] = field(default_factory=list)
    """The same where they came at the low rate of those with TLS."""
    secure_parks: list[float] = field(default_factory=list)
    """The same with TLS."""
    idles: list[float] = field(default_factory=list)
    """CPU for each held phone in a second in which nothing happens, in microseconds."""
    cycles: list[float] = field(default_factory=list)
    """CPU for each Ping cycle at saturation, in microseconds."""
    wakes: list[float] = field(default_factory=list)
    """CPU for each change and the Ping cycle it makes, at low rates, in microseconds."""
    rates: tuple[float, ...] = ()
    """Changes a second at which that was measured, in one worker."""
    redis_wakes: list[float] = field(default_factory=list)
    """CPU of Redis for the same."""
    redis_cycles: list[float] = field(default_factory=list)
    """CPU of Redis for each Ping cycle without a change, in microseconds."""
    redis_alone: list[Point] = field(default_factory=list)
    """Phones that have a mailbox each, and the memory of Redis that came with them, in bytes."""
    redis_shared: list[Point] = field(default_factory=list)
    """The same where ``SHARED`` phones have a mailbox together."""
    exchange: Exchange | None = None
    max_files: int | None = None
    """Open files that a process may have."""
