"""A phone on a raw socket: HTTP/1.1 and WBXML by hand, so that it can send them wrongly too."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import struct
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from pushgw.wbxml import Element, decode, element, encode

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

PATH: Final = "/Microsoft-Server-ActiveSync"
WITHIN: Final = 8.0
"""Seconds for an answer that should come at once; the machine may be busy."""
EARLY: Final = 2.0
"""Seconds before its interval within which a heartbeat may be answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    http_status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def root(self) -> Element:
        """The document."""
        return decode(self.body)

    @property
    def status(self) -> int:
        """The number in the Status of the document."""
        return int(self.text("Status"))

    @property
    def folders(self) -> tuple[str, ...]:
        """Ids in the Folders of a Ping's answer."""
        found = self.root.find("Folders")
        return () if found is None else tuple(one.text for one in found.children)

    def text(self, name: str) -> str:
        """Text of a child of the document's root."""
        found = self.root.find(name)
        assert found is not None, self.root
        return found.text


def ping(*folders: str, heartbeat: int | None = 60) -> bytes:
    """Write a Ping request of mail folders."""
    watched = [
        element("Ping", "Folder", element("Ping", "Id", one), element("Ping", "Class", "Email"))
        for one in folders
    ]
    return encode(
        element(
            "Ping",
            "Ping",
            None if heartbeat is None else element("Ping", "HeartbeatInterval", str(heartbeat)),
            element("Ping", "Folders", *watched) if watched else None,
        )
    )


def folder_sync(key: str = "0") -> bytes:
    """Write a FolderSync request."""
    page = "FolderHierarchy"
    return encode(element(page, "FolderSync", element(page, "SyncKey", key)))


def added(answer: Answer) -> list[tuple[str, str, str]]:
    """Read ServerId, name and type of the folders that a FolderSync's answer adds."""
    changes = answer.root.find("Changes")
    assert changes is not None
    texts = ({child.name: child.text for child in one.children} for one in changes.all("Add"))
    return [(one["ServerId"], one["DisplayName"], one["Type"]) for one in texts]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks."""

    user: str
    device: str = "PHONE1"
    password: str | None = None
    """None sends no credentials."""
    version: str = "14.1"

    @property
    def key(self) -> str:
        """Name of the device's hash in Redis."""
        return f"pushgw:{{{self.user.lower()}}}:device:{self.device.upper()}"


class Phone:
    """One device and its connection. Every read is bounded."""

    def __init__(
        self, port: int, who: Identity, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1"
    ) -> None:
        self.who = who
        self._port = port
        self._tls = tls
        self._source = source
        self._reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter | None = None
        self.was_told = False
        """A Ping was answered on this connection: the next one may be held without asking Redis."""

    async def connect(self) -> Self:
        """Open a connection; the one before, if any, is closed."""
        await self.close()
        self.was_told = False
        self._reader, self.writer = await asyncio.open_connection(
            "127.0.0.1",
            self._port,
            ssl=self._tls,
            server_hostname="localhost" if self._tls else None,
            local_addr=(self._source, 0),
        )
        return self

    async def close(self) -> None:
        """End the connection as a phone does that needs it no more."""
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                try:
                    await asyncio.wait_for(writer.wait_closed(), 2.0)
                except TimeoutError:
                    writer.transport.abort()
                    await asyncio.sleep(0)

    async def reset(self) -> None:
        """Break the connection off: the peer gets a reset, and unread answers are lost."""
        writer, self.writer = self.writer, None
        assert writer is not None
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        await asyncio.sleep(0)

    def request(
        self,
        command: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str | None] | None = None,
        query: str | None = None,
        line: str = "POST {} HTTP/1.1",
    ) -> bytes:
        """Write a request.

        Args:
            command: Name in the query.
            body: As it is sent; its length is announced.
            headers: Further ones, or others than usual; None leaves one out.
            query: Another one than usual.
            line: The request line, with {} for path and query.
        """
        if query is None:
            user = quote(self.who.user, safe="")
            query = f"Cmd={command}&User={user}&DeviceId={self.who.device}&DeviceType=Test"
        fields: dict[str, str | None] = {
            "Host": "localhost",
            "MS-ASProtocolVersion": self.who.version,
            "Content-Length": str(len(body)),
            "Content-Type": "application/vnd.ms-sync.wbxml" if body else None,
            "Authorization": self._authorization(),
            **(headers or {}),
        }
        target = f"{PATH}?{query}" if query else PATH
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        return "\r\n".join([line.format(target), *lines, "", ""]).encode() + body

    async def send(self, data: bytes) -> None:
        """Write bytes; connects if there is no connection."""
        if self.writer is None:
            await self.connect()
        assert self.writer is not None
        self.writer.write(data)
        async with asyncio.timeout(WITHIN):
            await self.writer.drain()

    async def receive(self, within: float = WITHIN) -> Answer:
        """Read one answer, interim ones skipped."""
        async with asyncio.timeout(within):
            while (answer := await self._one()).http_status == 100:
                pass
        if answer.http_status == HTTPStatus.OK and answer.body:
            self.was_told |= answer.root.name == "Ping"
        return answer

    async def interim(self, within: float = WITHIN) -> int:
        """Read one answer, perhaps an interim one, and return its HTTP status."""
        async with asyncio.timeout(within):
            return (await self._one()).http_status

    async def ended(self, within: float = WITHIN) -> bool:
        """Tell if the peer ends the connection in time, having sent nothing more."""
        try:
            async with asyncio.timeout(within):
                return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    async def ask(self, command: str, body: bytes = b"", within: float = WITHIN) -> Answer:
        """Send a request and read its answer."""
        await self.send(self.request(command, body))
        return await self.receive(within)

    def at_eof(self) -> bool:
        """Tell if the peer has ended the connection and all it sent was read."""
        return self._reader.at_eof()

    async def ping(self, *folders: str, heartbeat: int | None = 60) -> None:
        """Send a Ping; the empty one with no folder and heartbeat None."""
        body = ping(*folders, heartbeat=heartbeat) if folders or heartbeat else b""
        await self.send(self.request("Ping", body))

    async def synchronise(self, key: str = "0") -> Answer:
        """Send a FolderSync."""
        return await self.ask("FolderSync", folder_sync(key))

    def _authorization(self) -> str | None:
        if self.who.password is None:
            return None
        text = f"{self.who.user}:{self.who.password}"
        return f"Basic {base64.b64encode(text.encode()).decode()}"

    async def _one(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(first.split()[1]), headers, body)
