"""Which publishers there are, and where they may publish."""

from __future__ import annotations

import pytest

from loadtest.publishers.address import PUBLISHERS, Address, parse_address, takes
from loadtest.publishers.publishing import PublisherError


@pytest.mark.parametrize("kind", PUBLISHERS)
def test_each_publisher_has_a_usual_place(kind: str) -> None:
    """Without a URL each publisher publishes on this machine."""
    assert "127.0.0.1" == parse_address(kind).host


@pytest.mark.parametrize(
    ("kind", "url", "address"),
    [
        ("redis", "unix:///run/v.sock", ("unix", "/run/v.sock", 0)),
        ("redis", "rediss://:secret@localhost/1", ("rediss", "localhost", 6379)),
        ("http", "https://127.0.0.1", ("https", "127.0.0.1", 443)),
        ("imap", "imaps://127.0.0.1", ("imaps", "127.0.0.1", 993)),
        ("lmtp", "lmtp://[::1]:10024", ("lmtp", "::1", 10024)),
        ("lmtp", "lmtp:///run/dovecot/lmtp", ("lmtp", "/run/dovecot/lmtp", 24)),
    ],
)
def test_a_url_says_where_to_publish(kind: str, url: str, address: tuple[str, str, int]) -> None:
    """Scheme, host or socket, and port come from the URL or are the usual ones."""
    assert Address(*address, url) == parse_address(kind, url)


def test_a_named_host_may_be_loaded() -> None:
    """A host that was named on the command line may be published to."""
    assert "mail.example.org" == parse_address(
        "imap", "imap://mail.example.org", allowed=["mail.example.org"]
    ).host  # fmt: skip


def test_another_host_is_refused() -> None:
    """The error says what allows a host."""
    with pytest.raises(PublisherError, match=r"'mail.example.org' .* --allow-target mail"):
        parse_address("imap", "imap://mail.example.org")


@pytest.mark.parametrize(
    ("kind", "url", "text"),
    [
        ("redis", "http://127.0.0.1", "publisher redis allows redis, rediss, unix URLs like"),
        ("http", "http://", "publisher http allows http, https URLs like"),
        ("imap", "imap:///run/imap.sock", "publisher imap allows imap, imaps URLs like"),
        ("lmtp", "127.0.0.1:24", "publisher lmtp allows lmtp URLs like lmtp://127.0.0.1:24"),
        ("lmtp", "lmtp://127.0.0.1:x", "found a publisher URL that is none"),
    ],
)
def test_another_url_is_refused(kind: str, url: str, text: str) -> None:
    """The error says what was found and what is allowed."""
    with pytest.raises(PublisherError) as caught:
        parse_address(kind, url)

    assert text in str(caught.value)


def test_a_password_is_not_shown() -> None:
    """A URL that is refused is shown without its credentials."""
    with pytest.raises(PublisherError) as caught:
        parse_address("http", "redis://:secret@127.0.0.1?password=secret")

    assert "found 'redis://127.0.0.1'" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "imaps",
            "found publisher 'imaps', did you mean imap? allowed are redis, http, imap, lmtp",
        ),
        ("pigeon", "found publisher 'pigeon', allowed are redis, http, imap, lmtp"),
    ],
)
def test_an_unknown_publisher_is_refused(kind: str, text: str) -> None:
    """The error names the nearest publisher, if one is near, and all of them."""
    with pytest.raises(PublisherError) as caught:
        parse_address(kind)

    assert text == str(caught.value)


@pytest.mark.parametrize(
    ("kind", "folders"),
    [
        ("redis", ["INBOX", "Calendar", "Projects"]),
        ("http", ["INBOX", "Calendar", "Projects"]),
        ("imap", ["INBOX", "Projects"]),
        ("lmtp", ["INBOX"]),
    ],
)
def test_a_publisher_takes_some_folders(kind: str, folders: list[str]) -> None:
    """Mail goes into mail folders, and by LMTP only into the inbox."""
    assert folders == [one for one in ("INBOX", "Calendar", "Projects") if takes(kind, one)]
