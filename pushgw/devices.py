"""What is stored of each device, in Redis: its partnership, cursors and cached Ping parameters.

One hash per device, in the slot of its mailbox:

    pushgw:{MAILBOX}:device:DEVICE
        gen          number of the newest Ping, counted over all workers
        at           worker that took the newest Ping
        heartbeat    seconds, of the last accepted Ping that named one
        folders      JSON [[id, class], ...] of the last accepted Ping that had a list
        hierarchy    JSON, the FolderSync state; absent: never synchronised
        base         epoch of the ledger in which the partnership began
        temporary, permanent    policy keys
        info         JSON, what the device says of itself
        c:FOLDER     cursor: "SEQUENCE.EPOCH" that the phone has seen of this ledger field
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
import structlog
from redis.exceptions import RedisError

from notifier.change import channel, sequence_key
from notifier.ledger import Command, exchange, numbers
from pushgw.eas.folders import Hierarchy
from pushgw.eas.ping import PingFolder
from pushgw.eas.provision import PolicyKeys
from pushgw.session import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import redis.asyncio

    from notifier.line import Line

_log = structlog.get_logger("pushgw.devices")

_PARAMETERS: Final = ("hierarchy", "heartbeat", "folders", "at", "base")
_OF_PINGS: Final = ("gen", "at", "heartbeat", "folders")
_CACHED: Final = frozenset({b"heartbeat", b"folders"})


class DevicesError(Exception):
    """Redis did not answer, or not within the time allowed."""

    http_status = 503
    retry_after = 5


@dataclass(frozen=True, slots=True)
class Device:
    """Whose device: the key of everything that is stored of it."""

    mailbox: str
    id: str

    @property
    def key(self) -> str:
        """Name of the device's hash."""
        return f"pushgw:{{{self.mailbox}}}:device:{self.id}"


class Seen(NamedTuple):
    """Cursors that hold from now on: the phone has seen these changes for sure."""

    device: Device
    marks: tuple[tuple[str, str], ...]
    """Ledger fields with their cursor marks."""


class Fresh(NamedTuple):
    """The begin of a partnership."""

    epoch: str
    """The ledger's."""
    fields: tuple[bytes, ...]
    """Names of all fields that the device's record has."""


class Reading(NamedTuple):
    """What Redis knows when a Ping arrives."""

    known: Known
    generation: int
    """Number of this Ping among all of the device."""
    before: bytes | None
    """Worker that took the Ping before this one."""
    base: bytes | None
    """Epoch in which the partnership began."""
    marks: tuple[bytes | None, ...]
    """Cursors of the fields that were asked for, as they are stored."""
    sequences: tuple[int, ...]
    """Of the same fields."""


class Read(NamedTuple):
    """One Ping's question to Redis."""

    device: Device
    fields: tuple[str, ...]
    """Ledger fields; empty when the folder list is not known yet."""
    parameters: tuple[str | bytes | int, ...] = ()
    """Names and values of what this Ping leaves for later ones to rely on."""
    seen: Seen | None = None
    """To be written first, in the same round trip."""


@lru_cache(maxsize=4096)
def folders_to_text(folders: tuple[PingFolder, ...]) -> bytes:
    """Write a folder list the way it is stored."""
    return orjson.dumps([tuple(one) for one in folders])


@lru_cache(maxsize=4096)
def folders_from_text(text: bytes) -> tuple[PingFolder, ...]:
    """Read a stored folder list; equal texts give the same tuple."""
    return tuple(PingFolder(*one) for one in orjson.loads(text))


@lru_cache(maxsize=4096)
def _record_fields(fields: tuple[str, ...]) -> tuple[str, ...]:
    return (*_PARAMETERS, *(f"c:{name}" for name in fields))


