"""Which publishers there are, and where each of them may publish."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from loadtest.publishers.publishing import CLASSES, PublisherError
from loadtest.targets import permits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_NO_MAIL: Final = frozenset(CLASSES) - {"INBOX"}


@dataclass(frozen=True, slots=True)
class PublisherKind:
    """One way to make changes."""

    description: str
    """One line."""
    url: str
    """Where it publishes if nobody says; the form of all its URLs."""
    ports: Mapping[str, int]
    """Schemes that a URL may have, and what port each of them means; 0 is none."""
    is_local: bool = False
    """Whether a URL may name a Unix socket by its path, without a host."""


PUBLISHERS: Final[Mapping[str, PublisherKind]] = {
    "redis": PublisherKind(
        "records changes in the gateway's Redis",
        "redis://127.0.0.1:6379",
        {"redis": 6379, "rediss": 6379, "unix": 0},
        is_local=True,
    ),
    "http": PublisherKind(
        "posts changes to the gateway's admin listener",
        "http://127.0.0.1:8801",
        {"http": 80, "https": 443},
    ),
    "imap": PublisherKind(
        "appends mail to a mail folder by IMAP, for any EAS server",
        "imap://127.0.0.1:143",
        {"imap": 143, "imaps": 993},
    ),
    "lmtp": PublisherKind(
        "delivers mail to the INBOX by LMTP, for any EAS server",
        "lmtp://127.0.0.1:24",
        {"lmtp": 24},
        is_local=True,
    ),
}
"""By the name on the command line."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to publish."""

    scheme: str
    host: str
    """Name, address, or path of a Unix socket."""
    port: int
    url: str
    """As typed; may hold a password."""


def takes(kind: str, folder: str) -> bool:
    """Tell whether a publisher can change a folder, by its watch name.

    Args:
        kind: A name of ``PUBLISHERS``.
        folder: Watch name.
    """
    match kind:
        case "lmtp":
            return folder == "INBOX"
        case "imap":
            return folder not in _NO_MAIL
        case _:
            return True


def parse_address(kind: str, url: str = "", *, allowed: Collection[str] = ()) -> Address:
    """Read the URL of a publisher.

    Args:
        kind: A name of ``PUBLISHERS``.
        url: Empty means the usual one.
        allowed: Hosts beyond this machine that may be loaded.

    Raises:
        PublisherError: If there is no such publisher, or the URL is none of its own, or names a
            host that may not be loaded.
    """
    offered = PUBLISHERS.get(kind)
    if offered is None:
        raise _unknown(kind)
    url = url or offered.url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PublisherError(f"found a publisher URL that is none: {error}") from error
    if parts.scheme not in offered.ports or not _place(offered, parts):
        raise PublisherError(
            f"found {_shown(parts)!r}, publisher {kind} allows {', '.join(offered.ports)} URLs "
            f"like {offered.url}"
        )
    host = parts.hostname or ""
    if host and not permits(host, allowed):
        raise PublisherError(
            f"found {host!r} in the publisher URL, only loopback addresses are allowed: "
            f"if you want to load it, name it with --allow-target {host}"
        )
    return Address(parts.scheme, host or parts.path, port or offered.ports[parts.scheme], url)


def _place(offered: PublisherKind, parts: SplitResult) -> str:
    return parts.hostname or (parts.path if offered.is_local else "")


def _unknown(kind: str) -> PublisherError:
    near = difflib.get_close_matches(kind, PUBLISHERS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return PublisherError(f"found publisher {kind!r}, {hint}allowed are {', '.join(PUBLISHERS)}")


def _shown(parts: SplitResult) -> str:
    """Return the URL without what may be a password."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
