"""Device records against a real Valkey: what is written, what is read, what does not stay."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from notifier.change import Change, channel, sequence_key
from notifier.ledger import Ledger
from pushgw.devices import (
    Device,
    Devices,
    DevicesError,
    Fresh,
    Read,
    Reading,
    Seen,
    folders_from_text,
    folders_to_text,
    newer_ping,
    parse_newer_ping,
)
from pushgw.eas.folders import Hierarchy
from pushgw.eas.ping import PingFolder
from pushgw.eas.provision import PolicyKeys
from pushgw.session import Known

if TYPE_CHECKING:
    from collections.abc import Iterator

ANNA = Device("anna", "D1")
BERT = Device("bert", "D1")
FIELDS = ("", "5", "Inbox", "INBOX")
FOLDERS = (PingFolder("5", "Email"), PingFolder("Entwürfe", "Email"))


@pytest.fixture(name="devices")
def _devices(redis: Redis) -> Devices:
    return Devices(redis, "w1")


@pytest.fixture(name="nowhere")
def _nowhere() -> Iterator[str]:
    """The address of a Redis that is not there."""
    with tempfile.TemporaryDirectory(prefix="pushgw-") as directory:
        yield f"unix://{Path(directory) / 'valkey.sock'}"


async def record_of(redis: Redis, device: Device) -> dict[bytes | str, bytes | str]:
    return await redis.hgetall(device.key)


async def read(devices: Devices, device: Device = ANNA, seen: Seen | None = None) -> Reading:
    return (await read_all(devices, Read(device, FIELDS, seen=seen)))[0]


async def read_all(devices: Devices, *questions: Read) -> list[Reading]:
    """Read records that are all readable."""
    readings = [one for one in await devices.read_many(questions) if one is not None]
    assert len(questions) == len(readings)
    return readings


async def cache(devices: Devices, device: Device, **values: str | bytes | int) -> None:
    """Take a Ping in that leaves parameters."""
    parts = tuple(part for pair in values.items() for part in pair)
    await devices.read_many([Read(device, (), parts)])


def test_key_is_in_the_slot_of_its_mailbox() -> None:
    """The braces keep all keys of a mailbox together in a cluster."""
    assert ANNA.key == "pushgw:{anna}:device:D1"


def test_folders_survive_their_record() -> None:
    """A folder list is stored as JSON and read back as it was; equal texts share one tuple."""
    text = folders_to_text(FOLDERS)

    assert orjson.loads(text) == [["5", "Email"], ["Entwürfe", "Email"]]
    assert folders_from_text(text) == FOLDERS
    assert folders_from_text(text) is folders_from_text(bytes(bytearray(text)))


async def test_unknown_device_is_read(devices: Devices) -> None:
    """Of a device that nobody knows nothing is known, and its Ping is the first."""
    expected = Reading(
        known=Known(is_synchronised=False),
        generation=1,
        before=None,
        base=None,
        marks=(None,) * 4,
        sequences=(0,) * 4,
    )

    assert expected == await read(devices)


async def test_unknown_device_leaves_nothing(redis: Redis, devices: Devices) -> None:
    """A settled stranger has no record, whatever its Ping asked for."""
    await cache(devices, ANNA, heartbeat=600, folders=folders_to_text(FOLDERS))
    await devices.settle(strangers=[ANNA])

    assert await record_of(redis, ANNA) == {}
    assert await redis.dbsize() == 0


async def test_partnership_of_the_meantime_stays(devices: Devices) -> None:
    """A FolderSync between the reading of a stranger and its settling is not undone."""
    await read(devices)
    await devices.save_hierarchy(ANNA, Hierarchy(1), {"": "0.e1"})
    await devices.settle(strangers=[ANNA])

    assert (await read(devices)).known.is_synchronised


async def test_everything_stored_is_read(redis: Redis, devices: Devices) -> None:
    """A Ping reads its device's parameters and cursors and its mailbox's numbers at once."""
    text = folders_to_text(FOLDERS)
    await devices.save_hierarchy(ANNA, Hierarchy(1), {"": "2.e1", "5": "3.e1"}, Fresh("e1", ()))
    await cache(devices, ANNA, heartbeat=600, folders=text)
    await Ledger(redis).record([Change("anna", "INBOX"), Change("anna", "")], 0.0)

    expected = Reading(
        known=Known(is_synchronised=True, heartbeat=600, folders=FOLDERS),
        generation=2,
        before=None,
        base=b"e1",
        marks=(b"2.e1", b"3.e1", None, None),
        sequences=(1, 0, 0, 1),
    )
    assert expected == await read(devices)


async def test_record_has_the_documented_fields(redis: Redis, devices: Devices) -> None:
    """What is stored of a device is what the documentation says."""
    await devices.save_hierarchy(ANNA, Hierarchy(1, ("X",)), {"": "0.e1"})
    await devices.save_provision(ANNA, PolicyKeys(temporary=5), {"Model": "m"})
    await devices.settle(seen=[Seen(ANNA, (("INBOX", "4.e1"),))])
    await cache(devices, ANNA, heartbeat=600, folders=folders_to_text(FOLDERS))

    record = await record_of(redis, ANNA)
    fixed = {b"gen": b"1", b"at": b"w1", b"heartbeat": b"600", b"temporary": b"5"}
    assert fixed.items() <= record.items()
    assert orjson.loads(record[b"hierarchy"]) == {"key": 1, "listed": ["X"], "before": []}
    assert orjson.loads(record[b"info"]) == {"Model": "m"}
    assert (record[b"c:"], record[b"c:INBOX"]) == (b"0.e1", b"4.e1")


async def test_devices_are_apart(devices: Devices) -> None:
    """Readings of one round trip come back in order, each with its own facts."""
    await devices.save_hierarchy(BERT, Hierarchy(1), {"": "0.e1"})
    await cache(devices, BERT, heartbeat=700)

    questions = (Read(ANNA, FIELDS), Read(BERT, ()), Read(ANNA, ("5",)))
    anna, bert, again = await read_all(devices, *questions)

    assert [None, 700, None] == [one.known.heartbeat for one in (anna, bert, again)]
    assert [1, 2, 2] == [one.generation for one in (anna, bert, again)]
    assert [4, 0, 1] == [len(one.sequences) for one in (anna, bert, again)]


async def test_parameters_are_for_later_pings(devices: Devices) -> None:
    """What a Ping leaves is not known to itself, but to the next one."""
    question = Read(ANNA, (), ("heartbeat", 600))
    first, second = await read_all(devices, question, question)

    assert (None, 600) == (first.known.heartbeat, second.known.heartbeat)


async def test_receipt_is_written_first(devices: Devices) -> None:
    """The cursor that a Ping brings along counts for that Ping already."""
    reading = await read(devices, seen=Seen(ANNA, (("INBOX", "4.e1"),)))

    assert (None, None, None, b"4.e1") == reading.marks


async def test_receipts_advance_cursors(devices: Devices) -> None:
    """Settled receipts are what the next Ping is compared with."""
    await devices.settle(seen=[Seen(ANNA, (("5", "1.e1"), ("INBOX", "4.e1")))])

    assert (None, b"1.e1", None, b"4.e1") == (await read(devices)).marks


async def test_worker_before_is_told(redis: Redis, devices: Devices) -> None:
    """Generations are counted over all workers; who had the Ping before is named once."""
    other = Devices(redis, "w2")
    readings = [await read(one) for one in (devices, devices, other, other, devices)]

    assert [1, 2, 3, 4, 5] == [one.generation for one in readings]
    assert [None, None, b"w1", None, b"w2"] == [one.before for one in readings]


async def test_superseded_device_is_published(redis: Redis, devices: Devices) -> None:
    """All workers of the mailbox are told which Ping is the newest."""
    async with redis.pubsub() as listener:
        await listener.subscribe(channel("anna"))
        await listener.get_message(timeout=2)
        await devices.settle(superseded=[(ANNA, 7)])
        message = await listener.get_message(timeout=2)

    assert message is not None
    assert parse_newer_ping(message["data"]) == ("D1", 7)


async def test_new_partnership_begins_anew(redis: Redis, devices: Devices) -> None:
    """A new partnership drops older cursors and Ping parameters, not what else is known."""
    await devices.save_provision(ANNA, PolicyKeys(permanent=5), None)
    await devices.settle(seen=[Seen(ANNA, (("Old", "9.e0"), ("", "3.e0")))])
    await cache(devices, ANNA, heartbeat=600, folders=folders_to_text(FOLDERS))
    _, fields = await devices.hierarchy(ANNA)
    await devices.save_hierarchy(ANNA, Hierarchy(1), {"": "0.e1"}, Fresh("e1", fields))

    names = {b"temporary", b"permanent", b"hierarchy", b"base", b"c:", b"gen", b"at"}
    assert names == set(await record_of(redis, ANNA))


async def test_later_foldersync_keeps_what_is_known(devices: Devices) -> None:
    """A FolderSync of a partnership adds cursors and changes nothing else."""
    await devices.save_hierarchy(ANNA, Hierarchy(1), {"": "0.e1", "5": "1.e1"})
    await cache(devices, ANNA, heartbeat=600)
    await devices.save_hierarchy(ANNA, Hierarchy(2), {"": "2.e1"})

    reading = await read(devices)
    assert reading.known.heartbeat == 600
    assert (b"2.e1", b"1.e1") == reading.marks[:2]


async def test_hierarchy_is_read_back(devices: Devices) -> None:
    """The FolderSync state is what was saved, and comes with the names of all fields."""
    hierarchy = Hierarchy(2, ("A", "Bücher"), ("A",))
    assert await devices.hierarchy(ANNA) == (None, ())

    await devices.save_hierarchy(ANNA, hierarchy, {"": "0.e1"})
    actual, fields = await devices.hierarchy(ANNA)

    assert (hierarchy, {b"hierarchy", b"c:"}) == (actual, set(fields))


@pytest.mark.parametrize(
    "keys", [PolicyKeys(), PolicyKeys(temporary=5), PolicyKeys(permanent=2**32 - 1)]
)
async def test_policy_keys_are_read_back(devices: Devices, keys: PolicyKeys) -> None:
    """Policy keys are what was saved last, also when that was none."""
    await devices.save_provision(ANNA, PolicyKeys(temporary=1, permanent=2), None)
    await devices.save_provision(ANNA, keys, None)

    assert keys == await devices.policy_keys(ANNA)


async def test_information_is_replaced(redis: Redis, devices: Devices) -> None:
    """What a device says of itself replaces what it said before."""
    await devices.save_information(ANNA, {"Model": "m", "OS": "o"})
    await devices.save_information(ANNA, {"OS": "ö"})

    assert orjson.loads((await record_of(redis, ANNA))[b"info"]) == {"OS": "ö"}


async def test_nothing_to_settle_is_no_round_trip(nowhere: str) -> None:
    """An empty batch does not need Redis."""
    async with Redis.from_url(nowhere) as away:
        await Devices(away, "w1").settle()


async def test_absent_redis_is_an_error(nowhere: str) -> None:
    """A Redis that is away raises the one error, which says how it is answered."""
    async with Redis.from_url(nowhere) as away:
        with pytest.raises(DevicesError) as caught:
            await read(Devices(away, "w1"))

    assert (caught.value.http_status, caught.value.retry_after) == (503, 5)


async def test_silent_redis_is_an_error(redis: Redis, valkey_url: str) -> None:
    """A Redis that does not answer in time raises the same error."""
    async with Redis.from_url(valkey_url) as other:
        await other.client_pause(200)
        with pytest.raises(DevicesError):
            await read(Devices(redis, "w1", timeout=0.02))
        await other.client_unpause()


async def test_refused_command_is_an_error(redis: Redis, devices: Devices) -> None:
    """A record that is no record raises the same error, and nothing of the key's content."""
    await redis.set(ANNA.key, "secret")

    with pytest.raises(DevicesError, match="WRONGTYPE") as caught:
        await devices.hierarchy(ANNA)

    assert "secret" not in str(caught.value)


