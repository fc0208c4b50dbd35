"""Write a WBXML document: an element in, bytes out, the same bytes for the same element.

Rules: a page is switched only when the next tag needs it; an element without content has no END;
text goes inline, bytes go opaque; no string table. Obsolete tags are written when an element has
one, so that every decoded document can be encoded again; no code of ours builds such elements.

Source: [MS-ASWBXML] 2.1 and 2.1.2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushgw.wbxml.decoder import CONTENT, END, OPAQUE, STR_I, SWITCH_PAGE, USUAL_HEADER
from pushgw.wbxml.pages import PAGES, TOKENS

if TYPE_CHECKING:
    from pushgw.wbxml.element import Element

_NUMBERS: Final = {page.name: page.number for page in PAGES}
_FIRST_PAGE: Final = PAGES[0].name


class EncodeError(ValueError):
    """An element cannot be written: a mistake of whoever built it.

    Attributes:
        found: What the element has.
        allowed: What it may have.
    """

    def __init__(self, element: Element, found: str, allowed: str) -> None:
        super().__init__(f"{element.page}:{element.name}: found {found}, allowed {allowed}")
        self.found = found
        self.allowed = allowed


def encode(root: Element) -> bytes:
    """Write a document.

    Args:
        root: The root element; any depth.

    Returns:
        The document, from the version byte to the last END.

    Raises:
        EncodeError: If a page or tag is unknown, or a text has a NUL or a lone surrogate.
    """
    out = bytearray(USUAL_HEADER)
    page = _FIRST_PAGE
    todo: list[Element | None] = [root]
    while todo:
        one = todo.pop()
        if one is None:
            out.append(END)
            continue
        token = _token(one)
        if one.page != page:
            page = one.page
            out += bytes((SWITCH_PAGE, _NUMBERS[page]))
        if one.children:
            out.append(token | CONTENT)
            todo.append(None)
            todo.extend(reversed(one.children))
        elif one.value is None:
            out.append(token)
        else:
            out.append(token | CONTENT)
            out += _opaque(one.value) if isinstance(one.value, bytes) else _inline(one, one.value)
            out.append(END)
    return bytes(out)


def _token(one: Element) -> int:
    tokens = TOKENS.get(one.page)
    if tokens is None:
        raise EncodeError(one, f"code page {one.page}", "the code pages of EAS")
    token = tokens.get(one.name)
    if token is None:
        raise EncodeError(one, f"tag {one.name}", f"the tags of code page {one.page}")
    return token


def _inline(one: Element, text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        found = f"a lone surrogate at character {error.start}"
        raise EncodeError(one, found, "text that UTF-8 can carry") from None
    if b"\x00" in data:
        raise EncodeError(one, f"NUL at byte {data.index(0)} of its text", "text without NUL")
    return b"%c%b\x00" % (STR_I, data)


def _opaque(data: bytes) -> bytes:
    length = len(data)
    varint = [length & 0x7F]
    while length := length >> 7:
        varint.append(length & 0x7F | 0x80)
    return b"%c%b%b" % (OPAQUE, bytes(reversed(varint)), data)
