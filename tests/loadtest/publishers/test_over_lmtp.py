"""Mail is delivered to a small LMTP server."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadtest.publishers import PublishFailedError, open_publisher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Listen = Callable[..., Awaitable[str]]


@dataclass
class Store:
    """Speaks as much LMTP as one mail needs."""

    refuses: dict[bytes, bytes] = field(default_factory=dict)
    """Answers to commands, by their first word, in place of success."""
    mails: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Sender and recipient in their brackets, and the mail."""
    greeting: bytes = b"220 store LMTP"
    connections: int = 0
    closes_after_mail: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(self.greeting + b"\r\n")
        sender = recipient = ""
        while line := await reader.readline():
            word = line.split()[0].upper()
            answer = self.refuses.get(word, b"250 OK")
            if word == b"MAIL":
                sender = line.decode().partition(":")[2].split()[0]
            elif word == b"RCPT":
                recipient = line.decode().partition(":")[2].split()[0]
            elif word == b"DATA" and answer == b"250 OK":
                writer.write(b"354 go on\r\n")
                mail = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append((sender, recipient, mail[:-3]))
            writer.write(answer + b"\r\n")
            if self.closes_after_mail and word == b"DATA":
                break

    @property
    def subjects(self) -> list[str]:
        return sorted(message_from_bytes(mail)["Subject"] for _, _, mail in self.mails)


async def test_a_change_is_a_mail(listen: Listen) -> None:
    """The mail goes to the mailbox without a return path, with the tag as its subject."""
    store = Store()

    url = await listen("lmtp", store.serve)
    async with open_publisher("lmtp", url) as publisher:
        await publisher.publish("alice@example.org", "INBOX", "run 1-1")

    assert ["run 1-1"] == store.subjects
    assert ("<>", "<alice@example.org>") == store.mails[0][:2]


async def test_a_connection_is_kept(listen: Listen) -> None:
    """Mails that follow each other go over one connection."""
    store = Store()

    url = await listen("lmtp", store.serve)
    async with open_publisher("lmtp", url) as publisher:
        for number in range(3):
            await publisher.publish("alice", "INBOX", f"tag {number}")

    assert (["tag 0", "tag 1", "tag 2"], 1) == (store.subjects, store.connections)


async def test_many_mails_share_some_connections(listen: Listen) -> None:
    """Mails at the same time go over no more connections than there are threads."""
    store = Store()

    url = await listen("lmtp", store.serve)
    async with open_publisher("lmtp", url) as publisher:
        await asyncio.gather(*(publisher.publish(f"u{n}", "INBOX", f"tag {n}") for n in range(50)))

    assert 50 == len(set(store.subjects))
    assert 1 <= store.connections <= 8


async def test_a_connection_that_idled_out_is_replaced(listen: Listen) -> None:
    """A server that closes the connection after each mail gets every mail once."""
    store = Store(closes_after_mail=True)

    url = await listen("lmtp", store.serve)
    async with open_publisher("lmtp", url) as publisher:
        for number in range(3):
            await publisher.publish("alice", "INBOX", f"tag {number}")

    assert (["tag 0", "tag 1", "tag 2"], 3) == (store.subjects, store.connections)


async def test_a_socket_may_have_a_path(listen: Listen) -> None:
    """A URL without a host names a Unix socket."""
    store = Store()

    # Not pytest's own directory: its name can be longer than a socket address may be.
    with tempfile.TemporaryDirectory() as directory:
        url = await listen("lmtp", store.serve, path=Path(directory) / "lmtp")
        async with open_publisher("lmtp", url) as publisher:
            await publisher.publish("alice", "INBOX", "tag")

    assert ["tag"] == store.subjects


@pytest.mark.parametrize(
    ("word", "answer", "kind"),
    [
        (b"MAIL", b"452 no room", "LMTP refused, 452"),
        (b"RCPT", b"550 no such user", "LMTP recipient refused, 550"),
        (b"DATA", b"554 no", "LMTP refused, 554"),
        (b"LHLO", b"500 what", "LMTP refused, 500"),
    ],
)
async def test_a_refused_mail_has_a_kind(
    listen: Listen, word: bytes, answer: bytes, kind: str
) -> None:
    """What the server refuses is told with its code."""
    store = Store({word: answer, b"HELO": answer})

    url = await listen("lmtp", store.serve)
    async with open_publisher("lmtp", url) as publisher:
        with pytest.raises(PublishFailedError) as caught:
            await publisher.publish("alice", "INBOX", "tag")

    assert (kind, []) == (caught.value.kind, store.mails)


async def test_a_refused_mail_keeps_the_connection(listen: Listen) -> None:
    """After a refusal the next mail goes over the same connection."""
    store = Store({b"RCPT": b"550 no such user"})

    url = await listen("lmtp", store.serve)
    async with open_publisher("lmtp", url) as publisher:
        with pytest.raises(PublishFailedError):
            await publisher.publish("nobody", "INBOX", "tag")
        store.refuses.clear()
        await publisher.publish("alice", "INBOX", "tag")

    assert (1, 1) == (len(store.mails), store.connections)


async def test_a_busy_store_has_a_kind(listen: Listen) -> None:
    """A store that turns connections away is told by its code."""
    store = Store(greeting=b"421 too busy")

    async with open_publisher("lmtp", await listen("lmtp", store.serve)) as publisher:
        with pytest.raises(PublishFailedError, match=r"^LMTP refused, 421$"):
            await publisher.publish("alice", "INBOX", "tag")


@pytest.mark.parametrize(
    ("mailbox", "folder", "kind"),
    [
        ("alice", "Calendar", "LMTP delivers to INBOX only"),
        ("zoë", "INBOX", "LMTP takes ASCII mailboxes only"),
        ("", "INBOX", "no valid mailbox or folder"),
    ],
)
async def test_what_lmtp_cannot_carry_fails(mailbox: str, folder: str, kind: str) -> None:
    """Other folders and mailboxes that need an extension fail before anything is sent."""
    async with open_publisher("lmtp", "lmtp://127.0.0.1:1") as publisher:
        with pytest.raises(PublishFailedError) as caught:
            await publisher.publish(mailbox, folder, "tag")

    assert kind == caught.value.kind


async def test_a_store_that_is_not_there_has_a_kind() -> None:
    """A connection that is refused fails with its kind."""
    async with open_publisher("lmtp", "lmtp://127.0.0.1:1") as publisher:
        with pytest.raises(PublishFailedError, match=r"^connection refused$"):
            await publisher.publish("alice", "INBOX", "tag")
