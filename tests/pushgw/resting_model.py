"""A Redis in memory that does, answers and tells everything only when the test says so.

Commands and subscriptions have a connection each, as with the real one: each in order, the two in
any order to each other. Everything of the gateway that talks to it is real.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError

from notifier.change import Hint, channel, sequence_key
from notifier.ledger import EPOCH
from notifier.line import Line
from notifier.link import Link, pack
from pushgw.eas.ping import PingFolder, PingResponse
from pushgw.session import mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notifier.bus import Bus
    from pushgw.devices import Device
    from pushgw.waiting import Waiting

INBOX, PROJECTS = PingFolder("5", "Email"), PingFolder("Projects", "Email")
FOLDER_OF = {"5": "5", "Inbox": "5", "INBOX": "5", "Projects": "Projects"}
"""The phone's id of each ledger field that is watched, beside the hierarchy's."""
RESPONSES = {
    response.to_bytes(): response
    for response in (
        *(PingResponse(1), PingResponse(3), PingResponse(7)),
        *(PingResponse(2, folders=ids) for ids in (("5",), ("Projects",), ("5", "Projects"))),
    )
}


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time passes when the test says so."""

    now = 1000.0

    def time(self) -> float:
        return self.now


class Call:
    """Commands on their way."""

    def __init__(self, commands: Sequence[tuple[Any, ...]]) -> None:
        self.commands = commands
        self.replies: list[Any] | None = None
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """Let the gateway have the replies, or the failure if there are none."""
        if self.future.done():
            return
        if self.replies is None:
            self.future.set_exception(RedisConnectionError("closed"))
        else:
            self.future.set_result(self.replies)


