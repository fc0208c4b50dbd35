from __future__ import annotations

import pytest

from pushgw.eas import body
from pushgw.eas.body import BodyError
from pushgw.wbxml import element, encode

PING = element("Ping", "Ping")


def test_document_of_the_command_is_read() -> None:
    """A document whose root is the command's own is returned."""
    actual = body.read("Ping", encode(PING))

    assert PING == actual


def _deep(levels: int) -> bytes:
    one = element("Ping", "Folders")
    for _ in range(levels):
        one = element("Ping", "Folders", one)
    return encode(one)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 101),
        (b"<?xml?>", 102),
        (encode(element("Provision", "Provision")), 103),
        (bytes(64 * 1024 + 1), 103),
        (_deep(8), 103),
    ],
)
def test_other_bodies_are_refused_by_status(data: bytes, expected: int) -> None:
    """No body is 101, no WBXML 102, another command or too much of it 103."""
    with pytest.raises(BodyError) as caught:
        body.read("Ping", data)

    assert expected == caught.value.status


def test_error_names_the_offset() -> None:
    """The text of a decoding error says where it is."""
    with pytest.raises(BodyError, match=r"^offset 3: found ") as caught:
        body.read("Ping", bytes.fromhex("03016a"))

    assert "\n" not in str(caught.value)


def test_second_element_of_a_name_is_refused() -> None:
    """An element that may stand once is not there twice."""
    twice = element("Ping", "Ping", element("Ping", "Status"), element("Ping", "Status"))

    with pytest.raises(BodyError, match="found 2 Status elements in Ping"):
        body.single(twice, "Status")


def test_only_the_page_asked_for_is_looked_at() -> None:
    """A child of the same name on another page is another element."""
    own = element("Settings", "Status", "1")
    parent = element("Ping", "Ping", own)

    actual = (body.single(parent, "Status"), body.single(parent, "Status", "Settings"))

    assert (None, own) == actual


@pytest.mark.parametrize(("text", "expected"), [("0", 0), (" 255 ", 255), ("007", 7)])
def test_number_is_read(text: str, expected: int) -> None:
    """Digits, with space around them, are a number."""
    actual = body.integer(element("Ping", "Status", text), 255)

    assert expected == actual


@pytest.mark.parametrize("text", ["", "-1", "256", "1000", "x", "1_0", "\u0663", "\u00b2"])
def test_other_text_is_no_number(text: str) -> None:
    """Signs, letters, other scripts and numbers beyond the highest are refused."""
    with pytest.raises(BodyError, match="allowed a number from 0 to 255"):
        body.integer(element("Ping", "Status", text), 255)
