"""The truth about mailbox changes: sequence numbers in Redis, recorded first and published then.

Rules: a change is counted and its hint published as one step, so nobody hears of a change that
cannot be read. Every call ends within its bound. A Redis that does not do its part surfaces as
`LedgerError` and nothing else. Recording twice is harmless (one wake-up too many), so after an
error the whole batch may be recorded again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import re
import secrets
from typing import TYPE_CHECKING, Any, Final, cast

import hiredis
import redis.exceptions

from notifier.change import CLASSES, Change, Hint, channel, class_key, sequence_key
from notifier.line import Line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection

Command = tuple[str | bytes | int, ...]
"""One Redis command: its name and its arguments."""

TIMEOUT: Final = 5.0
"""Seconds within which a call ends: redis-py's own default for one socket operation."""
RETRY_AFTER: Final = 5.0
"""Seconds after which to try again: Valkey restarts in less, a Sentinel fail-over takes longer."""
EPOCH_KEY: Final = "pushgw:epoch"

RECORD: Final = """\
-- Count one change (the truth), then tell whoever listens (the hint), as one step.
--
-- KEYS[1]  pushgw:{MAILBOX}:seq    hash, folder -> sequence number, one more per change
-- KEYS[2]  pushgw:{MAILBOX}:class  hash, folder -> class, as the last change that named one said
-- ARGV[1]  pushgw:{MAILBOX}        channel; in the slot of the keys
-- ARGV[2]  folder, UTF-8; '' is the hierarchy
-- ARGV[3]  class (Email, Calendar, ...); '' if the change names none
-- ARGV[4]  payload without "s": a JSON object with at least one member
-- Returns the folder's new sequence number.
local seq = redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
local payload = string.sub(ARGV[4], 1, -2) .. string.format(',"s":%.0f}', seq)
redis.call('PUBLISH', ARGV[1], payload)
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
end
return seq
"""

EPOCH: Final = """\
-- Return the epoch in force; begin a new one if Redis may have lost acknowledged writes.
--
-- KEYS[1]  pushgw:epoch  string, RUN_ID.RANDOM: the run_id of the Redis that began it, and dice
-- ARGV[1]  dice for a new epoch
--
-- A missing key tells of lost data. Another run_id tells of a restart or a fail-over, after which
-- the last writes may be gone. The server names itself inside the script: asked beforehand, the
-- answer could be that of the server before a fail-over.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or 'unnamed'
local epoch = redis.call('GET', KEYS[1])
if epoch and string.match(epoch, '^(%w+)%.') == run_id then
  return epoch
end
epoch = run_id .. '.' .. ARGV[1]
redis.call('SET', KEYS[1], epoch)
return epoch
"""

# Redis names scripts by SHA-1; nothing rests on its strength.
_RECORD_SHA: Final = hashlib.sha1(RECORD.encode(), usedforsecurity=False).hexdigest()
# hiredis' own type names a tuple of exactly one word.
_pack: Final = cast("Callable[[Command], bytes]", hiredis.pack_command)
_ERROR_CODE: Final = re.compile(r"[A-Z]{3,20}\b")


class LedgerError(Exception):
    """Redis did not do what was asked; it may have done part of it. One line, no secrets."""

    http_status = 503
    retry_after = RETRY_AFTER
    """Seconds."""

    @classmethod
    def of(cls, error: Exception) -> LedgerError:
        """Say in one line what Redis, or the way to it, had against a call."""
        match error:
            case redis.exceptions.TimeoutError() | TimeoutError():
                reason = "did not answer in time"
            case redis.exceptions.AuthenticationError():
                reason = "refused the credentials"
            case redis.exceptions.BusyLoadingError():
                reason = "is still loading its data"
            case redis.exceptions.ConnectionError() | OSError():
                reason = "is not reachable"
            case _:
                # Only the code: the text that follows it may repeat the arguments.
                code = _ERROR_CODE.match(str(error))
                reason = f"refused the command: {code[0] if code else type(error).__name__}"
        return cls(f"redis {reason}")


