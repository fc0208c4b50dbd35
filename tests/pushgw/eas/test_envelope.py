from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.eas import envelope
from pushgw.eas.envelope import Envelope, EnvelopeError

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "eas.json").read_text(encoding="utf-8")
)
HEADERS = {"ms-asprotocolversion": "14.1"}
PLAIN = "Cmd=Ping&User=EXAMPLE%5Cjane&DeviceId=dev1&DeviceType=iPhone"
JANE = Envelope("Ping", "EXAMPLE\\jane", "DEV1", "iPhone", "14.1", None)


@pytest.mark.parametrize(
    "query",
    [
        PLAIN,
        "User=EXAMPLE%5Cjane&DeviceId=dev1&DeviceType=iPhone&Cmd=Ping",
        "cmd=ping&USER=EXAMPLE%5cjane&deviceid=Dev1&devicetype=iPhone",
        "&Cmd=PING&&User=EXAMPLE\\jane&DeviceId=dev%31&DeviceType=iPhone&",
    ],
)
def test_plain_query_is_read_by_name(query: str) -> None:
    """Order, spelling and percent-encoding do not matter."""
    actual = envelope.parse(query, HEADERS)

    assert JANE == actual


def test_percent_encoding_is_undone_once() -> None:
    """A percent sign that was itself encoded stays, and so does a plus."""
    query = "Cmd=Ping&User=a%2540b+c@example.org&DeviceId=x&DeviceType="

    actual = envelope.parse(query, HEADERS)

    assert ("a%40b+c@example.org", "") == (actual.user, actual.device_type)


def test_user_may_be_latin1() -> None:
    """A name that is percent-encoded in ISO-8859-1 is read as such."""
    actual = envelope.parse("Cmd=Ping&User=j%F6rg&DeviceId=x", HEADERS)

    assert "jörg" == actual.user


def test_absent_user_and_type() -> None:
    """A query without User has None, one without DeviceType an empty one."""
    actual = envelope.parse("Cmd=Ping&DeviceId=x&User=", HEADERS)

    assert (None, "") == (actual.user, actual.device_type)


def test_other_parameters_are_kept_in_order() -> None:
    """Parameters of the protocol get its spelling, others keep theirs."""
    query = "Cmd=SmartReply&DeviceId=x&itemid=5%3a1&Other=1&saveinsent=T"

    actual = envelope.parse(query, HEADERS)

    assert (("ItemId", "5:1"), ("Other", "1"), ("SaveInSent", "T")) == actual.parameters


@pytest.mark.parametrize("vector", VECTORS["query"], ids=lambda vector: vector["id"])
def test_compact_vector_is_read(vector: dict[str, Any]) -> None:
    """Each compact query gives the command, device, version and key it stands for."""
    fields = vector["fields"]
    device = fields.get("device_id_text", fields["device_id_hex"]).upper()
    sent = {one["name"]: one["value"] for one in fields["parameters"]}
    user = sent.pop("User", None)
    sent.pop("Options", None)
    expected = Envelope(
        fields["command"],
        user,
        device,
        fields["device_type"],
        fields["protocol_version"],
        fields["policy_key"],
        tuple(sent.items()),
    )

    actual = envelope.parse(vector["query"], {})

    assert expected == actual


@pytest.mark.parametrize(
    "vector",
    [one for one in VECTORS["query_malformed"] if one["expect"].startswith("accept")],
    ids=lambda vector: vector["id"],
)
def test_odd_compact_query_is_accepted(vector: dict[str, Any]) -> None:
    """Stripped padding, the other alphabet, percent-encoding and unknown tags are accepted."""
    actual = envelope.parse(vector["query"], {})

    assert ("Ping", "14.1", "iPhone", ()) == (
        actual.command,
        actual.version,
        actual.device_type,
        actual.parameters,
    )


@pytest.mark.parametrize(
    "vector",
    [one for one in VECTORS["query_malformed"] if not one["expect"].startswith("accept")],
    ids=lambda vector: vector["id"],
)
def test_malformed_query_is_refused(vector: dict[str, Any]) -> None:
    """Each malformed query is refused with one line: 501 for an unknown command, else 400."""
    expected = 501 if vector["expect"].startswith("501") else 400

    with pytest.raises(EnvelopeError) as caught:
        envelope.parse(vector["query"], {})

    assert (expected, 1) == (caught.value.http_status, len(str(caught.value).splitlines()))


def test_truncated_query_of_a_phone_is_refused() -> None:
    """The Windows Phone query that a log cut off inside the policy key is broken."""
    query = VECTORS["query_partial"][0]["query_prefix"]

    with pytest.raises(EnvelopeError, match="announced at byte 21"):
        envelope.parse(query, {})


def _compact(
    device: bytes = b"dev1",
    *,
    version: int = 141,
    command: int = 18,
    key: bytes = b"",
    tail: bytes = b"",
) -> str:
    fields = b"".join(bytes([len(one)]) + one for one in (device, key, b"WP8"))
    return b64encode(bytes([version, command, 7, 4]) + fields + tail).decode()


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (bytes.fromhex("796acd8c9822bb3c18d373282f6d55ec"), "796ACD8C9822BB3C18D373282F6D55EC"),
        (b"androidc1", "ANDROIDC1"),
        (b"a b", "612062"),
    ],
)
def test_compact_device_id_is_text_or_hex(device: bytes, expected: str) -> None:
    """Graphic ASCII is the id itself, any other bytes are its hex digits."""
    actual = envelope.parse(_compact(device), {})

    assert expected == actual.device_id


