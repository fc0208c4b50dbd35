"""The door: who gets in.

A held phone asks again at every Ping, so a right password is verified once and remembered by a
keyed hash of its header; everything that is slow (Argon2, waiting) happens on the way in only.
Wrong logins are refused after a delay that grows with each failure of that login or that address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

from pushgw.eas.credentials import login_name, parse_basic

if TYPE_CHECKING:
    from pushgw.users_file import UsersFile

_Question: TypeAlias = tuple[bytes, int]
"""Digest of a header and version of the users file: an earlier file's verdict joins nobody."""

RETRY_AFTER = 30
"""Seconds a client is asked to wait when the door is busy: three times what a full queue takes."""


class AccessDenied(Exception):  # noqa: N818 - it is an answer to a client, not a fault of ours
    """Somebody does not get in."""

    def __init__(self, metric_label: str, *, retry_after: int | None = None) -> None:
        self.metric_label = metric_label
        """One of ``missing``, ``malformed``, ``wrong``, ``busy``."""
        self.http_status = 401 if retry_after is None else 503
        """401 asks for (other) credentials; 503 says nothing about those that were sent."""
        self.retry_after = retry_after
        """Whole seconds for Retry-After, with 503 only."""
        super().__init__(f"access denied: credentials {metric_label}")


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """What the door may keep and do at once, in one process."""

    cache_seconds: float = 300.0
    """Seconds for which a right password is not verified again."""
    cached_logins: int = 200_000
    """Right passwords remembered, about 350 bytes each; the least recently used one goes first."""
    threads: int = 2
    """Passwords verified at once; each takes a core and 19 MiB for 50 ms."""
    waiting_logins: int = 400
    """Passwords being verified or waiting for it; one more is refused with 503."""
    delayed_refusals: int = 200
    """Refusals waiting for their time; one more is answered 503 at once."""


DEFAULT_LIMITS = DoorLimits()


class FailureDelays:
    """How long the next refusal waits: 0, then `first`, then twice as long each time up to `most`.

    Failures are counted for the login (guessing one password) and for the address (guessing many
    users' passwords); the longer delay counts. A success clears the login's count, never the
    address's: who guesses may well have one account of his own.

    Args:
        first: Seconds of the second failure.
        most: Seconds no delay exceeds.
        forget: Seconds after the last failure when a count ends.
        capacity: Counts kept; the one that has been quiet longest goes first.
    """

    def __init__(
        self,
        *,
        first: float = 0.25,
        most: float = 30.0,
        forget: float = 900.0,
        capacity: int = 100_000,
    ) -> None:
        self._first = first
        self._most = most
        self._forget = forget
        self._capacity = capacity
        self._counts: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def failed(self, login: str | None, address: str, now: float) -> float:
        """Count a failure and return the seconds its refusal has to wait.

        Args:
            login: Whom it claimed to be; None when that could not be read.
            address: Where it came from, as text.
            now: Seconds of a clock that does not go backwards.
        """
        counts = [self._add(("address", _network(address)), now)]
        if login is not None:
            counts.append(self._add(("login", login), now))
        return self._delay(max(counts))

    def has_failed(self, address: str, now: float) -> bool:
        """Say whether a failure of this address is not forgotten yet."""
        return self._count(("address", _network(address)), now) > 0

    def succeeded(self, login: str) -> None:
        """Forget the failures of a login that got in."""
        self._counts.pop(("login", login), None)

    def __len__(self) -> int:
        return len(self._counts)

    def _count(self, key: tuple[str, str], now: float) -> int:
        count, until = self._counts.get(key, (0, now))
        return count if now < until else 0

    def _add(self, key: tuple[str, str], now: float) -> int:
        count = self._count(key, now) + 1
        self._counts[key] = (count, now + self._forget)
        self._counts.move_to_end(key)
        if len(self._counts) > self._capacity:
            self._counts.popitem(last=False)
        return count

    def _delay(self, count: int) -> float:
        if count == 1:
            return 0.0
        # The exponent is bounded because a float is: an address can fail for days.
        return min(self._most, self._first * 2.0 ** min(count - 2, 64))


