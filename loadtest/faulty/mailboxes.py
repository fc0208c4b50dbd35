"""The mailboxes of a server that fails on purpose: who is told what, and when.

Rules:
    1. A change is news to each phone of its mailbox that watches its folder, until an answer names
       the folder: also where it came between two Pings.
    2. A lost change makes its folder deaf: each later one of it is lost as well. Else the answer
       for a later one would be one for the lost one, too: the phone fetches both.
    3. What comes to a folder in which a change is delayed waits with that one, and both of them
       the whole time: each of the two is late.
    4. A change is lost or delayed only if nothing was told to its phones just before. An answer
       covers what had changed when the *phone* got it: with less than ``quiet_seconds`` between,
       that might be a change which was on its way to this server.
    5. An answer is repeated only if it told of one change of the folder, and another has not come
       within ``quiet_seconds``. Where there were two, a phone that is told twice may have been told
       once of each.
    6. A fault that is due where these rules forbid it hits the next one that they allow.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from loadtest.faulty.faults import Done, Every

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtest.faulty.faults import Faults


@dataclass(slots=True, eq=False)
class Phone:
    """One phone. Made by ``Mailboxes.phone``."""

    folders: tuple[str, ...] = ()
    """Ids of those it watches; none before its first Ping."""
    heartbeat: int = 0
    """Seconds."""
    news: Counter[str] = field(default_factory=Counter)
    """Number of changes that it was not told of, by folder."""
    waits_since: float = inf
    """When its Ping came; infinite between two Pings."""


@dataclass(slots=True, eq=False)
class _Delayed:
    """Changes of one folder that wait."""

    count: int = 0
    until: float = 0.0


class Mailboxes:
    """Changes and phones of all mailboxes.

    Args:
        faults: What it does wrong.
    """

    def __init__(self, faults: Faults) -> None:
        self.done = Done()
        self._faults = faults
        self._lose = Every(faults.lose)
        self._delay = Every(faults.delay)
        self._spurious = Every(faults.spurious)
        self._duplicate = Every(faults.duplicate)
        self._phones: dict[str, dict[str, Phone]] = {}
        self._changed: set[str] = set()
        self._deaf: set[tuple[str, str]] = set()
        self._delayed: dict[tuple[str, str], _Delayed] = {}
        self._repeats: dict[Phone, str] = {}

    def phone(self, mailbox: str, device: str) -> Phone:
        """Return a phone by its names; an unknown one begins now."""
        return self._phones.setdefault(mailbox, {}).setdefault(device, Phone())

    def change(self, change: str, mailbox: str, folder: str, now: float) -> Sequence[Phone]:
        """Record a change.

        Args:
            change: Its id.
            mailbox: Where it is.
            folder: Id of the folder.
            now: Seconds.

        Returns:
            The phones that have to be answered if they wait.
        """
        self.done.changes += 1
        self._changed.add(folder)
        phones = self._watchers(mailbox, folder)
        self._repeat_not(phones, folder)
        place = mailbox, folder
        is_quiet = bool(phones) and all(self._is_quiet(phone, now) for phone in phones)
        if self._is_lost(place, is_quiet=is_quiet):
            self._deaf.add(place)
            self.done.lost.append(change)
            return ()
        if self._is_delayed(place, is_quiet=is_quiet):
            delayed = self._delayed.setdefault(place, _Delayed())
            delayed.count += 1
            delayed.until = now + self._faults.delay_seconds
            self.done.delayed.append(change)
            return ()
        for phone in phones:
            phone.news[folder] += 1
        return phones

    def due(self, now: float) -> Iterator[Phone]:
        """Yield the phones that have to be answered, if they wait, because time went by."""
        for place in [place for place, one in self._delayed.items() if one.until <= now]:
            delayed = self._delayed.pop(place)
            for phone in self._watchers(*place):
                phone.news[place[1]] += delayed.count
                yield phone
        yield from [phone for phone in self._repeats if self._is_quiet(phone, now)]

    def answer(self, phone: Phone, now: float) -> tuple[str, ...]:
        """Take what a waiting phone is told now.

        Returns:
            Ids of folders; with one of them or more its Ping is over.
        """
        news = tuple(one for one in phone.folders if phone.news[one])
        if news:
            news += self._add_spurious(phone)
            self._plan_repeat(phone)
            phone.news.clear()
        elif phone in self._repeats and self._is_quiet(phone, now):
            news = (self._repeats.pop(phone),)
            self.done.duplicate += 1
        if news:
            phone.waits_since = inf
        return news

    def _watchers(self, mailbox: str, folder: str) -> list[Phone]:
        phones = self._phones.get(mailbox, {}).values()
        return [phone for phone in phones if folder in phone.folders]

    def _is_quiet(self, phone: Phone, now: float) -> bool:
        return now - phone.waits_since >= self._faults.quiet_seconds

    def _is_lost(self, place: tuple[str, str], *, is_quiet: bool) -> bool:
        self._lose.count()
        if place in self._deaf:
            return True
        return is_quiet and place not in self._delayed and self._lose.take()

    def _is_delayed(self, place: tuple[str, str], *, is_quiet: bool) -> bool:
        self._delay.count()
        return place in self._delayed or (is_quiet and self._delay.take())

    def _add_spurious(self, phone: Phone) -> tuple[str, ...]:
        # A folder that nothing ever comes to: no change of it can be on its way.
        unchanged = [one for one in phone.folders if one not in self._changed]
        self._spurious.count()
        if not unchanged or not self._spurious.take():
            return ()
        self.done.spurious += 1
        return (unchanged[-1],)

    def _plan_repeat(self, phone: Phone) -> None:
        single = [one for one in phone.folders if phone.news[one] == 1]
        self._duplicate.count()
        if single and phone not in self._repeats and self._duplicate.take():
            self._repeats[phone] = single[0]

    def _repeat_not(self, phones: Sequence[Phone], folder: str) -> None:
        for phone in phones:
            if self._repeats.get(phone) == folder:
                del self._repeats[phone]
                self._duplicate.give_back()
