"""Heads of answers as facts."""

from __future__ import annotations

import pytest

from loadtest.wire import heads
from loadtest.wire.heads import Head

DATE = "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n"


def head(fields: str = "", *, line: str = "HTTP/1.1 200 OK", length: str = "4") -> bytes:
    return f"{line}\r\nContent-Length: {length}\r\n{fields}".encode()


def facts(fields: str = "", *, line: str = "HTTP/1.1 200 OK") -> Head:
    found = heads.plain(head(fields, line=line))
    assert found is not None
    return found[0]


def test_status_and_length_are_read() -> None:
    """A head without more tells its status and how long the body is."""
    expected = Head(503, keeps_alive=True, is_wbxml=False), 4

    assert expected == heads.plain(head(line="HTTP/1.1 503 Busy"))


def test_equal_heads_are_one() -> None:
    """A head is taken apart once."""
    data = head("X-Other: 1\r\n")

    assert heads.plain(data) is heads.plain(bytes(bytearray(data)))


@pytest.mark.parametrize(
    ("line", "fields", "keeps"),
    [
        ("HTTP/1.1 200 OK", "", True),
        ("HTTP/1.1 200 OK", "connection:  Close \r\n", False),
        ("HTTP/1.1 200 OK", "Connection: keep-alive, close\r\n", False),
        ("HTTP/1.0 200 OK", "", False),
        ("HTTP/1.0 200 OK", "Connection: Keep-Alive\r\n", True),
    ],
)
def test_the_server_says_whether_it_keeps_the_connection(
    line: str,
    fields: str,
    keeps: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A connection is kept unless the server or its version says otherwise."""
    assert keeps is facts(fields, line=line).keeps_alive


@pytest.mark.parametrize(
    ("kind", "is_wbxml"),
    [
        ("application/vnd.ms-sync.wbxml", True),
        ("Application/vnd.ms-sync; charset=x", True),
        ("text/html", False),
    ],
)
def test_the_type_says_what_the_body_should_be(kind: str, is_wbxml: bool) -> None:  # noqa: FBT001 - a table's column
    """Both names of the type of EAS count."""
    assert is_wbxml is facts(f"Content-Type: {kind}\r\n").is_wbxml


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Retry-After: 30\r\n", 30.0),
        (f"Retry-After: Sun, 22 Nov 2026 10:01:30 GMT\r\n{DATE}", 90.0),
        (f"Retry-After: Sun, 22 Nov 2026 09:00:00 GMT\r\n{DATE}", 0.0),
        ("Retry-After: Sun, 22 Nov 2026 10:01:30 GMT\r\n", None),
        (f"Retry-After: Sun, 22 Nov 2026 25:01:30 GMT\r\n{DATE}", None),
        (f"Retry-After: soon\r\n{DATE}", None),
        ("Retry-After: 9999999999\r\n", None),
    ],
    ids=["seconds", "date", "past", "no clock", "no time", "no date", "too long"],
)
def test_the_time_to_stay_away_is_read(fields: str, expected: float | None) -> None:
    """Retry-After is in seconds, or a date that is compared with the server's own clock."""
    assert expected == facts(fields).retry_after


def test_the_new_place_is_read() -> None:
    """X-MS-Location is the address a phone is sent to."""
    expected = "https://b.example.org/Microsoft-Server-ActiveSync"

    assert expected == facts(f"X-MS-Location: {expected}\r\n", line="HTTP/1.1 451 Moved").location


@pytest.mark.parametrize(
    "data",
    [
        head("Transfer-Encoding: chunked\r\n"),
        head("Content-Length: 4\r\n"),
        head(length="-1"),
        head(length="0x10"),
        head(length="9" * 10),
        b"HTTP/1.1 200 OK\r\n",
        head(line="HTTP/1.1 100 Continue"),
        head(line="HTTP/1.1 204 No Content"),
        head(line="HTTP/1.1 304 Not Modified"),
        head(line="HTTP/2.0 200 OK"),
        head(line="SSH-2.0-server"),
        head(" folded: 1\r\n"),
        head("No Token: 1\r\n"),
        head("X-Nul: \0\r\n"),
        head("X-Bare: a\nb: c\r\n"),
        head("no colon\r\n"),
    ],
    ids=[
        "chunked",
        "two lengths",
        "negative length",
        "hexadecimal length",
        "endless length",
        "no length",
        "interim",
        "no content",
        "not modified",
        "another version",
        "another protocol",
        "folded field",
        "space in a name",
        "NUL",
        "bare line feed",
        "no colon",
    ],
)
def test_an_unusual_head_is_left_to_a_parser(data: bytes) -> None:
    """What is not surely understood is not read here."""
    assert heads.plain(data) is None


def test_the_last_of_equal_fields_counts() -> None:
    """Fields of the same name are told apart by their order only."""
    fields = [(b"Retry-After", b"1"), (b"RETRY-AFTER", b" 2\t")]

    assert heads.from_fields("1.1", 503, fields).retry_after == 2.0
