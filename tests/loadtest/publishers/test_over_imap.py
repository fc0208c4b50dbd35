"""Mail is appended on a small IMAP server."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest
import trustme

from loadtest.publishers import PublishFailedError, open_publisher
from loadtest.publishers.over_imap import MOST, quoted
from loadtest.publishers.threads import THREADS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    Listen = Callable[..., Awaitable[str]]


@dataclass
class Store:
    """Speaks as much IMAP as one mail needs."""

    greeting: bytes = b"* OK IMAP4rev1 ready"
    refuses: dict[bytes, bytes] = field(default_factory=dict)
    """Answers to commands in place of OK; an empty one closes the connection."""
    mails: list[tuple[str, str, str]] = field(default_factory=list)
    """User, folder and subject."""
    logins: list[bytes] = field(default_factory=list)
    closes_after_mail: bool = False
    greeted: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greeted += 1
        writer.write(self.greeting + b"\r\n")
        user = ""
        while line := await reader.readline():
            tag, word, *rest = line.split(maxsplit=2)
            answer = self.refuses.get(word, b"OK done")
            if word == b"CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1\r\n")
            elif word == b"LOGIN":
                self.logins.append(rest[0].strip())
                user = rest[0].split()[0].decode()
            elif word == b"APPEND" and answer == b"OK done":
                await self._take(user, rest[0], reader, writer)
            if not answer:
                break
            writer.write(tag + b" " + answer + b"\r\n")
            if self.closes_after_mail and word == b"APPEND":
                break

    async def _take(
        self, user: str, rest: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        found = re.fullmatch(rb'"(.*)" \{(\d+)\}\r\n', rest)
        assert found is not None
        writer.write(b"+ go on\r\n")
        mail = await reader.readexactly(int(found[2]))
        self.mails.append((user, found[1].decode(), message_from_bytes(mail)["Subject"]))
        await reader.readline()


async def test_a_change_is_a_mail(listen: Listen) -> None:
    """The mail is appended to the folder by the user whose mailbox it is."""
    store = Store()

    url = await listen("imap", store.serve)
    async with open_publisher("imap", url, password='se"cret') as publisher:
        await publisher.publish("alice", "Projects/Bridge", "run 1-1")

    assert [("alice", "Projects/Bridge", "run 1-1")] == store.mails
    assert [rb'alice "se\"cret"'] == store.logins


async def test_a_user_stays_logged_in(listen: Listen) -> None:
    """Mails of one mailbox share a login, and each mailbox has its own."""
    store = Store()

    url = await listen("imap", store.serve)
    async with open_publisher("imap", url, password="x") as publisher:
        for user in ("alice", "bob", "alice"):
            await publisher.publish(user, "INBOX", "tag")

    assert (["alice", "bob", "alice"], 2) == ([user for user, *_ in store.mails], store.greeted)


async def test_not_all_users_stay_logged_in(listen: Listen) -> None:
    """Beyond the bound the mailbox that did not change for longest has to log in again."""
    store = Store()
    kept = MOST - THREADS

    url = await listen("imap", store.serve)
    async with open_publisher("imap", url, password="x") as publisher:
        for number in range(kept + 1):
            await publisher.publish(f"u{number}", "INBOX", "tag")
        await publisher.publish(f"u{kept}", "INBOX", "tag")
        before = store.greeted
        await publisher.publish("u0", "INBOX", "tag")

    assert (kept + 1, kept + 2) == (before, store.greeted)


async def test_a_login_that_idled_out_is_made_again(listen: Listen) -> None:
    """A server that closes the connection after each mail gets every mail once."""
    store = Store(closes_after_mail=True)

    url = await listen("imap", store.serve)
    async with open_publisher("imap", url, password="x") as publisher:
        for number in range(3):
            await publisher.publish("alice", "INBOX", f"tag {number}")

    assert ["tag 0", "tag 1", "tag 2"] == [subject for *_, subject in store.mails]


@pytest.mark.parametrize(
    ("refuses", "kind"),
    [
        ({b"LOGIN": b"NO wrong password"}, "IMAP login refused"),
        ({b"LOGIN": b""}, "connection broken"),
        ({b"APPEND": b"NO [TRYCREATE] no such folder"}, "IMAP APPEND NO"),
        ({b"APPEND": b"BAD what"}, "IMAP APPEND refused"),
        ({b"APPEND": b""}, "connection broken"),
    ],
)
async def test_a_refused_mail_has_a_kind(
    listen: Listen, refuses: dict[bytes, bytes], kind: str
) -> None:
    """What the server refuses, and where it hangs up, is told apart."""
    store = Store(refuses=refuses)

    url = await listen("imap", store.serve)
    async with open_publisher("imap", url, password="x") as publisher:
        with pytest.raises(PublishFailedError) as caught:
            await publisher.publish("alice", "INBOX", "tag")

    assert (kind, []) == (caught.value.kind, store.mails)


async def test_what_is_no_imap_breaks_the_connection(listen: Listen) -> None:
    """A greeting that is none fails with its kind."""
    store = Store(greeting=b"220 store LMTP")

    url = await listen("imap", store.serve)
    async with open_publisher("imap", url, password="x") as publisher:
        with pytest.raises(PublishFailedError, match=r"^connection broken$"):
            await publisher.publish("alice", "INBOX", "tag")


async def test_a_store_that_is_not_there_has_a_kind() -> None:
    """A connection that is refused fails with its kind."""
    async with open_publisher("imap", "imap://127.0.0.1:1", password="x") as publisher:
        with pytest.raises(PublishFailedError, match=r"^connection refused$"):
            await publisher.publish("alice", "INBOX", "tag")


@pytest.mark.parametrize(
    ("mailbox", "kind"),
    [("zoë", "IMAP takes ASCII mailboxes only"), ("", "no valid mailbox or folder")],
)
async def test_what_imap_cannot_carry_fails(mailbox: str, kind: str) -> None:
    """Mailboxes that need an extension fail before anything is sent."""
    async with open_publisher("imap", "imap://127.0.0.1:1", password="x") as publisher:
        with pytest.raises(PublishFailedError) as caught:
            await publisher.publish(mailbox, "INBOX", "tag")

    assert kind == caught.value.kind


async def test_a_store_may_speak_tls(listen: Listen) -> None:
    """An imaps URL is trusted as far as the given authorities go."""
    store, authority = Store(), trustme.CA()
    here, there = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(here)
    authority.issue_cert("127.0.0.1").configure_cert(there)

    url = await listen("imaps", store.serve, tls=there)
    async with open_publisher("imap", url, tls=here) as publisher:
        await publisher.publish("alice", "INBOX", "tag")

    assert [("alice", "INBOX", "tag")] == store.mails


@pytest.mark.parametrize(
    ("folder", "spelled"),
    [
        ("INBOX", '"INBOX"'),
        ("Entwürfe", '"Entw&APw-rfe"'),
        ("R&D", '"R&-D"'),
        ('a "b" \\', '"a \\"b\\" \\\\"'),
        ("~peter/mail/台北/日本語", '"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'),
        ("😀", '"&2D3eAA-"'),
    ],
)
def test_a_folder_is_spelled_in_modified_utf_7(folder: str, spelled: str) -> None:
    """Names beyond ASCII are spelled as RFC 3501 has them; its example is among these."""
    assert spelled == quoted(folder)
