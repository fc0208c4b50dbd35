"""The requests of phones: plain query, Basic credentials, real WBXML.

A request is built whenever it is sent, for bytes that a phone kept would be most of its memory.
So what the phones of a group have in common is prepared once, as a template.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from loadtest.scenario.commands import FolderSync, Options, Ping, Provision
from loadtest.wire import bodies

if TYPE_CHECKING:
    from loadtest.scenario.commands import Request, Sync

PATH: Final = "/Microsoft-Server-ActiveSync"

_CONTENT_TYPE: Final = b"Content-Type: application/vnd.ms-sync.wbxml\r\n"
_UNRESERVED_BUT_AT: Final = re.compile(r"[A-Za-z0-9_.~@-]*")
_WORD: Final = re.compile(r"[!-~]+")
_LINE: Final = re.compile(r"[ -~]+")


class DialectError(ValueError):
    """A value cannot stand in a request."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a phone is."""

    mailbox: str
    """Also the user of the credentials."""
    password: str
    device: str
    """1 to 32 ASCII letters and digits. Source: [MS-ASHTTP] 2.2.1.1.1.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the phones of one group speak to one server.

    Raises:
        DialectError: If a value cannot stand in a request.
    """

    host: str
    """Value of the Host header."""
    path: str = PATH
    """Without a query."""
    version: str
    """One of ``bodies.VERSIONS``."""
    user_agent: str
    device_type: str
    command_template: bytes = field(init=False, repr=False, compare=False)
    """Takes command, user, device, credentials, further lines, length and body."""
    options_template: bytes = field(init=False, repr=False, compare=False)
    """Takes credentials."""

    def __post_init__(self) -> None:
        self._check()
        host, path = _literal(self.host), _literal(self.path)
        # Once for a group of phones: the price of a frozen value that brings its templates along.
        object.__setattr__(self, "command_template", self._command_template(host, path))
        object.__setattr__(self, "options_template", self._options_template(host, path))

    def _check(self) -> None:
        for name, allowed in (("host", _WORD), ("path", _WORD), ("user_agent", _LINE)):
            value = getattr(self, name)
            if not allowed.fullmatch(value):
                what = "printable ASCII without spaces" if allowed is _WORD else "printable ASCII"
                raise DialectError(f"{name} is {value!r}, {what} is allowed")
        if self.version not in bodies.VERSIONS:
            allowed_versions = ", ".join(bodies.VERSIONS)
            raise DialectError(f"version is {self.version!r}, one of {allowed_versions} is allowed")

    def _command_template(self, host: bytes, path: bytes) -> bytes:
        return b"".join(
            (
                b"POST %b?Cmd=%%b&User=%%b&DeviceId=%%b&DeviceType=" % path,
                _literal(quote(self.device_type, safe="")),
                b" HTTP/1.1\r\nHost: %b\r\nAuthorization: Basic %%b\r\n" % host,
                b"MS-ASProtocolVersion: %b\r\n" % self.version.encode(),
                b"User-Agent: %b\r\nConnection: keep-alive\r\n" % _literal(self.user_agent),
                b"%bContent-Length: %d\r\n\r\n%b",
            )
        )

    def _options_template(self, host: bytes, path: bytes) -> bytes:
        return (
            b"OPTIONS %b HTTP/1.1\r\nHost: %b\r\nAuthorization: Basic %%b\r\n"
            b"User-Agent: %b\r\nConnection: keep-alive\r\n\r\n"
        ) % (path, host, _literal(self.user_agent))


def request(dialect: Dialect, who: Identity, command: Request) -> bytes:
    """Build the whole request of one command.

    Args:
        dialect: What the phone has in common with others.
        who: The phone.
        command: What to ask.

    Source: [MS-ASHTTP] 2.2.1.1; [MS-ASPROV] 3.1.5.1 says which commands carry the policy key.
    """
    secret = b2a_base64(f"{who.mailbox}:{who.password}".encode(), newline=False)
    if isinstance(command, Options):
        return dialect.options_template % secret
    body = _body(dialect, command)
    lines = _CONTENT_TYPE if body else b""
    if not isinstance(command, Ping):
        lines = b"X-MS-PolicyKey: %b\r\n%b" % (command.policy.encode(), lines)
    return dialect.command_template % (
        type(command).__name__.encode(),
        _quoted(who.mailbox),
        who.device.encode(),
        secret,
        lines,
        len(body),
        body,
    )


def _body(dialect: Dialect, command: FolderSync | Provision | Sync | Ping) -> bytes:
    """Return the document; b"" where the server is to take what it cached."""
    if isinstance(command, Ping):
        return bodies.ping(command.heartbeat, command.folders) if command.is_full else b""
    if isinstance(command, FolderSync):
        return bodies.folder_sync(command.key)
    if isinstance(command, Provision):
        return bodies.provision(command, dialect.version, dialect.device_type, dialect.user_agent)
    if command.collections:
        return bodies.sync(command.collections, command.wait, dialect.version)
    return b""


def _quoted(text: str) -> bytes:
    # Measured: quote() alone takes as long as the rest of a request.
    if _UNRESERVED_BUT_AT.fullmatch(text):
        return text.replace("@", "%40").encode()
    return quote(text, safe="").encode()


def _literal(text: str) -> bytes:
    """Return text for a template."""
    return text.replace("%", "%%").encode()
