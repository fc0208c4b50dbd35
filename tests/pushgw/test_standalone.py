"""The commands without a server behind, with a real Valkey: partnerships, policies, cursors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from notifier.change import Change
from notifier.ledger import Ledger, LedgerError
from pushgw.devices import Device, Devices, DevicesError, Read
from pushgw.eas import envelope as envelopes
from pushgw.session import mark
from pushgw.standalone import Command, Reply, Standalone
from pushgw.wbxml import decode, encode, from_xml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pushgw.wbxml import Element

ANNA = Device("anna", "D1")


class Phone:
    """Sends commands and keeps what is stored of it in sight."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.ledger = Ledger(redis)
        self.devices = Devices(redis, "w1")
        self.standalone = Standalone(self.devices, self.ledger)

    async def send(self, name: str, body: str | bytes, version: str = "16.1") -> Reply:
        query = f"Cmd={name}&User=anna&DeviceId=D1&DeviceType=t"
        envelope = envelopes.parse(query, {"ms-asprotocolversion": version})
        data = encode(from_xml(body)) if isinstance(body, str) else body
        return await self.standalone.answer(Command(ANNA, envelope, data))

    async def ask(self, name: str, body: str) -> Element:
        reply = await self.send(name, body)
        assert reply.http_status == 200
        return decode(reply.body)

    async def synchronise(self, key: str) -> tuple[str, str | None, list[str]]:
        """Send a FolderSync; return status, key and the ids that were added."""
        xml = f'<FolderSync xmlns="FolderHierarchy:"><SyncKey>{key}</SyncKey></FolderSync>'
        root = await self.ask("FolderSync", xml)
        found = root.find("SyncKey")
        changes = root.find("Changes")
        added = [] if changes is None else [text(one, "ServerId") for one in changes.all("Add")]
        return text(root, "Status"), None if found is None else found.text, added

    async def record(self, *folders: str) -> None:
        await self.ledger.record([Change("anna", name) for name in folders], 0.0)

    async def cursors(self, names: Iterable[str]) -> dict[str, str]:
        """What is stored of some ledger fields, without the epoch in force."""
        fields = tuple(names)
        (reading,) = await self.devices.read_many([Read(ANNA, fields)])
        assert reading is not None
        end = "." + await self.ledger.epoch()
        return {
            name: stored.decode().removesuffix(end)
            for name, stored in zip(fields, reading.marks, strict=True)
            if stored is not None
        }


def text(parent: Element, name: str) -> str:
    found = parent.find(name)
    assert found is not None
    return found.text


@pytest.fixture(name="phone")
def _phone(redis: Redis) -> Phone:
    return Phone(redis)


STANDARD = [str(number) for number in range(1, 10)]


async def test_first_foldersync_makes_a_partnership(phone: Phone) -> None:
    """A phone that begins gets the standard folders and those of recorded changes."""
    await phone.record("INBOX", "Projects", "Projects")

    assert await phone.synchronise("0") == ("1", "1", [*STANDARD, "Projects"])
    assert (await phone.devices.hierarchy(ANNA))[0] is not None


async def test_first_foldersync_begins_all_cursors(phone: Phone) -> None:
    """What was recorded before the partnership is not news; what comes later is."""
    await phone.record("INBOX", "Projects", "Projects", "")
    await phone.synchronise("0")

    expected = {"": "1", "INBOX": "1", "Projects": "2"}
    assert expected == await phone.cursors(("", "5", "INBOX", "Projects"))


async def test_later_foldersync_adds_new_folders(phone: Phone) -> None:
    """A folder that was recorded since is added, its cursor begins, the others stay."""
    await phone.record("INBOX")
    await phone.synchronise("0")
    await phone.record("INBOX", "Projects", "")

    assert await phone.synchronise("1") == ("1", "2", ["Projects"])
    expected = {"": "1", "INBOX": "1", "Projects": "1"}
    assert expected == await phone.cursors(("", "INBOX", "Projects"))


async def test_foldersync_without_news_keeps_the_key(phone: Phone) -> None:
    """A phone that has everything is told so under the same key."""
    await phone.synchronise("0")

    assert await phone.synchronise("1") == ("1", "1", [])


async def test_lost_foldersync_answer_is_repeated(phone: Phone) -> None:
    """A phone that sends the key before gets the same additions again."""
    await phone.synchronise("0")
    await phone.record("Projects")

    answers = [await phone.synchronise("1") for _ in range(2)]

    assert [("1", "2", ["Projects"])] * 2 == answers


