"""The Ping command from end to end: its statuses, and what is remembered of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.gateway import until
from tests.integration.phone import EARLY, Identity, Phone, ping

if TYPE_CHECKING:
    from redis import Redis

    from notifier.publisher import Publisher
    from tests.integration.conftest import Dial, Hold
    from tests.integration.gateway import Gateway

FOLDERS = ("1", "2", "3", "5")


async def seconds_held(phone: Phone, heartbeat: int) -> float:
    """Ping, read the answer with status 1, and tell how long it took."""
    began = time.monotonic()
    await phone.ping("5", heartbeat=heartbeat)
    assert 1 == (await phone.receive(within=heartbeat + 1.0)).status
    return time.monotonic() - began


async def test_heartbeat_ends_in_time(gateway: Gateway, user: str, dial: Dial) -> None:
    """A Ping without news is answered with status 1, at most 2 s early and never late."""
    heartbeats = [2, 3, 4, 5]
    phones = [dial(gateway, Identity(user, f"PHONE{one}")) for one in heartbeats]
    for one in phones:
        await one.synchronise()

    held = await asyncio.gather(*map(seconds_held, phones, heartbeats))

    early = [heartbeat - one for heartbeat, one in zip(heartbeats, held, strict=True)]
    assert all(0 <= one <= EARLY for one in early), early


async def test_heartbeat_begins_anew(phone: Phone) -> None:
    """Intervals one after the other on one connection each end in time."""
    early = [2 - await seconds_held(phone, 2) for _ in range(3)]

    assert all(0 <= one <= EARLY for one in early), early


@pytest.mark.parametrize(
    "body", [b"", ping(heartbeat=60), ping("5", heartbeat=None)], ids=["empty", "beat", "folders"]
)
async def test_nothing_to_complete_it_from(phone: Phone, body: bytes) -> None:
    """A device's first Ping that lacks heartbeat or folders is answered with status 3."""
    assert 3 == (await phone.ask("Ping", body)).status


@pytest.mark.parametrize(("heartbeat", "allowed"), [(0, "1"), (-5, "1"), (3541, "3540")])
async def test_heartbeat_out_of_range(phone: Phone, heartbeat: int, allowed: str) -> None:
    """A heartbeat outside the bounds is answered with status 5 and the nearest allowed one."""
    answer = await phone.ask("Ping", ping("5", heartbeat=heartbeat))

    assert (5, allowed) == (answer.status, answer.text("HeartbeatInterval"))


async def test_refused_heartbeat_is_not_remembered(phone: Phone, hold: Hold) -> None:
    """A heartbeat that was refused does not replace the one of the last good Ping."""
    await hold(phone, "5", heartbeat=60)
    assert 1 == (await phone.ask("Ping", ping("5", heartbeat=4000))).status

    refused = await phone.receive()
    await hold(phone, heartbeat=None)

    assert 5 == refused.status
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)


async def test_too_many_folders(pair: Gateway, user: str, dial: Dial) -> None:
    """More folders than allowed are answered with status 6 and their number."""
    phone = dial(pair, Identity(user))
    await phone.synchronise()

    answer = await phone.ask("Ping", ping(*FOLDERS))

    assert (6, "3") == (answer.status, answer.text("MaxFolders"))


async def test_device_without_folder_sync(gateway: Gateway, user: str, dial: Dial) -> None:
    """A device that never synchronised its folders is answered with status 7."""
    phone = dial(gateway, Identity(user))

    assert 7 == (await phone.ask("Ping", ping("5"))).status


async def test_device_without_folder_sync_leaves_nothing(
    gateway: Gateway, user: str, dial: Dial, store: Redis
) -> None:
    """A device that never synchronised its folders takes no room in Redis."""
    phone = dial(gateway, Identity(user))

    assert 7 == (await phone.ask("Ping", ping("5"))).status

    # What was counted is taken back a round trip after the answer.
    await until(lambda: not store.exists(phone.who.key), within=5.0)


@pytest.mark.parametrize(
    "body",
    [b"", ping(heartbeat=30), ping("5", "1", heartbeat=None)],
    ids=["nothing", "heartbeat", "folders"],
)
async def test_ping_is_completed_from_the_last_one(
    body: bytes,
    pair: Gateway,
    user: str,
    dial: Dial,
    hold: Hold,
    publisher: Publisher,
) -> None:
    """What a Ping leaves out is as last time, on any connection and worker."""
    first = dial(pair, Identity(user))
    await first.synchronise()
    await hold(first, "5", "1", heartbeat=60)
    for _ in range(4):
        latest = dial(pair, Identity(user))
        await latest.send(latest.request("Ping", body))
        assert 1 == (await first.receive()).status
        first = latest

    await publisher.publish(user, "1")
    answer = await first.receive()

    assert (2, ("1",)) == (answer.status, answer.folders)


