"""Requests as bytes, answers as values."""

from __future__ import annotations

import pytest

from loadtest.scenario import Answer, FolderSync, Ping
from loadtest.wire import MAX_ANSWER, AnswerReader, Identity, UnreadableAnswerError, request
from loadtest.wire import identity as identity_of
from pushgw.wbxml import decode, element, encode

WHO = Identity("user000007@example.org", "PHONE000007")


def response(body: bytes = b"", *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def read(data: bytes) -> Answer:
    reader = AnswerReader()
    assert reader.feed(data)
    return reader.answer()


def ping_answer(status: str, *folders: str) -> bytes:
    named = element("Ping", "Folders", *(element("Ping", "Folder", one) for one in folders))
    return encode(element("Ping", "Ping", element("Ping", "Status", status), named))


def test_phones_are_numbered() -> None:
    """Each number has a mailbox and a device id of its own."""
    assert identity_of(7) == WHO


def test_a_folder_sync_starts_from_key_0() -> None:
    """The body of a FolderSync is the document with SyncKey 0."""
    body = request(WHO, FolderSync(), "h:1").partition(b"\r\n\r\n")[2]

    assert bytes.fromhex("03016a00000756520330000101") == body


def test_the_request_line_names_the_phone() -> None:
    """The query holds command, user, device and type, percent-encoded."""
    line = request(WHO, Ping(480), "h:1").partition(b"\r\n")[0]

    expected = (
        b"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=user000007%40example.org"
        b"&DeviceId=PHONE000007&DeviceType=SimPhone HTTP/1.1"
    )
    assert expected == line


def test_a_full_ping_names_heartbeat_and_folders() -> None:
    """A full Ping is a document with the interval, the inbox and the calendar."""
    body = request(WHO, Ping(900), "h:1").partition(b"\r\n\r\n")[2]

    watched = [
        element("Ping", "Folder", element("Ping", "Id", name), element("Ping", "Class", kind))
        for name, kind in (("5", "Email"), ("1", "Calendar"))
    ]
    interval = element("Ping", "HeartbeatInterval", "900")
    assert element("Ping", "Ping", interval, element("Ping", "Folders", *watched)) == decode(body)


def test_an_empty_ping_has_neither_body_nor_type() -> None:
    """A Ping that relies on cached values ends after its headers."""
    found = request(WHO, Ping(900, is_full=False), "h:1")

    assert found.endswith(b"\r\nContent-Length: 0\r\n\r\n")
    assert b"Content-Type" not in found


def test_a_change_names_its_folders() -> None:
    """Status and folders of a Ping answer are read."""
    expected = Answer(200, status=2, folders=("5", "1"))

    assert expected == read(response(ping_answer("2", "5", "1")))


def test_an_answer_without_folders_has_none() -> None:
    """A Ping answer without the Folders element names no folder."""
    body = encode(element("Ping", "Ping", element("Ping", "Status", "1")))

    assert Answer(200, status=1) == read(response(body))


def test_the_allowed_heartbeat_is_read() -> None:
    """A status 5 tells the heartbeat."""
    interval = element("Ping", "HeartbeatInterval", "60")
    body = encode(element("Ping", "Ping", element("Ping", "Status", "5"), interval))

    assert Answer(200, status=5, heartbeat=60) == read(response(body))


def test_the_status_of_a_hierarchy_is_read() -> None:
    """A FolderSync answer has a status and names no folders to sync."""
    page = "FolderHierarchy"
    body = encode(element(page, "FolderSync", element(page, "Status", "1")))

    assert Answer(200, status=1) == read(response(body))


def test_retry_after_is_read() -> None:
    """Seconds of Retry-After are read; the text of an error page is not."""
    data = response(b"busy\n", status="503 Busy", headers="Retry-After: 30\r\nX-Other: 1\r\n")

    assert Answer(503, retry_after=30.0) == read(data)


def test_a_date_in_retry_after_is_ignored() -> None:
    """Retry-After as a date leaves the phone to its own back-off."""
    data = response(status="503 Busy", headers="Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n")

    assert Answer(503) == read(data)


def test_an_answer_may_come_in_pieces() -> None:
    """An answer is complete with its last byte and not before."""
    reader = AnswerReader()
    data = response(ping_answer("2", "5"))

    found = [reader.feed(data[at : at + 1]) for at in range(len(data))]

    assert [False] * (len(data) - 1) + [True] == found


@pytest.mark.parametrize(("value", "keeps"), [("close", False), ("keep-alive", True)])
def test_the_server_says_whether_it_keeps_the_connection(value: str, keeps: bool) -> None:  # noqa: FBT001 - a table's column
    """Connection: close means that the next request needs another connection."""
    reader = AnswerReader()
    reader.feed(response(headers=f"Connection: {value}\r\n"))

    assert keeps is reader.keeps_alive


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-server\r\n",
        response(b"x" * (MAX_ANSWER + 1)),
    ],
    ids=["no HTTP", "too big"],
)
def test_bytes_that_are_no_answer_are_refused(data: bytes) -> None:
    """Another protocol and an endless body are errors, not answers."""
    with pytest.raises(UnreadableAnswerError, match="found"):
        AnswerReader().feed(data)


def test_a_broken_document_is_refused() -> None:
    """A body that begins like WBXML and is none is an error."""
    with pytest.raises(UnreadableAnswerError, match="found no WBXML"):
        read(response(b"\x03\x01\x6a\x00\x45"))
