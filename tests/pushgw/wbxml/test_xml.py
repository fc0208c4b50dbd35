from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.wbxml import Element, Limits, XmlError, decode, element, from_xml, to_xml

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "eas.json").read_text("utf-8")
)["wbxml"]
BOMB = """<!DOCTYPE Ping [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<Ping xmlns="Ping:">&b;</Ping>"""


def ping(content: str) -> str:
    return f'<Ping xmlns="Ping:">{content}</Ping>'


def refusal(text: str, limits: Limits | None = None) -> XmlError:
    with pytest.raises(XmlError) as caught:
        from_xml(text, limits or Limits())
    return caught.value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["id"]))
def test_vectors_are_printed(vector: dict[str, Any]) -> None:
    """A recorded document prints as its XML, character for character."""
    text = to_xml(decode(bytes.fromhex(vector["hex"])))

    assert vector["xml"] == text


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("a<b>&c", "a&lt;b&gt;&amp;c"),
        ("a\r\n\tb", "a&#13;\n\tb"),
        (" ", " "),
        ("ä\U0001f4e7", "ä\U0001f4e7"),
    ],
)
def test_text_is_printed_and_read(value: str, content: str) -> None:
    """Any text that XML can carry comes back as it was."""
    root = element("Ping", "Ping", value)

    assert ping(content) == to_xml(root)
    assert root == from_xml(ping(content))


def test_opaque_text_prints_as_text() -> None:
    """Opaque data that is text prints as text, and reads back as an inline string."""
    text = to_xml(element("Ping", "Id", b"a&b"))

    assert text == '<Id xmlns="Ping:">a&amp;b</Id>'
    assert element("Ping", "Id", "a&b") == from_xml(text)


@pytest.mark.parametrize("value", [b"\xff\x00", b"a\x00b"])
def test_opaque_data_prints_as_base64(value: bytes) -> None:
    """Opaque data that XML cannot carry prints as base64 and stays opaque."""
    root = element("Ping", "Id", value)
    text = to_xml(root)

    assert 'opaque="base64"' in text
    assert root == from_xml(text)


def test_text_beyond_xml_prints_as_base64() -> None:
    """An inline string with a control character stays an inline string."""
    root = element("Ping", "Id", "\x01\ufffe")
    text = to_xml(root)

    assert text == '<Id xmlns="Ping:" string="base64">Ae+/vg==</Id>'
    assert root == from_xml(text)


def test_namespace_is_repeated_where_the_page_changes() -> None:
    """Each element on another page than its parent has the namespace of its own page."""
    status = element("Settings", "Status", "1")
    text = to_xml(element("Ping", "Ping", status, status, element("Ping", "Folders")))

    part = '<Status xmlns="Settings:">1</Status>'
    assert ping(f"{part}{part}<Folders/>") == text


def test_depth_has_no_limit() -> None:
    """An element deeper than the interpreter's stack is printed."""
    root = element("Ping", "Ping")
    for _ in range(5_000):
        root = element("Ping", "Ping", root)
    text = to_xml(root)

    assert text.count("</Ping>") == 5_000


def test_layout_is_ignored() -> None:
    """A declaration, comments and white space between elements say nothing."""
    content = '\n  <!-- one --><Status>1</Status>\n  <Id opaque="base64"> /w\n== </Id>\n'
    root = from_xml('<?xml version="1.0" encoding="latin-1"?>\n' + ping(content) + "\n")

    status, folder = element("Ping", "Status", "1"), element("Ping", "Id", b"\xff")
    assert element("Ping", "Ping", status, folder) == root


def test_prefixes_are_understood() -> None:
    """A prefix for a namespace says the same as a default namespace."""
    root = from_xml('<p:Ping xmlns:p="Ping:"><p:Status>1</p:Status></p:Ping>')

    assert element("Ping", "Ping", element("Ping", "Status", "1")) == root


