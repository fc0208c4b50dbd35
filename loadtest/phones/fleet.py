"""The phones of one process: they arrive by a schedule, wait, lose connections, and go.

Phones are numbered from 0; mailbox, device id and group of a number are looked up, not kept.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest.phones.cutting import vanish
from loadtest.phones.phone import HELD, Phone
from loadtest.phones.twin import Twin
from loadtest.scenario import catalogue
from loadtest.scenario.commands import Ping
from loadtest.targets import TargetError, parse_target
from loadtest.wire.requests import Dialect, Identity, request

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterable, Sequence

    from loadtest.phones.connecting import Dialler
    from loadtest.phones.witness import Witness
    from loadtest.profiles.population import Population
    from loadtest.scenario.commands import Answer, Habits, Request
    from loadtest.targets import Target

_SLICES: Final = 16
"""Parts of the fleet, one of which is looked at every 1/16 s: no look is a long one."""
NOT_SILENT: Final = "cut: the server is told (silence takes CAP_NET_ADMIN)"
"""Kind of the error where a connection cannot be cut without a word."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Fleet:
    """Phones and what they have in common; the ``Host`` of each of them.

    Args:
        population: Who they are.
        habits: Of each phone, by its number; equal ones are one object.
        dialler: Opens their connections.
        witness: Sees what they do.
        errors: Failures by kind.
        rng: The dice.
    """

    def __init__(
        self,
        population: Population,
        habits: Sequence[Habits],
        *,
        dialler: Dialler,
        witness: Witness,
        errors: Counter[str],
        rng: random.Random,
    ) -> None:
        self.population = population
        self.habits = habits
        self.phones = [Phone(self, number) for number in range(len(habits))]
        self.states: Counter[str] = Counter()
        """Number of phones by state."""
        self.allowed: Collection[str] = ()
        """Hosts beside this one that phones may be sent to by HTTP 451."""
        self._dialler = dialler
        self._witness = witness
        self._errors = errors
        self._rng = rng
        self._dialects: dict[tuple[Target, Habits], Dialect] = {}
        self._nat_share = 0.0
        self._nat_idle = 0.0
        self._forgotten: dict[int, float] = {}
        self._twins: set[Twin] = set()

    @property
    def held(self) -> int:
        """Phones that wait for an answer to a Ping or a waiting Sync."""
        return self.states[HELD]

    def watchers(self, mailbox: int, watch: str) -> Iterable[tuple[int, bool]]:
        """Yield the phones of a mailbox that watch a folder, and whether they synchronise."""
        for number in self.population.devices_of(mailbox):
            phone, habits = self.phones[number], self.habits[number]
            # One that is still on its way to its first Ping may hear of the change there.
            names = [one.watch for one in phone.watched] if phone.watched else habits.watches
            if watch in names and phone.state:
                yield number, catalogue.synchronises(habits)

    # What a phone asks of its host.

    def now(self) -> float:
        """Return the time; that of the loop would stand still during a turn."""
        return monotonic()

    def connect(self, phone: Phone) -> None:
        """Queue a phone for the next free place."""
        self._dialler.connect(phone)

    def move(self, phone: Phone, url: str) -> str | None:
        """Send a phone to another server, if this load generator may touch that."""
        try:
            target = parse_target(url, allowed=self.allowed)
        except TargetError:
            return "redirected to a host that is not allowed"
        self._dialler.move(phone.number, target)
        return None

    def bytes_of(self, phone: Phone, command: Request) -> bytes:
        """Build the request of a command."""
        number, population = phone.number, self.population
        who = Identity(
            population.mailbox_name(population.mailbox_of(number)),
            population.password,
            population.device_name(number),
        )
        return request(self._dialect(number), who, command)

    def sent(self, phone: Phone, sent: bytes) -> None:
        """Note that a command is on the wire."""
        if phone.state is not HELD:
            return
        self._witness.sent(phone)
        if isinstance(phone.command, Ping) and phone.command.twin:
            twin = Twin(phone, phone.command, sent)
            self._twins.add(twin)
            self._dialler.connect(twin)

    def moved(self, before: str, after: str) -> None:
        """Count a phone in its new state."""
        if before:
            self.states[before] -= 1
        self.states[after] += 1

    def failed(self, kind: str) -> None:
        """Count a failure."""
        self._errors[kind] += 1

    def broke(self, phone: Phone) -> None:
        """Pass on that there will be no answer."""
        self._witness.broke(phone, monotonic())

    def answered(self, phone: Phone, answer: Answer, at: float) -> None:
        """Pass an answer on."""
        self._witness.answered(phone, answer, at)

    def answered_beside(self, twin: Twin, answer: Answer, at: float) -> None:
        """Pass an answer to a twin on."""
        self._witness.answered_beside(twin, answer, at)

    # What is done to the phones.

    async def arrive(self, numbers: Sequence[int], over: float, start: float) -> None:
        """Start phones one after the other.

        Args:
            numbers: Which.
            over: Seconds between the first one and the one after the last.
            start: When the first one arrives.
        """
        for index, number in enumerate(numbers):
            at = start + over * index / len(numbers)
            # Also where they come faster than they can be started, the others get their turn.
            await asyncio.sleep(max(0.0, at - monotonic()))
            script = catalogue.start(self.habits[number], self._rng.random())
            self.phones[number].start(script, at)

    async def sweep_forever(self) -> None:
        """Look at each phone's deadline once a second."""
        part = 0
        while True:
            await asyncio.sleep(1.0 / _SLICES)
            part = (part + 1) % _SLICES
            now = monotonic()
            for phone in self.phones[part::_SLICES]:
                if phone.until <= now:
                    phone.expire()
            if self._nat_share:
                self._forget_flows(self.phones[part::_SLICES], now)
            self._end_twins(now)

    def cut(self, share: float, how: str) -> int:
        """Let a share of the connected phones lose their connections at once.

        Args:
            share: 0 to 1.
            how: ``reset`` and ``close`` as the server sees it; ``silent`` tells it nothing, or is
                counted as an error where this process may not do that.

        Returns:
            How many phones it were.
        """
        connected = [phone for phone in self.phones if phone.transport is not None]
        chosen = self._rng.sample(connected, round(share * len(connected)))
        for phone in chosen:
            assert phone.transport is not None  # noqa: S101 - looked at above
            self._prepare_end(phone.transport.get_extra_info("socket"), how)
            phone.lose("cut")
        return len(chosen)

    def behind_nat(self, share: float, idle: float) -> None:
        """From now on drop each flow of some phones that idled too long; share 0 ends that."""
        self._nat_share, self._nat_idle = share, idle

    def stop(self) -> None:
        """Hang up all phones."""
        for phone in self.phones:
            phone.stop()
        for twin in self._twins:
            twin.close()
        self._twins.clear()

    def _dialect(self, number: int) -> Dialect:
        key = self._dialler.target_of(number), self.habits[number]
        found = self._dialects.get(key)
        if found is None:
            target, habits = key
            found = self._dialects[key] = Dialect(
                host=target.name,
                path=target.path,
                version=habits.version,
                user_agent=habits.user_agent,
                device_type=habits.device_type,
            )
        return found

    def _prepare_end(self, connection: socket.socket, how: str) -> None:
        """Let the server see the end of a connection in one way or the other."""
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        elif how == "silent" and not vanish(connection):
            self.failed(NOT_SILENT)

    def _forget_flows(self, phones: Sequence[Phone], now: float) -> None:
        """Cut off those that idled too long; neither end is told, as with a NAT."""
        count = round(self._nat_share * len(self.phones))
        for phone in phones:
            is_idle = phone.state is HELD and phone.sent_at < now - self._nat_idle
            if (
                is_idle
                and phone.number < count
                and phone.transport is not None
                and self._forgotten.get(phone.number) != phone.sent_at
            ):
                self._forgotten[phone.number] = phone.sent_at
                # Where it may not vanish, it falls silent, and tells the server when it gives up.
                vanish(phone.transport.get_extra_info("socket"))

    def _end_twins(self, now: float) -> None:
        """Close those whose answer is missing, and forget those that are gone."""
        over = {twin for twin in self._twins if twin.until <= now}
        self._twins -= over
        for twin in over:
            if twin.until:
                self.failed("timeout")
                twin.close()
