from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pushgw.wbxml import Element, Limits, WbxmlError, decode, element, encode, from_xml

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "eas.json").read_text("utf-8")
)
VALID = VECTORS["wbxml"]
ODD = VECTORS["wbxml_odd_but_tolerable"]
MALFORMED = VECTORS["wbxml_malformed"]
HEADER = bytes.fromhex("03016a00")
PING = HEADER + bytes.fromhex("000d45")
"""A document up to the start of a Ping with content."""

TELLING = {0x00, 0x01, 0x02, 0x03, 0x04, 0x40, 0x43, 0x7F, 0x80, 0x83, 0xC3, 0xFF}
"""Bytes that are a token of their own, or nearly one."""


def vector_id(vector: dict[str, Any]) -> str:
    return str(vector["id"])


def refusal(data: bytes, limits: Limits | None = None) -> WbxmlError:
    with pytest.raises(WbxmlError) as caught:
        decode(data, limits or Limits())
    return caught.value


def read(data: bytes) -> Element | WbxmlError:
    try:
        return decode(data)
    except WbxmlError as error:
        return error


@pytest.mark.parametrize("vector", [*VALID, *ODD], ids=vector_id)
def test_vectors_are_read(vector: dict[str, Any]) -> None:
    """A recorded document, also an odd one, is the element that its XML is."""
    root = decode(bytes.fromhex(vector["hex"]))

    assert from_xml(vector["xml"]) == root


@pytest.mark.parametrize("vector", MALFORMED, ids=vector_id)
def test_malformed_vectors_are_refused(vector: dict[str, Any]) -> None:
    """A malformed document is refused for the reason it was made for."""
    error = refusal(bytes.fromhex(vector["hex"]))

    assert vector["expect"] == error.kind


@pytest.mark.parametrize("vector", VALID, ids=vector_id)
def test_every_prefix_is_refused(vector: dict[str, Any]) -> None:
    """A document cut anywhere is refused as cut, with an offset inside of it."""
    data = bytes.fromhex(vector["hex"])
    errors = [refusal(data[:end]) for end in range(len(data))]

    assert {"EmptyInput", "NoRoot", "Truncated"} >= {error.kind for error in errors}
    assert all(error.offset <= end for end, error in enumerate(errors))


@pytest.mark.parametrize("vector", VALID + ODD + MALFORMED, ids=vector_id)
def test_every_changed_byte_gives_a_value_or_a_refusal(vector: dict[str, Any]) -> None:
    """Whatever one byte of a document turns into, it is refused, or read and written again."""
    data = bytes.fromhex(vector["hex"])
    for at, byte in enumerate(data):
        # Long documents meet the bytes that mean something to WBXML, and each bit turned around.
        others = range(256) if len(data) <= 25 else TELLING | {byte ^ 1 << bit for bit in range(8)}
        for other in others:
            changed = data[:at] + bytes([other]) + data[at + 1 :]
            result = read(changed)
            if isinstance(result, WbxmlError):
                assert 0 <= result.offset <= len(changed)
            else:
                assert decode(encode(result)) == result


def test_header_of_another_charset_is_refused() -> None:
    """A character set other than UTF-8 is refused at its byte."""
    error = refusal(bytes.fromhex("03010400000d05"))

    assert ("BadCharset", 2) == (error.kind, error.offset)


def test_unused_string_table_is_skipped() -> None:
    """A string table within the data is skipped, whatever it holds."""
    root = decode(bytes.fromhex("03016a0501ff0083c3000d4547033100") + b"\x01\x01")

    assert element("Ping", "Ping", element("Ping", "Status", "1")) == root


def test_last_of_two_switches_counts() -> None:
    """A page switch ahead of END changes the page of what follows it."""
    root = decode(PING + bytes.fromhex("470331000012014603320001") + b"\x01")

    status = element("Ping", "Status", "1")
    assert element("Ping", "Ping", status, element("Settings", "Status", "2")) == root


def test_page_is_not_restored_at_the_end_of_an_element() -> None:
    """The page in force is that of the last switch, not that of the parent."""
    root = decode(HEADER + bytes.fromhex("45000d49010501"))

    folders, ping = element("Ping", "Folders"), element("Ping", "Ping")
    assert element("AirSync", "Sync", folders, ping) == root


def test_obsolete_tags_are_read() -> None:
    """A tag of older specifications only is read by its old name."""
    root = decode(PING + bytes.fromhex("460331000101"))

    assert element("Ping", "Ping", element("Ping", "AutdState", "1")) == root


def test_text_in_pieces_is_joined() -> None:
    """Inline strings in a row are one text, empty ones included."""
    root = decode(PING + bytes.fromhex("480300033400033800030001") + b"\x01")

    assert element("Ping", "Ping", element("Ping", "HeartbeatInterval", "48")) == root


