"""A generator host: lends its processes to a controller elsewhere.

Each connection becomes one generator process at once. First the controller has to prove to it that
it knows the secret (HMAC-SHA256 over a nonce); then it speaks the same JSON lines as with a process
of its own host. So a connection that says nothing holds up nobody else.

What may be loaded is decided here, not there: a target must be loopback or named on this side.
Nothing is encrypted; the network between the two must be one that is trusted.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import hmac
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtest.generators import processes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MIN_SECRET: Final = 16
"""Bytes; ``openssl rand -hex 16`` makes 32."""
FORMAT: Final = 1
"""Version of the conversation; both ends must have the same."""
HELLO_WITHIN: Final = 5.0
"""Seconds in which both ends have to know each other."""
MOST_LENT: Final = 256
"""Processes of one host; 54 hold a million phones."""
_MAX_HELLO: Final = 4096
_COLLECT_EVERY: Final = 1.0
_GONE_AFTER: Final = 30
"""Seconds of silence of a host, not of its process, after which it is taken for dead."""


class LenderError(ValueError):
    """A lender that cannot be used; one line."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a lender listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``; who listens on port 0 takes a free one.

    Raises:
        LenderError: If it is no such address.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) >= 1 << 16:
        raise LenderError(f"found {text!r}, allowed is an address like 10.0.0.2:9400")
    return Address(host.strip("[]"), int(port))


def read_secret(path: Path) -> bytes:
    """Read the secret that controller and lenders share.

    Raises:
        LenderError: If the file cannot be read, or is too short to be one.
    """
    try:
        found = path.read_bytes().strip()
    except OSError as error:
        raise LenderError(f"--secret-file {path}: {error.strerror}") from error
    if len(found) < MIN_SECRET:
        raise LenderError(
            f"--secret-file {path}: found {len(found)} bytes, at least {MIN_SECRET} are needed"
        )
    return found


class Lender:
    """Listens for controllers.

    Args:
        address: Where; port 0 takes a free one.
        secret: What a controller must know.
        allowed: Hosts beside this one that may be loaded.
        most: Processes at the same time; a connection more is closed.
        hello_within: Seconds a controller has to prove that it knows the secret.
    """

    def __init__(
        self,
        address: Address,
        secret: bytes,
        allowed: Sequence[str] = (),
        *,
        most: int = MOST_LENT,
        hello_within: float = HELLO_WITHIN,
    ) -> None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._listener = socket.create_server((address.host, address.port), family=family)
        self._listener.settimeout(_COLLECT_EVERY)
        self._secret = secret
        self._allowed = tuple(allowed)
        self._most = most
        self._hello_within = hello_within
        self._pids: list[int] = []

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port, *_ = self._listener.getsockname()
        return Address(host, port)

    def serve(self) -> None:
        """Lend processes until a signal ends this; call it in the main thread."""
        gc.collect()
        gc.freeze()  # so that no collection of a child writes to shared pages
        try:
            while True:
                self._collect()
                # A connection that is gone already, no memory for a process: the next one may do.
                with contextlib.suppress(OSError):
                    self._lend()
        finally:
            self._listener.close()
            processes.end(self._pids)

    def _lend(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            if len(self._pids) < self._most:
                self._pids.append(
                    processes.fork_with(
                        connection,
                        closes=[self._listener],
                        allowed=self._allowed,
                        admits=self._admits,
                    )
                )

    def _admits(self, connection: socket.socket) -> bool:
        """Tell whether a controller knows the secret. This is another process already."""
        until = monotonic() + self._hello_within
        nonce = secrets.token_hex(16)
        try:
            _send(connection, {"format": FORMAT, "nonce": nonce})
            found = str(_receive(connection, until).get("proof"))
            is_known = hmac.compare_digest(found.encode(), proof(self._secret, nonce).encode())
            if is_known:
                _send(connection, {"ready": True})
            else:
                _send(connection, {"failed": "the secret is another one than this lender's"})
            _keep_alive(connection)
        except OSError:
            return False  # whoever it was is gone, or is no controller
        return is_known

    def _collect(self) -> None:
        self._pids = [pid for pid in self._pids if os.waitpid(pid, os.WNOHANG) == (0, 0)]


def hire(address: Address, secret: bytes) -> socket.socket:
    """Get one generator process of a lender.

    Returns:
        Its channel.

    Raises:
        LenderError: If there is no lender, or it does not accept this controller.
    """
    with contextlib.ExitStack() as stack:
        try:
            connection = socket.create_connection((address.host, address.port), HELLO_WITHIN)
            stack.enter_context(connection)
            _introduce(connection, address, secret)
        except OSError as error:
            raise LenderError(f"no lender at {address}: {error.strerror or error}") from error
        stack.pop_all()  # it is accepted: from here on it is the caller's
        return connection


def _introduce(connection: socket.socket, address: Address, secret: bytes) -> None:
    """Prove to a lender that this controller knows the secret.

    Raises:
        LenderError: If the lender does not accept that.
        OSError: If it is no lender.
    """
    until = monotonic() + HELLO_WITHIN
    offer = _receive(connection, until)
    if offer.get("format") != FORMAT:
        raise LenderError(
            f"lender {address} speaks version {offer.get('format')}, this one {FORMAT}"
        )
    _send(connection, {"proof": proof(secret, str(offer.get("nonce")))})
    answer = _receive(connection, until)
    if not answer.get("ready"):
        raise LenderError(f"lender {address}: {answer.get('failed')}")
    _keep_alive(connection)


def proof(secret: bytes, nonce: str) -> str:
    """Return what shows that one knows the secret."""
    return hmac.new(secret, nonce.encode(), hashlib.sha256).hexdigest()


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(orjson.dumps(message) + b"\n")


def _receive(connection: socket.socket, until: float) -> dict[str, Any]:
    """Read one line; byte by byte, since what follows it is for another process.

    Raises:
        OSError: If none comes in time.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        connection.settimeout(max(0.001, until - monotonic()))
        piece = connection.recv(1)
        if not piece or len(line) > _MAX_HELLO:
            raise ConnectionError("it closed the connection")
        line += piece
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ConnectionError("it does not speak as a lender or controller does") from error
    return message if isinstance(message, dict) else {}


def _keep_alive(connection: socket.socket) -> None:
    """Let an end whose host vanishes without a word be noticed within a minute."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _GONE_AFTER // 3)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _GONE_AFTER // 3)
        # It counts for what was sent and is not acknowledged, too.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_AFTER * 1000)
