"""The same requests in all the shapes that HTTP/1.1 allows."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import pytest

from tests.integration.phone import Identity, Phone, folder_sync, ping

if TYPE_CHECKING:
    from notifier.publisher import Publisher
    from tests.integration.conftest import Dial, Hold
    from tests.integration.gateway import Gateway

CHUNKED = {"Transfer-Encoding": "chunked", "Content-Length": None}


def compact(who: Identity, command: int, *, with_user: bool = True) -> str:
    """Write a compact query for version 14.1."""
    fields = [who.device.encode(), b"\0\0\0\0", b"Test"]
    data = bytes((141, command, 9, 4)) + b"".join(bytes((len(one),)) + one for one in fields)
    user = who.user.encode()
    tagged = bytes((8, len(user))) + user if with_user else b""
    return base64.b64encode(data + tagged).decode()


def chunked(body: bytes, size: int = 7) -> bytes:
    """Write a body in chunks."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (*parts, b""))


async def news(phone: Phone, publisher: Publisher) -> tuple[int, tuple[str, ...]]:
    """Publish a change of the Inbox and read what the phone is told."""
    await publisher.publish(phone.who.user, "5")
    answer = await phone.receive()
    return answer.status, answer.folders


async def test_ping_byte_by_byte(phone: Phone, publisher: Publisher) -> None:
    """A Ping that comes a byte at a time is held and answered like any other."""
    data = phone.request("Ping", ping("5"))
    for at in range(len(data)):
        await phone.send(data[at : at + 1])
        await asyncio.sleep(0.001)

    assert (2, ("5",)) == await news(phone, publisher)


@pytest.mark.parametrize("missing", [1, 20, 60])
async def test_ping_in_two_parts(missing: int, phone: Phone, publisher: Publisher) -> None:
    """A Ping whose last bytes come later is held and answered like any other."""
    data = phone.request("Ping", ping("5"))
    await phone.send(data[:-missing])
    await asyncio.sleep(0.03)
    await phone.send(data[-missing:])

    assert (2, ("5",)) == await news(phone, publisher)


async def test_folder_sync_byte_by_byte(phone: Phone) -> None:
    """Any command may come in pieces."""
    data = phone.request("FolderSync", folder_sync("1"))
    for at in range(len(data)):
        await phone.send(data[at : at + 1])
        await asyncio.sleep(0.001)

    assert 1 == (await phone.receive()).status


async def test_chunked_ping(phone: Phone, publisher: Publisher) -> None:
    """A Ping with a chunked body is held and answered like any other."""
    head = phone.request("Ping", headers=CHUNKED)
    await phone.send(head + chunked(ping("5")))

    assert (2, ("5",)) == await news(phone, publisher)


async def test_chunked_ping_in_parts(phone: Phone, publisher: Publisher) -> None:
    """The chunks of a Ping may come one by one."""
    data = phone.request("Ping", headers=CHUNKED) + chunked(ping("5"))
    for at in range(0, len(data), 11):
        await phone.send(data[at : at + 11])
        await asyncio.sleep(0.001)

    assert (2, ("5",)) == await news(phone, publisher)


async def test_connection_is_usable_after_a_chunked_ping(
    phone: Phone, publisher: Publisher
) -> None:
    """The next request on the connection of a chunked Ping may have any shape."""
    await phone.send(phone.request("Ping", headers=CHUNKED) + chunked(ping("5")))
    await news(phone, publisher)

    await phone.ping("5")
    assert (2, ("5",)) == await news(phone, publisher)

    assert 1 == (await phone.synchronise("1")).status


@pytest.mark.parametrize("value", ["100-continue", "100-Continue"])
async def test_expect(value: str, phone: Phone, publisher: Publisher) -> None:
    """A phone that asks whether it may send the body is told so at once."""
    data = phone.request("Ping", ping("5"), headers={"Expect": value})
    head, body = data.split(b"\r\n\r\n", 1)
    await phone.send(head + b"\r\n\r\n")
    interim = await phone.interim()
    await phone.send(body)

    assert 100 == interim
    assert (2, ("5",)) == await news(phone, publisher)


