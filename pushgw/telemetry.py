"""What the gateway tells about itself: the names of all metrics, and the log.

Rules:
    1. A metric exists once, here. `METRICS` is the table that the deploy documents print.
    2. A metric can be added up over workers, for one scrape covers a node; so no averages.
    3. Labels come from closed sets: a phone must not be able to grow a metric.
    4. A log event is a fixed snake_case word with facts as keys. No address, no body, no password,
       and a mailbox only as its `user_hash`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import hashlib
import json
import logging
import os
import secrets
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, NotRequired, TypedDict

import orjson
import structlog
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from pushgw.eas.commands import COMMANDS
from pushgw.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack

    from structlog.typing import EventDict, FilteringBoundLogger, Processor

Format = Literal["auto", "console", "json"]
"""How events are printed; ``auto`` is ``console`` on a terminal, otherwise ``json``."""

METRICS: Final[list[Named]] = []
"""All metrics, in the order of this file."""

_log: FilteringBoundLogger = structlog.get_logger()
_hot: Final[list[FilteringBoundLogger]] = [_log]
"""The same, bound when the log is configured: that saves 3 of 13 us on the way of each request."""
_processors: Final[list[Processor]] = []
"""One list for good, because a bound logger keeps the list that it was made with."""


@dataclass(frozen=True, slots=True)
class Named:
    """One metric as the documents list it."""

    name: str
    """As a scrape spells it, without the suffixes of a histogram's series."""
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    """One sentence."""


# The time of a series' birth would double the series of a scrape, and no query of ours asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it without types


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    METRICS.append(Named(name, "counter", labels, meaning))
    return Counter(name, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    METRICS.append(Named(name, "gauge", labels, meaning))
    return Gauge(name, meaning, labels)


def _histogram(name: str, meaning: str, buckets: Iterable[float]) -> Histogram:
    METRICS.append(Named(name, "histogram", (), meaning))
    return Histogram(name, meaning, buckets=tuple(buckets))


HELD_PINGS: Final = _gauge("pushgw_held_pings", "Pings and waiting Syncs held at this moment.")
HELD_PER_WORKER: Final = _gauge(
    "pushgw_held_pings_per_worker", "The same for each worker: they should differ little.", "worker"
)
ROOM_PINGS: Final = _gauge(
    "pushgw_room_pings", "Pings that can be held at most, by the limits of open files."
)
FULL_WORKERS: Final = _gauge(
    "pushgw_full_workers",
    "Workers that accept no connection because they have no file left for it.",
)
PINGS: Final = _counter("pushgw_pings_total", "Pings answered, by the status they got.", "status")
NOTIFY_LATENCY: Final = _histogram(
    "pushgw_notify_latency_seconds",
    "From the record of a change to the write of the answer that reports it.",
    # Dense around the promise of 5 ms; beyond a minute a change was not notified but caught up.
    (
        *(0.00025, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075),
        *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    ),
)
HEARTBEAT: Final = _histogram(
    "pushgw_heartbeat_seconds",
    "Heartbeat intervals that phones asked for.",
    (60, 120, 180, 240, 300, 480, 600, 780, 900, 1200, 1500, 1800, 2400, 3000, 3540),
)
CONNECTIONS: Final = _gauge("pushgw_connections", "Open connections of phones.")
REQUESTS: Final = _counter(
    "pushgw_requests_total",
    "Requests answered, by EAS command and HTTP status code.",
    *("command", "code"),
)
WAKES: Final = _counter("pushgw_wakes_total", "Pings ended, by what ended them.", "reason")
REFUSED: Final = _counter("pushgw_refused_total", "Requests turned away, by cause.", "reason")
GC_PAUSE: Final = _histogram(
    "pushgw_gc_pause_seconds",
    "Collections of cyclic garbage, during which a worker does nothing else.",
    (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0),
)
REDIS_CONNECTED: Final = _gauge("pushgw_redis_connected", "Workers whose subscription is up.")
REDIS_RECONNECTS: Final = _counter(
    "pushgw_redis_reconnects_total", "Subscriptions to Redis that had to be made anew."
)
LOOP_LAG: Final = _histogram(
    "pushgw_loop_lag_seconds",
    "How late the ticker of a worker came, four times a second.",
    (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
)
WORKERS: Final = _gauge(
    "pushgw_workers",
    "Workers by what they do: serving, draining, silent; only the admin process knows.",
    "state",
)
LOG_LINES_LOST: Final = _counter(
    "pushgw_log_lines_lost_total", "Log lines given up because the stream did not take them."
)

PINGS_BY_STATUS: Final = {status: PINGS.labels(str(status)) for status in range(1, 9)}
"""Resolved children of `PINGS`: looking one up by its label costs three times its increment."""
WAKES_BY_REASON: Final = {
    reason: WAKES.labels(reason)
    for reason in (
        *("change", "heartbeat", "hierarchy", "superseded"),
        *("interrupted", "drain", "balance", "terms", "disconnect"),
    )
}
"""Resolved children of `WAKES`: the reasons of `pushgw.session`, and a phone that hung up."""

_COMMANDS: Final = frozenset((*COMMANDS, "OPTIONS"))
_HASH_KEY: Final = secrets.token_bytes(16)


class Facts(TypedDict):
    """What is known of an answered request."""

    mailbox: str
    """Raw; only its hash is logged. Empty while nobody has logged in."""
    device: str
    """DeviceId, as the phone spells it."""
    command: str
    """Name of the EAS command, or ``"OPTIONS"``."""
    code: int
    """HTTP status code."""
    status: NotRequired[int | None]
    """Status in the answer's document, if it has one."""
    held_seconds: NotRequired[float]
    """How long the request was held; 0 if it was answered at once."""
    reason: NotRequired[str | None]
    """What ended the Ping, or why the request was refused: a word of ours, never of the phone."""


def answered(**facts: Unpack[Facts]) -> None:
    """Log and count one answered request; to be called exactly once for each.

    It writes the event ``answered`` and counts in `REQUESTS`; a Ping whose answer has a status also
    in `PINGS` and `WAKES`.
    """
    mailbox, command, code = facts["mailbox"], facts["command"], facts["code"]
    status, reason = facts.get("status"), facts.get("reason")
    _requests(command, code).inc()
    if command == "Ping" and status is not None:
        (PINGS_BY_STATUS.get(status) or PINGS.labels(str(status))).inc()
        if reason:
            (WAKES_BY_REASON.get(reason) or WAKES.labels(reason)).inc()
    _hot[0].info(
        "answered",
        user=mailbox and user_hash(mailbox),
        device=facts["device"],
        command=command,
        status=status,
        code=code,
        held_seconds=round(facts.get("held_seconds", 0.0), 3),
        reason=reason,
    )


def abandoned(*, mailbox: str, device: str, held_seconds: float) -> None:
    """Log and count one held Ping whose phone hung up, so that nothing was answered."""
    WAKES_BY_REASON["disconnect"].inc()
    held_seconds = round(held_seconds, 3)
    _log.info("abandoned", user=user_hash(mailbox), device=device, held_seconds=held_seconds)


@functools.lru_cache(maxsize=512)
def _requests(command: str, code: int) -> Counter:
    return REQUESTS.labels(command if command in _COMMANDS else "other", str(code))


def user_hash(mailbox: str) -> str:
    """Return the name under which a mailbox is logged: 12 hex digits, the same in all workers.

    The key is made when this module is loaded, before workers are forked, and never kept: events of
    one run can be joined, and nobody can find a mailbox by trying names on an old log.
    """
    raw = mailbox.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(raw, digest_size=6, key=_HASH_KEY).hexdigest()


def watch_collector() -> None:
    """Measure each garbage collection of this process in `GC_PAUSE`; to be called once."""
    began = 0.0

    # Only collections and scrapes take the histogram's locks, and no scrape makes garbage in one:
    # a collection cannot wait for itself.
    def pause(phase: str, _info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            GC_PAUSE.observe(time.perf_counter() - began)

    gc.callbacks.append(pause)


def configure(level: str, fmt: Format, stream: IO[Any]) -> None:
    """Set up structlog and the standard library's logging; to be called before workers are forked.

    Args:
        level: Least level that is printed: ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.
        fmt: How events are printed.
        stream: Has a file descriptor, which all workers share and which stays open.

    Raises:
        ValueError: If the level is none of these.
    """
    threshold = {"debug": 10, "info": 20, "warning": 30, "error": 40}.get(level)
    if threshold is None:
        raise ValueError(f"found log level {level!r}, allowed debug, info, warning, error")
    is_terminal = stream.isatty()
    stream.flush()
    _sink.direct(stream.fileno())
    is_console = fmt == "console" or (fmt == "auto" and is_terminal)
    _processors[:] = _console(colors=is_terminal) if is_console else [_render]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: _sink,
    )
    _hot[0] = structlog.get_logger().bind()
    root = logging.getLogger()
    root.setLevel(max(threshold, logging.WARNING))
    if _library_log not in root.handlers:
        root.addHandler(_library_log)


def flush() -> None:
    """Write the log lines that still wait; the interpreter's exit and a fork do it too."""
    _sink.flush()


def _console(*, colors: bool) -> list[Processor]:
    plain = structlog.dev.plain_traceback
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=True),
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain),
        lambda _logger, _level, line: str(line).encode("utf-8", "backslashreplace"),
    ]