def test_opaque_data_in_pieces_is_joined() -> None:
    """Opaque data in a row is one value, empty pieces included."""
    root = decode(HEADER + bytes.fromhex("001550c30100c300c301ff01"))

    assert element("ComposeMail", "Mime", b"\x00\xff") == root


def test_empty_values_beside_children_are_no_content() -> None:
    """An empty string and empty opaque data beside child elements change nothing."""
    root = decode(PING + bytes.fromhex("0300c30009030001"))

    assert element("Ping", "Ping", element("Ping", "Folders")) == root


@pytest.mark.parametrize(
    ("content", "offset"),
    [
        ("0331000901", 10),
        ("c301310901", 10),
        ("0903310001", 8),
        ("c30131033100", 10),
        ("09c3013101", 8),
        ("033100c3013101", 10),
    ],
)
def test_mixed_content_is_refused(content: str, offset: int) -> None:
    """Child elements, text and opaque data exclude each other; the later one is refused."""
    error = refusal(PING + bytes.fromhex(content))

    assert ("MixedContent", offset) == (error.kind, error.offset)


@pytest.mark.parametrize("token", ["01", "033100", "c30131"])
def test_content_without_a_root_is_refused(token: str) -> None:
    """Content ahead of the first element has nowhere to go."""
    error = refusal(HEADER + bytes.fromhex(token))

    assert ("NoRoot", 4) == (error.kind, error.offset)


def test_tag_cut_at_its_content_is_truncated() -> None:
    """A root whose content is missing altogether is cut, not absent."""
    error = refusal(PING)

    assert ("Truncated", 7) == (error.kind, error.offset)


@pytest.mark.parametrize("token", ["02", "40", "42", "43", "80", "82", "c0", "c2"])
def test_global_tokens_without_use_are_refused(token: str) -> None:
    """ENTITY, PI and extension tokens are legal WBXML and never EAS."""
    error = refusal(PING + bytes.fromhex(token) + b"\x01")

    assert ("ReservedToken", 7) == (error.kind, error.offset)


def test_bad_text_is_refused_at_its_byte() -> None:
    """The offset of text that is not UTF-8 is that of its first wrong byte, in any piece."""
    error = refusal(PING + bytes.fromhex("48033100033132ff0001"))

    assert ("BadUtf8", 14) == (error.kind, error.offset)


def test_error_says_where_what_and_what_else() -> None:
    """The text of an error has the offset, what was found and what is allowed, in one line."""
    error = refusal(HEADER + b"\x00\x1a\x05")

    assert str(error) == "5: found code page 26, allowed 0 to 25"
    assert ("code page 26", "0 to 25") == (error.found, error.allowed)


def test_too_many_bytes_are_refused() -> None:
    """A document of more bytes than allowed is refused before it is read."""
    error = refusal(bytes(11), Limits(max_bytes=10))

    assert ("TooLarge", 10) == (error.kind, error.offset)


def test_deep_nesting_is_refused() -> None:
    """A million open elements are refused at the first one too deep, without recursion."""
    error = refusal(HEADER + b"\x45" * 1_000_000)

    assert ("TooDeep", 4 + 32) == (error.kind, error.offset)


@pytest.mark.parametrize("leaf", ["09", "49033100" + "01", "4901"])
def test_every_form_of_element_counts_for_depth(leaf: str) -> None:
    """The deepest element allowed may have any form, and one level more none."""
    data = PING + bytes.fromhex(leaf) + b"\x01"
    decode(data, Limits(max_depth=2))
    error = refusal(data, Limits(max_depth=1))

    assert ("TooDeep", 7) == (error.kind, error.offset)


def test_many_elements_are_refused() -> None:
    """A million empty elements are refused at the first one too many."""
    error = refusal(HEADER + b"\x45" + b"\x05" * 1_000_000)

    assert ("TooManyElements", 4 + 50_000) == (error.kind, error.offset)


@pytest.mark.parametrize("piece", ["0300", "033100", "c300", "c30131"])
def test_many_pieces_of_a_value_are_refused(piece: str) -> None:
    """A value in a million pieces, also empty ones, is refused at the first one too many."""
    one = bytes.fromhex(piece)
    error = refusal(PING + one * 1_000_000)

    assert ("TooManyElements", len(PING) + 50_000 * len(one)) == (error.kind, error.offset)


def test_a_length_beyond_the_data_costs_nothing() -> None:
    """Opaque data of 4 GiB in a document of 14 bytes is refused without memory for it."""
    tracemalloc.start()
    try:
        error = refusal(HEADER + bytes.fromhex("001550c38fffffff7f41"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert error.kind == "Truncated"
    assert peak < 100_000