class Devices:
    """The device records.

    Every call is one round trip, is over within ``timeout`` seconds, and raises ``DevicesError``
    when Redis is not there.
    """

    def __init__(
        self, redis: redis.asyncio.Redis | Line, worker: str, timeout: float = 5.0
    ) -> None:
        self._redis = redis
        self._worker = worker
        self._timeout = timeout

    async def read_many(self, reads: Sequence[Read]) -> list[Reading | None]:
        """Take in Pings: count each as its device's newest and read what it depends on.

        Returns:
            In the order of ``reads``; None for a device whose record is not readable, which costs
            the others nothing.
        """
        commands: list[Command] = []
        for read in reads:
            key = read.device.key
            if read.seen is not None:
                commands.append(_advance(read.seen))
            commands += (
                ("HMGET", key, *_record_fields(read.fields)),
                ("HINCRBY", key, "gen", 1),
                # One step with the count: of two Pings the newer one's parameters stay.
                ("HSET", key, "at", self._worker, *read.parameters),
            )
            if read.fields:
                commands.append(("HMGET", sequence_key(read.device.mailbox), *read.fields))
        replies = iter(await self._exchange(commands))
        return [self._reading(read, replies) for read in reads]

    def _reading(self, read: Read, replies: Iterator[Any]) -> Reading | None:
        if read.seen is not None:
            next(replies)
        record, generation, taken = next(replies), next(replies), next(replies)
        _refuse((record, generation, taken))
        try:
            sequences = numbers(next(replies), len(read.fields)) if read.fields else ()
        except RedisError as error:
            raise DevicesError(f"Redis refused: {error}") from error
        try:
            hierarchy, heartbeat, folders, before, base = record[: len(_PARAMETERS)]
            known = Known(
                is_synchronised=hierarchy is not None,
                heartbeat=None if heartbeat is None else int(heartbeat),
                folders=None if folders is None else folders_from_text(folders),
            )
            return Reading(
                known=known,
                generation=int(generation),
                before=before if before != self._worker.encode() else None,
                base=base,
                marks=tuple(record[len(_PARAMETERS) :]),
                sequences=sequences,
            )
        except (TypeError, ValueError) as error:
            _log.error("device_unreadable", device=read.device.id, reason=str(error))
            return None

    async def settle(
        self,
        *,
        seen: Sequence[Seen] = (),
        superseded: Sequence[tuple[Device, int]] = (),
        strangers: Sequence[Device] = (),
    ) -> None:
        """Write what a batch of Pings leaves behind.

        Args:
            seen: Cursors to advance.
            superseded: Devices whose older Ping another worker may hold, with the number of the
                newer one; told on the mailbox's channel.
            strangers: Devices without a partnership, of which nothing shall stay.
        """
        await self._run(
            [
                *(_advance(one) for one in seen),
                *(
                    ("PUBLISH", channel(device.mailbox), newer_ping(device.id, generation))
                    for device, generation in superseded
                ),
                # Not the whole key: a FolderSync may have made it a partnership meanwhile.
                *(("HDEL", device.key, *_OF_PINGS) for device in strangers),
            ]
        )

    async def hierarchy(self, device: Device) -> tuple[Hierarchy | None, tuple[bytes, ...]]:
        """Read the FolderSync state and the names of all fields of the record."""
        text, names = await self._run([("HGET", device.key, "hierarchy"), ("HKEYS", device.key)])
        return None if text is None else Hierarchy.from_json(text), tuple(names)

    async def save_hierarchy(
        self,
        device: Device,
        hierarchy: Hierarchy,
        marks: Mapping[str, str],
        fresh: Fresh | None = None,
    ) -> None:
        """Store a FolderSync that succeeded.

        Args:
            device: Whose.
            hierarchy: The new state.
            marks: Cursors by ledger field that begin with this FolderSync.
            fresh: Given if a new partnership begins; cursors and Ping parameters of an earlier
                one are dropped.
        """
        commands: list[Command] = []
        values: dict[str, str | bytes | int] = {"hierarchy": hierarchy.to_json()}
        if fresh is not None:
            stale = [one for one in fresh.fields if one.startswith(b"c:") or one in _CACHED]
            commands += [("HDEL", device.key, *stale)] if stale else []
            values["base"] = fresh.epoch
        cursors = {f"c:{name}": value for name, value in marks.items()}
        commands.append(_put(device, {**values, **cursors}))
        await self._run(commands)

    async def policy_keys(self, device: Device) -> PolicyKeys:
        """Read the keys of the policy that the device has, or is about to apply."""
        (keys,) = await self._run([("HMGET", device.key, "temporary", "permanent")])
        temporary, permanent = (int(key) if key else None for key in keys)
        return PolicyKeys(temporary=temporary, permanent=permanent)

    async def save_provision(
        self, device: Device, keys: PolicyKeys, information: Mapping[str, str] | None
    ) -> None:
        """Store policy keys, and what the device said of itself if it did."""
        values = {"temporary": keys.temporary or "", "permanent": keys.permanent or ""}
        if information is not None:
            values["info"] = orjson.dumps(dict(information)).decode()
        await self._run([_put(device, values)])

    async def save_information(self, device: Device, information: Mapping[str, str]) -> None:
        """Store what the device says of itself."""
        await self._run([_put(device, {"info": orjson.dumps(dict(information))})])

    async def _run(self, commands: Sequence[Command]) -> list[Any]:
        replies = await self._exchange(commands)
        _refuse(replies, but="")
        return replies

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout):
                return await exchange(self._redis, commands)
        except (RedisError, OSError) as error:
            raise DevicesError(f"Redis: {type(error).__name__}") from error


def _refuse(replies: Iterable[Any], but: str = "WRONGTYPE") -> None:
    """Raise the first refusal among replies; one of the kind ``but`` concerns a single record."""
    for reply in replies:
        if isinstance(reply, Exception) and not (but and str(reply).startswith(but)):
            raise DevicesError(f"Redis refused: {reply}") from reply


def _advance(seen: Seen) -> Command:
    return _put(seen.device, {f"c:{name}": text for name, text in seen.marks})


def _put(device: Device, values: Mapping[str, str | bytes | int]) -> Command:
    return ("HSET", device.key, *(part for pair in values.items() for part in pair))


def newer_ping(device_id: str, generation: int) -> bytes:
    """Payload that tells all workers of a newer Ping; to anybody else it is a plain look."""
    return orjson.dumps({"d": device_id, "g": generation})


def parse_newer_ping(payload: bytes) -> tuple[str, int] | None:
    """Read such a payload; None if it is anything else."""
    if not payload.startswith(b'{"d":'):
        return None
    try:
        fields = orjson.loads(payload)
        return str(fields["d"]), int(fields["g"])
    except (ValueError, KeyError, TypeError):
        return None