@pytest.mark.parametrize("body", [b"", ping("5")], ids=["empty", "full"])
@pytest.mark.parametrize(
    ("line", "headers"),
    [("POST {} HTTP/1.0", {}), ("POST {} HTTP/1.1", {"Connection": "close"})],
    ids=["1.0", "close"],
)
async def test_last_request_of_a_connection(
    line: str,
    headers: dict[str, str],
    body: bytes,
    phone: Phone,
    hold: Hold,
    publisher: Publisher,
) -> None:
    """Where the phone wants no further request, the connection ends behind the answer."""
    await hold(phone, "5")
    await phone.close()
    await phone.send(phone.request("Ping", body, line=line, headers=headers))

    told = await news(phone, publisher)

    assert ((2, ("5",)), True) == (told, await phone.ended())


async def test_last_command_of_a_connection(phone: Phone) -> None:
    """The connection ends behind the answer to any command that says so."""
    await phone.send(phone.request("FolderSync", folder_sync("1"), headers={"Connection": "close"}))

    answer = await phone.receive()

    assert (1, True) == (answer.status, await phone.ended())


async def test_http_1_0_may_keep_the_connection(phone: Phone, publisher: Publisher) -> None:
    """A phone that speaks HTTP/1.0 and asks for it may send further requests."""
    line, headers = "POST {} HTTP/1.0", {"Connection": "keep-alive"}
    told = []
    for body in (ping("5"), b"", b""):
        await phone.send(phone.request("Ping", body, line=line, headers=headers))
        told.append(await news(phone, publisher))

    assert [(2, ("5",))] * 3 == told


async def test_pipelined_requests_are_answered_in_order(phone: Phone) -> None:
    """Requests sent without waiting are answered one by one, a Ping among them with status 1."""
    await phone.send(
        phone.request("FolderSync", folder_sync("1"))
        + phone.request("Ping", ping("5"))
        + phone.request("Sync")
        + phone.request("FolderSync", folder_sync("1"))
    )

    answers = [await phone.receive() for _ in range(4)]

    names = [one.root.name if one.http_status == 200 else one.http_status for one in answers]
    assert ["FolderSync", "Ping", 501, "FolderSync"] == names


async def test_request_behind_a_held_ping(phone: Phone, hold: Hold) -> None:
    """A request sent while a Ping is held ends it with status 1 and is answered next."""
    await hold(phone, "5")

    await phone.send(phone.request("FolderSync", folder_sync("1")))
    answers = [await phone.receive() for _ in range(2)]

    assert [("Ping", 1), ("FolderSync", 1)] == [(one.root.name, one.status) for one in answers]


async def test_request_behind_a_chunked_ping(phone: Phone) -> None:
    """A request sent together with a chunked Ping is answered after it."""
    await phone.send(
        phone.request("Ping", headers=CHUNKED)
        + chunked(ping("5", heartbeat=2))
        + phone.request("FolderSync", folder_sync("1"))
    )

    answers = [await phone.receive() for _ in range(2)]

    assert [("Ping", 1), ("FolderSync", 1)] == [(one.root.name, one.status) for one in answers]


async def test_pings_behind_each_other(phone: Phone, publisher: Publisher) -> None:
    """Of Pings sent at once on one connection, all but the last are answered with status 1."""
    await phone.send(phone.request("Ping", ping("5")) * 3)
    ended = [(await phone.receive()).status for _ in range(2)]

    assert ([1, 1], (2, ("5",))) == (ended, await news(phone, publisher))


@pytest.mark.parametrize("with_user", [True, False])
async def test_compact_query(
    with_user: bool,  # noqa: FBT001 (a parameter of pytest)
    phone: Phone,
    hold: Hold,
    publisher: Publisher,
) -> None:
    """A Ping with the compact query is the same device's; without credentials it names a user."""
    query = compact(phone.who, 18, with_user=with_user)
    await phone.send(
        phone.request("", ping("5"), query=query, headers={"MS-ASProtocolVersion": None})
    )
    if not with_user:
        assert 400 == (await phone.receive()).http_status
        return

    assert (2, ("5",)) == await news(phone, publisher)


async def test_compact_query_of_other_commands(gateway: Gateway, user: str, dial: Dial) -> None:
    """Any command may come with the compact query."""
    phone = dial(gateway, Identity(user))
    await phone.send(phone.request("", folder_sync(), query=compact(phone.who, 9)))

    assert 1 == (await phone.receive()).status
