"""One simulated phone: performs the commands of its scenario on a keep-alive connection.

A phone is small on purpose (many thousands live in one process): one slotted object, no task, no
timer. Its ``Host`` opens connections and looks at its deadline about once a second.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, Protocol, cast

from loadtest.scenario import Answer, Broken, Ping, Wait
from loadtest.wire import AnswerReader, Identity, UnreadableAnswerError, request

if TYPE_CHECKING:
    from collections.abc import Generator

    from loadtest.scenario import Command, Outcome

GRACE: Final = 5.0
"""Seconds a phone waits beyond its heartbeat. Source: AOSP EasPing."""
PATIENCE: Final = 30.0
"""Seconds a phone waits for the answer to another command. Source: AOSP EasServerConnection."""

_DEAF: Final = asyncio.Protocol()


class Host(Protocol):
    """What a phone needs from its surroundings."""

    name: str
    """Value of the Host header."""

    def now(self) -> float:
        """Return the time of the monotonic clock."""

    def connect(self, phone: Phone) -> None:
        """Open a connection for this phone soon; ends in its connection_made or unreachable."""

    def moved(self, before: str, after: str) -> None:
        """Note that a phone left one state for another."""

    def failed(self, kind: str) -> None:
        """Count an error."""

    def answered(self, phone: Phone, answer: Answer, waited: float, at: float) -> None:
        """Take an answer, the seconds since its request was sent, and when it came."""


class Phone(asyncio.Protocol):
    """A scenario on a connection."""

    __slots__ = (
        "_host",
        "_reader",
        "_request",
        "_scenario",
        "_sent_at",
        "_transport",
        "command",
        "state",
        "until",
        "who",
    )

    def __init__(
        self, host: Host, who: Identity, scenario: Generator[Command, Outcome, None]
    ) -> None:
        self.who = who
        self.command: Command | None = None
        self.state = "new"
        """One of new, connecting, syncing, held, waiting, stopped."""
        self.until = math.inf
        """When ``expire`` is due."""
        self._host = host
        self._scenario = scenario
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._request: tuple[Command, bytes] | None = None
        self._sent_at = 0.0

    def start(self) -> None:
        """Begin the scenario; call once."""
        self._perform(next(self._scenario))

    def stop(self) -> None:
        """Close the connection and end the scenario."""
        self._scenario.close()
        self._rest("stopped", math.inf)
        self._hang_up()

    def expire(self) -> None:
        """Follow the deadline: a pause is over, or an answer is missing."""
        if self.state == "waiting":
            self._give(None)
        else:
            self._break("no answer in time")

    def unreachable(self, kind: str) -> None:
        """Take the news that no connection could be opened."""
        if self.state == "connecting":
            self._break(kind)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the command that waited for a connection."""
        self._transport = cast("asyncio.Transport", transport)
        if self.state == "connecting":
            self._send()
        else:
            self._hang_up()

    def data_received(self, data: bytes) -> None:
        """Read an answer, and send what the scenario wants next."""
        if self._transport is None or self.state not in {"syncing", "held"}:
            self._hang_up()
            return
        at = self._host.now()
        reader = self._reader = self._reader or AnswerReader()
        try:
            if reader.feed(data):
                self._finish(reader, reader.answer(), at)
        except UnreadableAnswerError:
            self._break("unreadable answer")

    def connection_lost(self, exc: Exception | None) -> None:
        """Open a new connection if an answer was awaited on this one."""
        self._transport = None
        if self.state in {"syncing", "held"}:
            self._break("reset" if exc else "closed")

    def _finish(self, reader: AnswerReader, answer: Answer, at: float) -> None:
        self._reader = None
        if not reader.keeps_alive:
            self._hang_up()
        self._host.answered(self, answer, at - self._sent_at, at)
        if self.state != "stopped":
            self._give(answer)

    def _give(self, outcome: Outcome) -> None:
        try:
            command = self._scenario.send(outcome)
        except StopIteration:
            self.stop()
        else:
            self._perform(command)

    def _perform(self, command: Command) -> None:
        self.command = command
        if isinstance(command, Wait):
            self._rest("waiting", self._host.now() + command.interval)
        elif self._transport is None:
            self._rest("connecting", math.inf)
            self._host.connect(self)
        else:
            self._send()

    def _send(self) -> None:
        command = self.command
        assert self._transport is not None  # noqa: S101 - both callers looked
        assert command is not None  # noqa: S101 - nothing connects before start
        assert not isinstance(command, Wait)  # noqa: S101 - nothing to send
        if self._request is None or self._request[0] != command:
            self._request = command, request(self.who, command, self._host.name)
        now = self._sent_at = self._host.now()
        if isinstance(command, Ping):
            self._rest("held", now + command.heartbeat + GRACE)
        else:
            self._rest("syncing", now + PATIENCE)
        self._transport.write(self._request[1])

    def _break(self, kind: str) -> None:
        self._hang_up()
        self._host.failed(kind)
        self._give(Broken(kind))

    def _rest(self, state: str, until: float) -> None:
        if state != self.state:
            self._host.moved(self.state, state)
            self.state = state
        self.until = until

    def _hang_up(self) -> None:
        self._reader = None
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.set_protocol(_DEAF)  # its end must not be taken for that of the next one
            transport.abort()
