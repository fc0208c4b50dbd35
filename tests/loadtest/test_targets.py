"""What may be loaded, and from where."""

from __future__ import annotations

import sys

import pytest

from loadtest.targets import (
    LOOPBACK_SOURCES,
    SourceError,
    Target,
    TargetError,
    check_permitted,
    default_sources,
    parse_source,
    parse_target,
    parse_targets,
    permits,
)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8800", Target("127.0.0.1", 8800)),
        ("http://localhost:8800/", Target("127.0.0.1", 8800)),
        ("http://[::1]:8800", Target("::1", 8800)),
        ("http://127.3.2.1", Target("127.3.2.1", 80)),
        ("https://127.0.0.1", Target("127.0.0.1", 443, is_tls=True)),
        ("http://127.0.0.1/eas/", Target("127.0.0.1", 80, path="/eas")),
    ],
)
def test_a_server_on_this_machine_is_a_target(url: str, target: Target) -> None:
    """Loopback addresses of both families and localhost are accepted, with TLS and without."""
    assert target == parse_target(url)


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:8800", "https://mail.example.org", "http://0.0.0.0"]
)
def test_another_machine_is_no_target(url: str) -> None:
    """Everything that is not loopback is refused with the reason and what allows it."""
    with pytest.raises(TargetError, match=r"only loopback .* name it with --allow-target"):
        parse_target(url)


def test_a_named_machine_is_a_target() -> None:
    """A host that was named on the command line may be loaded."""
    target = parse_target("https://Mail.Example.org/", allowed=["mail.example.org"])

    assert Target("mail.example.org", 443, is_tls=True) == target


@pytest.mark.parametrize(
    "url",
    [
        *("127.0.0.1:8800", "ftp://127.0.0.1", "http://", "http://127.0.0.1:0"),
        *("http://127.0.0.1/?Cmd=Ping", "http://127.0.0.1/#top"),
    ],
)
def test_what_is_no_plain_http_url_is_no_target(url: str) -> None:
    """Other schemes, half URLs and those with a query are refused with what is allowed."""
    with pytest.raises(TargetError, match=r"found .* a URL like"):
        parse_target(url)


@pytest.mark.parametrize("url", ["http://x:y", "http://[::1", "http://127.0.0.1:65536"])
def test_what_is_no_url_is_no_target(url: str) -> None:
    """What cannot be taken apart is refused with the reason."""
    with pytest.raises(TargetError, match="found 'http"):
        parse_target(url)


def test_a_password_is_not_shown() -> None:
    """Credentials in a URL are refused, and not repeated."""
    with pytest.raises(TargetError) as caught:
        parse_target("http://user:secret@127.0.0.1")

    assert "found 'http://127.0.0.1'" in str(caught.value)


def test_several_targets_count_once_each() -> None:
    """Targets keep their order, and the same one twice is one."""
    urls = ["http://127.0.0.1:2", "http://127.0.0.1:1", "http://localhost:2"]

    assert (Target("127.0.0.1", 2), Target("127.0.0.1", 1)) == parse_targets(urls)


def test_no_target_is_an_error() -> None:
    """At least one target is needed."""
    with pytest.raises(TargetError, match="found no target"):
        parse_targets([])


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (Target("::1", 8800), "[::1]:8800"),
        (Target("127.0.0.1", 80), "127.0.0.1"),
        (Target("127.0.0.1", 80, is_tls=True), "127.0.0.1:80"),
        (Target("mail.example.org", 443, is_tls=True), "mail.example.org"),
    ],
)
def test_the_host_header_is_as_browsers_send_it(target: Target, name: str) -> None:
    """IPv6 addresses have brackets, and the scheme's own port is left out."""
    assert name == target.name


def test_a_target_shows_its_url() -> None:
    """The URL of a target reads back as the same target."""
    target = Target("::1", 8443, is_tls=True, path="/eas")

    assert "https://[::1]:8443/eas" == target.url
    assert target == parse_target(target.url)


@pytest.mark.parametrize(
    ("host", "allowed", "is_permitted"),
    [
        ("127.9.9.9", (), True),
        ("::1", (), True),
        ("LOCALHOST", (), True),
        ("mail.example.org", (), False),
        ("mail.example.org", ("MAIL.example.org",), True),
        ("2001:db8::1", ("2001:DB8:0::1",), True),
        ("2001:db8::1", ("[2001:db8::1]",), True),
        ("192.0.2.1", ("192.0.2.2",), False),
        ("127.0.0.1.example.org", (), False),
    ],
)
def test_a_host_is_permitted_by_address_or_name(
    host: str,
    allowed: tuple[str, ...],
    is_permitted: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A host may be loaded if it is this machine, or was named in any spelling."""
    assert is_permitted == permits(host, allowed)


def test_a_permitted_host_passes_the_check() -> None:
    """The check says nothing about a host that may be loaded."""
    check_permitted("192.0.2.1", ["192.0.2.1"])

    with pytest.raises(TargetError, match=r"found '192\.0\.2\.1'"):
        check_permitted("192.0.2.1")


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("127.0.1.7", ("127.0.1.7",)),
        ("127.0.1.254-127.0.2.1", ("127.0.1.254", "127.0.1.255", "127.0.2.0", "127.0.2.1")),
        ("127.0.1.0/30", ("127.0.1.1", "127.0.1.2")),
        ("127.0.1.8/32", ("127.0.1.8",)),
        ("::5-::6", ("::5", "::6")),
    ],
)
def test_a_source_lists_its_addresses(text: str, addresses: tuple[str, ...]) -> None:
    """An address, a range with both ends, and a network without its own two are sources."""
    assert addresses == parse_source(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("somewhere", "does not appear to be an IPv4 or IPv6 address"),
        ("127.0.1.5/24", "has host bits set"),
        ("127.0.0.0/8", "16,777,216 addresses, at most 4,096"),
        ("127.0.0.1-127.1.0.0", "65,536 addresses, at most 4,096"),
        ("127.0.1.9-127.0.1.1", "before the last"),
        ("127.0.1.9-::1", "before the last"),
        ("", "found ''"),
    ],
)
def test_another_source_is_refused(text: str, reason: str) -> None:
    """What is no range of addresses is refused with the reason."""
    with pytest.raises(SourceError, match=reason):
        parse_source(text)


@pytest.mark.skipif(sys.platform != "linux", reason="all of 127/8 is here on Linux only")
def test_loopback_targets_are_reached_from_many_addresses() -> None:
    """Forty source addresses are usual for loopback targets, and none for others."""
    here, there = Target("127.0.0.1", 1), Target("mail.example.org", 443)

    assert LOOPBACK_SOURCES == default_sources([here])
    assert () == default_sources([here, there])
