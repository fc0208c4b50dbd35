"""The short shape of a request: every prefix, every limit, every shape that smugglers use."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushgw import wire
from pushgw.wire import Limits, LongRequest, Refused, ShortRequest

LIMITS = Limits(max_head=500, max_body=2000, max_short_body=300)
HEAD = b"POST /p?Cmd=Ping&User=a HTTP/1.1\r\nHost: h\r\n"
PING = (
    HEAD + b"Authorization: Basic YTpi\r\nX-Other: 1\r\nContent-Length: 4\r\n\r\n\x03\x01\x6a\x00"
)


def with_head(fields: str, body: bytes = b"") -> bytes:
    return HEAD + fields.replace("\n", "\r\n").encode() + b"\r\n" + body


def short(data: bytes) -> ShortRequest:
    request = wire.read(data, LIMITS)
    assert isinstance(request, ShortRequest)
    return request


def test_complete_request_is_read() -> None:
    """A request says its method, path, raw query, wanted fields, body and length."""
    actual = wire.read(PING, LIMITS)

    assert (
        ShortRequest(
            method="POST",
            path="/p",
            query="Cmd=Ping&User=a",
            headers={"authorization": "Basic YTpi", "content-length": "4"},
            body=b"\x03\x01\x6a\x00",
            keep_alive=True,
            length=len(PING),
        )
        == actual
    )


@pytest.mark.parametrize("end", range(len(PING)))
def test_prefix_needs_more(end: int) -> None:
    """Whatever part of a request has come, it is waited for the rest."""
    assert wire.read(PING[:end], LIMITS) == wire.NEED_MORE


def test_next_request_is_left_alone() -> None:
    """Bytes behind a request change nothing in it; its length says where they begin."""
    assert wire.read(PING, LIMITS) == wire.read(PING + b"GET / HT", LIMITS)


def test_request_without_body_is_complete() -> None:
    """No length means no body."""
    actual = short(with_head(""))

    assert (actual.body, actual.length) == (b"", len(HEAD) + 2)


def test_line_before_the_request_is_skipped() -> None:
    """One empty line before a request is allowed. Source: RFC 9112, 2.2."""
    assert short(b"\r\n" + PING).path == "/p"


def test_query_is_not_decoded() -> None:
    """Percent and plus signs are the envelope's to understand."""
    assert short(b"GET /a?b=%41+%2B?c HTTP/1.1\r\n\r\n").query == "b=%41+%2B?c"


def test_repeated_fields_are_joined() -> None:
    """A wanted field that comes twice reads like a list, and like nothing anybody would allow."""
    actual = short(with_head("Authorization: a\nAUTHORIZATION: b\n"))

    assert actual.headers == {"authorization": "a, b"}


def test_field_of_any_bytes_is_read() -> None:
    """Bytes beyond ASCII in a field are kept as ISO-8859-1."""
    assert short(HEAD + b"User-Agent: \xe9\r\n\r\n").headers == {"user-agent": "\xe9"}


@pytest.mark.parametrize("body", [b"", b"abc"])
@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        ("1.1", "x", True),
        ("1.1", "close", False),
        ("1.1", "x, Close", False),
        ("1.0", "x", False),
        ("1.0", "keep-alive", True),
    ],
)
def test_connection_field_is_obeyed(
    version: str, connection: str, body: bytes, *, expected: bool
) -> None:
    """A client says, in its version's way, if its connection goes on; with a body or without."""
    lines = f"POST / HTTP/{version}\r\nConnection: {connection}\r\nContent-Length: {len(body)}"

    assert expected == short(f"{lines}\r\n\r\n".encode() + body).keep_alive


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 4\nContent-Length: 4\n",
        "Content-Length: 4\nContent-Length: 5\n",
        "Content-Length: 4, 4\n",
        "Content-Length: 4\nTransfer-Encoding: chunked\n",
        "Transfer-Encoding: chunked\nContent-Length: 4\n",
        "Transfer-Encoding: identity\n",
        "Transfer-Encoding: xchunked\n",
        "Transfer-Encoding: chunked, gzip\n",
        "Transfer-Encoding : chunked\n",
        "Transfer-Encoding:\x0bchunked\n",
        "Content-Length : 4\n",
        "Content-Length:\n",
        "Content-Length: +4\n",
        "Content-Length: -4\n",
        "Content-Length: 0x4\n",
        "Content-Length: 4 4\n",
        "Content-Length: 99999999999999999999\n",
        "X: a\n folded\n",
        " X: a\n",
        "X\x00: a\n",
        "X: \x00\n",
        "X: a\rb\n",
        "X\n",
    ],
)
def test_ambiguous_head_is_refused(fields: str) -> None:
    """A head in which two readers could see different requests is refused."""
    actual = wire.read(with_head(fields, b"\x03\x01\x6a\x00"), LIMITS)

    assert isinstance(actual, Refused)
    assert actual.http_status == 400


