"""A million held Pings on one machine: what it takes, what it came to, what is asked of it.

Everything scales with the number of phones and the length of the hold: changes with the phones,
heartbeats with the length of the whole run, so that as many of them end in a small one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from loadtest import limits
from loadtest.benching.rows import Measured, Row, Sample
from loadtest.judging.validity import PUBLISHED
from loadtest.profiles import reading
from loadtest.targets import parse_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loadtest.benching.whole_machine import Look, Machine, Programs, Weighing
    from loadtest.figures import Figures
    from loadtest.limits import Host, Needs
    from loadtest.profiles.profile import Profile
    from loadtest.result import Moment

PRESET: Final = "million"
SOURCES: Final = parse_source("127.0.1.0/24")
"""Addresses that phones come from: with ports to spare, the kernel finds a free one at once."""
PHONE_BYTES: Final = 16 * 1024
"""Memory of the whole machine for each phone: both of its sockets, gateway, Valkey, generator.
Measured with 100,000 phones: 15.2 KB."""
WORKER_BYTES: Final = 10 << 20
"""User memory of a worker of the gateway without phones."""
LEAST_HEARTBEAT: Final = 5
"""Seconds of a Ping in a small run: the gateway may answer up to 2 s early."""
SPREAD: Final = 3.0
"""Standard deviations that a worker has room for: the kernel spreads connections by a hash."""
WHOLE_GB: Final = 20.0
"""Memory of the whole machine that a million phones may take."""
P99_MS: Final = 250.0
MINUTES: Final = 30.0
_KB: Final = 1024
_GB: Final = 1 << 30
_MS: Final = 1e3
_US: Final = 1e6
_MINUTE: Final = 60
_PERCENT: Final = 100
_STRAY: Final = 0.02
"""Sockets of others, such as a shell's, for each phone, that change no figure."""
_RUNNING: Final = "running"
_BEFORE: Final = ("", "arriving")
"""Phases in which phones come."""
_NAMES: Final = ("", "redis_", "load_")
"""What the keys of the rows on gateway, Valkey and generator begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run came to."""

    profile: Profile
    before: Machine
    """Before anything was started."""
    looks: tuple[Look, ...]
    weighings: tuple[Weighing, ...]
    moments: tuple[Moment, ...]
    hold: Figures
    """Of the hold alone."""
    errors: Mapping[str, int]
    """What phones saw in the whole run, by kind."""
    arrived: float
    """Seconds until all phones were held."""
    seconds: float
    """Of the whole run."""
    invalid: tuple[str, ...]
    """Why the generator, and not the server, made the figures."""


def load(
    *, devices: int | None = None, hold: float | None = None, rate: float | None = None
) -> Profile:
    """Return the load.

    Args:
        devices: Phones; a million if not said.
        hold: Seconds; ten minutes if not said.
        rate: Changes a second; as many for each phone as with a million if not said.

    Raises:
        ProfileError: If a number is out of its range.
    """
    full = reading.find(PRESET)
    found = full.resized(devices=devices, duration=hold)
    per_phone = full.changes.rate / full.devices
    found = found.resized(rate=per_phone * found.devices if rate is None else rate)
    scale = min(1.0, found.planned / full.planned)
    groups = tuple(replace(one, heartbeat=_scaled(one.heartbeat, scale)) for one in found.groups)
    return replace(found, groups=groups)


def _scaled(heartbeat: tuple[int, int], scale: float) -> tuple[int, int]:
    low, high = (max(LEAST_HEARTBEAT, round(seconds * scale)) for seconds in heartbeat)
    return low, high


def workers(devices: int, host: Host) -> int:
    """Return the workers that the gateway needs: one for each core, and for each full process."""
    room = host.max_phones - SPREAD * math.sqrt(host.max_phones)
    return max(host.cores, math.ceil(devices / max(1.0, room)))


def needs(profile: Profile, host: Host) -> Needs:
    """Work out what a run needs of this host, gateway and kernel included."""
    found = limits.needs(
        profile.devices,
        cores=host.cores,
        sources=len(SOURCES),
        max_phones=host.max_phones,
        duration=profile.duration,
        changes=round(profile.changes.rate * profile.duration),
    )
    processes = found.processes * limits.PROCESS_BYTES
    servers = workers(profile.devices, host) * WORKER_BYTES
    return replace(found, memory_bytes=profile.devices * PHONE_BYTES + processes + servers)