class Recording:
    """A batch on its way into Redis: what to send next, and what the replies mean.

    It does no input or output, so that a blocking and an asynchronous caller share it. Send
    `commands`, hand their replies to `absorb`, until there are no more commands: two rounds at
    most, because the second one brings the script's text along.

    Args:
        changes: In the order in which they are to be recorded.
        now_ms: Unix milliseconds, for the hints.
    """

    def __init__(self, changes: Sequence[Change], now_ms: float) -> None:
        self._calls = [_arguments(change, now_ms) for change in changes]
        self._script: tuple[str, str] = ("EVALSHA", _RECORD_SHA)
        self._open = list(range(len(changes)))
        self.sequences = [0] * len(changes)
        """The new sequence numbers in the order of the changes; complete when all is recorded."""

    def commands(self) -> list[Command]:
        """Return what to send in the next round trip; empty when all is recorded."""
        return [(*self._script, *self._calls[index]) for index in self._open]

    def absorb(self, replies: Iterable[object]) -> None:
        """Take the replies to `commands`, in order, errors among them as values.

        Raises:
            redis.RedisError: The first refusal; other changes of the batch may be recorded.
        """
        pending, self._open = self._open, []
        for index, reply in zip(pending, replies, strict=True):
            if isinstance(reply, redis.exceptions.NoScriptError):
                self._open.append(index)
            elif isinstance(reply, int):
                self.sequences[index] = reply
            else:
                raise _refusal(reply)
        self._script = ("EVAL", RECORD)


class Ledger:
    """Sequence numbers of all mailboxes, in one Redis.

    Args:
        redis: Stays the caller's to close. Give it a ``retry``: ``from_url`` sets none, and then
            the first call on each connection that a restart of Redis has cut fails.
        timeout: Seconds within which every call ends.

    Raises:
        LedgerError: From every method but `reachable`, if Redis does not do its part in time.
    """

    def __init__(self, redis: Redis | Line, *, timeout: float = TIMEOUT) -> None:
        self._redis = redis
        self._timeout = timeout
        self._epoch: str | None = None

    async def record(self, changes: Sequence[Change], now_ms: float) -> list[int]:
        """Record the changes, publish the hint of each; one round trip for all.

        Args:
            changes: Any number; 10,000 take a good part of a second.
            now_ms: Unix milliseconds, for the hints.

        Returns:
            The new sequence numbers in the order of the changes, once Redis has them.
        """
        recording = Recording(changes, now_ms)
        async with self._bounded():
            while commands := recording.commands():
                recording.absorb(await exchange(self._redis, commands))
        return recording.sequences

    async def sequences(self, wanted: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[int, ...]]:
        """Read sequence numbers; one round trip for all.

        Args:
            wanted: Mailbox and folders of each reader, folders as their publisher spells them.

        Returns:
            For each reader the numbers in the order of its folders; 0 for a folder without one.
        """
        commands: list[Command] = [
            ("HMGET", sequence_key(mailbox), *folders) for mailbox, folders in wanted if folders
        ]
        async with self._bounded():
            replies = iter(await exchange(self._redis, commands))
            return [
                numbers(next(replies), len(folders)) if folders else () for _, folders in wanted
            ]

    async def everything(self, mailbox: str) -> tuple[dict[str, int], dict[str, str]]:
        """Read all sequence numbers and all known classes of a mailbox, each by folder."""
        commands: list[Command] = [
            ("HGETALL", sequence_key(mailbox)),
            ("HGETALL", class_key(mailbox)),
        ]
        async with self._bounded():
            numbers, classes = (_texts(reply) for reply in await exchange(self._redis, commands))
        return (
            {folder: _number(value) for folder, value in numbers.items()},
            {folder: value for folder, value in classes.items() if value in CLASSES},
        )

    async def epoch(self) -> str:
        """Return the epoch in force: another one than before means that numbers may be lost.

        All who ask at the same time get the same answer. It is remembered until `forget_epoch`.
        """
        if self._epoch is None:
            async with self._bounded():
                (reply,) = await exchange(
                    self._redis, [("EVAL", EPOCH, 1, EPOCH_KEY, secrets.token_hex(8))]
                )
                if not isinstance(reply, bytes):
                    raise _refusal(reply)
            # The random half alone tells epochs apart; it is kept with each cursor of each phone.
            self._epoch = reply.decode("utf-8", "replace").rpartition(".")[2]
        return self._epoch

    def forget_epoch(self) -> None:
        """Ask Redis for the epoch again; to be called whenever a connection to it was lost."""
        self._epoch = None

    async def reachable(self) -> bool:
        """Tell whether Redis answers within the bound."""
        try:
            async with self._bounded():
                (reply,) = await exchange(self._redis, [("PING",)])
        except LedgerError:
            return False
        return not isinstance(reply, Exception)

    @contextlib.asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except (redis.exceptions.RedisError, OSError) as error:
            raise LedgerError.of(error) from error


