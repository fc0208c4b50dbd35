"""Read access logs of an EAS server or of the gateway, line by line.

Known: nginx' combined (with ``$request_time`` behind it), Apache's common and combined (with ``%D``
or ``%T`` behind it), and the gateway's own JSON lines; each plain or gzipped.

Rules:
    1. A line that is no EAS request is passed over. One that is, or that looks like nothing known,
       and cannot be read is told as ``Unreadable``.
    2. The first number behind the quoted fields is the duration. With a decimal point it is nginx'
       and in seconds, and the line's time is the request's end. Without, it is Apache's, and the
       line's time is the request's begin; its unit is told by the first lines, for a request may
       take 0 seconds but never 0 microseconds, and none takes a day.
    3. An answer of 13 bytes to a Ping is status 1, heartbeat over; a longer one reports a change.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final, Literal, cast

from pushgw.eas import envelope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Ended = Literal["", "change", "heartbeat"]

SAMPLE: Final = 1000
"""Lines that are looked at to learn the unit of durations."""
STATUS_1_BYTES: Final = 13
"""The document ``<Ping><Status>1</Status></Ping>``, of SOGo, Z-Push and the gateway alike."""
PATH: Final = "/microsoft-server-activesync"
_MICROSECONDS: Final = 1_000_000
_LONGEST_S: Final = 86_400

_LINE: Final = re.compile(
    r'(?P<host>\S+) \S+ (?P<user>.*?) \[(?P<time>[^\]]+)\] "(?P<request>(?:[^"\\]|\\.)*)"'
    r" (?P<status>\d{3}) (?P<size>\d+|-)(?P<rest>.*)"
)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_DURATION: Final = re.compile(r"(?:^|\s)(?:[\w$]+=)?(\d+(\.\d+)?)(?=\s|$)")
_TIME: Final = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)")
# strptime would read the names of months in the language of the environment.
_MONTHS: Final = {
    "Jan": 1,
    "Feb": 2,
    "Mar": 3,
    "Apr": 4,
    "May": 5,
    "Jun": 6,
    "Jul": 7,
    "Aug": 8,
    "Sep": 9,
    "Oct": 10,
    "Nov": 11,
    "Dec": 12,
}
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One EAS request that was answered."""

    at: float
    """When it ended, or began where nothing tells of its end; Unix time."""
    command: str
    """EAS command, or ``OPTIONS``."""
    user: str
    """Lower case, or the gateway's hash of it; empty where nobody was named."""
    device: str
    """Empty where none was named."""
    status: int
    """HTTP status; 0 where the phone hung up and none was sent."""
    duration: float | None = None
    """Seconds; None where the log does not tell."""
    ended: Ended = ""
    """What ended a Ping, where that can be told."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that could not be read."""

    line: str
    reason: str


class LogError(ValueError):
    """A log that cannot be read at all."""


def read(path: Path) -> Iterator[Entry | Unreadable]:
    """Read a file, gzipped or not.

    Raises:
        LogError: If it cannot be opened, or breaks off.
    """
    try:
        with _opened(path) as lines:
            yield from entries(lines)
    except (OSError, EOFError) as error:
        found = getattr(error, "strerror", None) or error
        raise LogError(f"{path}: {found}") from None


def entries(lines: Iterable[str]) -> Iterator[Entry | Unreadable]:
    """Read the lines of one log, in their order."""
    rest = iter(lines)
    head = list(itertools.islice(rest, SAMPLE))
    is_micro = _is_micro(head)
    for line in itertools.chain(head, rest):
        text = line.strip()
        if not text:
            continue
        try:
            entry = _gateway(text) if text.startswith("{") else _access(text, is_micro=is_micro)
        except ValueError as error:
            yield Unreadable(text, str(error))
            continue
        if entry is not None:
            yield entry


def _opened(path: Path) -> IO[str]:
    with path.open("rb") as start:
        is_gzip = start.read(2) == _GZIP
    opener = gzip.open if is_gzip else open
    return cast("IO[str]", opener(path, "rt", encoding="utf-8", errors="replace"))


def _access(text: str, *, is_micro: bool) -> Entry | None:
    match = _LINE.fullmatch(text)
    if match is None:
        raise ValueError("found no log format that is known")
    method, _, target = match["request"].partition(" ")
    path, _, query = target.partition(" ")[0].partition("?")
    if not path.lower().rstrip("/").endswith(PATH):
        return None
    command, user, device = method, "", ""
    if query or method != "OPTIONS":
        asked = envelope.parse(query, {})
        user, device = asked.user or "", asked.device_id
        command = "OPTIONS" if method == "OPTIONS" else asked.command
    duration, is_begin = _duration(match["rest"], is_micro=is_micro)
    return Entry(
        at=_unix(match["time"]) + (duration or 0.0) * is_begin,
        command=command,
        user=(user or match["user"].strip("-")).lower(),
        device=device,
        status=int(match["status"]),
        duration=duration,
        ended=_ended(command, match["status"], match["size"]),
    )


def _ended(command: str, status: str, size: str) -> Ended:
    if command != "Ping" or status != "200" or size == "-":
        return ""
    sent = int(size)
    if sent == STATUS_1_BYTES:
        return "heartbeat"
    return "change" if sent > STATUS_1_BYTES else ""


def _duration(rest: str, *, is_micro: bool) -> tuple[float | None, bool]:
    """Return seconds, and whether the line's time is the request's begin."""
    match = _DURATION.search(_QUOTED.sub("", rest))
    if match is None:
        return None, False
    is_whole = match[2] is None
    return float(match[1]) / (_MICROSECONDS if is_whole and is_micro else 1), is_whole


def _is_micro(head: Iterable[str]) -> bool:
    found = []
    for line in head:
        match = _LINE.fullmatch(line.strip())
        duration = match and _DURATION.search(_QUOTED.sub("", match["rest"]))
        if duration and duration[2] is None:
            found.append(int(duration[1]))
    return bool(found) and 0 not in found and max(found) > _LONGEST_S


def _unix(text: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        raise ValueError(f"found time {text!r}, allowed 31/Dec/2026:23:59:59 +0100")
    day, _, year, hour, minute, second, zone, zone_minutes = match.groups()
    date = f"{year}-{_MONTHS[match[2]]:02}-{day}T{hour}:{minute}:{second}{zone}:{zone_minutes}"
    return datetime.fromisoformat(date).timestamp()


def _gateway(text: str) -> Entry | None:
    """Read the gateway's own events ``answered`` and ``abandoned``."""
    event = json.loads(text)
    name = event.get("event")
    if name not in {"answered", "abandoned"}:
        return None
    missing = [key for key in ("timestamp", "user", "device") if key not in event]
    if missing:
        raise ValueError(f"found an event {name} without {', '.join(missing)}")
    held = _number(event.get("held_seconds") or 0.0)
    command = str(event.get("command", "Ping"))
    return Entry(
        at=datetime.fromisoformat(str(event["timestamp"])).timestamp(),
        command=command,
        user=str(event["user"]),
        device=str(event["device"]).upper(),
        status=int(_number(event.get("code", 0))),
        # 0 means "answered at once", which tells nothing of how long a command kept it busy.
        duration=held if command == "Ping" or held else None,
        ended=_reason(event.get("reason")),
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"found {value!r}, allowed a number")  # noqa: TRY004 - input, not a bug
    return float(value)


def _reason(reason: object) -> Ended:
    if reason == "heartbeat":
        return "heartbeat"
    return "change" if reason in {"change", "hierarchy"} else ""
