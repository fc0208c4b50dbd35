"""What ``loadtest bench`` measures, and what it asks of the gateway.

Limits are those that the gateway promises; the ratios to rivals hold within a run, since all that
runs in it shares its machine and its moment.
"""

from __future__ import annotations

from loadtest.benching.rows import Row


def rows(devices: int) -> tuple[Row, ...]:
    """Return the rows of a bench in the order of its table.

    Args:
        devices: Phones that each server must hold.
    """
    return (
        *_held(devices),
        *_costs(),
        *_latencies(),
        *_bursts(),
        *_generator(),
    )


def _held(devices: int) -> tuple[Row, ...]:
    return (
        Row(key="new", title="new phones held", at_least=devices),
        Row(key="held", title="phones held", at_least=devices),
        Row(
            key="held_kb",
            title="user memory per held Ping",
            unit="KB",
            limit=2.5,
            ratios={"nchan": 0.25},
        ),
        Row(key="redis_kb", title="beside it: Valkey's", unit="KB"),
        Row(key="tls_kb", title="user memory per held Ping, TLS", unit="KB", limit=25),
        Row(key="empty_mb", title="empty server", unit="MB"),
    )


def _costs() -> tuple[Row, ...]:
    return (
        Row(key="first_us", title="CPU per new phone", unit="us"),
        Row(key="park_us", title="CPU per accept and hold, paced", unit="us"),
        Row(
            key="storm_us",
            title="CPU per accept and hold, storm",
            unit="us",
            limit=180,
            ratios={"aiohttp": 0.5},
        ),
        Row(
            key="wake_us",
            title="CPU per wake and next Ping",
            unit="us",
            ratios={"aiohttp": 0.6},
        ),
        Row(
            key="cycle_us",
            title="saturation: CPU per cycle",
            unit="us",
            limit=150,
            ratios={"aiohttp": 0.45},
        ),
        Row(key="cycles_per_s", title="saturation: cycles/s"),
        Row(key="busy", title="saturation: server busy", unit="%"),
        Row(key="redis_us", title="saturation: Valkey CPU per cycle", unit="us"),
        Row(key="forgotten", title="saturation: not answered in 3 s"),
        Row(key="idle_us", title="idle CPU per second and phone", unit="us", limit=1),
        Row(key="gc_ms", title="longest garbage collection", unit="ms", limit=20),
    )


def _latencies() -> tuple[Row, ...]:
    return (
        Row(key="lost", title="lost changes", limit=0),
        Row(key="p50_ms", title="latency p50", unit="ms", limit=0.8),
        Row(key="p99_ms", title="latency p99", unit="ms", limit=2.5),
        Row(key="p999_ms", title="latency p99.9", unit="ms", limit=8),
        Row(key="max_ms", title="latency max", unit="ms"),
    )


def _bursts() -> tuple[Row, ...]:
    return (
        Row(key="burst_each_s", title="all woken, a mailbox each", unit="s", limit=0.8),
        Row(key="burst_shared_s", title="all woken, one mailbox", unit="s", limit=0.8),
        Row(key="asleep", title="not woken by a burst", limit=0),
    )


def _generator() -> tuple[Row, ...]:
    return (
        Row(key="gen_kb", title="generator: memory per phone", unit="KB", limit=2.5),
        Row(key="gen_us", title="generator: CPU per cycle", unit="us", limit=80),
    )
