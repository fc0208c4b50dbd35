"""The sections of the settings as plain values: default, unit, meaning and check of each key."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, GroupedMetadata, Le
from pydantic import AfterValidator

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RUN_DIR_BYTES = 90
"""A unix socket's path ends at 107 bytes, and the names in there need some."""
_REDIS_NOW = ("redis", "rediss", "unix")
_REDIS_LATER = ("redis+sentinel", "redis+cluster")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
_LISTEN = "HOST:PORT, an IPv6 host in brackets, port 0 to 65535"


@dataclass(frozen=True)
class Between(GroupedMetadata):
    """Marks a number with its bounds, both of them allowed, and its unit."""

    low: float
    high: float
    unit: str

    def __iter__(self) -> Iterator[Ge | Le]:
        """Yield the bounds as pydantic reads them."""
        yield Ge(self.low)
        yield Le(self.high)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:.12g} {self.unit}"


def address(text: str) -> tuple[str, int]:
    """Split a listen address such as ``"127.0.0.1:8800"`` or ``"[::1]:8800"``.

    Returns:
        The host without brackets, and the port; port 0 lets the system choose one.

    Raises:
        ValueError: If it is no address; the text says what is allowed.
    """
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise ValueError(_LISTEN)
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])), int(port)
        except ValueError:
            raise ValueError(_LISTEN) from None
    if not _HOST.fullmatch(host):
        raise ValueError(_LISTEN)
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a listener on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(text: str) -> str:
    address(text)
    return text


def _redis_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if text == "embedded":
        return text
    allowed = "embedded, redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH"
    if scheme in _REDIS_LATER:
        raise ValueError(f"{allowed}; {scheme}:// is not supported yet")
    if not separator or scheme not in _REDIS_NOW:
        raise ValueError(allowed)
    try:
        parts = urlsplit(text)
        is_complete = bool(parts.path.strip("/") if scheme == "unix" else parts.hostname)
        _ = parts.port
    except ValueError:
        raise ValueError(allowed) from None
    if not rest or not is_complete:
        raise ValueError(allowed)
    return text


def _method(text: str) -> str:
    if text == "upstream":
        raise ValueError("open or users_file; upstream is not supported yet")
    if text not in {"open", "users_file"}:
        raise ValueError("open or users_file")
    return text


def _realm(text: str) -> str:
    if not re.fullmatch(r"[ !#-\[\]-~]{1,100}", text):
        raise ValueError("1 to 100 printable ASCII characters without quotes and backslashes")
    return text


def _run_dir(text: str) -> str:
    if len(os.fsencode(text)) > MAX_RUN_DIR_BYTES:
        raise ValueError(f"a path of at most {MAX_RUN_DIR_BYTES} bytes")
    if text and Path(text).exists() and not Path(text).is_dir():
        raise ValueError("a directory")
    return text


@dataclass(frozen=True, slots=True)
class Server:
    """Where the gateway listens and how it runs."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8800"
    """HOST:PORT for phones (EAS)."""
    admin_listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8801"
    """HOST:PORT for health, metrics and recorded changes."""
    workers: Annotated[int, Between(0, 1024, "processes")] = 0
    """Processes that hold phones; 0 means one per core."""
    tls_cert: str = ""
    """Path of the certificate chain in PEM form; empty serves plain HTTP."""
    tls_key: str = ""
    """Path of the certificate's unencrypted key in PEM form."""
    drain_seconds: Annotated[float, Between(0, 3600, "seconds")] = 20.0
    """Seconds over which a stopping gateway spreads its answers to held phones."""
    run_dir: Annotated[str, AfterValidator(_run_dir)] = ""
    """Directory of the gateway's own sockets; empty takes a fresh private temporary one."""


@dataclass(frozen=True, slots=True)
class Redis:
    """Where changes are recorded and published."""

    url: Annotated[str, AfterValidator(_redis_url)] = "embedded"
    """``embedded`` starts a server of our own; else ``redis://``, ``rediss://`` or ``unix://``."""


@dataclass(frozen=True, slots=True)
class Auth:
    """Who gets in."""

    method: Annotated[str, AfterValidator(_method)] = "open"
    """``open`` asks nobody (loopback only), ``users_file`` checks names and passwords."""
    users_file: str = ""
    """Path of the file of names and password hashes."""
    cache_seconds: Annotated[float, Between(0, 86_400, "seconds")] = 300.0
    """Seconds for which a right password is not verified again."""
    realm: Annotated[str, AfterValidator(_realm)] = "pushgw"
    """What a client may show beside the question for a password."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How long a phone may wait for a change; 1 and 3540 seconds are Exchange's own bounds."""

    min: Annotated[int, Between(1, 3540, "whole seconds")] = 60
    """Seconds; a phone that asks for less is told this one (status 5)."""
    max: Annotated[int, Between(1, 3540, "whole seconds")] = 3540
    """Seconds; a phone that asks for more is told this one (status 5)."""
    default: Annotated[int, Between(1, 3540, "whole seconds")] = 480
    """Seconds a phone that names no interval waits at most while Redis is away and cannot say
    which one it named before; a phone that never named one is told so (status 3)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all of them together, may cost."""

    max_folders: Annotated[int, Between(1, 5000, "folders")] = 200
    """Folders of one Ping; a phone that asks for more is told this number (status 6)."""
    max_body_bytes: Annotated[int, Between(1024, 1 << 30, "bytes")] = 1_048_576
    """Bytes of a request's body."""
    max_header_bytes: Annotated[int, Between(1024, 1 << 20, "bytes")] = 16_384
    """Bytes of a request's line and headers together."""
    request_seconds: Annotated[float, Between(0.01, 3600, "seconds")] = 30.0
    """Seconds within which a request must be complete."""
    idle_seconds: Annotated[float, Between(0.01, 86_400, "seconds")] = 900.0
    """Seconds a connection may stay open without a request."""
    cached_logins: Annotated[int, Between(1, 10_000_000, "logins")] = 200_000
    """Right passwords remembered in each worker, about 350 bytes each."""
    waiting_logins: Annotated[int, Between(1, 100_000, "logins")] = 400
    """Passwords verified or waiting for it in each worker: about 10 s of work for two cores."""
    delayed_refusals: Annotated[int, Between(0, 100_000, "requests")] = 200
    """Wrong logins kept waiting at once in each worker; further ones get 503."""
    refusal_delay_seconds: Annotated[float, Between(0, 300, "seconds")] = 30.0
    """Seconds a refusal is delayed at most."""
    failed_login_seconds: Annotated[float, Between(1, 86_400, "seconds")] = 900.0
    """Seconds after which a failed login is forgotten."""
    reserved_files: Annotated[int, Between(50, 1_000_000, "files")] = 500
    """Files of a worker kept for Redis, the EAS server and logs; the rest are phones."""


@dataclass(frozen=True, slots=True)
class Log:
    """What is told about the work."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least weight that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """``auto`` is ``console`` on a terminal, else ``json``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections. Read by the program's roots only; the sections travel on, this does not."""

    server: Server = field(default_factory=Server)
    redis: Redis = field(default_factory=Redis)
    auth: Auth = field(default_factory=Auth)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    limits: Limits = field(default_factory=Limits)
    log: Log = field(default_factory=Log)