def test_text_in_pieces_is_joined() -> None:
    """Text around a comment and in a CDATA section is one text."""
    root = from_xml(ping("a<!-- b -->c<![CDATA[<d>]]>"))

    assert element("Ping", "Ping", "ac<d>") == root


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "no element found"),
        ("<Ping", "unclosed token"),
        ("<Ping/>", "namespace ''"),
        ('<Ping xmlns="Ping"/>', "namespace 'Ping'"),
        ('<Ping xmlns="Pong:"/>', "namespace 'Pong:'"),
        ('<Pong xmlns="Ping:"/>', "tag Pong"),
        (ping("<Folders>&auml;</Folders>"), "undefined entity"),
        (ping("<Id a='b'/>"), "attribute a"),
        (ping("<Id opaque='hex'/>"), "attribute opaque"),
        (ping("<Id opaque='base64' string='base64'/>"), "attribute opaque string"),
        (ping("<Id opaque='base64'>_</Id>"), "something else"),
        (ping("<Id opaque='base64'>é</Id>"), "something else"),
        (ping("<Id string='base64'>/w==</Id>"), "something else"),
        (ping("<Id string='base64'>AA==</Id>"), "NUL in a string"),
        (ping("a<Folders/>"), "mixed content"),
        (ping("<Folders/>a"), "mixed content"),
        (ping("<Folders opaque='base64'><Folder/></Folders>"), "mixed content"),
        (ping("") * 2, "junk after document element"),
        (BOMB, "a document type"),
        ('<Ping xmlns="Ping:">\ud800</Ping>', "a lone surrogate"),
    ],
)
def test_what_is_no_document_is_refused(text: str, found: str) -> None:
    """Text that is no document is refused for what is wrong with it."""
    error = refusal(text)

    assert found == error.found


def test_error_says_where_what_and_what_else() -> None:
    """The text of an error has offset, line, column, what was found and what is allowed."""
    error = refusal(ping("ä\n <Pong/>"))

    expected = "24: found tag Pong at line 2 column 1, allowed the tags of code page Ping"
    assert expected == str(error)
    assert (24, 2, 1) == (error.offset, error.line, error.column)


def test_place_of_a_lone_surrogate() -> None:
    """A character that no document can have is found by line and column like any other."""
    error = refusal(ping("ä\n \ud800"))

    assert (24, 2, 1) == (error.offset, error.line, error.column)


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        (Limits(max_bytes=50), "58 bytes"),
        (Limits(max_depth=1), "a deeper element"),
        (Limits(max_elements=2), "one more element"),
    ],
)
def test_limits_are_kept(limits: Limits, found: str) -> None:
    """A text beyond a limit is refused, one at the limits is not."""
    text = ping("<Folders/><Folders/>") + " " * 11
    from_xml(text, Limits(max_bytes=58, max_depth=2, max_elements=3))
    error = refusal(text, limits)

    assert found == error.found


def test_long_names_are_shown_in_part() -> None:
    """An error shows no more of a strange name than fits a line."""
    error = refusal(ping(f"<{'a' * 10_000}/>"))

    assert len(str(error)) < 200


def test_deep_nesting_is_refused() -> None:
    """A hundred thousand open elements are refused at the first one too deep."""
    error = refusal("<Ping xmlns='Ping:'>" * 100_000)

    assert (20 * 32, "a deeper element") == (error.offset, error.found)


def test_layout_between_many_children_is_read_once() -> None:
    """White space between children is dropped as it is met, so many children stay cheap."""
    root = from_xml(ping("\n<Folders/>" * 20_000))

    assert 20_000 == len(root.children)


def test_unprintable_text_is_an_error() -> None:
    """A lone surrogate cannot be printed in any notation."""
    with pytest.raises(UnicodeEncodeError):
        to_xml(Element("Ping", "Id", (), "\ud800"))


def test_empty_text_is_an_error_at_its_begin():
    """A text without any element is refused at offset 0."""
    with pytest.raises(XmlError) as caught:
        from_xml("")

    assert 0 == caught.value.offset
