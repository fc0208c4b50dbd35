"""The documents of phones, as XML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from loadtest.scenario.commands import Collection, Provision, Watched
from loadtest.wire import bodies
from pushgw.wbxml import decode, to_xml

VECTORS: Final = {
    one["id"]: bytes.fromhex(one["hex"])
    for one in json.loads((Path(__file__).parents[2] / "vectors" / "eas.json").read_text("utf-8"))[
        "wbxml"
    ]
}
INBOX: Final = Watched("5", "Email", "INBOX")
CALENDAR: Final = Watched("1", "Calendar", "Calendar")
CONTACTS: Final = Watched("2", "Contacts", "Contacts")


def xml(body: bytes) -> str:
    return "".join(line.strip() for line in to_xml(decode(body)).splitlines())


def sync_xml(folder: Watched, *, key: str = "7", wait: int = 0, version: str = "14.1") -> str:
    return xml(bodies.sync((Collection(folder, key),), wait, version))


def test_a_ping_names_heartbeat_and_folders() -> None:
    """A full Ping is that of the specification's example."""
    assert VECTORS["ping-req-full"] == bodies.ping(480, (INBOX, CALENDAR))


def test_equal_documents_are_one() -> None:
    """Phones that ask the same share the bytes."""
    assert bodies.ping(480, (INBOX,)) is bodies.ping(480, (Watched("5", "Email", "INBOX"),))


def test_a_folder_sync_has_a_key() -> None:
    """A FolderSync says from which key on it wants to hear of folders."""
    assert bytes.fromhex("03016a00000756520330000101") == bodies.folder_sync("0")


def test_the_first_sync_asks_for_a_key_only() -> None:
    """A Sync with key 0 has no options: its answer brings no items."""
    expected = (
        '<Sync xmlns="AirSync:"><Collections><Collection><SyncKey>0</SyncKey>'
        "<CollectionId>5</CollectionId></Collection></Collections></Sync>"
    )
    assert expected == sync_xml(INBOX, key="0")


def test_a_sync_of_mail_wants_short_plain_texts() -> None:
    """A Sync of the inbox asks for changes of a week, in windows, with bodies cut short."""
    expected = (
        '<Sync xmlns="AirSync:"><Collections><Collection><SyncKey>7</SyncKey>'
        "<CollectionId>5</CollectionId><GetChanges>1</GetChanges><WindowSize>100</WindowSize>"
        "<Options><FilterType>3</FilterType>"
        '<BodyPreference xmlns="AirSyncBase:"><Type>1</Type><TruncationSize>512</TruncationSize>'
        "</BodyPreference></Options></Collection></Collections></Sync>"
    )
    assert expected == sync_xml(INBOX)


def test_a_sync_of_appointments_wants_those_of_two_weeks() -> None:
    """A Sync of the calendar says how old appointments may be, and nothing of bodies."""
    options = "<Options><FilterType>4</FilterType></Options></Collection>"

    assert options in sync_xml(CALENDAR)


def test_a_sync_of_contacts_has_no_options() -> None:
    """Contacts have no age and are fetched as they are."""
    assert "<WindowSize>100</WindowSize></Collection>" in sync_xml(CONTACTS)


def test_a_sync_names_all_its_folders() -> None:
    """Several folders go into one Sync, in the order given."""
    both = (Collection(INBOX, "0"), Collection(CALENDAR, "0"))

    found = xml(bodies.sync(both, 0, "14.1"))

    assert found.index("<CollectionId>5<") < found.index("<CollectionId>1<")


def test_percent_signs_of_a_folder_stay() -> None:
    """Ids and keys are sent as the server spelled them."""
    found = sync_xml(Watched("mail%2Ffolder", "Email", "INBOX"), key="1%b")

    assert "<SyncKey>1%b</SyncKey><CollectionId>mail%2Ffolder</CollectionId>" in found


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("14.0", "</Collections><HeartbeatInterval>150</HeartbeatInterval></Sync>"),
        ("12.1", "</Collections><Wait>2</Wait></Sync>"),
        ("12.0", "</Collections></Sync>"),
    ],
)
def test_a_sync_that_waits_says_so_as_its_version_can(version: str, expected: str) -> None:
    """The wait is in seconds, in minutes, or not there, as the version has it."""
    assert sync_xml(INBOX, wait=150, version=version).endswith(expected)


def test_a_short_wait_is_a_minute_at_least() -> None:
    """In 12.1 less than a minute cannot be said."""
    assert "<Wait>1</Wait>" in sync_xml(INBOX, wait=30, version="12.1")


@pytest.mark.parametrize("version", ["2.5", "12.0"])
def test_old_versions_name_the_class(version: str) -> None:
    """Before 12.1 a collection begins with its class."""
    found = sync_xml(INBOX, version=version)

    assert "<Collection><Class>Email</Class><SyncKey>" in found


def test_the_oldest_version_knows_no_body_preference() -> None:
    """In 2.5 mails are cut short by another element."""
    options = "<FilterType>3</FilterType><Truncation>1</Truncation></Options>"

    assert options in sync_xml(INBOX, version="2.5")


@pytest.mark.parametrize(
    ("vector", "command"),
    [
        ("provision-req-ack", Provision("1307199584", is_acknowledgement=True)),
        ("provision-req-wipe-ack", Provision(wipes=True)),
    ],
)
def test_acknowledgements_are_those_of_the_specification(vector: str, command: Provision) -> None:
    """A policy is acknowledged with its key, a wipe with its status."""
    assert VECTORS[vector] == bodies.provision(command, "14.1", "Android", "A/1")


def test_a_new_phone_describes_itself_when_it_asks_for_the_policy() -> None:
    """From 14.1 on the first step carries model and user agent, before the policies."""
    expected = (
        '<Provision xmlns="Provision:"><DeviceInformation xmlns="Settings:"><Set>'
        "<Model>Android</Model><UserAgent>A/1</UserAgent></Set></DeviceInformation>"
        "<Policies><Policy><PolicyType>MS-EAS-Provisioning-WBXML</PolicyType></Policy></Policies>"
        "</Provision>"
    )
    assert expected == xml(bodies.provision(Provision(), "14.1", "Android", "A/1"))


@pytest.mark.parametrize(
    ("version", "kind"),
    [("14.0", "MS-EAS-Provisioning-WBXML"), ("2.5", "MS-WAP-Provisioning-XML")],
)
def test_an_older_phone_asks_for_the_policy_only(version: str, kind: str) -> None:
    """Before 14.1 the first step names the type of policy and no more."""
    expected = (
        '<Provision xmlns="Provision:"><Policies><Policy>'
        f"<PolicyType>{kind}</PolicyType></Policy></Policies></Provision>"
    )
    assert expected == xml(bodies.provision(Provision(), version, "Android", "A/1"))