def test_both_forms_name_one_device() -> None:
    """The id of a phone is the same in its plain and its compact queries."""
    plain = envelope.parse("Cmd=Ping&DeviceId=796ACD8C9822BB3C18D373282F6D55EC", {})
    compact = envelope.parse(_compact(bytes.fromhex("796acd8c9822bb3c18d373282f6d55ec")), {})

    assert plain.device_id == compact.device_id


def test_compact_version_is_stronger_than_the_header() -> None:
    """The first byte of the compact form rules, whatever the headers say."""
    actual = envelope.parse(_compact(version=121), HEADERS | {"x-ms-policykey": "7"})

    assert ("12.1", None) == (actual.version, actual.policy_key)


def test_compact_options_are_spelled_out() -> None:
    """Each flag of the Options byte is a parameter; an Options without a byte has none."""
    both = envelope.parse(_compact(tail=b"\x07\x01\x03\x03\x021:"), {})
    none = envelope.parse(_compact(tail=b"\x07\x00"), {})

    assert ((("SaveInSent", "T"), ("AcceptMultiPart", "T"), ("ItemId", "1:")), ()) == (
        both.parameters,
        none.parameters,
    )


@pytest.mark.parametrize(
    ("query", "label", "status"),
    [
        ("User=jane&DeviceId=x", "command_missing", 400),
        ("Cmd=&DeviceId=x", "command_missing", 400),
        ("Cmd=Pong&DeviceId=x", "command_unknown", 501),
        (_compact(command=24), "command_unknown", 501),
        ("Cmd=Ping&User=jane", "device_id_missing", 400),
        (_compact(b""), "device_id_missing", 400),
        (f"Cmd=Ping&DeviceId={'x' * 33}", "device_id_invalid", 400),
        (_compact(b"x" * 33), "device_id_invalid", 400),
        (_compact(bytes(17)), "device_id_invalid", 400),
        ("Cmd=Ping&DeviceId=a%20b", "device_id_invalid", 400),
        ("Cmd=Ping&DeviceId=%C3%A4", "device_id_invalid", 400),
        ("Cmd=Ping&DeviceId=x&cmd=Sync", "parameter_repeated", 400),
        (_compact(version=130), "version_unknown", 400),
        (_compact(key=b"123"), "query_malformed", 400),
        ("abcde", "query_malformed", 400),
        ("ä", "query_malformed", 400),
        ("jRI", "query_malformed", 400),
        ("jRIJBA", "query_malformed", 400),
    ],
)
def test_error_says_what_is_wrong(query: str, label: str, status: int) -> None:
    """An unusable query is counted by what is wrong with it and answered accordingly."""
    with pytest.raises(EnvelopeError) as caught:
        envelope.parse(query, HEADERS)

    assert (label, status) == (caught.value.metric_label, caught.value.http_status)


def test_longest_device_id_is_accepted() -> None:
    """32 graphic characters name a device, letters and digits or not."""
    device = "A-_.:{}" + "X" * 25

    actual = envelope.parse(f"Cmd=Ping&DeviceId={quote(device)}", HEADERS)

    assert device == actual.device_id


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({}, "16.1"), ({"ms-asprotocolversion": " 2.5 "}, "2.5")],
)
def test_version_of_a_plain_query(headers: dict[str, str], expected: str) -> None:
    """The header says the version; without it the newest one is assumed."""
    actual = envelope.parse(PLAIN, headers)

    assert expected == actual.version


def test_unknown_version_is_refused() -> None:
    """A version of another protocol is named in the error."""
    with pytest.raises(EnvelopeError, match=r"found protocol version '1\.0', allowed 2\.5"):
        envelope.parse(PLAIN, {"ms-asprotocolversion": "1.0"})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("0", 0),
        (" 4294967295 ", 4294967295),
        ("4294967296", 0),
        ("00000000001", 0),
        ("abc", 0),
        ("-1", 0),
        ("\u0663", 0),
    ],
)
def test_policy_key_of_a_plain_query(header: str | None, expected: int | None) -> None:
    """No header is no key, a header that is no 32-bit number is a key that fits nobody."""
    headers = {} if header is None else {"x-ms-policykey": header}

    actual = envelope.parse(PLAIN, headers)

    assert expected == actual.policy_key


def _verdict(query: str, headers: dict[str, str]) -> int:
    try:
        actual = envelope.parse(query, headers)
    except EnvelopeError as error:
        return error.http_status if len(str(error).splitlines()) == 1 else 0
    return 200 if 0 < len(actual.device_id) <= envelope.MAX_DEVICE_ID else 0


@given(st.text(max_size=200), st.dictionaries(st.just("ms-asprotocolversion"), st.text()))
def test_any_text_is_read_or_refused(query: str, headers: dict[str, str]) -> None:
    """Nothing but an EnvelopeError of one line comes out."""
    assert _verdict(query, headers) in {200, 400, 501}


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """A compact query of any bytes after its head is read, or refused."""
    query = b64encode(b"\x8d\x12\x07\x04" + data).decode()

    assert _verdict(query, {}) in {200, 400}


@given(st.lists(st.tuples(st.sampled_from(["Cmd", "User", "DeviceId", "x"]), st.text())))
def test_any_parameters_are_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    """A plain query of any parameters is read, or refused."""
    query = "&".join(f"{name}={value}" for name, value in pairs)

    assert _verdict(query, {}) in {200, 400, 501}


def test_options_name_versions_and_commands() -> None:
    """The answer to OPTIONS names all versions and what is served without a server behind."""
    actual = dict(envelope.options_headers())

    assert {
        "MS-Server-ActiveSync": "16.1",
        "MS-ASProtocolVersions": "2.5,12.0,12.1,14.0,14.1,16.0,16.1",
        "MS-ASProtocolCommands": "FolderSync,Settings,Ping,Provision",
        "Allow": "OPTIONS, POST",
        "Public": "OPTIONS, POST",
    } == actual
