from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from pushgw.wbxml import Element, element

PING = element(
    "Ping",
    "Ping",
    element("Ping", "Status", "1"),
    element("AirSync", "Status", "2"),
    element("Ping", "Status", "3"),
)


def test_children_and_value_at_once_are_refused() -> None:
    """An element has children or a value, not both."""
    with pytest.raises(ValueError, match="children or a non-empty value"):
        element("Ping", "Ping", element("Ping", "Status"), "1")


def test_empty_value_is_refused() -> None:
    """No content is None, never an empty value."""
    with pytest.raises(ValueError, match="non-empty value"):
        Element("Ping", "Status", (), "")


def test_two_values_are_refused() -> None:
    """An element has at most one value."""
    with pytest.raises(ValueError, match="at most one value"):
        element("Ping", "Status", "1", b"2")


def test_empty_content_is_left_out() -> None:
    """None and empty values make no content, so optional parts need no branch at the caller."""
    built = element("Ping", "Status", None, "", b"")

    assert Element("Ping", "Status") == built


def test_elements_are_frozen() -> None:
    """No field of an element can be set."""
    with pytest.raises(FrozenInstanceError):
        PING.name = "Sync"  # type: ignore[misc]


def test_equal_elements_have_equal_hashes() -> None:
    """Elements are values: equal ones are one key."""
    assert {element("Ping", "Status", "1"): "status"}[element("Ping", "Status", "1")] == "status"


def test_text_and_opaque_data_differ() -> None:
    """Text and opaque data of the same bytes are different documents."""
    assert element("Ping", "Id", "1") != element("Ping", "Id", b"1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("5", "5"), (None, ""), ("ä".encode(), "ä"), (b"a\xff", "a\ufffd")],
)
def test_text_reads_any_value(value: str | bytes | None, expected: str) -> None:
    """The text of an element is its value, whatever its form; empty without one."""
    text = element("Ping", "Id", value).text

    assert expected == text


def test_all_children_of_a_name() -> None:
    """Children are picked by name within the page of their parent, in document order."""
    texts = [child.text for child in PING.all("Status")]

    assert ["1", "3"] == texts


def test_first_child_of_a_name() -> None:
    """The first child of a name is found, None if there is none."""
    found = PING.find("Status"), PING.find("Folders")

    assert (element("Ping", "Status", "1"), None) == found
