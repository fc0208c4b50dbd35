"""Bytes of the simulated phones: prebuilt requests, answers read into values.

Requests look like those of a phone: plain query, Basic credentials, real WBXML. Only few distinct
answer bodies exist, so each is decoded once.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import httptools

from loadtest.scenario import Answer, FolderSync, Ping
from pushgw.wbxml import WbxmlError, decode, element, encode

if TYPE_CHECKING:
    from pushgw.wbxml import Element

PATH: Final = "/Microsoft-Server-ActiveSync"
WATCHED: Final = (("5", "Email"), ("1", "Calendar"))
"""Server id and class of the folders that every phone watches."""
MAX_ANSWER: Final = 1 << 20
"""Bytes of an answer's body that a phone reads."""

_COMMON: Final = (
    b"Host: %b\r\n"
    b"Authorization: Basic %b\r\n"
    b"MS-ASProtocolVersion: 14.1\r\n"
    b"User-Agent: Android/14-EAS-2.0\r\n"
    b"Connection: keep-alive\r\n"
)
_SYNC_BODY: Final = encode(
    element("FolderHierarchy", "FolderSync", element("FolderHierarchy", "SyncKey", "0"))
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a phone is."""

    mailbox: str
    device: str


def identity(number: int) -> Identity:
    """Return the identity of the phone of that number; each has a mailbox of its own."""
    return Identity(f"user{number:06d}@example.org", f"PHONE{number:06d}")


def request(who: Identity, command: FolderSync | Ping, host: str) -> bytes:
    """Build the whole request for one command.

    Args:
        who: The phone; the mailbox also is the user of the credentials.
        command: What to ask.
        host: Value of the Host header.
    """
    body = _SYNC_BODY if isinstance(command, FolderSync) else _ping_body(command)
    user = who.mailbox.replace("@", "%40")
    line = f"POST {PATH}?Cmd={type(command).__name__}&User={user}&DeviceId={who.device}"
    secret = b64encode(f"{who.mailbox}:synthetic".encode())
    kind = b"Content-Type: application/vnd.ms-sync.wbxml\r\n" if body else b""
    return b"%b&DeviceType=SimPhone HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
        line.encode(),
        _COMMON % (host.encode(), secret),
        kind,
        len(body),
        body,
    )


@lru_cache(maxsize=256)
def _ping_body(command: Ping) -> bytes:
    if not command.is_full:
        return b""
    folders = (
        element("Ping", "Folder", element("Ping", "Id", name), element("Ping", "Class", kind))
        for name, kind in WATCHED
    )
    interval = element("Ping", "HeartbeatInterval", str(command.heartbeat))
    return encode(element("Ping", "Ping", interval, element("Ping", "Folders", *folders)))


class UnreadableAnswerError(ValueError):
    """An answer is no HTTP, no WBXML, or too big."""


class AnswerReader:
    """Reads one HTTP answer that may come in pieces."""

    __slots__ = ("_parser", "_received")

    def __init__(self) -> None:
        # Parser and collector are two objects: one that held the other would be garbage that
        # only the cycle collector finds, once per answer.
        self._received = _Received()
        self._parser = httptools.HttpResponseParser(self._received)

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; return whether the answer is complete.

        Raises:
            UnreadableAnswerError: If this cannot become an answer.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise UnreadableAnswerError(f"found no HTTP answer: {error}") from error
        if len(self._received.body) > MAX_ANSWER:
            raise UnreadableAnswerError(f"found more than {MAX_ANSWER} bytes of body")
        return self._received.is_complete

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may carry the next request."""
        return not self._received.is_last

    def answer(self) -> Answer:
        """Return the complete answer.

        Raises:
            UnreadableAnswerError: If its body is no WBXML.
        """
        document = _document(self._received.body)
        retry_after = self._received.retry_after
        return Answer(
            self._parser.get_status_code(),
            document.status,
            document.folders,
            document.heartbeat,
            retry_after,
        )


class _Received:
    """What httptools calls back; names are httptools'."""

    __slots__ = ("body", "is_complete", "is_last", "retry_after")

    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False
        self.is_last = False
        self.retry_after: float | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"retry-after" if value.isdigit():
                self.retry_after = float(value)
            case b"connection":
                self.is_last = value.lower() == b"close"
            case _:
                pass  # nothing a phone of this kind looks at

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


@dataclass(frozen=True, slots=True)
class _Document:
    """The parts of an answer's document that decide what a phone does next."""

    status: int = 0
    folders: tuple[str, ...] = ()
    heartbeat: int | None = None


@lru_cache(maxsize=4096)
def _document(body: bytes) -> _Document:
    if not body.startswith(b"\x03"):  # a WBXML version; error pages are text
        return _Document()
    try:
        root = decode(body)
    except WbxmlError as error:
        raise UnreadableAnswerError(f"found no WBXML: {error}") from error
    folders = root.find("Folders") if root.name == "Ping" else None
    return _Document(
        status=_number(root.find("Status")) or 0,
        folders=tuple(one.text for one in folders.all("Folder")) if folders else (),
        heartbeat=_number(root.find("HeartbeatInterval")),
    )


def _number(one: Element | None) -> int | None:
    return int(one.text) if one and one.text.isdecimal() else None
