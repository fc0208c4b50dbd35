"""Waiting Pings by mailbox, and by device where a mailbox has several.

Most mailboxes have one phone: its record stands in the table itself. The second one turns the
entry into a table by device, so that a mailbox shared by thousands is as quick as any other; a
second Ping of one device turns that entry into a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Waits(Protocol):
    """What waits: it knows whose it is, and is compared by identity."""

    mailbox: str
    device: str


One = TypeVar("One", bound=_Waits)
_Several: TypeAlias = dict[str, One | list[One]]
"""By device."""


class Waiters(Generic[One]):
    """The table."""

    __slots__ = ("_by_mailbox", "_count")

    def __init__(self) -> None:
        self._by_mailbox: dict[str, One | _Several[One]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[One]:
        for found in self._by_mailbox.values():
            if isinstance(found, dict):
                yield from _all(found)
            else:
                yield found

    def add(self, one: One) -> None:
        """Put one in that is not there."""
        found = self._by_mailbox.get(one.mailbox)
        self._count += 1
        if found is None:
            self._by_mailbox[one.mailbox] = one
            return
        if not isinstance(found, dict):
            found = self._by_mailbox[one.mailbox] = {found.device: found}
        others = found.get(one.device)
        if others is None:
            found[one.device] = one
        elif isinstance(others, list):
            others.append(one)
        else:
            found[one.device] = [others, one]

    def remove(self, one: One) -> bool:
        """Take one out that is there; True if it was the last one of its mailbox."""
        found = self._by_mailbox[one.mailbox]
        self._count -= 1
        if isinstance(found, dict):
            others = found[one.device]
            if isinstance(others, list) and len(others) > 1:
                others.remove(one)
            else:
                del found[one.device]
            if found:
                return False
        del self._by_mailbox[one.mailbox]
        return True

    def of(self, mailbox: str) -> list[One]:
        """All of a mailbox, in a list of the caller's own."""
        found = self._by_mailbox.get(mailbox)
        if found is None:
            return []
        return list(_all(found)) if isinstance(found, dict) else [found]

    def of_device(self, mailbox: str, device: str) -> list[One]:
        """All of one device of a mailbox, in a list of the caller's own."""
        found = self._by_mailbox.get(mailbox)
        if isinstance(found, dict):
            others = found.get(device)
            if others is None:
                return []
            return others.copy() if isinstance(others, list) else [others]
        return [found] if found is not None and found.device == device else []


def _all(several: _Several[One]) -> Iterator[One]:
    for found in several.values():
        if isinstance(found, list):
            yield from found
        else:
            yield found
