"""One simulated phone: performs the commands of its script on a keep-alive connection.

A phone is small on purpose (many thousands live in one process): one slotted object, no task, no
timer, no kept request. Its ``Host`` opens connections and looks at its deadline about once a
second.
"""

from __future__ import annotations

import asyncio
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, cast

from loadtest.scenario.commands import Broken, Half, HangUp, Move, Ping, Sync, Wait
from loadtest.wire.answers import AnswerReader, UnreadableAnswerError, Whole, whole

if TYPE_CHECKING:
    from loadtest.phones.twin import Twin
    from loadtest.scenario.commands import (
        Answer,
        Collection,
        Command,
        Outcome,
        Request,
        Script,
        Watched,
    )

GRACE: Final = 5.0
"""Seconds a phone waits beyond its heartbeat. Source: AOSP EasPing."""
PATIENCE: Final = 30.0
"""Seconds a phone waits for the answer to another command. Source: AOSP EasServerConnection."""

CONNECTING: Final = "connecting"
PREPARING: Final = "preparing"
HELD: Final = "held"
WAITING: Final = "waiting"
STOPPED: Final = "stopped"

_DEAF: Final = asyncio.Protocol()


class Host(Protocol):
    """What a phone needs from its surroundings."""

    def now(self) -> float:
        """Return the time of the monotonic clock."""

    def connect(self, phone: Phone) -> None:
        """Open a connection for this phone soon; ends in its connection_made or unreachable."""

    def move(self, phone: Phone, url: str) -> str | None:
        """Let it go to another server from now on; return what stands against that."""

    def bytes_of(self, phone: Phone, command: Request) -> bytes:
        """Build the request of a command."""

    def sent(self, phone: Phone, request: bytes) -> None:
        """Note that a phone's command is on the wire."""

    def moved(self, before: str, after: str) -> None:
        """Note that a phone left one state for another; "" is the one before the first."""

    def failed(self, kind: str) -> None:
        """Count an error."""

    def broke(self, phone: Phone) -> None:
        """Note that a phone will get no answer."""

    def answered(self, phone: Phone, answer: Answer, at: float) -> None:
        """Take an answer to the phone's command, and when it came."""

    def answered_beside(self, twin: Twin, answer: Answer, at: float) -> None:
        """Take an answer to a twin's Ping, and when it came."""


