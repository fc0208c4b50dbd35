"""Nothing is lost, in bad times: dropped subscriptions, a restarted Valkey, a killed worker."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from notifier.publisher import Publisher, PublishError
from tests.integration.gateway import until
from tests.integration.phone import Identity, Phone

if TYPE_CHECKING:
    from tests.integration.conftest import Dial, Hold, StartGateway, StartValkey
    from tests.integration.gateway import Gateway, Valkey

ROUNDS = 6
"""Each costs a reconnect, whose pause grows while connections do not live."""
PHONES = 20


async def synchronised(gateway: Gateway, dial: Dial, count: int) -> list[Phone]:
    phones = [dial(gateway, Identity(f"many{number}")) for number in range(count)]
    for one in phones:
        await one.synchronise()
    return phones


async def publish_when_back(publisher: Publisher, user: str, folder: str) -> None:
    """Publish as a backend does: again until it is recorded."""
    for _ in range(200):
        try:
            await publisher.publish(user, folder)
        except PublishError:
            await asyncio.sleep(0.05)
        else:
            return
    pytest.fail("not recorded within 10 s")


async def test_changes_while_the_subscription_is_killed(
    start_valkey: StartValkey, start_gateway: StartGateway, dial: Dial, hold: Hold
) -> None:
    """Changes around the loss of the workers' subscriptions are all told, whatever the order."""
    seed = random.randrange(1_000_000)
    print("seed", seed)  # noqa: T201 (shown when the test fails)
    dice = random.Random(seed)
    valkey = start_valkey()
    gateway = start_gateway(valkey.url, server__workers="2")
    phones = await synchronised(gateway, dial, PHONES)
    folders = ("5", "1", "2")

    told = []
    with valkey.client() as store:
        async with Publisher.from_url(valkey.url) as publisher:
            for _ in range(ROUNDS):
                for one in phones:
                    await hold(one, *folders, store=store)
                changed = [dice.choice(folders) for _ in phones]
                kill_at = dice.randrange(PHONES + 1)
                for number, (one, folder) in enumerate(zip(phones, changed, strict=True)):
                    if number == kill_at:
                        store.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                    await publisher.publish(one.who.user, folder)
                if kill_at == PHONES:
                    store.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                answers = await asyncio.gather(*(one.receive(within=20.0) for one in phones))
                told.append(
                    [(2, (one,)) for one in changed] == [(a.status, a.folders) for a in answers]
                )

    assert [True] * ROUNDS == told


async def held_over_restart(valkey: Valkey, phone: Phone, user: str) -> None:
    """Restart Valkey under a held Ping, with a change published as soon as it is back."""
    valkey.kill()
    valkey.start()
    async with Publisher.from_url(valkey.url) as publisher:
        await publish_when_back(publisher, user, "5")


async def next_news(phone: Phone) -> tuple[int, tuple[str, ...]]:
    """Ping like a phone, with a FolderSync where one is asked for, until folders are named."""
    answer = await phone.receive(within=20.0)
    if answer.status == 7:
        if (await phone.synchronise("1")).status != 1:
            # A phone that begins anew synchronises every folder: nothing is left to be told.
            assert 1 == (await phone.synchronise("0")).status
            return 7, ()
        await phone.ping("5")
        answer = await phone.receive()
    return answer.status, answer.folders


async def test_valkey_restarts_without_its_data(
    start_valkey: StartValkey, start_gateway: StartGateway, dial: Dial, hold: Hold, user: str
) -> None:
    """When Valkey comes back empty, a held phone is told to begin anew."""
    valkey = start_valkey()
    phone = dial(start_gateway(valkey.url), Identity(user))
    await phone.synchronise()
    with valkey.client() as store:
        await hold(phone, "5", store=store)

    await held_over_restart(valkey, phone, user)

    assert (7, ()) == await next_news(phone)


async def test_valkey_restarts_with_its_data(
    start_valkey: StartValkey, start_gateway: StartGateway, dial: Dial, hold: Hold, user: str
) -> None:
    """When Valkey comes back with its data, a change published meanwhile is told."""
    valkey = start_valkey(keeps_data=True)
    phone = dial(start_gateway(valkey.url), Identity(user))
    await phone.synchronise()
    with valkey.client() as store:
        await hold(phone, "5", store=store)

    await held_over_restart(valkey, phone, user)

    assert (2, ("5",)) == await next_news(phone)


async def test_valkey_is_away_for_a_while(
    start_valkey: StartValkey, start_gateway: StartGateway, dial: Dial, user: str
) -> None:
    """A Ping that came while Valkey was away waits, and is told when it is back."""
    valkey = start_valkey(keeps_data=True)
    gateway = start_gateway(valkey.url)
    phone = dial(gateway, Identity(user))
    await phone.synchronise()
    valkey.kill()
    await until(lambda: gateway.ask("/readyz").http_status == 503)
    await phone.ping("5")
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.5)

    valkey.start()
    async with Publisher.from_url(valkey.url) as publisher:
        await publish_when_back(publisher, user, "5")

    assert (2, ("5",)) == await next_news(phone)


async def test_command_while_valkey_is_away(
    start_valkey: StartValkey, start_gateway: StartGateway, dial: Dial, user: str
) -> None:
    """A FolderSync while Valkey is away is answered 503 with Retry-After, never 500."""
    valkey = start_valkey()
    phone = dial(start_gateway(valkey.url), Identity(user))
    valkey.kill()

    answer = await phone.synchronise()

    assert (503, "5") == (answer.http_status, answer.headers["retry-after"])


@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
async def test_worker_is_killed(
    is_first: bool,  # noqa: FBT001 (a parameter of pytest)
    start_gateway: StartGateway,
    start_valkey: StartValkey,
    dial: Dial,
    hold: Hold,
    user: str,
) -> None:
    """A change around the death of the worker that held the phone is told when it comes again."""
    valkey = start_valkey()
    gateway = start_gateway(valkey.url)
    phone = dial(gateway, Identity(user))
    await phone.synchronise()
    with valkey.client() as store:
        await hold(phone, "5", store=store)
    worker = gateway.workers()["worker-0"]

    async with Publisher.from_url(valkey.url) as publisher:
        if is_first:
            # Stopped, it cannot tell of the change any more.
            os.kill(worker, signal.SIGSTOP)
            await publisher.publish(user, "5")
        os.kill(worker, signal.SIGKILL)
        assert await phone.ended()
        if not is_first:
            await publisher.publish(user, "5")
    await phone.connect()
    await phone.ping("5")
    answer = await phone.receive(within=20.0)

    assert (2, ("5",)) == (answer.status, answer.folders)
