"""The life of the processes: stopping in order, dying, and what they count and log together."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.gateway import is_alive, until
from tests.integration.phone import Identity, Phone

if TYPE_CHECKING:
    from redis import Redis

    from notifier.publisher import Publisher
    from tests.integration.conftest import Dial, Hold, StartGateway
    from tests.integration.gateway import Gateway, Valkey

DRAIN = 2.0
"""Seconds over which the gateways here spread their answers when they stop."""


async def crowd(gateway: Gateway, dial: Dial, hold: Hold, name: str, count: int) -> list[Phone]:
    """Let phones wait, each of another mailbox."""
    phones = [dial(gateway, Identity(f"{name}n{number}")) for number in range(count)]
    await asyncio.gather(*(one.synchronise() for one in phones))
    await asyncio.gather(*(hold(one, "5") for one in phones))
    return phones


def below(pid: int) -> set[int]:
    """Return the process ids of a process and all its descendants."""
    found, left = set(), {pid}
    while left:
        one = left.pop()
        found.add(one)
        children = Path(f"/proc/{one}/task/{one}/children").read_text()
        left.update(map(int, children.split()))
    return found


async def test_stop_answers_all_held_pings(
    valkey: Valkey, start_gateway: StartGateway, dial: Dial, hold: Hold, user: str
) -> None:
    """SIGTERM ends every held Ping with status 1, spread over the drain, and then the server."""
    gateway = start_gateway(valkey.url, server__workers="2", server__drain_seconds=str(DRAIN))
    phones = await crowd(gateway, dial, hold, user, 60)
    await phones[0].connect()

    gateway.process.send_signal(signal.SIGTERM)
    began = time.monotonic()

    async def end_of(phone: Phone) -> tuple[int, float]:
        answer = await phone.receive(within=DRAIN + 5.0)
        at = time.monotonic() - began
        assert await phone.ended()
        await phone.close()
        return answer.status, at

    ends = await asyncio.gather(*map(end_of, phones[1:]))
    status = await asyncio.to_thread(gateway.process.wait, 20.0)

    assert ({1}, 0) == ({one for one, _ in ends}, status)
    assert max(at for _, at in ends) - min(at for _, at in ends) > DRAIN / 2


@pytest.mark.parametrize("redis_url", ["embedded", "external"])
async def test_stop_refuses_new_connections(
    redis_url: str,
    valkey: Valkey,
    start_gateway: StartGateway,
    dial: Dial,
    user: str,
) -> None:
    """After SIGTERM a new connection is refused at once, while held Pings still wait."""
    url = valkey.url if redis_url == "external" else redis_url
    gateway = start_gateway(url, server__drain_seconds="3")
    phones = [dial(gateway, Identity(f"{user}n{number}")) for number in range(30)]
    for one in phones:
        await one.synchronise()
        await one.ping("5")

    gateway.process.send_signal(signal.SIGTERM)
    await until(lambda: any(gateway.events("draining")))
    late = dial(gateway, Identity(user))

    with pytest.raises(ConnectionRefusedError):
        await late.connect()


async def test_stop_without_phones_is_quick(valkey: Valkey, start_gateway: StartGateway) -> None:
    """A server that holds nothing does not wait for its drain to pass."""
    gateway = start_gateway(valkey.url, server__drain_seconds="30")

    began = time.monotonic()
    status = await asyncio.to_thread(gateway.stop)

    assert 0 == status
    assert time.monotonic() - began < 8.0


async def test_nothing_is_left_after_a_stop(start_gateway: StartGateway) -> None:
    """An ordinary stop leaves no process, the embedded Redis included."""
    gateway = start_gateway("embedded")
    pids = below(gateway.process.pid)

    status = await asyncio.to_thread(gateway.stop)

    assert (0, []) == (status, [one for one in pids if is_alive(one)])
    assert 4 == len(pids)


@pytest.mark.parametrize("redis_url", ["embedded", "external"])
async def test_nothing_is_left_of_a_killed_supervisor(
    redis_url: str, valkey: Valkey, start_gateway: StartGateway, dial: Dial, user: str
) -> None:
    """When the supervisor is killed, all its processes end by themselves."""
    url = valkey.url if redis_url == "external" else redis_url
    gateway = start_gateway(url, server__workers="2")
    phone = dial(gateway, Identity(user))
    await phone.synchronise()
    await phone.ping("5")
    pids = below(gateway.process.pid)

    gateway.process.kill()
    gateway.process.wait()

    assert 1 == (await phone.receive(within=10.0)).status
    await phone.close()
    await until(lambda: not any(map(is_alive, pids)), within=15.0)


@pytest.mark.parametrize("role", ["worker-0", "worker-1", "admin"])
async def test_killed_process_is_started_again(
    role: str, valkey: Valkey, start_gateway: StartGateway, dial: Dial, user: str
) -> None:
    """A process that dies is replaced, and the server is ready and serving again."""
    gateway = start_gateway(valkey.url, server__workers="2")
    killed = gateway.workers()[role]

    os.kill(killed, signal.SIGKILL)
    await until(lambda: gateway.workers()[role] != killed)
    await until(lambda: gateway.ask("/readyz").http_status == 200)

    for number in range(8):
        phone = dial(gateway, Identity(user, f"PHONE{number}"))
        assert 1 == (await phone.synchronise()).status


async def test_killed_embedded_redis_is_started_again(
    start_gateway: StartGateway, dial: Dial, user: str
) -> None:
    """When the embedded Redis dies, a held phone is told to begin anew by its successor."""
    gateway = start_gateway("embedded")
    phone = dial(gateway, Identity(user))
    await phone.synchronise()
    await phone.ping("5")

    os.kill(gateway.workers()["valkey"], signal.SIGKILL)
    answer = await phone.receive(within=20.0)

    assert 7 == answer.status
    await until(lambda: gateway.ask("/readyz").http_status == 200)


async def test_metrics_add_up_the_workers(
    pair: Gateway, user: str, dial: Dial, hold: Hold, publisher: Publisher
) -> None:
    """One scrape counts the phones of all workers."""
    before = pair.metrics("pushgw_pings_total").get("2", 0.0)
    phones = await crowd(pair, dial, hold, user, 40)
    states = [pair.metric("pushgw_held_pings"), pair.metric("pushgw_connections")]
    for one in phones:
        await publisher.publish(one.who.user, "5")
        await one.receive()

    assert [40.0, 40.0] == states
    assert before + 40 == pair.metrics("pushgw_pings_total")["2"]
    assert 2 == pair.metrics("pushgw_workers")["serving"]


async def test_both_workers_hold_phones(
    pair: Gateway, user: str, dial: Dial, hold: Hold, store: Redis
) -> None:
    """The kernel spreads connections over the workers."""
    phones = await crowd(pair, dial, hold, user, 40)

    assert 2 == len({store.hget(one.who.key, "at") for one in phones})


async def test_log_has_one_event_for_each_request(
    gateway: Gateway, user: str, dial: Dial, hold: Hold, publisher: Publisher
) -> None:
    """Each request is logged once when it is answered, its user by a hash."""
    device = dial(gateway, Identity(user, f"LOG{user}".upper()))
    await device.synchronise()
    await hold(device, "5")
    await publisher.publish(user, "5")
    await device.receive()
    await device.ask("Sync")
    await device.ask("Ping", b"<Ping/>")

    def mine() -> list[tuple[str, int, int | None]]:
        return [
            (one["command"], one["code"], one["status"])
            for one in gateway.events("answered")
            if one["device"] == device.who.device
        ]

    expected = [
        ("FolderSync", 200, None),
        ("Ping", 200, 2),
        ("Sync", 501, None),
        ("Ping", 200, 102),
    ]
    await until(lambda: len(mine()) >= len(expected), within=5.0)
    assert expected == mine()
    assert user not in {one.get("user") for one in gateway.events()}


async def test_hang_ups_free_everything(
    gateway: Gateway, user: str, dial: Dial, hold: Hold
) -> None:
    """After 500 phones hung up, in order or not, no Ping and no connection is left."""
    phones = []
    for batch in range(5):
        phones += await crowd(gateway, dial, hold, f"{user}b{batch}", 100)
    assert 500 == gateway.metric("pushgw_held_pings")

    for number, one in enumerate(phones):
        await (one.close() if number % 2 else one.reset())

    await until(lambda: gateway.metric("pushgw_held_pings") == 0, within=10.0)
    await until(lambda: gateway.metric("pushgw_connections") == 0, within=10.0)


async def test_half_sent_requests_are_freed(gateway: Gateway, user: str, dial: Dial) -> None:
    """Phones that hang up in the middle of a request leave nothing behind."""
    for number in range(40):
        phone = dial(gateway, Identity(user))
        data = phone.request("SendMail", bytes(100_000))
        await phone.send(data[: 50 + number * 2_000])
        await phone.reset()

    await until(lambda: gateway.metric("pushgw_connections") == 0, within=10.0)