@pytest.mark.parametrize(
    "data",
    [
        HEAD.replace(b"\r\n", b"\n") + b"\r\n\r\n",
        HEAD + b"X: a\nContent-Length: 4\r\n\r\n",
        HEAD + b"\nGET / HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    """Bare line feeds, other protocols, other versions and nothing at all are refused."""
    actual = wire.read(data, LIMITS)

    assert isinstance(actual, Refused)
    assert actual.http_status == 400


def test_refusal_says_one_line() -> None:
    """Whatever the client sent, the reason is one line."""
    actual = wire.read(b"\r\n\r\n", LIMITS)

    assert Refused(400, "no HTTP request: empty lines; allowed: a request line") == actual


@pytest.mark.parametrize(
    ("http_status", "label"),
    [(400, "bad_request"), (408, "slow_request"), (413, "body_size"), (431, "head_size")],
)
def test_refusal_is_counted_by_its_cause(http_status: int, label: str) -> None:
    """Each status of a refusal has its one fixed word."""
    assert label == Refused(http_status, "").metric_label


@pytest.mark.parametrize("extra", [0, 1])
def test_head_is_bounded(extra: int) -> None:
    """A head of the limit or more is refused with 431, complete or not."""
    padding = "X: " + "a" * (LIMITS.max_head - len(HEAD) - 3 - 4 + extra) + "\n"
    data = with_head(padding)
    expected = Refused(431, "head of 500 bytes or more; allowed: less")

    assert isinstance(wire.read(data, LIMITS), ShortRequest) == (extra == 0)
    assert (expected == wire.read(data, LIMITS)) == (extra == 1)
    assert expected == wire.read(data[:-1] + b"aa", LIMITS)


def test_endless_line_is_refused_at_the_limit() -> None:
    """One byte less than the limit is waited on, the limit is refused."""
    endless = b"a" * LIMITS.max_head

    assert wire.read(endless[1:], LIMITS) == wire.NEED_MORE
    assert wire.read(endless, LIMITS) == Refused(431, "head of 500 bytes or more; allowed: less")


def test_huge_body_is_refused_by_its_length() -> None:
    """A body beyond the limit is refused before any of it has come."""
    data = with_head("Content-Length: 2001\n")

    assert wire.read(data, LIMITS) == Refused(413, "body of 2001 bytes; allowed: at most 2000")


def test_huge_body_is_refused_before_it_is_lent() -> None:
    """Expect does not help a body beyond the limit."""
    data = with_head("Content-Length: 2001\nExpect: 100-continue\n")

    assert wire.read(data, LIMITS) == Refused(413, "body of 2001 bytes; allowed: at most 2000")


@pytest.mark.parametrize("size", [301, 2000])
def test_large_body_takes_the_long_road(size: int) -> None:
    """A body within the limit that is not small goes to aiohttp, with its exact length."""
    head = with_head(f"Content-Length: {size}\n")

    assert wire.read(head, LIMITS) == LongRequest(len(head) + size)


def test_largest_short_body_is_short() -> None:
    """The limit of the short road belongs to it."""
    assert len(short(with_head("Content-Length: 300\n", b"a" * 300)).body) == 300


@pytest.mark.parametrize(
    "field",
    ["Expect: 100-continue\n", "Content-Encoding: gzip\n", "Expect: x\nContent-Encoding: x\n"],
)
def test_special_request_takes_the_long_road(field: str) -> None:
    """What only aiohttp understands goes to aiohttp, before its body has come."""
    head = with_head("Content-Length: 4\n" + field)

    assert wire.read(head, LIMITS) == LongRequest(len(head) + 4)


@pytest.mark.parametrize(
    "data",
    [
        with_head("Transfer-Encoding: chunked\nExpect: 100-continue\n"),
        with_head("Transfer-Encoding: gzip, chunked\n"),
        with_head("Transfer-Encoding: chunked\nContent-Encoding: gzip\n"),
        with_head("Connection: upgrade\nUpgrade: h2c\n"),
        with_head("Connection: upgrade\nUpgrade: websocket\nContent-Length: 4\n"),
        b"CONNECT h:1 HTTP/1.1\r\n\r\n",
    ],
)
def test_request_without_a_length_is_aiohttps(data: bytes) -> None:
    """Where only the parser can tell the end, nobody else tries."""
    assert wire.read(data, LIMITS) == LongRequest(None)


CHUNKED = with_head("Transfer-Encoding: chunked\n")
IN_CHUNKS = CHUNKED + b"3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n"


def test_small_chunked_body_is_put_together() -> None:
    """A chunked body of the usual shape reads like one of known length."""
    actual = short(IN_CHUNKS + PING)

    assert (b"abc0123456789", len(IN_CHUNKS)) == (actual.body, actual.length)


@pytest.mark.parametrize("end", range(len(CHUNKED), len(IN_CHUNKS)))
def test_chunked_prefix_needs_more(end: int) -> None:
    """Whatever part of a chunked request has come, it is waited for the rest."""
    assert wire.read(IN_CHUNKS[:end], LIMITS) == wire.NEED_MORE


def test_empty_chunked_body_is_complete() -> None:
    """A chunked request may have no body at all."""
    assert short(CHUNKED + b"0\r\n\r\n").body == b""


@pytest.mark.parametrize(
    "body",
    [
        b"3;name=value\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
        b"3\r\nabcX0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"00000000003\r\nabc\r\n0\r\n\r\n",
        b"12D\r\n",
        b"FFFFFF\r\n",
        b"96\r\n" + b"a" * 150 + b"\r\n97\r\n",
    ],
)
def test_unusual_chunks_are_aiohttps(body: bytes) -> None:
    """Extensions, trailers, other spellings of a length and large bodies are not judged here."""
    assert wire.read(CHUNKED + body, LIMITS) == LongRequest(None)


def test_many_tiny_chunks_are_aiohttps() -> None:
    """A body that is read anew with each byte must not be made of very many chunks."""
    limits = Limits(max_head=500, max_body=200_000)

    assert wire.read(CHUNKED + b"1\r\na\r\n" * 5000, limits) == LongRequest(None)


def test_upgrade_that_is_not_asked_for_takes_the_long_road() -> None:
    """An Upgrade field alone is no upgrade, and no short request either."""
    data = with_head("Upgrade: h2c\n")

    assert wire.read(data, LIMITS) == LongRequest(len(data))


PIECES = (
    *(
        b"POST ",
        b"GET ",
        b"/p",
        b"?",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
    ),
    *(b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"Connection: ", b"Upgrade: "),
    *(b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nping\r\n", b"0\r\n\r\n"),
    *(b"close", b"4", b"4", b"0", b", ", b": ", b" ", b"\t", b"\x00", b"\xff", b"Expect: "),
)


@given(
    st.one_of(
        st.binary(max_size=600),
        st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join),
        st.tuples(
            st.sampled_from((PING, IN_CHUNKS)), st.integers(0, len(PING)), st.binary(max_size=3)
        ).map(lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + 1 :]),
    )
)
@example(b"")
def test_any_bytes_are_judged(data: bytes) -> None:
    """Whatever comes, there is one of the four outcomes, and none reaches beyond the limits."""
    outcome = wire.read(data, LIMITS)

    match outcome:
        case ShortRequest(length=length, body=body):
            assert length <= len(data)
            assert len(body) <= LIMITS.max_short_body
        case LongRequest(length=length):
            assert length is None or length <= LIMITS.max_head + LIMITS.max_body
        case Refused(http_status=status, reason=reason):
            assert status in {400, 413, 431}
            assert reason.isprintable()
        case _:
            assert outcome == wire.NEED_MORE
            assert len(data) < LIMITS.max_head + LIMITS.max_short_body


def test_answer_is_written() -> None:
    """An answer carries its type, its length and its body; the connection goes on."""
    expected = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ms-sync.wbxml\r\n"
        b"Cache-Control: private\r\nContent-Length: 3\r\n\r\nabc"
    )

    assert expected == wire.answer(b"abc", ends=False)


def test_last_answer_says_so() -> None:
    """The last answer of a connection says that it is the last."""
    assert wire.answer(b"abc", ends=True).endswith(b"3\r\nConnection: close\r\n\r\nabc")


def test_refusal_is_written() -> None:
    """A refusal is one line of text with its status, and closes."""
    expected = (
        b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 5\r\nConnection: close\r\n\r\nt\xc3\xb6o\n"
    )

    assert expected == wire.refusal(Refused(413, "töo"))
