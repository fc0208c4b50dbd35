"""What may be loaded, and from which addresses.

Rule: a heavy load goes to this machine, or where somebody named the host on the command line.
"""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

EAS_PATH: Final = "/Microsoft-Server-ActiveSync"
MAX_SOURCES: Final = 4096
"""Addresses of one source; more ports than Linux has sockets for."""
LOOPBACK_SOURCES: Final = tuple(f"127.0.1.{last}" for last in range(1, 41))
"""Where phones come from if nobody says; 40 addresses have 1.1 million ports."""
_PORTS: Final = {"http": 80, "https": 443}


class TargetError(ValueError):
    """The target is none this load generator may touch."""


class SourceError(ValueError):
    """The source is no range of addresses."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to load."""

    host: str
    port: int
    is_tls: bool = False
    path: str = EAS_PATH

    @property
    def name(self) -> str:
        """Value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self._scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole of it, as it would be typed."""
        return f"{self._scheme}://{self.name}{self.path}"

    @property
    def has_sources(self) -> bool:
        """Whether phones may come from 127.0.1.x; only Linux answers on all of 127/8."""
        return sys.platform == "linux" and self.host.startswith("127.")

    @property
    def _scheme(self) -> str:
        return "https" if self.is_tls else "http"


def parse_target(url: str, *, allowed: Collection[str] = ()) -> Target:
    """Read the URL of a server.

    Args:
        url: Without a path, that of EAS is meant.
        allowed: Hosts beyond this machine that may be loaded.

    Raises:
        TargetError: If it is no HTTP URL, or its host may not be loaded.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetError(f"found {url!r}: {error}") from error
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not host or port == 0 or _has_more(parts):
        raise TargetError(
            f"found {_shown(parts)!r}, a URL like http://127.0.0.1:8800 or "
            "https://mail.example.org is allowed"
        )
    check_permitted(host, allowed)
    address = "127.0.0.1" if host == "localhost" else host
    path = parts.path.rstrip("/") or EAS_PATH
    return Target(address, port or _PORTS[parts.scheme], parts.scheme == "https", path)


def parse_targets(urls: Iterable[str], *, allowed: Collection[str] = ()) -> tuple[Target, ...]:
    """Read the URLs of several servers, or of several ports of one; each counts once.

    Raises:
        TargetError: If there is none, or one of them may not be loaded.
    """
    targets = dict.fromkeys(parse_target(url, allowed=allowed) for url in urls)
    if not targets:
        raise TargetError("found no target, at least one URL is needed")
    return tuple(targets)


def permits(host: str, allowed: Collection[str] = ()) -> bool:
    """Tell whether a host may be loaded: it is this machine, or was named.

    Args:
        host: Name or address, without port or brackets.
        allowed: Names and addresses, in any spelling of the same.
    """
    found = _canonical(host)
    return _is_loopback(found) or found in map(_canonical, allowed)


def check_permitted(host: str, allowed: Collection[str] = ()) -> None:
    """Do nothing if a host may be loaded.

    Raises:
        TargetError: If it may not; says how to allow it.
    """
    if not permits(host, allowed):
        raise TargetError(
            f"found {host!r}, only loopback addresses are allowed: this tool puts a heavy load on "
            f"its target. If that is what you want, name it with --allow-target {host}"
        )


def parse_source(text: str) -> tuple[str, ...]:
    """List the addresses of a network (127.0.1.0/24), a range (127.0.1.1-127.0.1.40), or of one.

    Raises:
        SourceError: If it is none of these, or has more than ``MAX_SOURCES`` addresses.
    """
    try:
        return _network(text) if "/" in text else _range(text)
    except SourceError:
        raise
    except ValueError as error:
        raise SourceError(
            f"found {text!r}: {error}; an address, 127.0.1.1-127.0.1.40 or 127.0.1.0/24 is allowed"
        ) from error


def default_sources(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return where phones come from if nobody says; empty leaves it to the system."""
    return LOOPBACK_SOURCES if all(target.has_sources for target in targets) else ()


def _has_more(parts: SplitResult) -> bool:
    return bool(parts.query or parts.fragment or "@" in parts.netloc)


def _shown(parts: SplitResult) -> str:
    """Return the URL without what may be a password."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _canonical(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host.lower()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _network(text: str) -> tuple[str, ...]:
    network = ipaddress.ip_network(text.strip())
    _check_size(text, network.num_addresses)
    return tuple(map(str, network.hosts()))


def _range(text: str) -> tuple[str, ...]:
    first_text, _, last_text = text.partition("-")
    first = ipaddress.ip_address(first_text.strip())
    last = ipaddress.ip_address(last_text.strip()) if last_text else first
    if first.version != last.version or int(first) > int(last):
        raise SourceError(f"found {text!r}, the first address has to come before the last one")
    _check_size(text, int(last) - int(first) + 1)
    return tuple(str(first + step) for step in range(int(last) - int(first) + 1))


def _check_size(text: str, count: int) -> None:
    if count > MAX_SOURCES:
        raise SourceError(f"found {text!r} with {count:,} addresses, at most {MAX_SOURCES:,}")