def rows(profile: Profile) -> tuple[Row, ...]:
    """Return the figures, with what is asked of them."""
    devices, rate = profile.devices, profile.changes.rate
    return (
        Row(key="held_first", title="phones held at the start of the hold", at_least=devices),
        Row(key="held_least", title="phones held at the worst moment of it", at_least=devices),
        Row(key="held_last", title="phones held at its end", at_least=devices),
        Row(key="held_told", title="phones held, as the gateway tells"),
        Row(key="arrive_s", title="time until all were held", unit="s"),
        Row(key="first_us", title="CPU per phone that came: gateway", unit="us"),
        Row(key="redis_first_us", title="CPU per phone that came: Valkey", unit="us"),
        Row(key="load_first_us", title="CPU per phone that came: generator", unit="us"),
        Row(key="rate", title="changes published", unit="/s", at_least=rate * PUBLISHED),
        Row(key="lost", title="changes lost", limit=0.0),
        Row(key="errors", title="errors that phones saw", limit=0.0),
        Row(key="p50_ms", title="change to answer, p50", unit="ms"),
        Row(key="p99_ms", title="change to answer, p99", unit="ms", limit=P99_MS),
        Row(key="p999_ms", title="change to answer, p99.9", unit="ms"),
        Row(key="max_ms", title="change to answer, max", unit="ms"),
        Row(key="woken", title="Pings answered by a change"),
        Row(key="lasted", title="Pings answered because their heartbeat was over"),
        Row(key="overdue", title="Pings answered after their heartbeat was over"),
        Row(key="held_kb", title="user memory per held Ping: gateway", unit="KB"),
        Row(key="redis_kb", title="user memory per held Ping: Valkey", unit="KB"),
        Row(key="load_kb", title="user memory per held Ping: generator", unit="KB"),
        Row(key="kernel_kb", title="memory per held Ping: kernel, both ends", unit="KB"),
        Row(key="whole_gb", title="memory of the whole machine", unit="GB", limit=WHOLE_GB),
        Row(key="cpu", title="CPU in the hold: gateway", unit="%"),
        Row(key="redis_cpu", title="CPU in the hold: Valkey", unit="%"),
        Row(key="load_cpu", title="CPU in the hold: generator", unit="%"),
        Row(key="minutes", title="length of the whole run", unit="min", limit=MINUTES),
    )


def doubts(found: Found) -> tuple[str, ...]:
    """Tell why figures of a run may be others' than the gateway's, one line each."""
    most = max(one.machine.sockets for one in found.looks) - found.before.sockets
    strangers = most - 2 * found.profile.devices  # a connection has both of its ends here
    if strangers <= found.profile.devices * _STRAY:
        return found.invalid
    text = (
        f"{strangers:,} TCP sockets of others were opened meanwhile: memory and CPU are theirs too"
    )
    return (*found.invalid, text)


def measured(found: Found) -> Measured:
    """Return the figures of a run by the keys of the rows."""
    figures = {
        "arrive_s": found.arrived,
        "errors": float(sum(found.errors.values())),
        "minutes": found.seconds / _MINUTE,
        **dict(_held(found)),
        **_cycle(found),
        **_whole(found),
        **_weighed(found.weighings),
        **_cpu(found),
    }
    arriving = [one for one in found.weighings if one.phase in _BEFORE]
    samples = [Sample(one.held, int(one.memory.gateway), one.cpu.gateway) for one in arriving]
    return Measured("gateway", figures, samples, found.hold.histogram("notify"))


def _held(found: Found) -> Iterator[tuple[str, float]]:
    # The phase begins when nearly all are held; the clock, and with it the hold, after the rest.
    began_at, moments = found.arrived + found.profile.settle, found.moments
    running = [one for one in moments if one.phase == _RUNNING and one.at >= began_at]
    held = [float(one.held) for one in running]
    if held:
        yield "held_first", held[0]
        yield "held_least", min(held)
        yield "held_last", held[-1]
    told = [one.gateway.held for one in moments if one.gateway.held is not None]
    if told:
        yield "held_told", float(told[-1])


def _cycle(found: Found) -> dict[str, float]:
    hold = found.hold
    counts, notify = hold.counts, hold.latency("notify")
    overdue = hold.histogram("heartbeat_late").count
    lasted = hold.histogram("heartbeat_early").count + overdue + counts["cut_short"]
    return {
        "rate": counts["published"] / found.profile.duration,
        "lost": float(counts["missed"]),
        "p50_ms": notify.p50 * _MS,
        "p99_ms": notify.p99 * _MS,
        "p999_ms": notify.p999 * _MS,
        "max_ms": notify.max * _MS,
        "woken": float(counts["pings"] - lasted),
        "lasted": float(lasted),
        "overdue": float(overdue),
    }


def _whole(found: Found) -> dict[str, float]:
    before, machines = found.before, [one.machine for one in found.looks]
    kernel = max(one.kernel for one in machines) - before.kernel
    whole = before.available - min(one.available for one in machines)
    return {"kernel_kb": kernel / found.profile.devices / _KB, "whole_gb": whole / _GB}


def _weighed(weighings: Sequence[Weighing]) -> dict[str, float]:
    """Return the user memory of a phone, as the first weighing after the hold found it."""
    full = next((one for one in weighings if one.phase not in (*_BEFORE, _RUNNING)), None)
    if full is None or not full.held:
        return {}
    empty = weighings[0].memory
    grown = {
        "held_kb": full.memory.gateway - empty.gateway,
        "redis_kb": full.memory.valkey - empty.valkey,
        "load_kb": full.memory.generator - empty.generator,
    }
    return {key: size / full.held / _KB for key, size in grown.items()}


def _cpu(found: Found) -> dict[str, float]:
    """Return what a new phone took, and what each program took in the hold."""
    hold = [one for one in found.looks if one.phase == _RUNNING]
    if not hold:
        return {}
    empty, first, last = found.looks[0], hold[0], hold[-1]
    come, passed = _used(empty.cpu, first.cpu), last.at - first.at
    figures = {
        f"{name}first_us": used / found.profile.devices * _US
        for name, used in zip(_NAMES, come, strict=True)
    }
    if passed:
        for name, used in zip(_NAMES, _used(first.cpu, last.cpu), strict=True):
            figures[f"{name}cpu"] = used / passed * _PERCENT
    return figures


def _used(before: Programs, after: Programs) -> tuple[float, float, float]:
    """Return the difference of gateway, Valkey and generator."""
    return (
        after.gateway - before.gateway,
        after.valkey - before.valkey,
        after.generator - before.generator,
    )