async def exchange(client: Redis | Line, commands: Sequence[Command]) -> list[Any]:
    """Send commands in one round trip, as redis-py's pipeline does at five times the price.

    Packed by hiredis and without a timer per reply, the numbers of 1,000 mailboxes take 4 to 7 us
    of CPU each instead of 35 (measured), and every Ping pays that. The bound is the caller's.

    Args:
        client: A `Line`; or a client of redis-py, whose pool and ``retry`` are used.
        commands: Any number; not one atomic step.

    Returns:
        The raw replies in order, text as bytes; for a refused command its error.

    Raises:
        redis.RedisError: If the connection failed; any of the commands may have been done.
    """
    if isinstance(client, Line):
        return await client.exchange(commands)
    if not commands:
        return []
    packed = b"".join(map(_pack, commands))
    acquire: Callable[[], Awaitable[AbstractConnection]] = client.connection_pool.get_connection
    connection = await acquire()
    try:
        replies: list[Any] = await connection.retry.call_with_retry(
            lambda: _converse(connection, packed, len(commands)),
            lambda _: connection.disconnect(nowait=True),
        )
    finally:
        await client.connection_pool.release(connection)
    return replies


async def _converse(connection: AbstractConnection, packed: bytes, count: int) -> list[Any]:
    await connection.send_packed_command(packed)
    replies: list[Any] = []
    for _ in range(count):
        try:
            # The whole call has a bound already; math.inf is redis-py's word for "no timer here".
            reply = await connection.read_response(disable_decoding=True, timeout=math.inf)
        except redis.exceptions.ResponseError as error:
            reply = error
        replies.append(reply)
    return replies


def _arguments(change: Change, now_ms: float) -> Command:
    """Return keys and arguments of `RECORD`, with the number of keys before them."""
    hint = Hint(change.folder, None, change.class_, change.kind, now_ms)
    keys = (sequence_key(change.mailbox), class_key(change.mailbox))
    arguments = (channel(change.mailbox), change.folder, change.class_ or "", hint.to_bytes())
    return (len(keys), *keys, *arguments)


def _refusal(reply: object) -> Exception:
    if isinstance(reply, redis.exceptions.RedisError):
        return reply
    return redis.exceptions.InvalidResponse(f"found {type(reply).__name__}")


def numbers(reply: object, count: int) -> tuple[int, ...]:
    """Read a reply to HMGET.

    A key of another type holds no numbers, and takes none: nothing is lost by reading it as
    empty, and one such mailbox must not cost all others of the same round trip their answer.
    """
    if isinstance(reply, list):
        return tuple(map(_number, reply))
    if _is_wrong_type(reply):
        return (0,) * count
    raise _refusal(reply)


def _texts(reply: object) -> dict[str, str]:
    """Read a reply to HGETALL; what is not UTF-8 was not written by the contract, and is left."""
    if _is_wrong_type(reply):
        return {}
    if isinstance(reply, dict):  # RESP3
        pairs = list(reply.items())
    elif isinstance(reply, list):  # RESP2
        pairs = list(zip(reply[::2], reply[1::2], strict=True))
    else:
        raise _refusal(reply)
    texts: dict[str, str] = {}
    for field, value in pairs:
        with contextlib.suppress(UnicodeDecodeError):
            texts[field.decode()] = value.decode()
    return texts


def _is_wrong_type(reply: object) -> bool:
    return isinstance(reply, redis.exceptions.ResponseError) and str(reply).startswith("WRONGTYPE")


def _number(found: bytes | str | None) -> int:
    return int(found) if found and found.isdigit() else 0
