"""The one value between bytes and commands: an element of an EAS document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Setter = Callable[["Element", object], None]


@dataclass(frozen=True, slots=True, init=False)
class Element:
    """One element: either children, or a value, or neither.

    Two elements are equal if their documents are: an element without content and one whose text
    is empty are the same.
    """

    page: str
    """Name of the code page, for example ``"Ping"`` or ``"AirSync"``."""
    name: str
    """Name of the tag within its page, for example ``"HeartbeatInterval"``."""
    children: tuple[Element, ...] = ()
    """In document order; empty when there is a value."""
    value: str | bytes | None = None
    """Text of inline strings, bytes of opaque data, None for no content. Never an empty value."""

    def __init__(
        self,
        page: str,
        name: str,
        children: tuple[Element, ...] = (),
        value: str | bytes | None = None,
    ) -> None:
        if value is not None and (not value or children):
            raise ValueError("an element has children or a non-empty value, not both")
        # Measured: the initializer that a frozen dataclass generates, with __post_init__ for the
        # check, takes twice as long, which made decoding a Ping half as fast again.
        _set_page(self, page)
        _set_name(self, name)
        _set_children(self, children)
        _set_value(self, value)

    @property
    def text(self) -> str:
        """The value as text; opaque data is read as UTF-8, undecodable bytes are replaced."""
        if isinstance(self.value, bytes):
            return self.value.decode("utf-8", "replace")
        return self.value or ""

    def find(self, name: str) -> Element | None:
        """Return the first child of that name on this element's page."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[Element]:
        """Iterate over the children of that name on this element's page."""
        return (child for child in self.children if child.name == name and child.page == self.page)


_set_page: Final[Setter] = Element.__dict__["page"].__set__
_set_name: Final[Setter] = Element.__dict__["name"].__set__
_set_children: Final[Setter] = Element.__dict__["children"].__set__
_set_value: Final[Setter] = Element.__dict__["value"].__set__


def element(page: str, name: str, *content: Element | str | bytes | None) -> Element:
    """Build an element from children or one value; None and empty values are left out.

    Example:
        ``element("Ping", "Ping", element("Ping", "Status", "1"))``
    """
    children = tuple(one for one in content if isinstance(one, Element))
    values = [one for one in content if isinstance(one, str | bytes) and one]
    if len(values) > 1:
        raise ValueError("an element has at most one value")
    return Element(page, name, children, values[0] if values else None)
