"""How big ``loadtest bench-100k`` is, what it measures, and what it asks of the gateway.

Everything scales with the number of phones: a tenth of them is the small crowd that the cost of a
change is compared with, and usually a hundredth of their mailboxes changes in a second.

Times are those of a clock on the wall. Gateway and generator are two processes for each 17,000
phones and share the cores, so a latency, a garbage collection or a restart has what a process
waited for a core in it; CPU has not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtest.benching.rows import Row, figure, judge
from loadtest.benching.size import MOST_CHANGES
from loadtest.serving import PHONES_PER_WORKER, WORKERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtest.benching.rows import Measured

DEVICES: Final = 100_000
"""Phones, if nobody says otherwise."""
LEAST: Final = 100
"""Phones: fewer would not fall on all workers."""
FEW: Final = 10
"""The small crowd is this part of all phones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How big a bench is.

    Raises:
        ValueError: If a number is out of its range.
    """

    devices: int = DEVICES
    rate: float = 1_000.0
    """Changes a second."""
    few_seconds: float = 20.0
    """Length of the changes with the small crowd."""
    seconds: float = 30.0
    """Length of the changes with all phones."""
    idle: float = 20.0
    """Seconds without changes, all phones held."""
    drain: float = 5.0
    """Seconds over which the gateway's end spreads its answers: fewer than the 20 that it takes by
    default, so that all phones come back at once."""
    rest: float = 3.0
    """Seconds after phones came or went before anything is measured."""

    def __post_init__(self) -> None:
        if self.devices < LEAST:
            raise ValueError(f"devices is {self.devices}, at least {LEAST} are allowed")
        most = self.few * MOST_CHANGES
        if not 0 < self.rate <= most:
            raise ValueError(
                f"rate is {self.rate:g} changes a second, more than 0 and at most {most:g} is "
                f"allowed with {self.devices} phones"
            )

    @property
    def few(self) -> int:
        """Phones of the small crowd, and of a wave in which phones come."""
        return self.devices // FEW

    @property
    def processes(self) -> int:
        """Workers of the gateway, and load processes."""
        return max(WORKERS, -(-self.devices // PHONES_PER_WORKER))


def rows(size: Size) -> tuple[Row, ...]:
    """Return the rows of a bench in the order of its table."""
    return (*_held(size), *_changes(size), *_restart(size), *_busy())


def missed(size: Size, measured: Measured) -> Iterator[str]:
    """Yield a line for each row that asks for phones which were missing."""
    for one in judge(rows(size), measured, []):
        if one.row.at_least is not None and not one.is_reached:
            yield f"invalid: {one.row.title}: {figure(one.found, one.row.unit)}, {one.asked} asked"


def _held(size: Size) -> tuple[Row, ...]:
    return (
        Row(key="new", title="new phones held", at_least=size.devices),
        Row(key="first_us", title="CPU per new phone", unit="us"),
        Row(key="held", title="phones held", at_least=size.devices),
        Row(key="held_told", title="as the gateway tells"),
        Row(key="held_kb", title="user memory per held Ping", unit="KB", limit=2.5),
        Row(key="redis_kb", title="beside it: Valkey's", unit="KB"),
        Row(key="empty_mb", title="empty gateway", unit="MB"),
        Row(key="park_us", title="CPU per accept and hold, paced", unit="us"),
        Row(key="idle_us", title="idle CPU per second and phone", unit="us", limit=1),
        Row(key="balance", title="held by the fullest worker, of the mean", limit=1.15),
    )


def _changes(size: Size) -> tuple[Row, ...]:
    change = "CPU per change"
    return (
        Row(key="lost", title="lost changes", limit=0),
        Row(key="p50_ms", title="latency p50", unit="ms"),
        Row(key="p99_ms", title="latency p99", unit="ms", limit=25),
        Row(key="p999_ms", title="latency p99.9", unit="ms"),
        Row(key="max_ms", title="latency max", unit="ms", limit=250),
        Row(key="wake_us_10k", title=f"{change}, {size.few:,} held", unit="us"),
        Row(key="wake_us_100k", title=f"{change}, {size.devices:,} held", unit="us"),
        Row(key="wake_growth", title="the latter by the former", limit=1.2),
        Row(key="full_gc_ms", title="full garbage collection, longest", unit="ms", limit=20),
        Row(key="gc_ms", title="longest pause for one, waiting included", unit="ms"),
    )


def _restart(size: Size) -> tuple[Row, ...]:
    return (
        Row(key="stop_s", title="restart: the end, drain included", unit="s"),
        Row(key="ready_s", title="restart: ready again, since it began", unit="s"),
        Row(key="back_s", title="restart: all held again, since ready", unit="s", limit=30),
        Row(key="back", title="restart: phones held again", at_least=size.devices),
        Row(key="refused", title="restart: refused or reset, not ready"),
        Row(key="paced", title="restart: HTTP 503"),
        Row(key="other_errors", title="restart: other errors", limit=0),
    )


def _busy() -> tuple[Row, ...]:
    return (
        Row(key="cpu", title="under changes: gateway's CPU", unit="%"),
        Row(key="redis_cpu", title="under changes: Valkey's", unit="%"),
        Row(key="load_cpu", title="under changes: generator's", unit="%"),
        Row(key="lag_ms", title="under changes: generator late, p99", unit="ms"),
    )
