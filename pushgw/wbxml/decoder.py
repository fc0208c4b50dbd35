"""Read a WBXML document: bytes in, an element or one error with its offset out.

Rules:

- EAS uses a small part of WBXML: tags, page switches, inline strings, opaque data. Every other
  token is refused by name rather than skipped, for skipping needs a guess of its length.
- The page in force is state of the whole document; the end of an element does not restore it.
- Odd but unambiguous is accepted: a switch to the current page, two switches in a row, content
  that ends at once, text in several pieces, a padded number.
- A string table is skipped within its declared length; a reference into it is refused, for EAS
  fixes its length at 0.
- Lengths are compared with what is there before anything is allocated. The work is proportional
  to the bytes, whatever they say.

Source: [MS-ASWBXML] 2.1 and 2.1.2.1; WBXML 1.3 (WAP-192), sections 5 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Never

from pushgw.wbxml.element import Element
from pushgw.wbxml.pages import PAGES, TAGS

Kind = Literal[
    "Attributes",
    "BadCharset",
    "BadPublicId",
    "BadUtf8",
    "BadVarint",
    "BadVersion",
    "EmptyInput",
    "Literal",
    "MixedContent",
    "NoRoot",
    "ReservedToken",
    "StringTable",
    "TooDeep",
    "TooLarge",
    "TooManyElements",
    "TrailingData",
    "Truncated",
    "UnknownPage",
    "UnknownToken",
]
"""What is wrong with a document, in a word fit for a metric label."""


class WbxmlError(ValueError):
    """The bytes are not a document this decoder accepts.

    Attributes:
        kind: What is wrong, in one word.
        offset: Bytes before the first one that is wrong; the length of the data if it is missing.
        found: What stands there.
        allowed: What may stand there.
    """

    def __init__(self, kind: Kind, offset: int, found: str, allowed: str) -> None:
        super().__init__(f"{offset}: found {found}, allowed {allowed}")
        self.kind: str = kind
        self.offset = offset
        self.found = found
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may take; a document beyond any of them is refused."""

    max_bytes: int = 16 * 1024 * 1024
    """Bytes of the document. The general default leaves room for a mail sent with attachments."""
    max_depth: int = 32
    """Elements open at a time, the root included. Commands of EAS nest about ten deep."""
    max_elements: int = 50_000
    """Elements in the document; and, counted apart, pieces that values are split into."""


DEFAULT: Final = Limits()
"""For documents of any command; a caller that knows its command passes smaller ones."""

SWITCH_PAGE: Final = 0x00
END: Final = 0x01
STR_I: Final = 0x03
LITERALS: Final = frozenset({0x04, 0x44, 0x84, 0xC4})
STR_T: Final = 0x83
OPAQUE: Final = 0xC3
CONTENT: Final = 0x40
"""Bit of a tag's byte: content follows, and END after it."""
ATTRIBUTES: Final = 0x80
"""Bit of a tag's byte: attributes follow."""
FIRST_TAG: Final = 0x05
"""Identities below it are global tokens, whatever the two bits above say."""

HEADER: Final[tuple[tuple[int, Kind, str], ...]] = (
    (0x03, "BadVersion", "version 0x03 (WBXML 1.3)"),
    (0x01, "BadPublicId", "public identifier 0x01 (unknown)"),
    (0x6A, "BadCharset", "character set 0x6a (UTF-8)"),
)
"""The bytes before the string table: value, what another value is, what is allowed."""

USUAL_HEADER: Final = bytes([*(value for value, _, _ in HEADER), 0])
"""The header of every document but odd ones: no string table."""

_MAX_VARINT_BYTES: Final = 5
_MAX_VARINT: Final = 0xFFFF_FFFF
_NUL: Final = 0

# Both bytes of a tag, without and with content, lead to its name: one look-up per tag.
_NAMES: Final = {
    number: {identity | bit: name for identity, name in tags.items() for bit in (0, CONTENT)}
    for number, tags in TAGS.items()
}
_PAGE_NAMES: Final = {page.number: page.name for page in PAGES}


