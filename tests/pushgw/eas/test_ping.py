from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushgw.eas import ping
from pushgw.eas.ping import PingError, PingFolder, PingRequest, PingResponse, PingStatus
from pushgw.wbxml import element, encode, from_xml

DOCUMENT = json.loads(
    (Path(__file__).parents[2] / "vectors" / "eas.json").read_text(encoding="utf-8")
)
VECTORS = {one["id"]: bytes.fromhex(one["hex"]) for one in DOCUMENT["wbxml"]}
REQUESTS = [data for name, data in VECTORS.items() if name.startswith("ping-req")]
INBOX = PingFolder("5", "Email")


def _body(content: str) -> bytes:
    return encode(from_xml(f'<Ping xmlns="Ping:">{content}</Ping>'))


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ("ping-req-full", PingRequest(480, (INBOX, PingFolder("1", "Calendar")))),
        ("ping-req-hb-only", PingRequest(900, None)),
        ("ping-req-class-before-id", PingRequest(60, (PingFolder("inbox", "Email"),))),
    ],
)
def test_request_is_read(vector: str, expected: PingRequest) -> None:
    """Heartbeat and folders are read, in either order of Id and Class."""
    actual = ping.parse(VECTORS[vector])

    assert expected == actual


@pytest.mark.parametrize("body", [b"", _body("<Folders/>")])
def test_request_without_content_is_the_cached_one(body: bytes) -> None:
    """No body, and an empty list of folders, stand for what was asked last time."""
    actual = ping.parse(body)

    assert PingRequest(None, None) == actual


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-5", -5),
        ("0", 0),
        ("+0480", 480),
        (" 480 ", 480),
        ("6000000", 6_000_000),
        ("9" * 5_000, ping.HUGE_HEARTBEAT),
        ("-" + "9" * 5_000, -ping.HUGE_HEARTBEAT),
        ("0" * 5_000 + "7", 7),
    ],
)
def test_heartbeat_is_any_integer(text: str, expected: int) -> None:
    """Negative and huge numbers are read, for bounds are judged later."""
    actual = ping.parse(_body(f"<HeartbeatInterval>{text}</HeartbeatInterval>"))

    assert expected == actual.heartbeat


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (VECTORS["ping-req-empty-element"], 4),
        (
            _body(
                "<Folders>" + "<Folder><Id>5</Id><Class>Email</Class></Folder>" * 2 + "</Folders>"
            ),
            4,
        ),
        (b"\r\n", 102),
        (_body("<HeartbeatInterval>8m</HeartbeatInterval>"), 103),
        (_body("<HeartbeatInterval/>"), 103),
        (_body("<HeartbeatInterval>" + "0" * 60_000 + "x</HeartbeatInterval>"), 103),
        (_body("<HeartbeatInterval>60</HeartbeatInterval>" * 2), 103),
        (_body("<Status>1</Status>"), 103),
        (_body("text"), 103),
        (_body("<Folders><Id>5</Id></Folders>"), 103),
        (_body("<Folders><Folder><Id>5</Id></Folder></Folders>"), 103),
        (_body("<Folders><Folder><Class>Email</Class></Folder></Folders>"), 103),
        (_body("<Folders><Folder><Id/><Class>Email</Class></Folder></Folders>"), 103),
        (_body("<Folders><Folder><Id>5</Id><Class>Journal</Class></Folder></Folders>"), 103),
        (_body(f"<Folders><Folder><Id>{'x' * 65}</Id><Class>SMS</Class></Folder></Folders>"), 103),
        (_body('<Policies xmlns="Provision:"/>'), 103),
        (_body('<Folders><Folder xmlns="FolderHierarchy:"/></Folders>'), 103),
        (VECTORS["sync-req-heartbeat"], 103),
        (bytes(70_000), 103),
    ],
    ids=range(19),
)
def test_malformed_request_is_refused(body: bytes, expected: int) -> None:
    """Saying nothing or the same twice is 4, bytes of no document 102, a broken schema 103."""
    with pytest.raises(PingError) as caught:
        ping.parse(body)

    assert (expected, 1) == (caught.value.status, len(str(caught.value).splitlines()))


def test_id_with_a_nul_is_refused() -> None:
    """An id in opaque data that an answer could not repeat is refused."""
    folder = element(
        "Ping", "Folder", element("Ping", "Id", b"5\x00"), element("Ping", "Class", "SMS")
    )

    with pytest.raises(PingError, match="allowed printable characters"):
        ping.parse(encode(element("Ping", "Ping", element("Ping", "Folders", folder))))