class Ear(asyncio.Transport):
    """The connection of the subscriptions, as Redis sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: deque[tuple[bytes, bytes]] = deque()
        """Verb and channel of what was not done yet."""
        self.subscribed: set[bytes] = set()
        self.out: deque[bytes] = deque()
        self._reader = hiredis.Reader()

    def write(self, data: bytes) -> None:
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            verb, *names = command
            self.asked += ((verb, name) for name in names)

    def is_closing(self) -> bool:
        return False


class Redis(Line):
    """What the gateway keeps there, and its two connections."""

    def __init__(self) -> None:
        self.hashes: dict[str, Counter[str] | dict[str, Any]] = {}
        self.saved: dict[str, Any] = {}
        self.epoch = 1
        self.losses = 0
        """How often the connection of the subscriptions was lost."""
        self.calls: deque[Call] = deque()
        self.ear: Ear | None = None
        """None when the connection is gone, whether or not the gateway knows."""
        self._link: Link | None = None

    @property
    def shown_epoch(self) -> str:
        return f"e{self.epoch}"

    # What the gateway does.

    async def exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        if not commands:
            return []
        self.calls.append(Call(commands))
        return await self.calls[-1].future

    def connect(self, bus: Bus) -> None:
        """Give the bus a connection, as its ``run`` does."""
        self.ear = Ear()
        self._link = bus._link = Link(bus._hint, bus._settle)
        self._link.connection_made(self.ear)
        bus._flush()

    # What happens to it.

    def do_call(self) -> bool:
        """Do the oldest commands that are not done yet."""
        for call in self.calls:
            if call.replies is None:
                call.replies = [self._do(*command) for command in call.commands]
                return True
        return False

    def answer_call(self) -> bool:
        """Let the gateway have the oldest replies."""
        if self.calls and self.calls[0].replies is not None:
            self.calls.popleft().end()
            return True
        return False

    def do_subscription(self) -> bool:
        """Do what was asked first on the connection of the subscriptions."""
        if self.ear is None or not self.ear.asked:
            return False
        verb, name = self.ear.asked.popleft()
        (self.ear.subscribed.add if verb == b"SUBSCRIBE" else self.ear.subscribed.discard)(name)
        self.ear.out.append(pack((verb.lower(), name, b"1")))
        return True

    def lose_calls(self) -> None:
        """Break the connection of the commands; some of them were done."""
        for call in self.calls:
            call.replies = None
            call.end()
        self.calls.clear()

    def lose_ear(self) -> None:
        """Break the connection of the subscriptions; nobody has noticed yet."""
        self.ear = None
        self.losses += 1

    def tell(self, count: int) -> bool:
        """Let the bus have the next messages and replies, in one read."""
        if self.ear is None or not self.ear.out or self._link is None:
            return False
        count = min(count, len(self.ear.out))
        self._link.data_received(b"".join(self.ear.out.popleft() for _ in range(count)))
        return True

    def save(self) -> None:
        self.saved = deepcopy(self.hashes)

    def crash(self) -> None:
        """Come back with what was saved last, which may be nothing of the newest."""
        self.lose_calls()
        self.lose_ear()
        self.hashes = deepcopy(self.saved)
        self.epoch += 1

    # What others do.

    def record(self, mailbox: str, folder: str, *, is_told: bool) -> None:
        number = self._do("HINCRBY", sequence_key(mailbox), folder, 1)
        self._do("PUBLISH", channel(mailbox), Hint(folder, number if is_told else None).to_bytes())

    def synchronise(self, device: Device) -> None:
        """Make a partnership, or tell of a changed hierarchy in one."""
        number = self.numbers(device.mailbox, ("",))[0]
        record = self._hash(device.key)
        record.setdefault("base", self.shown_epoch.encode())
        record |= {"hierarchy": b"{}", "c:": mark(number, self.shown_epoch).encode()}

    def ping_elsewhere(self, device: Device) -> int:
        """Let another worker take a Ping; its number, of which nobody knows yet."""
        self._do("HSET", device.key, "at", "w2")
        return int(self._do("HINCRBY", device.key, "gen", 1))

    def publish(self, mailbox: str, payload: bytes) -> None:
        self._do("PUBLISH", channel(mailbox), payload)

    # What is so.

    def numbers(self, mailbox: str, fields: Sequence[str]) -> tuple[int, ...]:
        found = self._hash(sequence_key(mailbox))
        return tuple(int(found.get(name, 0)) for name in fields)

    def _hash(self, key: str) -> dict[str, Any]:
        return self.hashes.setdefault(key, {})

    def _do(self, verb: str, *words: Any) -> Any:
        if verb == "EVAL":
            assert words[0] == EPOCH
            return f"run.{self.shown_epoch}".encode()
        key, *rest = words
        if verb == "PUBLISH":
            return self._publish(key.encode(), *rest)
        record = self._hash(key)
        if verb == "HMGET":
            return [record.get(name) for name in rest]
        if verb == "HINCRBY":
            record[rest[0]] = str(int(record.get(rest[0], 0)) + rest[1]).encode()
            return int(record[rest[0]])
        if verb == "HDEL":
            return [record.pop(name, None) for name in rest]
        assert verb == "HSET"
        values = (one if isinstance(one, bytes) else str(one).encode() for one in rest[1::2])
        return record.update(zip(rest[::2], values, strict=True))

    def _publish(self, name: bytes, payload: bytes) -> None:
        if self.ear is not None and name in self.ear.subscribed:
            self.ear.out.append(pack((b"message", name, payload)))


class Phone:
    """One connection of a phone: what it was told and has not read yet."""

    def __init__(self, device: Device, recorded: Counter[str]) -> None:
        self.device = device
        self.waiting: Waiting | None = None
        self.rested: Waiting | None = None
        self.unread: list[tuple[PingResponse, Counter[str]]] = []
        """Answers, with what had been recorded by then."""
        self._recorded = recorded

    def answer(self, body: bytes, *, close: bool) -> None:
        assert not close
        self.waiting = None
        self.unread.append((RESPONSES[body], self._recorded.copy()))

    def has_delivered(self) -> bool:
        return not self.unread