def decode(data: bytes, limits: Limits = DEFAULT) -> Element:
    """Read one document.

    Args:
        data: The whole document, from the version byte to the last END.
        limits: What the document may take.

    Returns:
        The root element.

    Raises:
        WbxmlError: If the data is anything but one acceptable document within the limits.
    """
    if len(data) > limits.max_bytes:
        found, allowed = f"{len(data)} bytes", f"at most {limits.max_bytes}"
        raise WbxmlError("TooLarge", limits.max_bytes, found, allowed)
    reader = _Reader(data, limits)
    reader.skip_header()
    root = reader.read_root()
    if reader.at < len(data):
        found = f"{len(data) - reader.at} bytes after the root element"
        raise WbxmlError("TrailingData", reader.at, found, "none")
    return root


class _Open:
    """An element whose END has not been read."""

    __slots__ = ("children", "name", "opaque", "page", "text")

    def __init__(self, page: str, name: str) -> None:
        self.page = page
        self.name = name
        self.children: list[Element] = []
        self.text: list[str] = []
        self.opaque: list[bytes] = []

    def close(self) -> Element:
        if self.children:
            return Element(self.page, self.name, tuple(self.children))
        value = "".join(self.text) or b"".join(self.opaque) or None
        return Element(self.page, self.name, (), value)


