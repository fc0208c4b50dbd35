from __future__ import annotations

import pytest

from pushgw.settings.sections import address, is_loopback


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8800", ("127.0.0.1", 8800)),
        ("localhost:0", ("localhost", 0)),
        ("mail.example.org:65535", ("mail.example.org", 65535)),
        ("[::1]:8800", ("::1", 8800)),
        ("[2001:DB8::1]:443", ("2001:db8::1", 443)),
    ],
)
def test_an_address_is_split(text: str, expected: tuple[str, int]) -> None:
    """A listen address is a host without brackets and a port."""
    assert expected == address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8800",
        ":8800",
        "host:",
        "host:65536",
        "host:-1",
        "host: 1",
        "::1:8800",
        "[::1]",
        "[x]:1",
        "a b:1",
        "-a:1",
        "host:٣",
        "http://host:1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Anything but HOST:PORT is refused with what is allowed."""
    with pytest.raises(ValueError, match=r"^HOST:PORT, an IPv6 host in brackets, port 0 to 65535$"):
        address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_hosts_are_recognised(host: str) -> None:
    """An address or name that stays on this machine is loopback."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example.org"])
def test_other_hosts_are_not_loopback(host: str) -> None:
    """A host that others can reach, or that is not known not to be reached, is not loopback."""
    assert not is_loopback(host)
