"""Requests as bytes."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

import pytest

from loadtest.scenario.commands import (
    Collection,
    FolderSync,
    Options,
    Ping,
    Provision,
    Sync,
    Watched,
)
from loadtest.wire import bodies
from loadtest.wire.requests import Dialect, DialectError, Identity, request

if TYPE_CHECKING:
    from loadtest.scenario.commands import Request

WHO: Final = Identity("user000007@example.org", "synthetic", "PHONE000007")
INBOX: Final = Watched("5", "Email", "INBOX")
USUAL: Final[dict[str, Any]] = {
    "host": "h:1",
    "version": "14.1",
    "user_agent": "Android/14-EAS-2.0",
    "device_type": "Android",
}
DIALECT: Final = Dialect(**USUAL)
SECRET: Final = b"dXNlcjAwMDAwN0BleGFtcGxlLm9yZzpzeW50aGV0aWM="


def head_of(command: Request, *, dialect: Dialect = DIALECT, who: Identity = WHO) -> bytes:
    return request(dialect, who, command).partition(b"\r\n\r\n")[0]


def body_of(command: Request) -> bytes:
    return request(DIALECT, WHO, command).partition(b"\r\n\r\n")[2]


def test_a_request_is_that_of_a_phone() -> None:
    """Line, fields and document of a Ping stand in a phone's order."""
    body = bodies.ping(480, (INBOX,))

    expected = (
        b"POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=user000007%%40example.org"
        b"&DeviceId=PHONE000007&DeviceType=Android HTTP/1.1\r\n"
        b"Host: h:1\r\n"
        b"Authorization: Basic %b\r\n"
        b"MS-ASProtocolVersion: 14.1\r\n"
        b"User-Agent: Android/14-EAS-2.0\r\n"
        b"Connection: keep-alive\r\n"
        b"Content-Type: application/vnd.ms-sync.wbxml\r\n"
        b"Content-Length: %d\r\n"
        b"\r\n%b"
    ) % (SECRET, len(body), body)
    assert expected == request(DIALECT, WHO, Ping(480, (INBOX,)))


def test_options_have_neither_query_nor_body() -> None:
    """OPTIONS says who asks and nothing else."""
    expected = (
        b"OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: h:1\r\n"
        b"Authorization: Basic %b\r\n"
        b"User-Agent: Android/14-EAS-2.0\r\nConnection: keep-alive\r\n\r\n"
    ) % SECRET
    assert expected == request(DIALECT, WHO, Options())


@pytest.mark.parametrize(
    ("command", "name", "body"),
    [
        (FolderSync("3"), b"FolderSync", bodies.folder_sync("3")),
        (
            Provision("9", is_acknowledgement=True),
            b"Provision",
            bodies.provision(
                Provision("9", is_acknowledgement=True), "14.1", "Android", "Android/14-EAS-2.0"
            ),
        ),
        (
            Sync((Collection(INBOX, "7"),), wait=600),
            b"Sync",
            bodies.sync((Collection(INBOX, "7"),), 600, "14.1"),
        ),
    ],
    ids=["FolderSync", "Provision", "Sync"],
)
def test_each_command_has_its_name_and_document(command: Request, name: bytes, body: bytes) -> None:
    """The query names the command, and its document follows."""
    assert head_of(command).startswith(b"POST /Microsoft-Server-ActiveSync?Cmd=%b&User=" % name)
    assert body == body_of(command)


@pytest.mark.parametrize(
    "command", [Ping(900, (INBOX,), is_full=False), Sync(())], ids=["Ping", "Sync"]
)
def test_a_request_to_repeat_has_neither_body_nor_type(command: Request) -> None:
    """A command that relies on cached values ends after its head."""
    found = request(DIALECT, WHO, command)

    assert found.endswith(b"\r\nContent-Length: 0\r\n\r\n")
    assert b"Content-Type" not in found


@pytest.mark.parametrize(
    "command",
    [FolderSync(policy="8"), Sync((), policy="8"), Provision("8")],
    ids=["FolderSync", "Sync", "Provision"],
)
def test_the_policy_key_is_sent(command: Request) -> None:
    """Each command but Ping and OPTIONS carries the key of the policy."""
    assert b"\r\nX-MS-PolicyKey: 8\r\n" in head_of(command)


@pytest.mark.parametrize("command", [Ping(480, (INBOX,)), Options()], ids=["Ping", "OPTIONS"])
def test_a_ping_sends_no_policy_key(command: Request) -> None:
    """Ping and OPTIONS are exempt from the policy key."""
    assert b"X-MS-PolicyKey" not in head_of(command)


@pytest.mark.parametrize(
    ("mailbox", "quoted"),
    [("a.b-c_d~e@f", b"a.b-c_d~e%40f"), ("EXAMPLE\\jörg & co", b"EXAMPLE%5Cj%C3%B6rg%20%26%20co")],
)
def test_the_user_is_percent_encoded(mailbox: str, quoted: bytes) -> None:
    """Whatever a mailbox is called, the query stays one."""
    found = head_of(FolderSync(), who=Identity(mailbox, "x", "D1"))

    assert b"&User=%b&DeviceId=D1&" % quoted in found


def test_credentials_are_utf_8() -> None:
    """A password that is not ASCII is written as phones write it."""
    found = head_of(FolderSync(), who=Identity("a", "pä:ß", "D1"))

    line = next(one for one in found.split(b"\r\n") if one.startswith(b"Authorization: Basic "))
    assert "a:pä:ß" == b64decode(line.rpartition(b" ")[2]).decode()


def test_a_group_may_speak_otherwise() -> None:
    """Path, version, user lender and type are those of the group, percent signs included."""
    dialect = Dialect(
        host="[::1]:443",
        path="/SOGo/Microsoft%2DServer",
        version="12.0",
        user_agent="100% a phone",
        device_type="My Phone",
    )

    found = head_of(FolderSync(), dialect=dialect)

    assert found.startswith(b"POST /SOGo/Microsoft%2DServer?Cmd=FolderSync&")
    assert b"&DeviceType=My%20Phone HTTP/1.1\r\nHost: [::1]:443\r\n" in found
    assert b"\r\nMS-ASProtocolVersion: 12.0\r\nUser-Agent: 100% a phone\r\n" in found
    assert head_of(Options(), dialect=dialect).startswith(b"OPTIONS /SOGo/Microsoft%2DServer HTTP")


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("host", "a b", "host is 'a b', printable ASCII without spaces is allowed"),
        ("path", "", "path is '', printable ASCII without spaces is allowed"),
        ("user_agent", "a\r\nb", r"user_agent is 'a\\r\\nb', printable ASCII is allowed"),
        ("version", "14", "version is '14', one of 2.5, 12.0, .*, 16.1 is allowed"),
    ],
)
def test_what_cannot_stand_in_a_request_is_refused(field: str, value: str, text: str) -> None:
    """A value that would break the request is named with what is allowed."""
    with pytest.raises(DialectError, match=text):
        Dialect(**(USUAL | {field: value}))
