"""What the head of an answer says, as far as a phone acts upon it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMEMBERED: Final = 512
"""At most 8 MiB. A server writes one new head each second, for its date, and kind of answer."""

# Stricter than HTTP: what is not surely understood is left to a whole parser.
_PLAIN: Final = re.compile(
    rb"HTTP/(1\.[01]) ([2-5]\d\d) [\t\x20-\x7e\x80-\xff]*\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)"
)
_LENGTH: Final = re.compile(rb"\d{1,9}")
_SECONDS: Final = re.compile(rb"\d{1,9}")
_DATE: Final = re.compile(rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_WITHOUT_BODY: Final = (204, 304)


@dataclass(frozen=True, slots=True)
class Head:
    """Facts of a head."""

    http_status: int
    keeps_alive: bool
    """Whether the connection may carry the next request."""
    is_wbxml: bool
    """Whether it says that its body is a document of EAS."""
    retry_after: float | None = None
    """Seconds."""
    location: str | None = None
    """X-MS-Location."""


def from_fields(version: str, http_status: int, fields: Iterable[tuple[bytes, bytes]]) -> Head:
    """Take the facts out of a head that was taken apart.

    Args:
        version: "1.0" or "1.1".
        http_status: Of the answer.
        fields: Names in any case, and values. Of equal ones the last counts.

    Source: [MS-ASHTTP] 2.2.2.1; RFC 9110, 10.2.3; RFC 9112, 9.3.
    """
    by_name = {name.lower(): value.strip(b" \t") for name, value in fields}
    kind = by_name.get(b"content-type", b"").lower()
    location = by_name.get(b"x-ms-location")
    return Head(
        http_status,
        keeps_alive=_keeps_alive(version, by_name.get(b"connection", b"")),
        is_wbxml=kind.startswith(b"application/vnd.ms-sync"),
        retry_after=_retry_after(by_name.get(b"retry-after", b""), by_name.get(b"date", b"")),
        location=None if location is None else location.decode("utf-8", "replace"),
    )


@lru_cache(_REMEMBERED)
def plain(data: bytes) -> tuple[Head, int] | None:
    """Read a head of the usual shape.

    Args:
        data: Status line and fields, each with its end of line; at most 16 KiB.

    Returns:
        Its facts and the length of the body in bytes; None if it takes a whole parser to
        understand it: chunked, without a length, an interim answer, or odd in any way.
    """
    found = _PLAIN.fullmatch(data)
    if found is None or int(found[2]) in _WITHOUT_BODY:
        return None
    lines = (line.partition(b":") for line in found[3].split(b"\r\n")[:-1])
    fields = [(name, value) for name, _, value in lines]
    length = _length(fields)
    return (
        None if length is None else (from_fields(found[1].decode(), int(found[2]), fields), length)
    )


def _length(fields: list[tuple[bytes, bytes]]) -> int | None:
    names = [name.lower() for name, _ in fields]
    if b"transfer-encoding" in names or names.count(b"content-length") != 1:
        return None
    text = fields[names.index(b"content-length")][1].strip(b" \t")
    return int(text) if _LENGTH.fullmatch(text) else None


def _keeps_alive(version: str, connection: bytes) -> bool:
    wishes = {wish.strip() for wish in connection.lower().split(b",")}
    return b"close" not in wishes and (version == "1.1" or b"keep-alive" in wishes)


def _retry_after(value: bytes, date: bytes) -> float | None:
    if _SECONDS.fullmatch(value):
        return float(value)
    until, since = _timestamp(value), _timestamp(date)
    return None if until is None or since is None else max(0.0, until - since)


def _timestamp(date: bytes) -> float | None:
    if not _DATE.fullmatch(date):
        return None
    try:
        return parsedate_to_datetime(date.decode()).timestamp()
    except ValueError:
        return None
