from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushgw.eas import device_information
from pushgw.eas.body import BodyError
from pushgw.eas.device_information import SettingsRequest
from pushgw.wbxml import decode, element, encode, from_xml, to_xml

VECTORS = {
    one["id"]: bytes.fromhex(one["hex"])
    for one in json.loads(
        (Path(__file__).parents[2] / "vectors" / "eas.json").read_text(encoding="utf-8")
    )["wbxml"]
}
PHONE = {
    "Model": "iPhone14,5",
    "IMEI": "000000000000000",
    "FriendlyName": "Test Phone",
    "OS": "iOS 18.1",
    "OSLanguage": "en",
    "PhoneNumber": "+49301234",
    "UserAgent": "Apple-iPhone14C5/2201.80",
    "EnableOutboundSMS": "0",
    "MobileOperator": "Example",
}


def _body(content: str) -> bytes:
    return encode(from_xml(f'<Settings xmlns="Settings:">{content}</Settings>'))


def test_device_information_is_read() -> None:
    """Everything a device says of itself is read by name."""
    actual = device_information.parse(VECTORS["settings-req-deviceinfo"])

    assert SettingsRequest(PHONE) == actual


def test_empty_text_is_kept() -> None:
    """An empty element is an empty text, which deletes what was said before."""
    body = _body("<DeviceInformation><Set><IMEI/><Model>x</Model></Set></DeviceInformation>")

    actual = device_information.parse(body)

    assert SettingsRequest({"IMEI": "", "Model": "x"}) == actual


def test_long_text_is_cut() -> None:
    """No more than 256 characters of a text are kept."""
    model = f"<Model>{'x' * 300}</Model>"

    actual = device_information.parse(
        _body(f"<DeviceInformation><Set>{model}</Set></DeviceInformation>")
    )

    assert SettingsRequest({"Model": "x" * 256}) == actual


def test_foreign_elements_in_the_set_are_left_out() -> None:
    """What is no property of a device, or of another page, is not taken for one."""
    own = element(
        "Settings",
        "Set",
        element("Settings", "Password", "x"),
        element("Provision", "Status", "1"),
        element("Settings", "OS", "y"),
    )

    actual = device_information.fields_of(element("Settings", "DeviceInformation", own))

    assert {"OS": "y"} == actual


def test_other_settings_are_recognised() -> None:
    """The settings of a mailbox are known by name, in the order of the answer."""
    body = _body("<UserInformation><Get/></UserInformation><Oof><Get/></Oof>")

    actual = device_information.parse(body)

    assert SettingsRequest(None, ("Oof", "UserInformation")) == actual


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 101),
        (b"x", 102),
        (VECTORS["ping-req-full"], 103),
        (_body(""), 2),
        (_body("<Status>1</Status>"), 103),
        (_body('<Status xmlns="Provision:">1</Status>'), 103),
        (_body("<DeviceInformation/>"), 103),
        (_body("<DeviceInformation><Set/><Set/></DeviceInformation>"), 103),
        (_body("<Oof/><Oof/>"), 103),
    ],
)
def test_malformed_request_is_refused(body: bytes, expected: int) -> None:
    """A request for nothing is Settings status 2, others have common status codes."""
    with pytest.raises(BodyError) as caught:
        device_information.parse(body)

    assert expected == caught.value.status


def test_device_information_is_acknowledged() -> None:
    """What a device says of itself is taken with status 1."""
    actual = device_information.respond(SettingsRequest(PHONE), "12.1")

    assert VECTORS["settings-resp-deviceinfo"] == actual


def test_version_12_0_wraps_the_status() -> None:
    """In 12.0 a Set stands around the status of DeviceInformation."""
    expected = (
        "<Status>1</Status><DeviceInformation><Set><Status>1</Status></Set></DeviceInformation>"
    )

    actual = device_information.respond(SettingsRequest(PHONE), "12.0")

    assert _body(expected) == actual


def test_other_settings_are_unavailable() -> None:
    """Settings of a mailbox get status 4, in the order of the schema."""
    request = SettingsRequest(PHONE, ("Oof", "UserInformation"))

    actual = to_xml(decode(device_information.respond(request, "16.1")))

    assert to_xml(
        from_xml(
            '<Settings xmlns="Settings:"><Status>1</Status><Oof><Status>4</Status></Oof>'
            "<DeviceInformation><Status>1</Status></DeviceInformation>"
            "<UserInformation><Status>4</Status></UserInformation></Settings>"
        )
    ) == (actual)


def test_settings_without_device_information_are_answered() -> None:
    """A request for other settings alone has no DeviceInformation in its answer."""
    actual = device_information.respond(SettingsRequest(None, ("DevicePassword",)), "14.1")

    assert _body("<Status>1</Status><DevicePassword><Status>4</Status></DevicePassword>") == actual
