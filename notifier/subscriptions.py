"""Which mailboxes are subscribed: the bookkeeping of the bus, without its connection.

Commands go out in *exchanges*: some names to SUBSCRIBE, some to UNSUBSCRIBE, and nothing more
before each name has its reply. So a mailbox has at most one command under way, Redis answers in
the order asked, and a reply needs no name to be understood. A mailbox is in one place at a time:

========= ====== ================= ================ ============== ====================
place     wanted subscription      watch            unwatch        its reply
========= ====== ================= ================ ============== ====================
nowhere   no     none              queued, False    .              .
queued    yes    none              False            nowhere        .
asked     yes    SUBSCRIBE sent    False            not wanted     live, and confirmed
asked     no     SUBSCRIBE sent    wanted, False    .              lingering
live      yes    in force          True             lingering      .
lingering no     in force          live, True       .              .
leaving   no     UNSUBSCRIBE sent  wanted, False    .              nowhere
leaving   yes    UNSUBSCRIBE sent  False            not wanted     queued
========= ====== ================= ================ ============== ====================

An exchange moves queued to asked, and lingering to leaving once its time is over. When the
connection is lost all that is wanted is queued, the rest is nowhere.
"""

from __future__ import annotations

from collections import OrderedDict, deque


class UnaskedReplyError(Exception):
    """More replies came than names were asked for: the two sides no longer agree."""


class Subscriptions:
    """The places of all mailboxes; about one dict entry for each, the caller's own string in it."""

    def __init__(self, linger: float) -> None:
        """Begin with none.

        Args:
            linger: Seconds a subscription stays in force after nobody wants it any more.
        """
        self._linger = linger
        self._queued: dict[str, None] = {}
        self._asked: dict[str, bool] = {}
        self._live: dict[str, None] = {}
        # Ordered by linked list: taking from the front of a dict steps over all that was there.
        self._lingering: OrderedDict[str, float] = OrderedDict()
        self._leaving: dict[str, bool] = {}
        self._unanswered: deque[str] = deque()

    @property
    def watched(self) -> int:
        """How many mailboxes are wanted."""
        under_way = sum(self._asked.values()) + sum(self._leaving.values())
        return len(self._queued) + len(self._live) + under_way

    def watch(self, mailbox: str) -> bool:
        """Want a mailbox; True if its subscription is in force already."""
        if mailbox in self._live:
            return True
        if self._lingering.pop(mailbox, None) is not None:
            self._live[mailbox] = None
            return True
        if mailbox in self._asked:
            self._asked[mailbox] = True
        elif mailbox in self._leaving:
            self._leaving[mailbox] = True
        else:
            self._queued[mailbox] = None
        return False

    def unwatch(self, mailbox: str, now: float) -> None:
        """Want a mailbox no more; a subscription in force lingers from ``now`` on."""
        if mailbox in self._live:
            del self._live[mailbox]
            self._lingering[mailbox] = now + self._linger
        elif mailbox in self._asked:
            self._asked[mailbox] = False
        elif mailbox in self._leaving:
            self._leaving[mailbox] = False
        else:
            self._queued.pop(mailbox, None)

    def exchange(self, limit: int, now: float) -> tuple[list[str], list[str]]:
        """Take what to ask Redis next, at most ``limit`` names of each kind.

        Returns:
            Names to SUBSCRIBE and names to UNSUBSCRIBE, to be sent in this order. Both empty while
            an exchange is under way. The newest names come first: after a reconnect a phone that
            has just called need not wait for all the others.
        """
        if self._unanswered:
            return [], []
        subscribe = [self._queued.popitem()[0] for _ in range(min(limit, len(self._queued)))]
        unsubscribe = self._expired(limit, now)
        if not self._queued:
            self._queued = {}  # an emptied dict keeps its room, after a reconnect that of all
        self._asked = dict.fromkeys(subscribe, True)
        self._leaving = dict.fromkeys(unsubscribe, False)
        self._unanswered.extend(subscribe)
        self._unanswered.extend(unsubscribe)
        return subscribe, unsubscribe

    def settle(self, replies: int, now: float) -> list[str]:
        """Take in the next replies of the exchange under way.

        Returns:
            The wanted mailboxes whose subscription is in force from now on.

        Raises:
            UnaskedReplyError: If more came than are due.
        """
        if replies > len(self._unanswered):
            raise UnaskedReplyError(f"{replies} replies came, {len(self._unanswered)} were due")
        names = [self._unanswered.popleft() for _ in range(replies)]
        return [mailbox for mailbox in names if self._settle_one(mailbox, now)]

    def lose(self) -> None:
        """Forget what the lost connection had; all that is wanted is queued again."""
        waiting, self._queued, self._live = self._queued, self._live, {}
        self._queued.update(waiting)
        for under_way in (self._asked, self._leaving):
            self._queued.update((mailbox, None) for mailbox, wanted in under_way.items() if wanted)
            under_way.clear()
        self._lingering.clear()
        self._unanswered.clear()

    def _settle_one(self, mailbox: str, now: float) -> bool:
        if mailbox not in self._asked:
            if self._leaving.pop(mailbox):
                self._queued[mailbox] = None
            return False
        wanted = self._asked.pop(mailbox)
        if wanted:
            self._live[mailbox] = None
        else:
            self._lingering[mailbox] = now + self._linger
        return wanted

    def _expired(self, limit: int, now: float) -> list[str]:
        expired: list[str] = []
        while self._lingering and len(expired) < limit:
            mailbox, until = next(iter(self._lingering.items()))
            if until > now:
                break
            del self._lingering[mailbox]
            expired.append(mailbox)
        return expired