def _render(logger: Any, level: str, event: EventDict) -> bytes:
    """Render an event as JSON, all in one step: a chain of five costs 16 us instead of 9."""
    line: EventDict = {
        "timestamp": _timestamp(time.time()),
        "level": level,
        "event": event.pop("event", ""),
        **event,
    }
    if "exc_info" in event:
        line = structlog.processors.format_exc_info(logger, level, line)
    try:
        return orjson.dumps(line, default=repr)
    except TypeError:
        # A number beyond 64 bits or half a surrogate pair: rare, and no reason to lose the event.
        return json.dumps(line, default=repr).encode()


def _timestamp(now: float) -> str:
    second = int(now)
    return f"{_date_of(second)}{int((now - second) * 1000):03d}Z"


@functools.lru_cache(maxsize=2)
def _date_of(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))


class _LibraryLog(logging.Handler):
    """Turns records of the standard library's logging (aiohttp, asyncio) into events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        facts = {"exc_info": record.exc_info} if record.exc_info else {}
        _log.log(_level_of(record), "library_log", logger=record.name, message=text, **facts)


def _level_of(record: logging.LogRecord) -> int:
    """Round a level down to one that structlog has a name for."""
    return max((one for one in (10, 20, 30, 40, 50) if one <= record.levelno), default=10)


_sink: Final = Sink(2, lost=LOG_LINES_LOST.inc)
_library_log: Final = _LibraryLog()
atexit.register(_sink.flush)
# A line that waits at a fork would be written by both sides.
os.register_at_fork(before=_sink.flush)
