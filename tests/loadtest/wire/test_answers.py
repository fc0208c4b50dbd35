"""Answers as values, whole and in pieces, and that both roads lead to the same."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtest.scenario.commands import Answer, Document, Synced
from loadtest.wire import answers
from loadtest.wire.answers import (
    MAX_ANSWER,
    MAX_SYNC_ANSWER,
    AnswerReader,
    UnreadableAnswerError,
    Whole,
    whole,
)
from pushgw.wbxml import encode, from_xml

if TYPE_CHECKING:
    from collections.abc import Iterable

PING: Final = encode(
    from_xml(
        '<Ping xmlns="Ping:"><Status>2</Status>'
        "<Folders><Folder>5</Folder><Folder>1</Folder></Folders></Ping>"
    )
)
CHANGED: Final = Document("Ping", 2, folders=("5", "1"))
SYNC: Final = encode(
    from_xml(
        '<Sync xmlns="AirSync:"><Collections><Collection><SyncKey>2</SyncKey>'
        "<CollectionId>5</CollectionId></Collection></Collections></Sync>"
    )
)
SYNCED: Final = Document("Sync", collections=(Synced("5", 0, "2"),))
WBXML: Final = "Content-Type: application/vnd.ms-sync.wbxml\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def response(
    body: bytes = b"", *, line: str = "HTTP/1.1 200 OK", headers: str = WBXML, length: bool = True
) -> bytes:
    size = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"{line}\r\n{headers}{size}\r\n".encode() + body


def chunked(*pieces: bytes) -> bytes:
    frames = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (*pieces, b""))
    return response(headers=f"{WBXML}Transfer-Encoding: chunked\r\n", length=False) + frames


def read(*pieces: bytes) -> Whole | None:
    reader = AnswerReader()
    for one in pieces:
        if reader.feed(one):
            return Whole(reader.answer(), reader.keeps_alive)
    return None


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


USUAL: Final = [
    (response(PING), Answer(200, CHANGED)),
    (response(SYNC), Answer(200, SYNCED)),
    (response(), Answer(200)),
    (response(b"<html>", headers="Content-Type: text/html\r\n"), Answer(200)),
    (
        response(b"busy\n", line="HTTP/1.1 503 Busy", headers="Retry-After: 9\r\n"),
        Answer(503, retry_after=9.0),
    ),
    (response(PING, line="HTTP/1.1 449 Provision"), Answer(449, CHANGED)),
    (response(b"\x03\x01", line="HTTP/1.1 500 Oops"), Answer(500)),
    (
        response(line="HTTP/1.1 451 M", headers="X-MS-Location: http://b/\r\n"),
        Answer(451, location="http://b/"),
    ),
    (response(PING + bytes(2000), line="HTTP/1.1 500 Oops"), Answer(500)),
]
UNUSUAL: Final = [
    chunked(PING[:9], PING[9:]),
    CONTINUE + response(PING),
    CONTINUE + CONTINUE,
    response(PING) * 2,
    response(line="HTTP/1.1 204 No Content", length=False),
    b"SSH-2.0-server\r\n",
]
ODD: Final = response(
    PING, headers=f"{WBXML}X-Empty:\r\nConnection: close\r\n", line="HTTP/1.0 200 OK"
)
EXAMPLES: Final = [*(data for data, _ in USUAL), *UNUSUAL, ODD]


@pytest.fixture(autouse=True)
def _nothing_is_known() -> None:
    answers._wholes.clear()


@pytest.mark.parametrize(("data", "expected"), USUAL)
def test_usual_answers_are_read_at_once(data: bytes, expected: Answer) -> None:
    """A complete answer with a length needs no parser."""
    assert Whole(expected, keeps_alive=True) == whole(data)


@pytest.mark.parametrize(("data", "expected"), USUAL)
def test_a_reader_reads_the_same(data: bytes, expected: Answer) -> None:
    """What was read at once is read alike in one piece or many."""
    one_by_one = [data[at : at + 1] for at in range(len(data))]

    assert Whole(expected, keeps_alive=True) == read(data) == read(*one_by_one)


def test_equal_answers_are_one() -> None:
    """An answer that came before is not looked at again."""
    data = response(PING)

    assert whole(data) is whole(bytes(bytearray(data)))


@pytest.mark.parametrize(
    "data",
    [response(SYNC), response(PING, headers=f"{WBXML}X-Long: {'x' * 1024}\r\n")],
    ids=["of a Sync", "big"],
)
def test_answers_that_do_not_come_again_are_not_kept(data: bytes) -> None:
    """Memory is for small answers, and not for those with a key of their own."""
    assert whole(data) == whole(data)
    assert not answers._wholes


@pytest.mark.parametrize(
    "data",
    [
        b"",
        response(PING)[:30],
        response(PING)[:-1],
        response(PING) + b"\r\n",
        response(bytes(MAX_ANSWER + 1), line="HTTP/1.1 500 Oops"),
        response(PING, headers=f"{WBXML}X-Long: {'x' * 16_384}\r\n"),
        *UNUSUAL,
    ],
)
def test_other_bytes_are_left_to_a_reader(data: bytes) -> None:
    """An answer that is incomplete, too much, or of another shape is not read at once."""
    assert whole(data) is None


@pytest.mark.parametrize("read_at_once", [whole, read], ids=["whole", "reader"])
def test_a_success_that_is_no_wbxml_is_refused(read_at_once: object) -> None:
    """A body that should be WBXML and cannot be decoded is an error, not an answer."""
    assert callable(read_at_once)
    for data in (response(PING[:-1]), response(PING[:-1], headers=""), response(b"\x1f\x8b")):
        with pytest.raises(UnreadableAnswerError, match="found no WBXML"):
            read_at_once(data)


def test_an_answer_is_complete_with_its_last_byte() -> None:
    """An answer in pieces is complete with the last byte and not before."""
    reader = AnswerReader()
    data = CONTINUE + chunked(PING[:9], PING[9:])

    found = [reader.feed(data[at : at + 1]) for at in range(len(data))]

    assert [False] * (len(data) - 1) + [True] == found
    assert Answer(200, CHANGED) == reader.answer()


@pytest.mark.parametrize(
    "data",
    [CONTINUE + response(PING), CONTINUE * 2 + response(PING), chunked(PING)],
    ids=["interim", "two interim", "chunked"],
)
def test_a_reader_reads_unusual_answers(data: bytes) -> None:
    """Interim answers are skipped and chunks are joined."""
    assert Whole(Answer(200, CHANGED), keeps_alive=True) == read(data)


@pytest.mark.parametrize(
    ("line", "headers", "keeps"),
    [
        ("HTTP/1.1 200 OK", "Connection: close\r\n", False),
        ("HTTP/1.1 200 OK", "Connection: keep-alive\r\n", True),
        ("HTTP/1.0 200 OK", "", False),
    ],
)
def test_the_server_says_whether_it_keeps_the_connection(
    line: str,
    headers: str,
    keeps: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Both roads tell whether the next request needs another connection."""
    data = response(line=line, headers=headers)

    assert Whole(Answer(200), keeps) == whole(data) == read(data)


