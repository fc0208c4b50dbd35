"""The XML notation of EAS documents: for people, logs, tests and command lines.

Rules:

- One default namespace per code page, the page's name and a colon, repeated where the page changes:
  ``<Ping xmlns="Ping:"><Status>2</Status></Ping>``.
- Text of inline strings prints as text, and so does opaque data that is text; reading it back
  gives an inline string. Other opaque data prints as base64 in an element with the attribute
  ``opaque="base64"``, and is opaque again when read.
- An inline string with a control character that XML cannot carry prints as base64 of its UTF-8
  with ``string="base64"``.
- White space between elements is layout and ignored; in an element without children it is text.
- No document type and no entities but the five of XML: expansion is how XML bombs work.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final
from xml.parsers import expat

from pushgw.wbxml.decoder import DEFAULT, Limits
from pushgw.wbxml.element import Element
from pushgw.wbxml.pages import TOKENS

# Production [2] Char of XML 1.0, turned around. Carriage returns are written as references, for
# a parser reads the bare character as a line feed.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_OPAQUE: Final = "opaque"
_STRING: Final = "string"
_BASE64: Final = "base64"
_SEPARATOR: Final = " "
_MAX_SHOWN: Final = 60
"""Characters of a name that an error shows."""


class XmlError(ValueError):
    """A text is not an EAS document in the XML notation.

    Attributes:
        offset: Bytes of UTF-8 before the place.
        line: Its line, from 1.
        column: Its column, from 0.
        found: What stands there.
        allowed: What may stand there.
    """

    def __init__(self, place: tuple[int, int, int], found: str, allowed: str) -> None:
        self.offset, self.line, self.column = place
        self.found = found
        self.allowed = allowed
        where = f"at line {self.line} column {self.column}"
        super().__init__(f"{self.offset}: found {found} {where}, allowed {allowed}")


def to_xml(root: Element) -> str:
    """Write an element in the XML notation, in one line.

    Args:
        root: The root element; any depth. Names are written as they are.

    Raises:
        UnicodeEncodeError: If a text has a lone surrogate.
    """
    out: list[str] = []
    todo: list[tuple[Element, str] | str] = [(root, "")]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            out.append(item)
            continue
        one, page = item
        start = one.name if one.page == page else f'{one.name} xmlns="{one.page}:"'
        if one.children:
            out.append(f"<{start}>")
            todo.append(f"</{one.name}>")
            todo.extend((child, one.page) for child in reversed(one.children))
        elif one.value is None:
            out.append(f"<{start}/>")
        else:
            attribute, text = _printed(one.value)
            out.append(f"<{start}{attribute}>{text}</{one.name}>")
    return "".join(out)


def from_xml(text: str, limits: Limits = DEFAULT) -> Element:
    """Read an element from the XML notation.

    Args:
        text: The whole document.
        limits: What it may take; bytes are those of the UTF-8 of the text.

    Returns:
        The root element; `encode` accepts it.

    Raises:
        XmlError: If the text is not well-formed, not an EAS document, or beyond the limits.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        before = text[: error.start]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n") - 1
        place = (len(before.encode()), line, column)
        raise XmlError(place, "a lone surrogate", "text that UTF-8 can carry") from None
    if len(data) > limits.max_bytes:
        raise XmlError((0, 1, 0), f"{len(data)} bytes", f"at most {limits.max_bytes}")
    return _Builder(limits).build(data)


def _printed(value: str | bytes) -> tuple[str, str]:
    """Return the attribute, if one is needed, and the escaped text."""
    if isinstance(value, str):
        data, kind, text = value.encode(), _STRING, value
    else:
        data, kind = value, _OPAQUE
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return f' {kind}="{_BASE64}"', b64encode(data).decode()
    if _NOT_XML.search(text):
        return f' {kind}="{_BASE64}"', b64encode(data).decode()
    return "", text.translate(_ESCAPES)


class _Open:
    """An element whose end tag has not been read."""

    __slots__ = ("base64", "children", "name", "page", "text")

    def __init__(self, page: str, name: str, base64: str | None) -> None:
        self.page = page
        self.name = name
        self.base64 = base64
        self.children: list[Element] = []
        self.text: list[str] = []


class _Builder:
    """Builds elements from what expat reads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._elements_left = limits.max_elements
        self._open: list[_Open] = []
        self._roots: list[Element] = []
        self._parser = parser = expat.ParserCreate("utf-8", _SEPARATOR)
        parser.buffer_text = True
        # An exception in a handler stops expat at once, so a bomb's entities are never declared.
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add_text

    def build(self, data: bytes) -> Element:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            place = (max(0, self._parser.ErrorByteIndex), error.lineno, error.offset)
            found = expat.ErrorString(error.code) or "an error"
            raise XmlError(place, found, "well-formed XML") from None
        return self._roots[0]

    def _refuse_doctype(self, *_: object) -> None:
        raise self._error("a document type", "none")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        page, name = self._names(tag)
        if len(self._open) >= self._limits.max_depth:
            raise self._error("a deeper element", f"at most {self._limits.max_depth} open elements")
        self._elements_left -= 1
        if self._elements_left < 0:
            raise self._error("one more element", f"at most {self._limits.max_elements}")
        if self._open:
            self._refuse_mixed(self._open[-1])
        self._open.append(_Open(page, name, self._base64(attributes)))

    def _names(self, tag: str) -> tuple[str, str]:
        namespace, _, name = tag.rpartition(_SEPARATOR)
        page = namespace.removesuffix(":")
        tokens = TOKENS.get(page)
        if tokens is None or page == namespace:
            found = f"namespace {namespace[:_MAX_SHOWN]!r}"
            raise self._error(found, "the name of a code page and a colon")
        if name not in tokens:
            raise self._error(f"tag {name[:_MAX_SHOWN]}", f"the tags of code page {page}")
        return page, name

    def _base64(self, attributes: dict[str, str]) -> str | None:
        """Return what the element's base64 stands for; None if its text is just text."""
        kind = next(iter(attributes), None)
        if kind is None or (kind in {_OPAQUE, _STRING} and attributes == {kind: _BASE64}):
            return kind
        found = f"attribute {' '.join(attributes)[:_MAX_SHOWN]}"
        raise self._error(found, f'{_OPAQUE}="{_BASE64}" or {_STRING}="{_BASE64}"')

    def _add_text(self, text: str) -> None:
        self._open[-1].text.append(text)

    def _end(self, _tag: str) -> None:
        one = self._open.pop()
        if one.children:
            self._refuse_mixed(one)
        value = None if one.children else self._value(one)
        done = Element(one.page, one.name, tuple(one.children), value)
        siblings = self._open[-1].children if self._open else self._roots
        siblings.append(done)

    def _refuse_mixed(self, one: _Open) -> None:
        if one.base64 or any(text.strip() for text in one.text):
            raise self._error("mixed content", "children only or text only")
        one.text.clear()

    def _value(self, one: _Open) -> str | bytes | None:
        text = "".join(one.text)
        if one.base64 is None:
            return text or None
        try:
            data = b64decode("".join(text.split()), validate=True)
            value = data if one.base64 == _OPAQUE else data.decode()
        except ValueError:
            raise self._error("something else", f"base64 ({one.base64})") from None
        if isinstance(value, str) and "\x00" in value:
            raise self._error("NUL in a string", "text without NUL")
        return value or None

    def _error(self, found: str, allowed: str) -> XmlError:
        parser = self._parser
        place = (parser.CurrentByteIndex, parser.CurrentLineNumber, parser.CurrentColumnNumber)
        return XmlError(place, found, allowed)
