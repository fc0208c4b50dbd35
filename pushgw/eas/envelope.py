"""What a request says outside its body: the query, plain or compact, and three headers.

Rules:

- The query is read raw: a form decoder would turn the + of base64, and of a mail address, into a
  space. Percent-encoding is undone once.
- Plain parameters stand in any order, their names and the command in any case. A second Cmd, User,
  DeviceId or DeviceType is refused, for the server behind might believe the other one.
- The compact form is base64 of either alphabet, with or without padding, also percent-encoded.
- A device mixes forms, so ids are joined: graphic ASCII is taken as text, any other bytes as
  upper-case hex digits, and text is compared in upper case.

Source: [MS-ASHTTP] 2.2.1.1; forms met beyond it: Windows Phone 8.1 (tine20#5242), Nine, Z-Push.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from pushgw.eas.commands import COMMANDS, SERVED, VERSIONS
from pushgw.eas.credentials import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEVICE_ID: Final = 32
"""Characters of a device id in its joined form.

Source: [MS-ASHTTP] 2.2.1.1.1.2.3. The longest ids met are the 32 hex digits of Windows Phone and
Outlook. Its "letters and digits" is not held to: any graphic ASCII names a device as well.
"""

NEWEST: Final = VERSIONS[-1]

# The usual spelling is there as well: a look-up is cheaper than lower().
_COMMANDS: Final = {one: name for name in COMMANDS for one in (name, name.lower())}
_ASKED: Final = {
    one: name for name in ("Cmd", "User", "DeviceId", "DeviceType") for one in (name, name.lower())
}
_PARAMETERS: Final = {
    name.lower(): name
    for name in ("AttachmentName", "CollectionId", "ItemId", "LongId", "Occurrence", "SaveInSent")
}
_VERSIONS: Final = {version: version for version in VERSIONS}
_VERSION_BYTES: Final = {int(version.replace(".", "")): version for version in VERSIONS}
_MAX_KEY: Final = 0xFFFF_FFFF
_MAX_KEY_DIGITS: Final = 10

_TAGS: Final = {0: "AttachmentName", 1: "CollectionId", 3: "ItemId", 4: "LongId", 6: "Occurrence"}
_OPTIONS: Final = 7
_USER: Final = 8
_OPTION_FLAGS: Final = ((0x01, "SaveInSent"), (0x02, "AcceptMultiPart"))
_HEAD_BYTES: Final = 4
"""Version, command, and two bytes of locale, which nobody needs."""
_KEY_BYTES: Final = 4

_STANDARD_ALPHABET: Final = str.maketrans("-_", "+/")

_OPTIONS_HEADERS: Final = (
    ("MS-Server-ActiveSync", NEWEST),
    ("MS-ASProtocolVersions", ",".join(VERSIONS)),
    ("MS-ASProtocolCommands", ",".join(SERVED)),
    ("Allow", "OPTIONS, POST"),
    ("Public", "OPTIONS, POST"),
)


class EnvelopeError(ValueError):
    """The request does not say what is wanted by whom.

    Attributes:
        metric_label: What is wrong, in a word.
        http_status: 400, or 501 for a command nobody knows.
    """

    def __init__(self, metric_label: str, text: str, http_status: int = 400) -> None:
        super().__init__(text)
        self.metric_label = metric_label
        self.http_status = http_status


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a request says outside its body."""

    command: str
    """Canonical name, one of `commands.COMMANDS`."""
    user: str | None
    """As sent, percent-decoded once; None if absent or empty. Not to be trusted."""
    device_id: str
    """The form to compare: upper case, 1 to 32 graphic ASCII characters."""
    device_type: str
    """As sent; empty if absent, which common status code 109 is for."""
    version: str
    """One of `commands.VERSIONS`."""
    policy_key: int | None
    """Unsigned 32 bits; None if none was sent. A header that is no such number counts as 0."""
    parameters: tuple[tuple[str, str], ...] = ()
    """All others in request order; flags of the compact Options as ``("SaveInSent", "T")``."""


def parse(query: str, headers: Mapping[str, str]) -> Envelope:
    """Read the envelope of a POST.

    Args:
        query: The raw part of the request line after the question mark.
        headers: Names in lower case, or a mapping that does not mind.

    Raises:
        EnvelopeError: If command or device are missing or unusable, the version is unknown, or the
            compact form is broken.
    """
    if "=" in query.rstrip("="):
        return _plain(query, headers)
    if not query:
        raise EnvelopeError("command_missing", "found no query, allowed one with Cmd")
    return _compact(query)


def options_headers() -> tuple[tuple[str, str], ...]:
    """Return the headers of an OPTIONS answer given without a server behind.

    Source: [MS-ASHTTP] 3.2.5.1; Allow and Public as SOGo sends them.
    """
    return _OPTIONS_HEADERS


