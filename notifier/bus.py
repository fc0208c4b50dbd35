"""Listen to mailbox channels (the hint): one connection, one subscription per mailbox, no task.

One coroutine, ``Bus.run``, owns the connection and repeats for ever::

    dial -> AUTH, PING -> connected: queued mailboxes are subscribed, hints come in
              |             every ``ping_every``: PING, and the UNSUBSCRIBE of what lingered enough
              v             |
            pause <---------+-- closed, error reply, no PONG in time: all wanted queue again

Pub/sub is RESP2, where every message is an array. redis-py's own PubSub is not used: it subscribes
53,000 channels and reads 30,000 messages a second where this protocol reaches ten times as many
(measured on one core), and it notices neither a half-open connection nor a reconnect of its own.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import hiredis
import structlog
from redis.backoff import FullJitterBackoff

from notifier.change import channel
from notifier.dialling import dial, server_of
from notifier.link import Link, RefusedError, pack
from notifier.subscriptions import Subscriptions, UnaskedReplyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = structlog.get_logger()

_BEFORE, _AFTER = (len(part) for part in channel("m").encode().split(b"m"))
_MOST_DOUBLINGS = 16


class Listener(Protocol):
    """Whoever must look when a mailbox changed. Called on the loop; must return quickly."""

    def hinted(self, mailbox: str, payload: bytes) -> None:
        """Take a hint: this mailbox, perhaps one no longer watched, has probably changed."""

    def confirmed(self, mailboxes: Sequence[str]) -> None:
        """Take it that subscriptions of these are in force from now on.

        Called for the first subscription and for each one after a reconnect, once each. Whatever
        changed before has left no hint: whoever waits must compare with the ledger now.
        """

    def unheard(self, mailboxes: Sequence[str]) -> None:
        """Take it that changes of these, which nobody watches any more, are not heard from now on.

        Until then all hints come, also those after ``unwatch``.
        """

    def disconnected(self) -> None:
        """Take it that no hint comes until the next confirmations."""


@dataclass(frozen=True, slots=True)
class BusConfig:
    """Bounds of the bus. All times are seconds above 0."""

    linger: float = 60.0
    """How long a subscription outlives its last Ping: a Ping ends at every change and mostly comes
    back within a minute; without lingering the churn is twice the Ping rate. May be 0."""
    ping_every: float = 5.0
    """Pause between PINGs. Lingering subscriptions are given up at the same beat."""
    pong_within: float = 5.0
    """Deadline of a PONG. A half-open connection stays deaf for ever without one."""
    connect_within: float = 5.0
    """Deadline of dialling, TLS, AUTH and the first PONG together."""
    backoff_first: float = 0.1
    """Most of the first pause before a reconnect: most often Redis is back at once."""
    backoff_max: float = 5.0
    """Most of any pause; each is drawn evenly from 0 up, so that workers do not come together."""
    batch: int = 512
    """Names in one SUBSCRIBE, and replies Redis may have to keep for us: its limit for a pub/sub
    client is 8 MB. Larger ones are not faster (measured: 400,000 names a second at 512)."""

    gather: float = 0.002
    """How long names are gathered while many come: a write for each few of them is half of what a
    storm costs. The first name of a quiet moment is not kept waiting."""

    def __post_init__(self) -> None:
        times = (self.ping_every, self.pong_within, self.connect_within)
        if min(*times, self.backoff_first, self.backoff_max) <= 0 or self.linger < 0:
            raise ValueError("found a time of 0 or less, allowed are seconds above 0")
        if self.batch < 1:
            raise ValueError(f"found a batch of {self.batch}, allowed are 1 and more")


_DEFAULT_CONFIG = BusConfig()


class Bus:
    """The subscriptions of one worker. Nothing happens unless ``run`` is running."""

    def __init__(
        self, url: str, listener: Listener, *, config: BusConfig = _DEFAULT_CONFIG
    ) -> None:
        """Prepare to listen; no connection is made.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``, with redis-py's options.
            listener: Told of hints, confirmations and losses, always from the loop of ``run``.
            config: Bounds.

        Raises:
            AddressError: If the URL is of any other kind.
        """
        self._server = server_of(url)
        self._listener = listener
        self._config = config
        self._subscriptions = Subscriptions(config.linger)
        self._link: Link | None = None
        self._flush_is_due = False
        self._many_came = False
        self._failures = 0

    @property
    def is_connected(self) -> bool:
        """Whether hints can come in."""
        return self._link is not None

    @property
    def watched(self) -> int:
        """How many mailboxes are watched, subscribed or not yet."""
        return self._subscriptions.watched

    def watch(self, mailbox: str) -> bool:
        """Listen to a mailbox from now on; watching it again changes nothing.

        Args:
            mailbox: Login name in lower case.

        Returns:
            True if its subscription is in force already, also if it was lingering. Otherwise
            ``confirmed`` follows, unless the mailbox is unwatched before.
        """
        in_force = self._subscriptions.watch(mailbox)
        if not in_force:
            self._flush_soon()
        return in_force

    def unwatch(self, mailbox: str) -> None:
        """Give up listening to a mailbox, unless it is watched again within the linger time."""
        self._subscriptions.unwatch(mailbox, time.monotonic())

    async def run(self) -> None:
        """Connect, subscribe what is watched, listen, reconnect: until cancelled."""
        config = self._config
        backoff = FullJitterBackoff(cap=config.backoff_max, base=config.backoff_first)
        while True:
            try:
                await self._converse()
            except RefusedError as error:
                log.warning("bus_refused", text=str(error))
            except (OSError, hiredis.ProtocolError, UnaskedReplyError) as error:
                log.warning("bus_lost", reason=str(error) or type(error).__name__)
            # Capped: the doublings of a night without Redis do not fit a float.
            pause = backoff.compute(min(self._failures, _MOST_DOUBLINGS))
            self._failures += 1
            log.info("bus_retry", seconds=round(pause, 3))
            await asyncio.sleep(pause)

    async def _converse(self) -> None:
        """Live through one connection; raises what ended it."""
        link = Link(self._hint, self._settle)
        try:
            async with asyncio.timeout(self._config.connect_within):
                await dial(self._server, link)
                within = self._config.connect_within
                await link.greet(self._server.username, self._server.password, within)
            self._link = link
            log.info("bus_connected", watched=self.watched)
            await self._attend(link)
        finally:
            self._disconnect()
            await link.close()

    async def _attend(self, link: Link) -> None:
        while True:
            self._flush()
            await link.rest(self._config.ping_every)
            await link.ping(self._config.pong_within)
            # Only now: a server that accepts and soon drops us is not asked ten times a second.
            self._failures = 0

    def _disconnect(self) -> None:
        if self._link is not None:
            self._link = None
            self._subscriptions.lose()
            self._tell(self._listener.disconnected)

    def _flush_soon(self) -> None:
        """Gather all that is watched in this loop turn, or a little longer, into one command."""
        if self._link is None or self._flush_is_due:
            return
        self._flush_is_due = True
        if self._many_came:
            self._link.loop.call_later(self._config.gather, self._flush)
        else:
            self._link.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._link is None:
            return
        wanted, expired = self._subscriptions.exchange(self._config.batch, time.monotonic())
        if expired:
            self._tell(self._listener.unheard, expired)
        if wanted:
            self._many_came = len(wanted) > 1
        commands = ((b"SUBSCRIBE", wanted), (b"UNSUBSCRIBE", expired))
        self._link.send(b"".join(_command(verb, names) for verb, names in commands if names))

    def _settle(self, replies: int) -> None:
        confirmed = self._subscriptions.settle(replies, time.monotonic())
        if confirmed:
            self._tell(self._listener.confirmed, confirmed)
        self._flush_soon()

    def _hint(self, name: bytes, payload: bytes) -> None:
        mailbox = name[_BEFORE:-_AFTER].decode("utf-8", "surrogatepass")
        self._tell(self._listener.hinted, mailbox, payload)

    def _tell(self, call: Callable[..., None], *what: Any) -> None:
        try:
            call(*what)
        except Exception:
            log.exception("bus_listener_failed", call=call.__name__)


def _command(verb: bytes, mailboxes: Sequence[str]) -> bytes:
    # Lone surrogates pass: a login name nobody can have must not stop the others.
    names = [channel(mailbox).encode("utf-8", "surrogatepass") for mailbox in mailboxes]
    return pack((verb, *names))
