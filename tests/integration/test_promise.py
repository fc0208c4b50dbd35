"""Nothing is lost, in quiet times: a change is in the phone's next answer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.phone import Identity, added

if TYPE_CHECKING:
    from redis import Redis

    from notifier.publisher import Publisher
    from tests.integration.conftest import Dial, Hold
    from tests.integration.gateway import Gateway
    from tests.integration.phone import Phone


async def between_ticks() -> None:
    """Return when the gateway's next look at receipts, at each full second, is not near."""
    while not 0.1 < time.monotonic() % 1.0 < 0.3:  # noqa: ASYNC110 (the clock has no event)
        await asyncio.sleep(0.02)


async def test_change_while_held(phone: Phone, hold: Hold, publisher: Publisher) -> None:
    """A change in a watched folder answers the held Ping and names that folder."""
    await hold(phone, "5", "1")

    await publisher.publish(phone.who.user, "INBOX")
    answer = await phone.receive()

    assert (2, ("5",)) == (answer.status, answer.folders)


async def test_answer_spells_folders_as_the_phone(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """Folders are told in the phone's spelling, however their publisher names them."""
    await hold(phone, "Projekte/Grün", "5", "1")
    await publisher.publish(phone.who.user, "Projekte/Grün", class_="Email")
    first = await phone.receive()

    await publisher.publish(phone.who.user, "Inbox")
    await publisher.publish(phone.who.user, "Calendar")
    await phone.ping()
    second = await phone.receive()

    assert (("Projekte/Grün",), ("5", "1")) == (first.folders, second.folders)


async def test_change_between_two_pings(phone: Phone, hold: Hold, publisher: Publisher) -> None:
    """A change that came when no Ping was held is told at once to the next one."""
    await hold(phone, "5", "1")
    await publisher.publish(phone.who.user, "5")
    await phone.receive()

    await publisher.publish(phone.who.user, "1")
    await phone.ping()
    answer = await phone.receive()

    assert (2, ("1",)) == (answer.status, answer.folders)


async def test_change_before_the_first_ping(phone: Phone, publisher: Publisher) -> None:
    """A change that came after the FolderSync is told at once to the first Ping."""
    await publisher.publish(phone.who.user, "5")

    await phone.ping("5")
    answer = await phone.receive()

    assert (2, ("5",)) == (answer.status, answer.folders)


async def test_every_change_of_a_quick_series_is_told(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """After a burst of changes the phone has been told of every folder that changed."""
    folders = [str(number) for number in range(1, 10)]
    await hold(phone, *folders)
    told: set[str] = set()

    burst = asyncio.gather(*(publisher.publish(phone.who.user, one) for one in folders))
    while told != set(folders):
        told.update((await phone.receive()).folders)
        await phone.ping()
    await burst

    assert set(folders) == told


@pytest.mark.parametrize("payload", ['{"f":"5"}', "", "look", '{"f":"5","s":"one"}'])
async def test_hint_without_a_number(payload: str, phone: Phone, hold: Hold, store: Redis) -> None:
    """A change published without its sequence number, or with any other payload, wakes too."""
    await hold(phone, "5")
    channel = f"pushgw:{{{phone.who.user}}}"

    with store.pipeline(transaction=True) as change:
        change.hincrby(f"{channel}:seq", "5", 1)
        change.publish(channel, payload)
        change.execute()
    answer = await phone.receive()

    assert (2, ("5",)) == (answer.status, answer.folders)


async def test_unwatched_folder_does_not_wake(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """A change in a folder that the phone does not watch leaves its Ping held."""
    await hold(phone, "5")

    await publisher.publish(phone.who.user, "1")
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)


async def test_hint_without_a_change_does_not_wake(phone: Phone, hold: Hold, store: Redis) -> None:
    """A hint that no recorded change stands behind leaves the Ping held."""
    await hold(phone, "5")

    store.publish(f"pushgw:{{{phone.who.user}}}", '{"f":"5"}')
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)


async def test_changed_hierarchy_asks_for_a_folder_sync(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """A change of the hierarchy answers the held Ping with status 7."""
    await hold(phone, "5")

    await publisher.publish(phone.who.user, "")
    answer = await phone.receive()

    assert 7 == answer.status


async def test_folder_sync_ends_the_change_of_the_hierarchy(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """After the FolderSync that status 7 asked for, the Ping is held again."""
    await publisher.publish(phone.who.user, "")
    await phone.ping("5")
    assert 7 == (await phone.receive()).status

    await phone.synchronise("1")
    await hold(phone, "5")
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)


async def test_changed_hierarchy_is_told_until_the_folder_sync(
    phone: Phone, publisher: Publisher
) -> None:
    """A phone that pings again without FolderSync gets status 7 again."""
    await publisher.publish(phone.who.user, "")
    await phone.ping("5")
    await phone.receive()

    await phone.ping("5")

    assert 7 == (await phone.receive()).status


async def test_repeated_folder_sync_does_not_hide_a_later_folder(
    phone: Phone, publisher: Publisher
) -> None:
    """A FolderSync repeated because its answer was lost does not cover a folder created since."""
    await publisher.publish(phone.who.user, "Projects")
    assert ["Projects"] == [name for _, name, _ in added(await phone.synchronise("1"))]
    await publisher.publish(phone.who.user, "Plans")
    await publisher.publish(phone.who.user, "")
    assert ["Projects"] == [name for _, name, _ in added(await phone.synchronise("1"))]

    await phone.ping("5")

    assert 7 == (await phone.receive()).status


async def test_refused_folder_sync_does_not_cover_the_change(
    phone: Phone, publisher: Publisher
) -> None:
    """A FolderSync with a wrong key, answered with status 9, leaves the hierarchy changed."""
    await publisher.publish(phone.who.user, "")
    assert 9 == (await phone.synchronise("77")).status

    await phone.ping("5")

    assert 7 == (await phone.receive()).status


async def test_lost_answer_is_repeated(phone: Phone, hold: Hold, publisher: Publisher) -> None:
    """A change whose answer the phone broke off is told again at its next Ping."""
    await hold(phone, "5")
    await between_ticks()
    assert phone.writer is not None
    phone.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is one of a stream
    await publisher.publish(phone.who.user, "5")
    await asyncio.sleep(0.05)

    await phone.reset()
    await phone.ping()
    answer = await phone.receive()

    assert (2, ("5",)) == (answer.status, answer.folders)


async def test_answer_read_and_closed_cleanly_is_not_repeated(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """A change whose answer was read on a connection closed in order is not told again."""
    await hold(phone, "5")
    await publisher.publish(phone.who.user, "5")
    assert 2 == (await phone.receive()).status
    await phone.close()

    await phone.ping()
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)


async def test_answer_read_on_an_open_connection_is_not_repeated(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """The next Ping on the same connection is the receipt of the answer before it."""
    await hold(phone, "5")
    await publisher.publish(phone.who.user, "5")
    assert 2 == (await phone.receive()).status

    await phone.ping()
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)


async def test_phones_of_one_mailbox_are_all_told(
    gateway: Gateway, user: str, dial: Dial, hold: Hold, publisher: Publisher
) -> None:
    """A change reaches every device of the mailbox, each by its own list of folders."""
    phones = [dial(gateway, Identity(user, device)) for device in ("FIRST", "SECOND", "THIRD")]
    for one in phones:
        await one.synchronise()
        await hold(one, "1", "5")

    await publisher.publish(user.upper(), "5")
    answers = [await one.receive() for one in phones]

    assert [("5",)] * 3 == [answer.folders for answer in answers]


async def test_another_mailbox_does_not_wake(
    phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """A change of somebody else's folder of the same name leaves the Ping held."""
    await hold(phone, "5")

    await publisher.publish(f"{phone.who.user}x", "5")
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)
