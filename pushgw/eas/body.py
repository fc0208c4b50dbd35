"""Read the body of a command: decoded, within small limits, with the command's own root element."""

from __future__ import annotations

from typing import Final

from pushgw.eas.commands import ROOTS
from pushgw.eas.refusal import StatusCode
from pushgw.wbxml import Element, Limits, WbxmlError, decode

LIMITS: Final = Limits(max_bytes=64 * 1024, max_depth=8, max_elements=5_000)
"""For the commands the gateway reads itself; the fullest real one, a Ping, takes a few KiB."""

_LIMIT_KINDS: Final = frozenset({"TooDeep", "TooLarge", "TooManyElements"})


class BodyError(ValueError):
    """A body that the command does not allow.

    Attributes:
        status: What the refusal says: a common status code, or one of the command's own.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def read(command: str, body: bytes) -> Element:
    """Decode a body and check that it is a document of its command.

    Raises:
        BodyError: With status 101 if there is no body, 102 if it cannot be decoded, 103 if it is
            larger than `LIMITS` or another command's.

    Source: [MS-ASCMD] 2.2.2, which counts exceeded limits as 103.
    """
    if not body:
        raise BodyError(StatusCode.INVALID_CONTENT, f"found no body, allowed a {command} document")
    try:
        root = decode(body, LIMITS)
    except WbxmlError as error:
        is_limit = error.kind in _LIMIT_KINDS
        status = StatusCode.INVALID_XML if is_limit else StatusCode.INVALID_WBXML
        raise BodyError(status, f"offset {error}") from error
    if (root.page, root.name) != ROOTS[command]:
        raise invalid(f"{root.page}:{root.name}", f"a {command} document")
    return root


def invalid(found: str, allowed: str) -> BodyError:
    """Return the error of a decoded body that breaks its schema, to be raised."""
    return BodyError(StatusCode.INVALID_XML, f"found {found}, allowed {allowed}")


def single(parent: Element, name: str, page: str | None = None) -> Element | None:
    """Return the one child of that name, None if there is none.

    Raises:
        BodyError: With status 103 if there are several.
    """
    page = page or parent.page
    found = [one for one in parent.children if one.name == name and one.page == page]
    if len(found) > 1:
        raise invalid(f"{len(found)} {name} elements in {parent.name}", "one")
    return found[0] if found else None


def integer(one: Element, highest: int) -> int:
    """Read the text of an element as a number from 0 to ``highest``.

    Raises:
        BodyError: With status 103 if it is anything else.
    """
    text = one.text.strip()
    digits = len(str(highest))
    if text.isascii() and text.isdigit() and len(text) <= digits and int(text) <= highest:
        return int(text)
    raise invalid(f"{one.name} {text[:32]!r}", f"a number from 0 to {highest}")