class Phone(asyncio.Protocol):
    """A script on a connection."""

    __slots__ = (
        "_reader",
        "_script",
        "command",
        "host",
        "number",
        "sent_at",
        "since",
        "state",
        "transport",
        "until",
        "watched",
    )

    def __init__(self, host: Host, number: int) -> None:
        self.host = host
        self.number = number
        """Within its process."""
        self.command: Command | None = None
        self.state = ""
        """"" before the start, then one of the states above."""
        self.since = 0.0
        """When it arrived, or its connection broke; 0.0 once its next Ping is on the wire."""
        self.sent_at = 0.0
        """When its request was sent."""
        self.until = math.inf
        """When ``expire`` is due."""
        self.watched: tuple[Watched, ...] = ()
        """Folders of its last Ping or full Sync."""
        self.transport: asyncio.Transport | None = None
        self._script: Script | None = None
        self._reader: AnswerReader | None = None

    def start(self, script: Script, since: float) -> None:
        """Begin a script; call once.

        Args:
            script: Not started yet.
            since: Intended time of the arrival.
        """
        self._script = script
        self.since = since
        self._give(None)

    def stop(self) -> None:
        """Close the connection and end the script."""
        if self._script is not None:
            self._script.close()
            self._script = None
        self._rest(STOPPED, math.inf)
        self._hang_up()

    def expire(self) -> None:
        """Follow the deadline: a pause is over, or an answer is missing."""
        if self.state == WAITING:
            self._give(None)
        else:
            self._break("timeout")

    def unreachable(self, kind: str) -> None:
        """Take the news that no connection could be opened."""
        if self.state == CONNECTING:
            self._break(kind)

    def lose(self, kind: str) -> None:
        """Lose the connection, if there is one, as the phone sees it."""
        if self.state in {PREPARING, HELD}:
            self._break(kind)
        else:
            self._hang_up()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the command that waited for a connection."""
        if self.state == CONNECTING:
            self.transport = cast("asyncio.Transport", transport)
            self._send()
        else:  # it does not wait any more
            drop(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        """Read an answer, and send what the script wants next."""
        at = self.host.now()
        if self.state not in {HELD, PREPARING}:
            self._hang_up()  # nothing was asked
            return
        try:
            found = read(self._reader, data)
        except UnreadableAnswerError:
            self._break("unreadable answer")
            return
        if isinstance(found, Whole):
            self._reader = None
            self._finish(found, at)
        else:
            self._reader = found

    def connection_lost(self, exc: Exception | None) -> None:
        """Open a new connection if an answer was awaited on this one."""
        self.transport = None
        if self.state in {HELD, PREPARING}:
            self._break("reset" if exc else "closed")

    def _finish(self, found: Whole, at: float) -> None:
        if not found.keeps_alive:
            self._hang_up()
        self.host.answered(self, found.answer, at)
        self._give(found.answer)

    def _give(self, outcome: Outcome) -> None:
        """Tell the script what came of its command, and begin the next one."""
        command = self._next(outcome)
        while isinstance(command, HangUp | Move):  # these end at once
            command = self._next(self._leave(command))
        if command is not None:
            self._begin(command)

    def _next(self, outcome: Outcome) -> Command | None:
        """Return what the script wants next; the phone stops if that is nothing."""
        if self._script is None:
            return None
        try:
            return self._script.send(outcome)
        except StopIteration:
            self.stop()
            return None

    def _begin(self, command: Request | Half | Wait) -> None:
        self.command = command
        if isinstance(command, Wait):
            self._rest(WAITING, self.host.now() + command.interval)
        elif self.transport is None:
            self._rest(CONNECTING, math.inf)
            self.host.connect(self)
        else:
            self._send()

    def _leave(self, command: HangUp | Move) -> Broken | None:
        self._hang_up()
        if isinstance(command, Move):
            reason = self.host.move(self, command.url)
            if reason is not None:
                self.host.failed(reason)
                return Broken(reason)
        return None

    def _send(self) -> None:
        command = self.command
        assert self.transport is not None  # noqa: S101 - both callers looked
        assert command is not None  # noqa: S101 - nothing connects before start
        assert not isinstance(command, Wait | HangUp | Move)  # noqa: S101 - nothing to send
        now = self.sent_at = self.host.now()
        if isinstance(command, Half):
            request = self.host.bytes_of(self, command.whole)
            self._rest(PREPARING, now + PATIENCE)
            self.transport.write(request[: len(request) // 2])
            return
        self._watch(command)
        request = self.host.bytes_of(self, command)
        wait = held_seconds(command)
        if wait:
            self._rest(HELD, now + wait + GRACE)
        else:
            self._rest(PREPARING, now + PATIENCE)
        self.transport.write(request)
        self.host.sent(self, request)

    def _watch(self, command: Request) -> None:
        """Remember what the phone watches; a Sync of some folders on the way changes nothing."""
        if isinstance(command, Ping):
            self.watched = command.folders
        elif isinstance(command, Sync) and (command.wait or not self.watched):
            self.watched = _shared(_folders(command.collections)) or self.watched

    def _break(self, kind: str) -> None:
        self._hang_up()
        self.since = self.since or self.host.now()
        self.host.failed(kind)
        self.host.broke(self)
        self._give(Broken(kind))

    def _rest(self, state: str, until: float) -> None:
        if state is not self.state:
            self.host.moved(self.state, state)
            self.state = state
        self.until = until

    def _hang_up(self) -> None:
        self._reader = None
        if self.transport is not None:
            transport, self.transport = self.transport, None
            drop(transport)


def held_seconds(command: Command | None) -> int:
    """Return how long a command asks to be held: a Ping's heartbeat, a Sync's wait; else 0."""
    if isinstance(command, Ping):
        return command.heartbeat
    return command.wait if isinstance(command, Sync) else 0


def read(reader: AnswerReader | None, data: bytes) -> Whole | AnswerReader:
    """Return an answer, or who has to read what is still to come of it.

    Args:
        reader: Of the bytes before these; None if these are the first.
        data: What came.

    Raises:
        UnreadableAnswerError: If this cannot become an answer.
    """
    if reader is None:
        found = whole(data)
        if found is not None:
            return found
        reader = AnswerReader()
    if reader.feed(data):
        return Whole(reader.answer(), reader.keeps_alive)
    return reader


def drop(transport: asyncio.Transport) -> None:
    """Close a connection; its end must not be taken for that of the next one."""
    transport.set_protocol(_DEAF)
    transport.abort()


def _folders(collections: tuple[Collection, ...]) -> tuple[Watched, ...]:
    return tuple(one.folder for one in collections)


@lru_cache(maxsize=1024)
def _shared(folders: tuple[Watched, ...]) -> tuple[Watched, ...]:
    """Return one object for equal ones."""
    return folders