async def test_unreadable_record_costs_others_nothing(redis: Redis, devices: Devices) -> None:
    """Records that are none are told as such, and others of the same trip are read."""
    await redis.set(ANNA.key, "x")
    broken = Device("broken", "D1")
    await redis.hset(broken.key, "folders", "no JSON")

    anna, bert, third = await devices.read_many(
        [Read(ANNA, FIELDS), Read(BERT, FIELDS), Read(broken, FIELDS)]
    )

    assert (None, None) == (anna, third)
    assert bert is not None
    assert bert.generation == 1


async def test_redis_that_does_not_write_is_an_error(redis: Redis, devices: Devices) -> None:
    """A Redis that refuses to write, for now, is away: no record is to blame."""
    await redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(DevicesError):
            await read(devices)
    finally:
        await redis.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("stored", ["text", "hash"])
async def test_unusable_numbers_cost_others_nothing(
    redis: Redis, devices: Devices, stored: str
) -> None:
    """A mailbox whose numbers are none reads as empty, and others of the same trip are read."""
    if stored == "text":
        await redis.set(sequence_key("anna"), "x")
    else:
        await redis.hset(sequence_key("anna"), "INBOX", "x")
    await Ledger(redis).record([Change("bert", "INBOX")], 0.0)

    anna, bert = await read_all(devices, Read(ANNA, FIELDS), Read(BERT, FIELDS))

    assert ((0, 0, 0, 0), (0, 0, 0, 1)) == (anna.sequences, bert.sequences)


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126)), st.integers(0, 2**53))
def test_newer_ping_is_read_back(device: str, generation: int) -> None:
    """The message of a newer Ping says which device and which number."""
    assert parse_newer_ping(newer_ping(device, generation)) == (device, generation)


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"look", b'{"f":"INBOX","s":1}', b'{"d":', b'{"d":"D1"}', b'{"d":"D1","g":null}'),
        *(b'{"d":"D1","g":"x"}', b'{"d":[1],"g":[2]}', b'{"d":1,"g":1', b'{"d":"\xff","g":1}'),
    ],
)
def test_other_messages_are_not_of_a_newer_ping(payload: bytes) -> None:
    """Anything else on the channel is left to others, whatever it is."""
    assert parse_newer_ping(payload) is None


@given(st.binary(max_size=40))
def test_any_message_is_read(rest: bytes) -> None:
    """Nothing that begins like such a message makes the reader fail."""
    found = parse_newer_ping(b'{"d":' + rest)

    assert found is None or isinstance(found[1], int)
