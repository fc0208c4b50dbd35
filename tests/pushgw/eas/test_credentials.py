from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.eas.credentials import Credentials, login_name, parse_basic, same_user, text_of


def _basic(data: bytes, scheme: str = "Basic") -> str:
    return f"{scheme} {b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (_basic(b"jane:secret"), Credentials("jane", "secret")),
        (_basic(b"jane:a:b", "BASIC"), Credentials("jane", "a:b")),
        (_basic(b"jane:", "basic "), Credentials("jane", "")),
        (_basic("EXAMPLE\\jörg:pä\u00a0ß".encode()), Credentials("EXAMPLE\\jörg", "pä\u00a0ß")),
        (_basic("jörg:pä".encode("latin-1")), Credentials("jörg", "pä")),
    ],
)
def test_header_is_read(header: str, expected: Credentials) -> None:
    """Name and password are cut at the first colon, in UTF-8 or else in Latin-1."""
    actual = parse_basic(header)

    assert expected == actual


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !",
        "Basic amFuZQ",
        "Basic ä",
        "Bearer amFuZTpzZWNyZXQ=",
        _basic(b"jane"),
        _basic(b":secret"),
        _basic(b"jane:sec\nret"),
        _basic(b"ja\x00ne:secret"),
    ],
)
def test_other_header_says_nobody(header: str | None) -> None:
    """A header that is absent, broken, nameless or of another scheme names nobody."""
    assert parse_basic(header) is None


@given(st.text(max_size=100))
def test_any_header_is_read_or_not(header: str) -> None:
    """No header raises."""
    actual = parse_basic("Basic " + header)

    assert actual is None or actual.name


def test_password_is_not_shown() -> None:
    """The representation that may reach a log has no password."""
    assert "secret" not in repr(Credentials("jane", "secret"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jane", "jane"),
        ("EXAMPLE\\Jane ", "jane"),
        ("a\\b\\JANE@Example.org", "jane@example.org"),
        ("EXAMPLE\\", ""),
    ],
)
def test_login_name_is_the_mailbox(text: str, expected: str) -> None:
    """The Windows domain goes, the mail domain stays, capitals become small."""
    actual = login_name(text)

    assert expected == actual


@pytest.mark.parametrize(
    ("query_user", "login", "expected"),
    [
        (None, "jane", True),
        ("EXAMPLE\\Jane", "jane", True),
        ("jane@example.org", "JANE@example.org", True),
        ("jane@example.org", "jane", True),
        ("jane", "jane@example.org", True),
        ("jane@example.org", "jane@example.net", False),
        ("john", "jane", False),
        ("john@example.org", "jane", False),
        ("", "jane", False),
    ],
)
def test_query_user_is_compared(query_user: str | None, login: str, *, expected: bool) -> None:
    """The names are equal, or one of them lacks the domain and the rest is equal."""
    actual = same_user(query_user, login)

    assert expected == actual


def test_text_is_utf8_or_latin1() -> None:
    """Bytes that are no UTF-8 are read as ISO-8859-1."""
    actual = (text_of("ü".encode()), text_of("ü".encode("latin-1")))

    assert ("ü", "ü") == actual