@pytest.mark.parametrize("is_known", [True, False])
async def test_wrong_key_is_told(phone: Phone, *, is_known: bool) -> None:
    """A key that was never given gets status 9, and a stranger no record by that."""
    if is_known:
        await phone.synchronise("0")
    before, _ = await phone.devices.hierarchy(ANNA)

    assert (await phone.synchronise("77"))[0] == "9"
    assert before == (await phone.devices.hierarchy(ANNA))[0]


async def test_phone_that_begins_again_forgets(phone: Phone) -> None:
    """A new partnership of a known device drops cached Ping parameters and older cursors."""
    await phone.synchronise("0")
    epoch = await phone.ledger.epoch()
    await phone.redis.hset(ANNA.key, mapping={"c:Old": mark(1, epoch), "heartbeat": 600})

    assert (await phone.synchronise("0"))[:2] == ("1", "1")
    assert await phone.cursors(("", "Old")) == {"": "0"}
    assert await phone.redis.hget(ANNA.key, "heartbeat") is None


async def test_policy_is_fetched_and_acknowledged(phone: Phone) -> None:
    """Two Provisions with the keys that were given leave the lasting key in the record."""
    kind = "<PolicyType>MS-EAS-Provisioning-WBXML</PolicyType>"
    first = await phone.ask(
        "Provision",
        '<Provision xmlns="Provision:"><DeviceInformation xmlns="Settings:"><Set><Model>m</Model>'
        f"</Set></DeviceInformation><Policies><Policy>{kind}</Policy></Policies></Provision>",
    )
    given = key_of(first)
    second = await phone.ask(
        "Provision",
        f'<Provision xmlns="Provision:"><Policies><Policy>{kind}<PolicyKey>{given}</PolicyKey>'
        "<Status>1</Status></Policy></Policies></Provision>",
    )

    keys = await phone.devices.policy_keys(ANNA)
    assert (None, int(key_of(second))) == (keys.temporary, keys.permanent)
    assert await phone.redis.hget(ANNA.key, "info") == b'{"Model":"m"}'


def key_of(root: Element) -> str:
    policies = root.find("Policies")
    policy = policies and policies.find("Policy")
    assert policy is not None
    return text(policy, "PolicyKey")


async def test_device_information_is_kept(phone: Phone) -> None:
    """Settings with DeviceInformation are acknowledged and stored."""
    root = await phone.ask(
        "Settings",
        '<Settings xmlns="Settings:"><DeviceInformation><Set><Model>m</Model></Set>'
        "</DeviceInformation></Settings>",
    )

    assert text(root, "Status") == "1"
    assert await phone.redis.hget(ANNA.key, "info") == b'{"Model":"m"}'


async def test_settings_without_information_store_nothing(phone: Phone) -> None:
    """Settings about anything else leave no record."""
    await phone.ask(
        "Settings",
        '<Settings xmlns="Settings:"><UserInformation><Get/></UserInformation></Settings>',
    )

    assert await phone.redis.exists(ANNA.key) == 0


@pytest.mark.parametrize("name", ["Sync", "SendMail", "GetAttachment"])
async def test_other_commands_are_not_there(phone: Phone, name: str) -> None:
    """A command that needs a mailbox gets 501 with one line that names what there is."""
    line = (
        f"found command {name}, allowed without an EAS server behind: "
        "FolderSync, Provision, Settings, Ping\n"
    )

    assert Reply(501, line.encode(), "unsupported") == await phone.send(name, b"")


@pytest.mark.parametrize(
    ("version", "http_status", "status"), [("16.1", 200, "102"), ("12.1", 400, None)]
)
async def test_broken_body_is_refused(
    phone: Phone, version: str, http_status: int, status: str | None
) -> None:
    """A body that cannot be read gets a status code, or an HTTP status before there were any."""
    reply = await phone.send("FolderSync", b"\xff\xff", version)

    assert http_status == reply.http_status
    assert status == (text(decode(reply.body), "Status") if reply.body else None)
    assert await phone.redis.dbsize() == 0


@pytest.mark.parametrize("name", ["FolderSync", "Provision"])
async def test_absent_redis_is_an_error(name: str) -> None:
    """A command that cannot be kept is not answered."""
    xml = {
        "FolderSync": '<FolderSync xmlns="FolderHierarchy:"><SyncKey>0</SyncKey></FolderSync>',
        "Provision": '<Provision xmlns="Provision:"/>',
    }
    with tempfile.TemporaryDirectory(prefix="pushgw-") as directory:
        async with Redis.from_url(f"unix://{Path(directory) / 'v.sock'}") as away:
            with pytest.raises((DevicesError, LedgerError)):
                await Phone(away).send(name, xml[name])
