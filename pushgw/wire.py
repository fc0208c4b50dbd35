"""The one shape of HTTP request that needs no aiohttp: a head, a length, a small body.

``read`` looks at the bytes of a connection that is between two requests and says what they are:

    NEED_MORE      the head, or the body of a small request, is not complete yet
    Refused        answer with this HTTP status and close
    ShortRequest   complete; the bytes behind it belong to the next request
    LongRequest    aiohttp's: chunked, large, Expect, Upgrade; ``length`` bytes of it in all

The head is parsed by llhttp (httptools) in its strict mode, as aiohttp does, so that both roads and
any proxy in front agree where a request ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Literal, NamedTuple, TypeAlias

import httptools

WANTED: Final = {
    name.encode(): name
    for name in (
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "ms-asprotocolversion",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-ms-policykey",
    )
}
"""Header fields that are looked at; the others are checked by the parser and dropped."""
LONG_ROAD: Final = ("content-encoding", "expect", "upgrade")
"""A request with one of these is not of the short shape."""
_CHUNK_LINE: Final = 8
"""Characters of a chunk's length with its line end; more, or extensions, are the parser's."""
_CHUNKS: Final = 16
"""Of a small body; more would be read again from the first one with each packet that comes."""
_CHUNK_LENGTH: Final = re.compile(rb"[0-9A-Fa-f]{1,6}")

NEED_MORE: Final = "need more"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes."""

    max_head: int
    """Request line and header fields; more is answered with 431."""
    max_body: int
    """Of the whole request; more is answered with 413."""
    max_short_body: int = 65_536
    """Larger bodies take the long road. A Ping of 200 folders has about 5,000."""


_LABELS: Final = {
    400: "bad_request",
    408: "slow_request",
    413: "body_size",
    431: "head_size",
    503: "full",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is answered without being looked at further."""

    http_status: int
    reason: str
    """One line that says what was found and what is allowed."""
    retry_after: int | None = None
    """Seconds."""

    @property
    def metric_label(self) -> str:
        """What is wrong, in a word."""
        return _LABELS[self.http_status]


class ShortRequest(NamedTuple):
    """A complete request."""

    method: str
    path: str
    query: str
    """Raw, without the question mark."""
    headers: dict[str, str]
    """Those of ``WANTED``, names in lower case, repeated fields joined by a comma."""
    body: bytes
    keep_alive: bool
    length: int
    """Bytes of the whole request."""


class LongRequest(NamedTuple):
    """A request for aiohttp."""

    length: int | None
    """Bytes of the whole request, None if only its parser can tell where it ends."""


@dataclass(slots=True)
class _Head:
    """Collects what llhttp reports."""

    url: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_complete: bool = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        wanted = WANTED.get(name.lower())
        if wanted is not None:
            text = value.decode("latin-1")
            earlier = self.headers.get(wanted)
            self.headers[wanted] = text if earlier is None else f"{earlier}, {text}"

    def on_headers_complete(self) -> None:
        self.is_complete = True


Outcome: TypeAlias = Literal["need more"] | Refused | ShortRequest | LongRequest


def read(data: bytes, limits: Limits) -> Outcome:
    """Say what the bytes of a connection between two requests are; see the module."""
    end = data.find(b"\r\n\r\n", 0, limits.max_head)
    if end < 0:
        if len(data) >= limits.max_head:
            return Refused(431, f"head of {limits.max_head} bytes or more; allowed: less")
        return NEED_MORE
    head = _Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(memoryview(data)[: end + 4])
    except httptools.HttpParserUpgrade:
        return LongRequest(None)
    except httptools.HttpParserError as error:
        return Refused(400, f"no HTTP request: {error}")
    if not head.is_complete:
        return Refused(400, "no HTTP request: empty lines; allowed: a request line")
    return _shape(data, end + 4, head, parser, limits)


def _shape(
    data: bytes, start: int, head: _Head, parser: httptools.HttpRequestParser, limits: Limits
) -> Outcome:
    content = _content(data, start, head.headers, limits)
    if not isinstance(content, _Content):
        return content
    path, _, query = head.url.decode("latin-1").partition("?")
    return ShortRequest(
        method=parser.get_method().decode("ascii"),
        path=path,
        query=query,
        headers=head.headers,
        body=content.body,
        keep_alive=_keeps_alive(parser.get_http_version(), head.headers.get("connection", "")),
        length=content.end,
    )


class _Content(NamedTuple):
    """A complete body, and where in the data it ends."""

    body: bytes
    end: int


def _content(
    data: bytes, start: int, headers: dict[str, str], limits: Limits
) -> _Content | Outcome:
    if "transfer-encoding" in headers:
        is_usual = headers["transfer-encoding"].lower() == "chunked"
        is_long = not is_usual or any(one in headers for one in LONG_ROAD)
        return LongRequest(None) if is_long else _dechunk(data, start, limits.max_short_body)
    end = start + int(headers.get("content-length", 0))
    if end - start > limits.max_body:
        return Refused(413, f"body of {end - start} bytes; allowed: at most {limits.max_body}")
    if end - start > limits.max_short_body or any(one in headers for one in LONG_ROAD):
        return LongRequest(end)
    return NEED_MORE if len(data) < end else _Content(bytes(data[start:end]), end)


def _dechunk(data: bytes, at: int, limit: int) -> _Content | Outcome:
    """Put a small chunked body together; whatever is unusual in it is left to aiohttp's parser."""
    body = b""
    for _ in range(_CHUNKS):
        line = data.find(b"\r\n", at, at + _CHUNK_LINE)
        if line < 0:
            return NEED_MORE if len(data) < at + _CHUNK_LINE else LongRequest(None)
        if _CHUNK_LENGTH.fullmatch(data, at, line) is None:
            return LongRequest(None)
        begin, size = line + 2, int(data[at:line], 16)
        at = begin + size + 2
        if len(body) + size > limit or not b"\r\n".startswith(data[at - 2 : at]):
            return LongRequest(None)
        if len(data) < at:
            return NEED_MORE
        if not size:
            return _Content(body, at)
        body += data[begin : begin + size]
    return LongRequest(None)


def _keeps_alive(version: str, connection: str) -> bool:
    # Not the parser's own opinion: it has forgotten the head once a request without body ends.
    options = {one.strip() for one in connection.lower().split(",")}
    return "keep-alive" in options if version == "1.0" else "close" not in options


ANSWER_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: application/vnd.ms-sync.wbxml\r\n"
    b"Cache-Control: private\r\n"
    b"Content-Length: %d\r\n"
)
CLOSE: Final = b"Connection: close\r\n"


def answer(body: bytes, *, ends: bool) -> bytes:
    """Write the answer to a Ping.

    Args:
        body: The document, never empty.
        ends: The connection closes behind it.
    """
    return b"%b%b\r\n%b" % (ANSWER_HEAD % len(body), CLOSE if ends else b"", body)


def refusal(refused: Refused) -> bytes:
    """Write the answer to a request that is not looked at further; the connection closes."""
    body = refused.reason.encode("utf-8", "replace") + b"\n"
    phrase = HTTPStatus(refused.http_status).phrase.encode()
    head = b"HTTP/1.1 %d %b\r\n" % (refused.http_status, phrase)
    kind = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(body)
    later = b"" if refused.retry_after is None else b"Retry-After: %d\r\n" % refused.retry_after
    return b"%b%b%b%b\r\n%b" % (head, kind, later, CLOSE, body)