async def test_cached_heartbeat_counts(phone: Phone, publisher: Publisher, hold: Hold) -> None:
    """A Ping without a body waits as long as the last one that named a heartbeat."""
    await hold(phone, "5", heartbeat=3)
    await publisher.publish(phone.who.user, "5")
    assert 2 == (await phone.receive()).status

    began = time.monotonic()
    await phone.ping(heartbeat=None)
    assert 1 == (await phone.receive()).status

    assert 1.0 <= time.monotonic() - began <= 3.0


async def test_sent_folders_replace_the_cached_ones(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """A new list of folders is not merged with the one before it."""
    await hold(phone, "5")
    await phone.close()
    await hold(phone, "1")
    await phone.close()
    await publisher.publish(phone.who.user, "5")

    await hold(phone, heartbeat=None)

    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)


async def test_new_partnership_drops_what_was_cached(phone: Phone, hold: Hold) -> None:
    """After a FolderSync that begins anew there is nothing to complete a Ping from."""
    await hold(phone, "5")
    await phone.close()
    await phone.synchronise("0")

    assert 3 == (await phone.ask("Ping")).status


async def test_newer_ping_on_another_connection(
    gateway: Gateway, phone: Phone, dial: Dial, hold: Hold, publisher: Publisher
) -> None:
    """A newer Ping ends the device's older one with status 1 and gets the news itself."""
    newer = dial(gateway, phone.who)
    await hold(phone, "5")

    await hold(newer, "5")
    ended = await phone.receive()
    await publisher.publish(phone.who.user, "5")

    assert (1, 2) == (ended.status, (await newer.receive()).status)


async def test_newer_ping_on_another_worker(
    pair: Gateway, user: str, dial: Dial, hold: Hold, store: Redis
) -> None:
    """A newer Ping that another worker takes ends the device's older one with status 1."""
    older = dial(pair, Identity(user))
    await older.synchronise()
    await hold(older, "5")
    first = store.hget(older.who.key, "at")

    # The kernel chooses the worker: connections are tried until one is at the other.
    for _ in range(40):
        newer = dial(pair, older.who)
        await hold(newer, "5")
        assert 1 == (await older.receive()).status
        if store.hget(older.who.key, "at") != first:
            break
        # Once more than three times in a row would look like a loop, which is braked.
        await older.close()
        older = newer
        await asyncio.sleep(0)
    else:
        pytest.fail("no connection reached the other worker")


async def test_newer_ping_on_another_node(
    gateway: Gateway, pair: Gateway, user: str, dial: Dial, hold: Hold
) -> None:
    """A newer Ping at another node ends the device's older one with status 1."""
    older, newer = dial(gateway, Identity(user)), dial(pair, Identity(user))
    await older.synchronise()
    await hold(older, "5")

    await hold(newer, "5")

    assert 1 == (await older.receive()).status


async def test_device_id_is_compared_without_case(
    gateway: Gateway, phone: Phone, dial: Dial, hold: Hold
) -> None:
    """A device that spells its id in other letters is the same one."""
    newer = dial(gateway, Identity(phone.who.user, phone.who.device.lower()))
    await hold(phone, "5")

    await hold(newer, "5")

    assert 1 == (await phone.receive()).status


async def test_other_devices_ping_stays(
    gateway: Gateway, phone: Phone, dial: Dial, hold: Hold
) -> None:
    """A Ping of the same user's other device ends nothing."""
    other = dial(gateway, Identity(phone.who.user, "OTHER"))
    await other.synchronise()
    await hold(phone, "5")

    await hold(other, "5")

    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)


async def test_endless_repetition_is_braked(phone: Phone) -> None:
    """A device that repeats what is refused at once is made to wait from the fourth time on."""
    began = time.monotonic()
    for _ in range(3):
        assert 3 == (await phone.ask("Ping")).status
    free = time.monotonic() - began

    assert 3 == (await phone.ask("Ping")).status

    assert free < 1.0 <= time.monotonic() - began
