"""How connections end: who may still be told something, and what counts as delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pushgw.devices import Device, Seen
from tests.pushgw.connection_site import CHANGE, PING, Client, Site, on_uvloop, until

if TYPE_CHECKING:
    import asyncio

SEEN = Seen(Device("user0", "D1"), CHANGE.seen)


def test_nothing_is_told_to_a_phone_that_has_hung_up() -> None:
    """A Ping is over as soon as its phone sends no more, before its transport has closed."""

    async def scene(site: Site, client: Client) -> None:
        client.send(PING)
        await until(lambda: len(site.hub) == 1)
        (connection,) = site.gate.connections
        connection.eof_received()

        assert (0, None) == (len(site.hub), connection.waiting)

    on_uvloop(scene)


class Closed:
    """A transport that has closed, and whose socket's number another phone has by now."""

    def __init__(self, other: object) -> None:
        self._other = other

    def is_closing(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> object:
        return {"socket": self._other}[name]


def test_answer_to_a_closed_transport_is_not_delivered() -> None:
    """What a closed transport swallowed never counts, whoever has its socket's number by then."""

    async def scene(site: Site, client: Client) -> None:
        (connection,) = site.gate.connections
        transport = connection._transport
        connection._transport = cast(
            "asyncio.Transport", Closed(client._writer.get_extra_info("socket"))
        )
        site.receipts.sent(connection, SEEN)

        assert (False, []) == (connection.has_delivered(), site.receipts.arrived())

        connection._transport = transport

    on_uvloop(scene)


def test_receipt_is_read_before_the_gateway_closes() -> None:
    """An answer that was acknowledged counts although it is the gateway that closes."""

    async def scene(site: Site, client: Client) -> None:
        client.send(PING)
        await until(lambda: len(site.hub) == 1)
        (connection,) = site.gate.connections
        site.hub.finish(site.arrived[0], CHANGE)
        await client.read()
        await until(connection.has_delivered)
        connection.close_if_idle()

        assert [SEEN] == site.receipts.arrived(looks=False)

    on_uvloop(scene)
