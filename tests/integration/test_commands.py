"""The commands besides Ping that the gateway answers by itself."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING

import pytest

from pushgw.eas.folders import STANDARD
from pushgw.wbxml import Element, decode, element, encode
from tests.integration.phone import PATH, Identity, Phone, added, folder_sync, ping

if TYPE_CHECKING:
    from redis import Redis

    from notifier.publisher import Publisher
    from tests.integration.conftest import Dial, Hold
    from tests.integration.gateway import Gateway

POLICY_TYPE = "MS-EAS-Provisioning-WBXML"


def information(model: str) -> Element:
    """Build the element with which a device describes itself."""
    described = element("Settings", "Set", element("Settings", "Model", model))
    return element("Settings", "DeviceInformation", described)


def provision(key: str = "", status: str = "", model: str = "") -> bytes:
    """Write a Provision request: with a key that of the second phase."""
    policy = element(
        "Provision",
        "Policy",
        element("Provision", "PolicyType", POLICY_TYPE),
        element("Provision", "PolicyKey", key) if key else None,
        element("Provision", "Status", status) if status else None,
    )
    policies = element("Provision", "Policies", policy)
    own = information(model) if model else None
    return encode(element("Provision", "Provision", own, policies))


def policy_of(body: bytes) -> dict[str, str]:
    """Read the texts of the policy in a Provision answer."""
    policies = decode(body).find("Policies")
    policy = policies and policies.find("Policy")
    assert policy is not None
    return {one.name: one.text for one in policy.children}


async def test_options(phone: Phone) -> None:
    """OPTIONS tells the versions and the commands that are served, and keeps the connection."""
    asked = phone.request("", query="", line="OPTIONS {} HTTP/1.1")
    await phone.send(asked)
    await phone.receive()
    await phone.send(asked)
    answer = await phone.receive()

    assert (
        200,
        "2.5,12.0,12.1,14.0,14.1,16.0,16.1",
        "FolderSync,Settings,Ping,Provision",
        "OPTIONS, POST",
    ) == (
        answer.http_status,
        answer.headers["ms-asprotocolversions"],
        answer.headers["ms-asprotocolcommands"],
        answer.headers["allow"],
    )


async def test_options_with_a_query(phone: Phone) -> None:
    """OPTIONS may carry the query that some phones add."""
    await phone.send(phone.request("", query="User=x&DeviceId=Y", line="OPTIONS {} HTTP/1.1"))

    assert 200 == (await phone.receive()).http_status


async def test_provision_in_two_phases(
    gateway: Gateway, user: str, dial: Dial, store: Redis
) -> None:
    """A device fetches the policy with one key and acknowledges it for another, which is kept."""
    phone = dial(gateway, Identity(user))
    offer = policy_of((await phone.ask("Provision", provision(model="Testphone"))).body)

    final = policy_of((await phone.ask("Provision", provision(offer["PolicyKey"], "1"))).body)

    assert ("1", "1") == (offer["Status"], final["Status"])
    assert "Data" in offer
    assert "Data" not in final
    assert len({"0", offer["PolicyKey"], final["PolicyKey"]}) == 3
    assert final["PolicyKey"] == store.hget(phone.who.key, "permanent")


async def test_provision_with_a_wrong_key(gateway: Gateway, user: str, dial: Dial) -> None:
    """An acknowledgement with another key than the one that was given is refused."""
    phone = dial(gateway, Identity(user))
    await phone.ask("Provision", provision(model="Testphone"))

    answer = await phone.ask("Provision", provision("1234", "1"))

    assert "5" == policy_of(answer.body)["Status"]


async def test_provision_without_device_information(
    gateway: Gateway, user: str, dial: Dial
) -> None:
    """From 14.1 on a device that does not describe itself is asked to, with status 165."""
    phone = dial(gateway, Identity(user))

    assert 165 == (await phone.ask("Provision", provision())).status


async def test_settings_keep_device_information(phone: Phone, store: Redis) -> None:
    """What a device says of itself is kept."""
    answer = await phone.ask("Settings", encode(element("Settings", "Settings", information("M1"))))

    kept = store.hget(phone.who.key, "info")
    assert (1, {"Model": "M1"}) == (answer.status, json.loads(str(kept)))


async def test_first_folder_sync(gateway: Gateway, user: str, dial: Dial) -> None:
    """The first FolderSync lists the standard folders."""
    answer = await dial(gateway, Identity(user)).synchronise()

    standard = [(one.server_id, one.name, str(one.type)) for one in STANDARD]
    assert (1, "1", standard) == (answer.status, answer.text("SyncKey"), added(answer))


async def test_folder_sync_without_news(phone: Phone) -> None:
    """A FolderSync with the current key lists nothing and keeps the key."""
    answer = await phone.synchronise("1")

    assert (1, "1", []) == (answer.status, answer.text("SyncKey"), added(answer))


async def test_folder_sync_lists_a_new_folder(phone: Phone, publisher: Publisher) -> None:
    """A folder for which a change was recorded is listed under a new key, once."""
    await publisher.publish(phone.who.user, "Team/Dates", class_="Calendar")

    answer = await phone.synchronise("1")
    again = await phone.synchronise("2")

    assert ("2", [("Team/Dates", "Team/Dates", "13")]) == (
        answer.text("SyncKey"),
        added(answer),
    )
    assert ("2", []) == (again.text("SyncKey"), added(again))


async def test_new_folder_can_be_watched(phone: Phone, hold: Hold, publisher: Publisher) -> None:
    """A folder that was listed is watched under its name."""
    await publisher.publish(phone.who.user, "Projects")
    await phone.synchronise("1")
    await hold(phone, "5", "Projects")

    await publisher.publish(phone.who.user, "Projects")

    assert ("Projects",) == (await phone.receive()).folders


async def test_folder_sync_with_a_wrong_key(phone: Phone) -> None:
    """A key that was never given is answered with status 9."""
    assert 9 == (await phone.synchronise("77")).status


@pytest.mark.parametrize("name", ["5", "Inbox", "INBOX"])
async def test_names_of_the_inbox(
    name: str, phone: Phone, hold: Hold, publisher: Publisher
) -> None:
    """A change names a standard folder by its ServerId, its name, or INBOX."""
    await hold(phone, "5")

    await publisher.publish(phone.who.user, name)

    assert ("5",) == (await phone.receive()).folders


@pytest.mark.parametrize("command", ["Sync", "SendMail", "ItemOperations", "GetAttachment"])
async def test_unsupported_command(command: str, phone: Phone) -> None:
    """A command that needs a mailbox is answered 501 with a reason in one line."""
    answer = await phone.ask(command, b"\x03\x01j\x00")

    assert (501, 1) == (answer.http_status, answer.body.count(b"\n"))
    assert command.encode() in answer.body


@pytest.mark.parametrize("order", list(itertools.permutations(("Sync", "Ping", "FolderSync"))))
async def test_commands_share_a_connection(
    order: tuple[str, ...], phone: Phone, publisher: Publisher
) -> None:
    """Sync, Ping and FolderSync may come on one connection in any order."""
    bodies = {"Sync": b"", "Ping": ping("5"), "FolderSync": folder_sync("1")}
    expected = {"Sync": 501, "Ping": 200, "FolderSync": 200}
    found = []
    for command in order * 2:
        await phone.send(phone.request(command, bodies[command]))
        if command == "Ping":
            await publisher.publish(phone.who.user, "5")
        found.append((await phone.receive()).http_status)

    assert [expected[one] for one in order * 2] == found


async def test_large_body_does_not_disturb(phone: Phone, publisher: Publisher) -> None:
    """A large body of an unsupported command is taken, and the connection stays usable."""
    answer = await phone.ask("SendMail", bytes(300_000))
    await phone.ping("5")
    await publisher.publish(phone.who.user, "5")

    assert (501, 2) == (answer.http_status, (await phone.receive()).status)


async def test_large_body_right_behind_an_answer(gateway: Gateway, user: str, dial: Dial) -> None:
    """A large request sent as soon as the answer before it is there is taken, on a busy worker."""
    phones = [dial(gateway, Identity(user, f"PHONE{number}")) for number in range(20)]

    async def send_both(phone: Phone) -> list[int]:
        found = []
        for _ in range(5):
            await phone.synchronise()
            found.append((await phone.ask("SendMail", bytes(200_000))).http_status)
        return found

    found = await asyncio.gather(*map(send_both, phones), return_exceptions=True)

    assert [[501] * 5] * 20 == found


async def test_other_path(phone: Phone) -> None:
    """Another path than that of EAS is answered 404."""
    data = phone.request("Ping", ping("5")).replace(PATH.encode(), b"/autodiscover")
    await phone.send(data)

    assert 404 == (await phone.receive()).http_status


async def test_other_method(phone: Phone) -> None:
    """Another method than POST and OPTIONS is answered 405 with those that are allowed."""
    await phone.send(phone.request("Ping", line="GET {} HTTP/1.1"))

    answer = await phone.receive()

    assert (405, "OPTIONS, POST") == (answer.http_status, answer.headers["allow"])