class Door:
    """Lets users in by HTTP Basic and a users file. Belongs to one event loop.

    Close it when the loop ends; whoever still waits is cancelled then.
    """

    def __init__(
        self,
        users: UsersFile,
        limits: DoorLimits = DEFAULT_LIMITS,
        delays: FailureDelays | None = None,
    ) -> None:
        self._users = users
        self._limits = limits
        self._delays = FailureDelays() if delays is None else delays
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="password")
        self._key = secrets.token_bytes(32)
        self._verdicts: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._version = users.version
        self._verifying: dict[_Question, asyncio.Future[bool]] = {}
        self._delayed = 0

    def known(self, authorization: str, now: float) -> str | None:
        """Return the login of a header that got in before, or None: then ask `admit`.

        Args:
            authorization: The Authorization header, exactly as it was sent.
            now: Seconds of a clock that does not go backwards.
        """
        return self._remembered(self._digest(authorization, now), now)

    async def admit(self, authorization: str | None, address: str, now: float) -> str:
        """Verify the password of a header that is not known, and return its login.

        Args:
            authorization: The Authorization header, or None when there is none.
            address: Of the client, as text.
            now: Seconds of the same clock as for `known`.

        Raises:
            AccessDenied: When it does not get in; a wrong login waits its delay first.
        """
        if not authorization:
            raise AccessDenied("missing")
        credentials = parse_basic(authorization)
        if credentials is None:
            await self._delay_refusal(self._delays.failed(None, address, now))
            raise AccessDenied("malformed")
        login = login_name(credentials.name)
        digest = self._digest(authorization, now)
        remembered = self._remembered(digest, now)
        if remembered is not None:
            return remembered
        if self._is_crowded and self._delays.has_failed(address, now):
            # Its refusal could not be delayed, so a guess would be free: it is not even verified.
            # Only the address counts here, or a guesser could keep a user out by his name.
            raise AccessDenied("busy", retry_after=RETRY_AFTER)
        version = self._version
        if not await self._verify((digest, version), login, credentials.password):
            await self._delay_refusal(self._delays.failed(login, address, now))
            raise AccessDenied("wrong")
        self._delays.succeeded(login)
        self._remember(digest, login, now, version)
        return login

    def close(self) -> None:
        """Give up the passwords that still wait and end the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _is_crowded(self) -> bool:
        return self._delayed >= self._limits.delayed_refusals

    def _digest(self, authorization: str, now: float) -> bytes:
        """Hash a header; what was learned from an earlier users file is forgotten first."""
        self._users.refresh(now)
        if self._version != self._users.version:
            self._version = self._users.version
            self._verdicts.clear()
        text = authorization.encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=16, key=self._key).digest()

    def _remembered(self, digest: bytes, now: float) -> str | None:
        verdict = self._verdicts.get(digest)
        if verdict is None:
            return None
        login, until = verdict
        if now >= until:
            del self._verdicts[digest]
            return None
        self._verdicts.move_to_end(digest)
        return login

    def _remember(self, digest: bytes, login: str, now: float, version: int) -> None:
        if version != self._version:
            return
        self._verdicts[digest] = (login, now + self._limits.cache_seconds)
        if len(self._verdicts) > self._limits.cached_logins:
            self._verdicts.popitem(last=False)

    async def _verify(self, question: _Question, login: str, password: str) -> bool:
        """Verify in a thread, once for all who ask the same at the same time."""
        future = self._verifying.get(question)
        if future is None:
            if len(self._verifying) >= self._limits.waiting_logins:
                raise AccessDenied("busy", retry_after=RETRY_AFTER)
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._pool, self._users.check, login, password)
            self._verifying[question] = future
            future.add_done_callback(lambda _: self._verifying.pop(question))
        # Shielded: one client that hangs up must not take the verdict from the others.
        return await asyncio.shield(future)

    async def _delay_refusal(self, delay: float) -> None:
        if not delay:
            return
        if self._is_crowded:
            raise AccessDenied("busy", retry_after=RETRY_AFTER)
        self._delayed += 1
        try:
            await asyncio.sleep(delay)
        finally:
            self._delayed -= 1


def _network(address: str) -> str:
    """Return whose address it is: one customer has 2**64 addresses of IPv6, so their /64 counts."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(parsed.packed[:8] + bytes(8)))
