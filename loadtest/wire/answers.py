"""The answers that phones receive, on two roads.

Rules:
    1. Nearly all answers come complete in one read, and most were seen before: ``whole`` takes
       these, and nothing it is not sure of. The rest goes to an ``AnswerReader``.
    2. Bytes of a stranger become an `Answer` or an `UnreadableAnswerError`; nothing else.
    3. Both roads give the same for the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httptools

from loadtest.scenario.commands import NOTHING, Answer, Document
from loadtest.wire import documents, heads
from loadtest.wire.memory import remember
from pushgw.wbxml import WbxmlError

MAX_HEAD: Final = 16 * 1024
"""Bytes of an answer's head."""
MAX_ANSWER: Final = 1024 * 1024
"""Bytes of an answer's body."""
MAX_SYNC_ANSWER: Final = 16 * MAX_ANSWER
"""Bytes of the body of an answer to a Sync: it may carry a hundred mails."""

_INTERIM: Final = b"HTTP/1.1 1"
_END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_REMEMBERED: Final = 1024
_REMEMBERED: Final = 1024
"""At most 1 MiB. They are new each second where answers carry a date."""


class UnreadableAnswerError(ValueError):
    """An answer is no HTTP, no WBXML, or too big."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that came complete in one read."""

    answer: Answer
    keeps_alive: bool
    """Whether the connection may carry the next request."""


_wholes: Final[dict[bytes, Whole]] = {}


def whole(data: bytes) -> Whole | None:
    """Read a complete answer of the usual shape at once.

    Args:
        data: All that was received since the request was sent.

    Returns:
        The answer; None if an ``AnswerReader`` has to look at the data.

    Raises:
        UnreadableAnswerError: If a success has a body that should be WBXML and is none.
    """
    is_small = len(data) <= _MAX_REMEMBERED
    if is_small:
        known = _wholes.get(data)
        if known is not None:
            return known
    end = data.find(_END_OF_HEAD, 0, MAX_HEAD)
    found = heads.plain(data[: end + 2]) if end >= 0 else None
    if found is None:
        return None
    head, length = found
    if length > MAX_ANSWER or end + len(_END_OF_HEAD) + length != len(data):
        return None
    answer = _answer(head, data[end + len(_END_OF_HEAD) :])
    reading = Whole(answer, head.keeps_alive)
    if is_small and answer.document.root != "Sync":  # each of those has a key of its own
        remember(_wholes, data, reading, most=_REMEMBERED)
    return reading


class AnswerReader:
    """Reads one HTTP answer that may come in pieces."""

    __slots__ = ("_parser", "_received", "_start", "_taken")

    def __init__(self) -> None:
        # Parser and collector are two objects: one that held the other would be garbage that
        # only the cycle collector finds, once per answer.
        self._received = _Received()
        self._parser = httptools.HttpResponseParser(self._received)
        self._start: bytes | None = b""
        self._taken = 0

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; return whether the answer is complete.

        Raises:
            UnreadableAnswerError: If this cannot become an answer.
        """
        self._taken += len(data)
        try:
            self._parser.feed_data(self._without_interim(data))
        except httptools.HttpParserError as error:
            raise UnreadableAnswerError(f"found no HTTP answer: {error}") from error
        self._received.check(self._taken)
        return self._received.is_complete

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may carry the next request."""
        return self._head().keeps_alive

    def answer(self) -> Answer:
        """Return the complete answer.

        Raises:
            UnreadableAnswerError: If a success has a body that should be WBXML and is none.
        """
        return _answer(self._head(), bytes(self._received.body))

    def _head(self) -> heads.Head:
        version, status = self._parser.get_http_version(), self._parser.get_status_code()
        return heads.from_fields(version, status, self._received.fields)

    def _without_interim(self, data: bytes) -> bytes:
        """Leave out answers like 100 Continue, which come before the one that counts.

        Source: RFC 9110, 15.2.
        """
        if self._start is None:
            return data
        data = self._start + data
        while data.startswith(_INTERIM) and _END_OF_HEAD in data:
            data = data.partition(_END_OF_HEAD)[2]
        may_be_interim = data.startswith(_INTERIM[: len(data)])
        self._start = data if may_be_interim else None
        return b"" if may_be_interim else data


class _Received:
    """What httptools calls back; names are httptools'."""

    __slots__ = ("begun", "body", "fields", "is_complete")

    def __init__(self) -> None:
        self.begun = 0
        self.body = bytearray()
        self.fields: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def check(self, taken: int) -> None:
        """Refuse what became too big, or more than one answer.

        Args:
            taken: Bytes so far, with head and frames.
        """
        if self.begun > 1:
            raise UnreadableAnswerError("found bytes after an answer, one answer is allowed")
        most = MAX_SYNC_ANSWER if documents.is_sync(self.body) else MAX_ANSWER
        if len(self.body) > most:
            raise UnreadableAnswerError(f"found more than {most} bytes of body")
        if taken > MAX_HEAD + 2 * most:  # frames of usual chunks add less than the body has
            raise UnreadableAnswerError(f"found more than {MAX_HEAD} bytes around a body")

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


def _answer(head: heads.Head, body: bytes) -> Answer:
    document = _document(head, body) if body else NOTHING
    return Answer(head.http_status, document, head.retry_after, head.location)


def _document(head: heads.Head, body: bytes) -> Document:
    if not (head.is_wbxml or body.startswith(documents.VERSION)):
        return NOTHING  # a page for people
    try:
        return documents.read(body)
    except WbxmlError as error:
        if head.http_status == 200:  # noqa: PLR2004 - the success of HTTP
            raise UnreadableAnswerError(f"found no WBXML: {error}") from error
        return NOTHING
