"""What phones, and those who only say so, send wrongly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pushgw.wbxml import element, encode
from tests.integration.phone import Identity, Phone, folder_sync, ping

if TYPE_CHECKING:
    from notifier.publisher import Publisher
    from tests.integration.conftest import Dial, Hold, StartGateway
    from tests.integration.gateway import Gateway, Valkey

NO_WBXML = b"<Ping/>"
NO_PING = encode(element("Ping", "Ping", element("Ping", "HeartbeatInterval", "soon")))
OTHER_ROOT = folder_sync()
EMPTY_PING = encode(element("Ping", "Ping"))
REASONS = {
    *("change", "heartbeat", "hierarchy", "superseded", "interrupted", "drain", "balance", "terms"),
    *("disconnect", "fault", "malformed"),
}


def errors(gateway: Gateway) -> list[dict[str, Any]]:
    return [one for one in gateway.events() if one["level"] in {"error", "critical"}]


@pytest.mark.parametrize(
    ("body", "status"),
    [(NO_WBXML, 102), (NO_PING, 103), (OTHER_ROOT, 103), (EMPTY_PING, 4), (ping("5", "5"), 4)],
    ids=["undecodable", "text", "root", "neither", "twice"],
)
@pytest.mark.parametrize("version", ["14.0", "16.1"])
async def test_bad_ping(
    version: str, body: bytes, status: int, gateway: Gateway, user: str, dial: Dial
) -> None:
    """From 14.0 on a bad Ping is answered with a status in a Ping document."""
    phone = dial(gateway, Identity(user, version=version))
    answer = await phone.ask("Ping", body)

    assert (200, "Ping", status) == (answer.http_status, answer.root.name, answer.status)


@pytest.mark.parametrize("body", [NO_WBXML, NO_PING, OTHER_ROOT])
@pytest.mark.parametrize("version", ["2.5", "12.1"])
async def test_bad_ping_before_14_0(
    version: str, body: bytes, gateway: Gateway, user: str, dial: Dial
) -> None:
    """Before 14.0 a Ping that is none is answered with HTTP 400."""
    phone = dial(gateway, Identity(user, version=version))

    assert 400 == (await phone.ask("Ping", body)).http_status


@pytest.mark.parametrize("version", ["12.1", "14.1"])
async def test_connection_is_usable_after_a_bad_ping(
    version: str, gateway: Gateway, user: str, dial: Dial, publisher: Publisher
) -> None:
    """After a bad Ping the same connection takes a good one."""
    phone = dial(gateway, Identity(user, version=version))
    await phone.synchronise()
    await phone.ask("Ping", NO_WBXML)
    await phone.ping("5")

    await publisher.publish(user, "5")

    assert 2 == (await phone.receive()).status


@pytest.mark.parametrize(
    ("query", "http_status"),
    [
        ("", 400),
        ("User=anna&DeviceId=PHONE1&DeviceType=Test", 400),
        ("Cmd=Sing&User=anna&DeviceId=PHONE1&DeviceType=Test", 501),
        ("Cmd=Ping&User=anna&DeviceType=Test", 400),
        ("Cmd=Ping&Cmd=Sync&User=anna&DeviceId=PHONE1", 400),
        ("Cmd=Ping&User=anna&DeviceId=" + "A" * 33, 400),
        ("Cmd=Ping&DeviceId=PHONE1", 400),
        ("jRIJB!!!", 400),
        ("jRIJBA", 400),
        ("jf8JBAA=", 501),
    ],
    ids=[
        *("none", "no-command", "unknown", "no-device", "twice", "long-device", "no-user"),
        *("no-base64", "cut", "code"),
    ],
)
@pytest.mark.parametrize("body", [b"", ping("5")], ids=["empty", "body"])
async def test_bad_query(query: str, http_status: int, body: bytes, phone: Phone) -> None:
    """A query that does not say what is wanted by whom is refused with a reason in one line."""
    await phone.send(phone.request("", body, query=query))

    answer = await phone.receive()

    assert (http_status, 1) == (answer.http_status, answer.body.count(b"\n"))
    assert answer.body.startswith(b"found ")


async def test_unknown_version(phone: Phone) -> None:
    """A protocol version nobody knows is refused."""
    headers = {"MS-ASProtocolVersion": "99.0"}
    await phone.send(phone.request("Ping", ping("5"), headers=headers))

    assert 400 == (await phone.receive()).http_status


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ],
    ids=["words", "lines", "length", "lengths", "smuggling", "tls", "chunk"],
)
async def test_no_http(data: bytes, gateway: Gateway, user: str, dial: Dial) -> None:
    """What is no HTTP request is refused with 400, and the connection ends."""
    phone = dial(gateway, Identity(user))
    await phone.send(data)

    assert (400, True) == ((await phone.receive()).http_status, await phone.ended())


async def test_too_large_body_is_refused_before_it_comes(phone: Phone) -> None:
    """A body that is announced larger than allowed is refused with 413 at once."""
    await phone.send(phone.request("SendMail", headers={"Content-Length": "2000000"}))

    answer = await phone.receive()

    assert (413, True) == (answer.http_status, await phone.ended())


async def test_too_large_chunked_body(phone: Phone) -> None:
    """A chunked body that grows larger than allowed is refused with 413."""
    headers = {"Transfer-Encoding": "chunked", "Content-Length": None}
    await phone.send(phone.request("SendMail", headers=headers))
    for _ in range(11):
        await phone.send(b"186a0\r\n" + bytes(100_000) + b"\r\n")

    assert 413 == (await phone.receive()).http_status


@pytest.mark.parametrize("is_whole", [True, False])
async def test_too_large_head(
    is_whole: bool,  # noqa: FBT001 (a parameter of pytest)
    phone: Phone,
) -> None:
    """A head over the limit is refused with 431, whether or not it ends."""
    data = phone.request("Ping", headers={"X-Long": "a" * 16_400})
    await phone.send(data if is_whole else data[:16_390])

    assert (431, True) == ((await phone.receive()).http_status, await phone.ended())


@pytest.mark.parametrize("part", ["head", "body"])
async def test_slow_request(
    part: str, valkey: Valkey, start_gateway: StartGateway, dial: Dial, user: str, hold: Hold
) -> None:
    """A request that comes too slowly is refused with 408, and other phones do not notice."""
    gateway = start_gateway(valkey.url, limits__request_seconds="1")
    held, slow = dial(gateway, Identity(user)), dial(gateway, Identity(f"{user}x"))
    await held.synchronise()
    await hold(held, "5")
    data = slow.request("Ping", ping("5"))
    at = 10 if part == "head" else data.index(b"\r\n\r\n") + 10

    await slow.send(data[:at])
    answer = asyncio.create_task(slow.receive())
    while not answer.done():
        await slow.send(data[at : at + 1])
        at += 1
        await asyncio.wait({answer}, timeout=0.5)
    body = f'{{"changes": [{{"mailbox": "{user}", "folder": "5"}}]}}'
    gateway.ask("/v1/changes", "POST", body)

    assert (408, 2) == (answer.result().http_status, (await held.receive()).status)


async def test_much_ahead(phone: Phone, hold: Hold) -> None:
    """A client that sends a lot while its answer is on the way gets all answers in order."""
    await hold(phone, "5")
    await phone.send(phone.request("FolderSync", folder_sync("1")) * 400)

    answers = [await phone.receive() for _ in range(401)]

    assert [("Ping", 1), *[("FolderSync", 1)] * 400] == [
        (one.root.name, one.status) for one in answers
    ]


async def test_bad_input_is_no_error_of_ours(gateway: Gateway, phone: Phone) -> None:
    """Nothing that phones send makes the gateway log an error."""
    for body in (NO_WBXML, NO_PING, EMPTY_PING):
        await phone.ask("Ping", body)
        await phone.ask("FolderSync", body)
        await phone.ask("Provision", body)
        await phone.ask("Settings", body)
    await phone.send(phone.request("", query="jRIJB!!!"))
    await phone.receive()
    headers = {"Transfer-Encoding": "chunked", "Content-Length": None}
    await phone.send(phone.request("Ping", headers=headers) + b"zz\r\n\r\n")
    await phone.receive()

    assert [] == errors(gateway)


async def test_bad_input_grows_no_metric(gateway: Gateway, phone: Phone) -> None:
    """What phones write does not become the label of a metric."""
    await phone.ask("Ping", NO_PING)
    await phone.ask("Ping", OTHER_ROOT)

    found = set(gateway.metrics("pushgw_wakes_total"))

    assert set() == found - REASONS
