"""From samples to the figures of the cost model.

Rules:
    1. A cost per piece is the slope of a line or the mean of repetitions, with 95 % error bars.
    2. A cost that is what remains of another one has the bars of both: their squares add up.
    3. What could not be measured is taken from another model, and its source says so.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from loadtest.capacity.fit import fit, mean
from loadtest.capacity.model import COSTS, Costs, Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtest.calibration.samples import Exchange, Samples
    from loadtest.capacity.fit import Point

SHARED: Final = 4
"""Phones of a mailbox where several share one."""
SEGMENT: Final = 52
"""Bytes of headers of a TCP segment: IPv4 20, TCP 20, timestamps 12."""
RECORD: Final = 22
"""Bytes that TLS 1.3 adds to a message: header 5, content type 1, tag 16."""
LONGER: Final = 20
"""Bytes that IPv6 adds to a segment."""
BORROWED: Final = "not measured here; "
"""Begins the source of a figure of another model."""
NEVER_MEASURED: Final = frozenset({"proxy_bytes_per_phone", "proxy_us_per_cycle"})
"""Costs of a program that is no part of this project."""


def derive(samples: Samples, *, where: str, fallback: Costs[Figure]) -> Costs[Figure]:
    """Fit all costs.

    Args:
        samples: What was measured.
        where: Machine and kernel: becomes part of each source.
        fallback: Costs to take for what was not measured.

    Raises:
        CostError: If there are samples of a kind, but too few of them.
    """
    found = {
        **dict(_memory(samples, where)),
        **dict(_cpu(samples, where)),
        **dict(_redis(samples, where)),
        **dict(_wire(samples.exchange)),
    }
    if samples.max_files is not None:
        source = f"hard limit of open files (RLIMIT_NOFILE), {where}"
        found["max_files_per_process"] = _exact(samples.max_files, "files", source)
    others = {name: _borrow(name, getattr(fallback, name)) for name in COSTS if name not in found}
    return Costs(**found, **others)


def combine(parts: Sequence[tuple[float, Figure]], *, source: str) -> Figure:
    """Add up figures with independent errors.

    Args:
        parts: A factor for each figure; negative ones take away.
        source: Of the sum.

    Returns:
        The sum with its bars, cut off at 0.
    """
    value = math.fsum(factor * one.value for factor, one in parts)
    error = math.sqrt(math.fsum((factor * (one.high - one.value)) ** 2 for factor, one in parts))
    value = max(value, 0.0)
    return Figure(value, max(value - error, 0.0), value + error, parts[0][1].unit, source)


def _memory(samples: Samples, where: str) -> Iterator[tuple[str, Figure]]:
    if samples.nodes:
        node, process = fit(samples.nodes, "bytes", of="workers", where=f"PSS, {where}")
        yield "node_bytes", replace(node, source=f"what no worker adds: {node.source}")
        yield "process_bytes", process
    held: dict[str, tuple[list[Point], str]] = {
        "phone_bytes_plain": (samples.plain, "held phones"),
        "phone_bytes_tls": (samples.secure, "held phones with TLS 1.3"),
    }
    for name, (points, of) in held.items():
        if points:
            yield name, fit(points, "bytes", of=of, where=f"anonymous memory, {where}")[1]
    if samples.sockets:
        of = "idle sockets, both ends"
        kernel = fit(samples.sockets, "bytes", of=of, where=f"slab, {where}")[1]
        if kernel.low > 0:  # else other programs came and went meanwhile
            yield "kernel_bytes_per_socket", kernel


def _cpu(samples: Samples, where: str) -> Iterator[tuple[str, Figure]]:
    measured = {
        "connect_us": (samples.parks, "arrivals of phones that came back, at full rate"),
        "idle_us": (samples.idles, "idle phases"),
        "cycle_us": (samples.cycles, "phases at saturation"),
    }
    found = {
        name: mean(values, "us", source=_mean_of(values, what, where))
        for name, (values, what) in measured.items()
        if values
    }
    yield from found.items()
    if samples.wakes and "cycle_us" in found:
        what = f"{_phases(samples.rates)}, less the cycle at saturation"
        source = _mean_of(samples.wakes, what, where)
        wake = mean(samples.wakes, "us", source=source)
        yield "change_us", combine([(1, wake), (-1, found["cycle_us"])], source=source)
    if samples.secure_parks and samples.slow_parks:
        what = "arrivals with TLS 1.3 and a P-256 key, less those without at the same rate"
        source = _mean_of(samples.secure_parks, what, where)
        with_tls = mean(samples.secure_parks, "us", source=source)
        without = mean(samples.slow_parks, "us", source=source)
        yield "handshake_us", combine([(1, with_tls), (-1, without)], source=source)


def _redis(samples: Samples, where: str) -> Iterator[tuple[str, Figure]]:
    if samples.redis_alone and samples.redis_shared:
        place = f"used_memory, {where}"
        alone = fit(samples.redis_alone, "bytes", of="new phones", where=place)[1]
        shared = fit(samples.redis_shared, "bytes", of="new phones", where=place)[1]
        source = f"from phones with a mailbox each and {SHARED} on one: {alone.source}"
        # alone = phone + mailbox, shared = phone + mailbox / SHARED
        part = 1 / (SHARED - 1)
        mailbox = [(1 + part, alone), (-1 - part, shared)]
        phone = [(1 + part, shared), (-part, alone)]
        yield "redis_bytes_per_mailbox", combine(mailbox, source=source)
        yield "redis_bytes_per_phone", combine(phone, source=source)
    if samples.redis_cycles and samples.redis_wakes:
        source = _mean_of(samples.redis_cycles, "phases of heartbeats that end", where)
        cycle = mean(samples.redis_cycles, "us", source=source)
        yield "redis_us_per_cycle", cycle
        what = f"{_phases(samples.rates)}, less a cycle without a change"
        source = _mean_of(samples.redis_wakes, what, where)
        wake = mean(samples.redis_wakes, "us", source=source)
        yield "redis_us_per_change", combine([(1, wake), (-1, cycle)], source=source)


def _wire(exchange: Exchange | None) -> Iterator[tuple[str, Figure]]:
    if exchange is None:
        return
    yield "request_bytes", _message(exchange.request, exchange.terse, "a Ping without a body")
    yield "answer_bytes", _message(exchange.changed, exchange.over, "status 1")


def _message(usual: int, least: int, what: str) -> Figure:
    """Add what TLS and TCP/IP put around a message, and the segment that acknowledges another."""
    return Figure(
        usual + RECORD + 2 * SEGMENT,
        min(usual, least) + 2 * SEGMENT,
        usual + RECORD + 2 * (SEGMENT + LONGER),
        "bytes",
        f"counted: {usual} of HTTP, TLS 1.3 record {RECORD}, TCP/IP headers {SEGMENT}, "
        f"acknowledgement {SEGMENT}; low: {what}, no TLS; high: IPv6",
    )


def _exact(value: float, unit: str, source: str) -> Figure:
    return Figure(value, value, value, unit, source)


def _borrow(name: str, figure: Figure) -> Figure:
    if name in NEVER_MEASURED or figure.source.startswith(BORROWED):
        return figure
    return replace(figure, source=BORROWED + figure.source)


def _phases(rates: Sequence[float]) -> str:
    return f"phases of {' and '.join(f'{rate:g}' for rate in rates)} changes/s in one worker"


def _mean_of(values: Sequence[float], what: str, where: str) -> str:
    return f"mean over {len(values)} {what}, {where}"
