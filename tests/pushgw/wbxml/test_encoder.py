from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.wbxml import Element, EncodeError, decode, element, encode, from_xml

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "eas.json").read_text("utf-8")
)["wbxml"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["id"]))
def test_vectors_are_written(vector: dict[str, Any]) -> None:
    """A document is written byte for byte as two other encoders wrote it."""
    data = encode(from_xml(vector["xml"]))

    assert vector["hex"] == data.hex()


@pytest.mark.parametrize(
    ("length", "varint"), [(1, "01"), (127, "7f"), (128, "8100"), (16384, "818000")]
)
def test_opaque_data_has_its_length_ahead(length: int, varint: str) -> None:
    """The length of opaque data takes as few bytes as it can, the highest bits first."""
    data = encode(element("ComposeMail", "Mime", bytes(length)))

    assert "03016a00001550c3" + varint + "00" * length + "01" == data.hex()


def test_obsolete_tags_are_written_again() -> None:
    """A decoded document with a tag of older specifications can be encoded."""
    data = bytes.fromhex("03016a00000d454603310001") + b"\x01"

    assert data == encode(decode(data))


def test_depth_has_no_limit() -> None:
    """An element deeper than the interpreter's stack is written."""
    root = element("AirSync", "Sync")
    for _ in range(5_000):
        root = element("AirSync", "Sync", root)
    data = encode(root)

    assert b"\x03\x01\x6a\x00" + b"\x45" * 5_000 + b"\x05" + b"\x01" * 5_000 == data


@pytest.mark.parametrize(
    ("root", "found"),
    [
        (Element("Pong", "Ping"), "code page Pong"),
        (Element("Ping", "Pong"), "tag Pong"),
        (Element("Ping", "Id", (), "a\x00b"), "NUL at byte 1 of its text"),
        (Element("Ping", "Id", (), "a\ud800"), "a lone surrogate at character 1"),
    ],
)
def test_what_has_no_bytes_is_refused(root: Element, found: str) -> None:
    """Unknown names and text that an inline string cannot carry are refused by name."""
    with pytest.raises(EncodeError, match=f"{root.page}:{root.name}: found {found}") as caught:
        encode(element("Ping", "Ping", root))

    assert found == caught.value.found