def _plain(query: str, headers: Mapping[str, str]) -> Envelope:
    asked: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if "%" in value:
            value = text_of(unquote_to_bytes(value))
        known = _ASKED.get(name) or _ASKED.get(name.lower())
        if known is None:
            if name:
                others.append((_PARAMETERS.get(name.lower(), name), value))
        elif known in asked:
            raise EnvelopeError("parameter_repeated", f"found {known} twice, allowed once")
        else:
            asked[known] = value
    return Envelope(
        _command(asked.get("Cmd")),
        asked.get("User") or None,
        _device_id(asked.get("DeviceId", "")),
        asked.get("DeviceType", ""),
        _version(headers.get("ms-asprotocolversion")),
        _policy_key(headers.get("x-ms-policykey")),
        tuple(others),
    )


def _command(name: str | None) -> str:
    if not name:
        raise EnvelopeError("command_missing", "found no Cmd, allowed the name of a command")
    command = _COMMANDS.get(name) or _COMMANDS.get(name.lower())
    if command is None:
        text = f"found command {name[:32]!r}, allowed one of the EAS commands"
        raise EnvelopeError("command_unknown", text, 501)
    return command


def _device_id(text: str) -> str:
    if not text:
        raise EnvelopeError("device_id_missing", "found no DeviceId, allowed 1 to 32 characters")
    if len(text) > MAX_DEVICE_ID:
        found = f"found a DeviceId of {len(text)} characters"
        raise EnvelopeError("device_id_invalid", f"{found}, allowed 1 to {MAX_DEVICE_ID}")
    if not _is_graphic(text):
        raise EnvelopeError(
            "device_id_invalid", f"found DeviceId {text!r}, allowed graphic ASCII characters"
        )
    return text.upper()


def _is_graphic(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _version(header: str | None) -> str:
    # The header is required, yet phones get away without it: Z-Push takes its newest version.
    if header is None:
        return NEWEST
    version = _VERSIONS.get(header.strip())
    if version is None:
        raise _unknown_version(header.strip())
    return version


def _unknown_version(found: str) -> EnvelopeError:
    allowed = ", ".join(VERSIONS)
    return EnvelopeError(
        "version_unknown", f"found protocol version {found[:32]!r}, allowed {allowed}"
    )


def _policy_key(header: str | None) -> int | None:
    if header is None:
        return None
    text = header.strip()
    # A malformed key was sent all the same: 0 matches no device, None would pass for a device
    # that never sends one.
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_KEY_DIGITS):
        return 0
    key = int(text)
    return key if key <= _MAX_KEY else 0


def _compact(query: str) -> Envelope:
    data = _base64(query)
    if len(data) < _HEAD_BYTES:
        raise _broken(f"{len(data)} bytes", f"at least {_HEAD_BYTES}")
    version = _VERSION_BYTES.get(data[0])
    if version is None:
        raise _unknown_version(str(data[0] / 10))
    if data[1] >= len(COMMANDS):
        text = f"found command code {data[1]}, allowed 0 to {len(COMMANDS) - 1}"
        raise EnvelopeError("command_unknown", text, 501)
    device, at = _field(data, _HEAD_BYTES)
    key, at = _field(data, at)
    if len(key) not in {0, _KEY_BYTES}:
        raise _broken(f"a policy key of {len(key)} bytes", f"0 or {_KEY_BYTES}")
    device_type, at = _field(data, at)
    user, parameters = _tagged(data, at)
    return Envelope(
        COMMANDS[data[1]],
        user or None,
        _device_id(_joined(device)),
        text_of(device_type),
        version,
        int.from_bytes(key, "little") if key else None,
        parameters,
    )


def _base64(query: str) -> bytes:
    text = text_of(unquote_to_bytes(query)) if "%" in query else query
    text = text.translate(_STANDARD_ALPHABET).rstrip("=")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise _broken("no base64", "base64, or parameters with Cmd") from None


def _broken(found: str, allowed: str) -> EnvelopeError:
    return EnvelopeError("query_malformed", f"found {found} in the query, allowed {allowed}")


def _field(data: bytes, at: int) -> tuple[bytes, int]:
    """Read a length and as many bytes; return them and the offset after them."""
    if at >= len(data):
        raise _broken(f"the end at byte {at}", "the length of a field")
    end = at + 1 + data[at]
    if end > len(data):
        raise _broken(f"{data[at]} bytes announced at byte {at}", f"{len(data) - at - 1}")
    return data[at + 1 : end], end


def _joined(device: bytes) -> str:
    # A text that is too long is a broken id, not 64 hex digits of one.
    text = device.decode("latin-1")
    return text if _is_graphic(text) else device.hex()


def _tagged(data: bytes, at: int) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    """Read the parameters of the compact form; a tag nobody knows is skipped."""
    user = None
    parameters: list[tuple[str, str]] = []
    while at < len(data):
        tag = data[at]
        value, at = _field(data, at + 1)
        if tag == _USER:
            user = text_of(value)
        elif tag == _OPTIONS:
            flags = value[0] if value else 0
            parameters += [(name, "T") for flag, name in _OPTION_FLAGS if flags & flag]
        elif tag in _TAGS:
            parameters.append((_TAGS[tag], text_of(value)))
    return user, tuple(parameters)