def test_an_answer_to_a_sync_may_be_big() -> None:
    """A Sync may bring more than another command."""
    mail = "x" * (2 * MAX_ANSWER)
    body = encode(
        from_xml(
            '<Sync xmlns="AirSync:"><Collections><Collection><Commands><Add><ApplicationData>'
            f'<Subject xmlns="Email:">{mail}</Subject>'
            "</ApplicationData></Add></Commands></Collection></Collections></Sync>"
        )
    )

    found = read(*pieces_of(response(body), range(0, len(body), 65_536)))

    assert found is not None
    assert (mail,) == found.answer.document.collections[0].subjects


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"SSH-2.0-server\r\n", "found no HTTP answer"),
        (response(bytes(MAX_ANSWER + 1)), "found more than 1048576 bytes of body"),
        (response(SYNC[:5] + bytes(MAX_SYNC_ANSWER)), "found more than 16777216 bytes of body"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3 * MAX_ANSWER, "bytes around a body"),
        (b"HTTP/1.1 100 OK\r\nX: " + b"x" * 3 * MAX_ANSWER, "bytes around a body"),
        (response(PING) + response(PING), "found bytes after an answer"),
    ],
    ids=["no HTTP", "too big", "too big for a Sync", "endless head", "endless interim", "two"],
)
def test_bytes_that_are_no_answer_are_refused(data: bytes, text: str) -> None:
    """Another protocol, an endless answer and a second one are errors."""
    with pytest.raises(UnreadableAnswerError, match=text):
        AnswerReader().feed(data)


def outcome(*pieces: bytes) -> Whole | str | None:
    try:
        return read(*pieces)
    except UnreadableAnswerError:
        return "unreadable"


def outcome_at_once(data: bytes) -> Whole | str | None:
    try:
        return whole(data)
    except UnreadableAnswerError:
        return "unreadable"


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        data[at : at + draw(st.integers(0, 3))] = draw(
            st.binary(max_size=3)
            | st.sampled_from([b"\r\n", b"\n", b" ", b"Content-Length: 3\r\n", b"X: 1\r\n", b":"])
        )
    return bytes(data)


@given(data=mutations() | st.binary(max_size=200), cuts=st.lists(st.integers(0, 300), max_size=6))
@settings(max_examples=400, deadline=None)
@example(data=CONTINUE + response(PING), cuts=[8, 15])
@example(data=response(headers="X-Empty:\r\nConnection:close\r\n"), cuts=[25, 26, 27])
def test_any_bytes_give_an_answer_or_are_refused(data: bytes, cuts: list[int]) -> None:
    """However bytes are cut, they are an answer, unreadable, or a part; both roads agree."""
    in_one, in_pieces, at_once = (
        outcome(data),
        outcome(*pieces_of(data, cuts)),
        outcome_at_once(data),
    )

    assert at_once in {None, in_one}
    assert in_one in {
        in_pieces,
        "unreadable",
    }  # bytes after an answer are seen if they come with it


@given(
    body=st.sampled_from([b"", PING, SYNC, PING[:-1], b"<html>", b"\x03"]),
    line=st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 503 Busy"]),
    headers=st.lists(
        st.sampled_from(
            [
                WBXML,
                "Connection: close\r\n",
                "connection: Keep-Alive\r\n",
                "Retry-After: 7\r\n",
                "Retry-After: Sun, 22 Nov 2026 10:00:00 GMT\r\n",
                "Date: Sun, 22 Nov 2026 09:59:00 GMT\r\n",
                "X-MS-Location: http://b/\r\n",
                "X-Empty:\r\n",
                "X-Tab:\t a\tb \r\n",
                "Upgrade: x\r\n",
                "Connection: upgrade\r\n",
            ]
        ),
        max_size=6,
    ),
)
def test_both_roads_read_whole_answers_alike(body: bytes, line: str, headers: list[str]) -> None:
    """A complete answer of the usual shape is read at once, as a reader reads it."""
    data = response(body, line=line, headers="".join(headers))

    found = outcome_at_once(data)

    assert found is not None
    assert found == outcome(data)