@pytest.mark.parametrize("class_", ["Email", "Calendar", "Contacts", "Tasks", "Notes", "SMS"])
def test_every_class_may_be_watched(class_: str) -> None:
    """All six classes are read, with the longest id."""
    folder = f"<Folder><Id>{'x' * 64}</Id><Class>{class_}</Class></Folder>"

    actual = ping.parse(_body(f"<Folders>{folder}</Folders>"))

    assert (PingFolder("x" * 64, class_),) == actual.folders


def _verdict(data: bytes) -> int:
    try:
        ping.parse(data)
    except PingError as error:
        return error.status
    return 0


@pytest.mark.parametrize("data", REQUESTS)
def test_each_prefix_and_changed_byte_is_read_or_refused(data: bytes) -> None:
    """Nothing but a request or a PingError comes of damaged bytes."""
    prefixes = [data[:size] for size in range(len(data))]
    changed = [
        data[:at] + bytes([value]) + data[at + 1 :]
        for at in range(len(data))
        for value in range(256)
    ]

    actual = {_verdict(one) for one in prefixes + changed}

    assert {0, 102} <= actual <= {0, 4, 102, 103}


@pytest.mark.parametrize("vector", DOCUMENT["wbxml_malformed"][1:], ids=lambda vector: vector["id"])
def test_malformed_document_is_refused(vector: dict[str, str]) -> None:
    """Each malformed document that has bytes is status 102."""
    with pytest.raises(PingError) as caught:
        ping.parse(bytes.fromhex(vector["hex"]))

    assert 102 == caught.value.status


def test_equal_requests_share_their_folders() -> None:
    """The same bytes from two phones give one and the same tuple."""
    data = VECTORS["ping-req-full"]

    first, second = ping.parse_cached(data), ping.parse_cached(bytes(bytearray(data)))

    assert first.folders is second.folders


def test_large_request_is_not_remembered() -> None:
    """A body over 1 KiB is read each time, so that memory stays bounded."""
    folders = "".join(f"<Folder><Id>{n}</Id><Class>Email</Class></Folder>" for n in range(100))
    data = _body(f"<Folders>{folders}</Folders>")

    first, second = ping.parse_cached(data), ping.parse_cached(data)

    assert (True, False) == (first == second, first is second)


@pytest.mark.parametrize(
    ("vector", "response"),
    [
        ("ping-resp-2", PingResponse(PingStatus.CHANGED, ("5", "1"))),
        ("ping-resp-5-low", PingResponse(PingStatus.HEARTBEAT_OUT_OF_RANGE, heartbeat=60)),
        ("ping-resp-5-high", PingResponse(PingStatus.HEARTBEAT_OUT_OF_RANGE, heartbeat=3540)),
        ("ping-resp-7", PingResponse(PingStatus.FOLDER_SYNC_REQUIRED)),
        ("ping-resp-8", PingResponse(PingStatus.SERVER_ERROR)),
    ],
)
def test_answer_has_the_bytes_of_the_vector(vector: str, response: PingResponse) -> None:
    """Each answer is the document that the protocol shows."""
    assert VECTORS[vector] == response.to_bytes()


@pytest.mark.parametrize(
    ("response", "content"),
    [
        (PingResponse(PingStatus.EXPIRED), "<Status>1</Status>"),
        (
            PingResponse(PingStatus.TOO_MANY_FOLDERS, max_folders=200, heartbeat=60),
            "<Status>6</Status><MaxFolders>200</MaxFolders><HeartbeatInterval>60</HeartbeatInterval>",
        ),
        (
            PingResponse(PingStatus.CHANGED, tuple("abcde")),
            "<Status>2</Status><Folders>"
            + "".join(f"<Folder>{one}</Folder>" for one in "abcde")
            + "</Folders>",
        ),
    ],
)
def test_answer_has_the_order_of_the_schema(response: PingResponse, content: str) -> None:
    """Folders stand before MaxFolders and HeartbeatInterval, and only if there are any."""
    assert _body(content) == response.to_bytes()


def test_frequent_answer_is_built_once() -> None:
    """The same short answer is the same bytes object."""
    first, second = PingResponse(2, ("5",)).to_bytes(), PingResponse(2, ("5",)).to_bytes()

    assert first is second


def test_every_status_is_explained() -> None:
    """Each status of Ping, 1 to 8, has its line of explanation."""
    assert (set(PingStatus), list(range(1, 9))) == (set(ping.EXPLANATIONS), list(PingStatus))
