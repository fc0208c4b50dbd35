"""Who asks: the Authorization header, and whether the query's User is the same.

The header alone is trusted. The query's User only says which mailbox the phone means.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a Basic header says."""

    name: str
    """As sent: a plain name, ``DOMAIN\\name``, or ``name@domain``; never empty."""
    password: str = field(repr=False)
    """As sent; may be empty."""


def parse_basic(authorization: str | None) -> Credentials | None:
    """Read a Basic Authorization header; None if it is absent, malformed or of another scheme.

    Source: RFC 7617, section 2, which forbids control characters. Phones send UTF-8, Outlook
    ISO-8859-1 (Z-Push ZP-864).
    """
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        data = binascii.a2b_base64(token.strip(), strict_mode=True)
    except ValueError:
        return None
    name, colon, password = text_of(data).partition(":")
    if not name or not colon or _CONTROL.search(name + password):
        return None
    return Credentials(name, password)


def login_name(text: str) -> str:
    """Reduce a user name to the form mailboxes are named by: no Windows domain, lower case.

    Args:
        text: Percent-decoded already.
    """
    return text.rpartition("\\")[2].strip().lower()


def same_user(query_user: str | None, login: str) -> bool:
    """Tell whether the User of a query may be the authenticated one.

    Args:
        query_user: Percent-decoded; None if the query has none, as the compact one may.
        login: The authenticated name in any form.

    Returns:
        True if there is nothing to compare, the names are equal, or just one of them has an
        ``@domain`` and the rest is equal.
    """
    if query_user is None:
        return True
    asked, known = login_name(query_user), login_name(login)
    if ("@" in asked) != ("@" in known):
        asked, known = asked.rsplit("@", 1)[0], known.rsplit("@", 1)[0]
    return asked == known


def text_of(data: bytes) -> str:
    """Decode text of a client that does not name its encoding: UTF-8, else ISO-8859-1."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