class _Reader:
    """A document and how far it has been read."""

    __slots__ = ("at", "data", "limits", "names", "open", "page", "pieces_left")

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data = data
        self.at = 0
        self.limits = limits
        self.pieces_left = limits.max_elements
        self.page = _PAGE_NAMES[0]
        self.names = _NAMES[0]
        self.open: list[_Open] = []

    def skip_header(self) -> None:
        if self.data.startswith(USUAL_HEADER):
            self.at = len(USUAL_HEADER)
            return
        if not self.data:
            raise WbxmlError("EmptyInput", 0, "no data", "a document")
        for value, kind, allowed in HEADER:
            found = self._read_byte(allowed)
            if found != value:
                raise WbxmlError(kind, self.at - 1, f"0x{found:02x}", allowed)
        self._skip(self._read_varint("a string table length"), "of the string table")

    def read_root(self) -> Element:
        """Read to the end of the root element, in one loop with few calls: each Ping runs it."""
        data, at, open_ = self.data, self.at, self.open
        elements, max_elements, max_depth = 0, self.limits.max_elements, self.limits.max_depth
        parent: _Open | None = None
        try:
            while True:
                token = data[at]
                at += 1
                name = self.names.get(token)
                if name is not None:
                    elements += 1
                    if elements > max_elements or len(open_) >= max_depth:
                        self._refuse_element(at - 1)
                    if parent is not None and (parent.text or parent.opaque):
                        raise _mixed("a child element", at - 1)
                    # Most content is one string. If its NUL is missing, data[0] is no END.
                    if token < CONTENT:
                        done = Element(self.page, name)
                    elif data[at] == STR_I and data[(end := data.find(_NUL, at)) + 1] == END:
                        done = Element(self.page, name, (), _text(data, at + 1, end) or None)
                        at = end + 2
                    else:
                        parent = _Open(self.page, name)
                        open_.append(parent)
                        continue
                elif token == END and parent is not None:
                    done = open_.pop().close()
                    parent = open_[-1] if open_ else None
                else:
                    self.at = at
                    self._read_other(token)
                    at = self.at
                    continue
                if parent is None:
                    self.at = at
                    return done
                parent.children.append(done)
        except IndexError:
            raise self._ended(elements) from None

    def _read_other(self, token: int) -> None:
        """Read what is neither the start nor the end of an element."""
        if token == SWITCH_PAGE:
            self._switch_page()
        elif token == STR_I and self.open:
            self._add_text()
        elif token == OPAQUE and self.open:
            self._add_opaque()
        else:
            self._refuse(token)

    def _switch_page(self) -> None:
        number = self._read_byte("a code page")
        names = _NAMES.get(number)
        if names is None:
            found, allowed = f"code page {number}", f"0 to {len(_NAMES) - 1}"
            raise WbxmlError("UnknownPage", self.at - 1, found, allowed)
        self.names = names
        self.page = _PAGE_NAMES[number]

    def _add_text(self) -> None:
        start = self.at - 1
        self._count_piece()
        end = self.data.find(_NUL, self.at)
        if end < 0:
            found = "the end of the data"
            raise WbxmlError("Truncated", len(self.data), found, "NUL after an inline string")
        text = _text(self.data, self.at, end)
        self.at = end + 1
        if not text:
            return
        parent = self.open[-1]
        if parent.children or parent.opaque:
            raise _mixed("text", start)
        parent.text.append(text)

    def _add_opaque(self) -> None:
        start = self.at - 1
        self._count_piece()
        length = self._read_varint("a length of opaque data")
        self._skip(length, "of opaque data")
        if not length:
            return
        parent = self.open[-1]
        if parent.children or parent.text:
            raise _mixed("opaque data", start)
        parent.opaque.append(self.data[self.at - length : self.at])

    def _read_byte(self, allowed: str) -> int:
        if self.at >= len(self.data):
            raise WbxmlError("Truncated", self.at, "the end of the data", allowed)
        self.at += 1
        return self.data[self.at - 1]

    def _read_varint(self, allowed: str) -> int:
        """Read an mb_u_int32: seven bits a byte, the highest first, bit 0x80 on all but the last.

        Source: WBXML 1.3 (WAP-192), section 5.1.
        """
        start = self.at
        value = 0
        for _ in range(_MAX_VARINT_BYTES):
            byte = self._read_byte(allowed)
            value = value << 7 | byte & 0x7F
            if byte < 0x80 and value <= _MAX_VARINT:  # noqa: PLR2004 - the bit of the docstring
                return value
        raise WbxmlError("BadVarint", start, "a number of more than 32 bits", allowed)

    def _skip(self, length: int, what: str) -> None:
        left = len(self.data) - self.at
        if length > left:
            found, allowed = f"{length} bytes {what}", f"at most the {left} that follow"
            raise WbxmlError("Truncated", self.at, found, allowed)
        self.at += length

    def _count_piece(self) -> None:
        self.pieces_left -= 1
        if self.pieces_left < 0:
            allowed = f"at most {self.limits.max_elements}"
            raise WbxmlError("TooManyElements", self.at - 1, "one more piece of a value", allowed)

    def _ended(self, elements: int) -> WbxmlError:
        kind: Kind = "Truncated" if elements else "NoRoot"
        allowed = "END of each open element" if elements else "a root element"
        return WbxmlError(kind, len(self.data), "the end of the data", allowed)

    def _refuse_element(self, offset: int) -> Never:
        deepest, most = self.limits.max_depth, self.limits.max_elements
        if len(self.open) >= deepest:
            allowed = f"at most {deepest} open elements"
            raise WbxmlError("TooDeep", offset, "a deeper element", allowed)
        raise WbxmlError("TooManyElements", offset, "one more element", f"at most {most}")

    def _refuse(self, token: int) -> Never:
        """Name a token that may not stand here."""
        offset = self.at - 1
        found = f"token 0x{token:02x}"
        if token in {END, STR_I, OPAQUE}:
            raise WbxmlError("NoRoot", offset, f"{found} before any element", "a root element")
        if token == STR_T:
            allowed = "an inline string; EAS has no string table"
            raise WbxmlError("StringTable", offset, f"{found} (STR_T)", allowed)
        if token in LITERALS:
            allowed = "a tag of a code page"
            raise WbxmlError("Literal", offset, f"{found} (LITERAL)", allowed)
        identity = token & ~(CONTENT | ATTRIBUTES)
        if identity < FIRST_TAG:
            allowed = "a tag, SWITCH_PAGE, END, STR_I or OPAQUE"
            raise WbxmlError("ReservedToken", offset, f"{found} (not used in EAS)", allowed)
        if token & ATTRIBUTES:
            raise WbxmlError("Attributes", offset, f"{found} (a tag with attributes)", "none")
        allowed = f"a tag of code page {self.page}"
        raise WbxmlError("UnknownToken", offset, f"{found} (no tag)", allowed)


def _mixed(found: str, offset: int) -> WbxmlError:
    allowed = "children only, text only or opaque data only"
    return WbxmlError("MixedContent", offset, f"{found} beside other content", allowed)


def _text(data: bytes, start: int, end: int) -> str:
    try:
        return data[start:end].decode()
    except UnicodeDecodeError as error:
        offset = start + error.start
        found = f"0x{data[offset]:02x} ({error.reason})"
        raise WbxmlError("BadUtf8", offset, found, "UTF-8") from None
