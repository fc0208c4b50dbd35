"""Profiles as TOML: files of the operator's, and the presets that come with this package.

Rules:
    1. All mistakes of a file are found at once. One line each: the file, the key, what was found,
       what is allowed.
    2. What ``Profile.as_json`` returns has the shape of a file: ``parse`` reads it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtest.nearest import nearest
from loadtest.profiles.profile import Arrival, Changes, Fault, Group, Profile, ProfileError, Stage
from loadtest.profiles.units import (
    Span,
    UnitError,
    parse_count,
    parse_duration,
    parse_rate,
    parse_share,
    parse_span,
)
from loadtest.profiles.users import Users

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable

MAX_FILE_BYTES: Final = 1_048_576
"""Bytes of a profile's file; the longest preset has about two thousand."""
_SUFFIX: Final = ".toml"
_PLACE: Final = re.compile(r"(.*) \(at (.*)\)")
"""How tomllib says where a mistake is."""


class UnknownProfileError(ValueError):
    """No preset has that name; the text names the nearest one."""


def find(name_or_path: str) -> Profile:
    """Return a preset by its name, or read a file: what ends with .toml or contains a slash.

    Raises:
        UnknownProfileError: If there is no such preset.
        ProfileError: If a file cannot be read, or has mistakes.
    """
    if name_or_path.endswith(_SUFFIX) or "/" in name_or_path:
        return _read(Path(name_or_path), name_or_path)
    presets = _presets()
    if name_or_path in presets:
        return _read(presets[name_or_path], f"preset {name_or_path}")
    raise UnknownProfileError(
        f"found the profile {name_or_path!r}, did you mean {nearest(name_or_path, presets)!r}? "
        f"(allowed: {', '.join(presets)}, or the path of a {_SUFFIX} file)"
    )


def names() -> list[str]:
    """List the presets."""
    return list(_presets())


def describe() -> list[tuple[str, str]]:
    """List the presets, each with the sentence that says what it shows."""
    return [(name, find(name).description) for name in names()]


def parse(document: Mapping[str, Any], source: str) -> Profile:
    """Read a profile out of the values of a TOML or JSON document.

    Args:
        document: Its tables; not changed.
        source: Where it comes from, for errors.

    Raises:
        ProfileError: With all mistakes.
    """
    draft = _Draft()
    made: Profile = draft.table("", document, _PROFILE)
    if draft.mistakes:
        raise ProfileError(f"{source}: {key}: {text}" for key, text in draft.mistakes)
    return made


def _presets() -> dict[str, Traversable]:
    folder = resources.files(__package__) / "presets"
    files = {one.name: one for one in folder.iterdir() if one.name.endswith(_SUFFIX)}
    return {name.removesuffix(_SUFFIX): files[name] for name in sorted(files)}


def _read(file: Traversable, source: str) -> Profile:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ProfileError([f"{source}: {error.strerror}, allowed a readable TOML file"]) from error
    if len(data) > MAX_FILE_BYTES:
        raise ProfileError([f"{source}: found more than {MAX_FILE_BYTES} bytes, allowed so many"])
    return parse({"name": Path(file.name).stem, **_document(data, source)}, source)


def _document(data: bytes, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProfileError([f"{source}: line {line}: not UTF-8"]) from error
    except ValueError as error:
        what = str(error)
        if found := _PLACE.fullmatch(what):
            what = f"{found[2]}: {found[1]}"
        raise ProfileError([f"{source}: {what}"]) from error


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the file: its keys, and what is made of it."""

    key: str
    """How errors of the value that is made begin."""
    make: Callable[..., Any]
    keys: Mapping[str, _Reader]
    required: Mapping[str, Any] = field(default_factory=dict)
    """What stands in for a missing or wrong value, so that the others can be checked."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """An array of tables."""

    each: _Table


_Reader = Callable[[object], Any] | _Table | _Tables


class _Draft:
    """Reads tables, and gathers what is wrong with them as pairs of key and text."""

    def __init__(self) -> None:
        self.mistakes: list[tuple[str, str]] = []

    def table(self, key: str, found: object, shape: _Table) -> Any:
        """Make a table's value; None if that is not possible."""
        if not isinstance(found, Mapping):
            self._wrong(key, f"found {found!r}, allowed a table [{shape.key}]")
            return None
        prefix = f"{key}." if key else ""
        values = dict(shape.required)
        for name, value in found.items():
            if name not in shape.keys:
                self._unknown(prefix + name, name, shape.keys)
            elif (read := self._value(prefix + name, value, shape.keys[name])) is not None:
                values[name] = read
        for name in shape.required:
            if name not in found:
                self._wrong(prefix + name, "found none, it has no default")
        try:
            return shape.make(**values)
        except ProfileError as error:
            self._relay(error.mistakes, key, shape.key)
            return None

    def _value(self, key: str, found: object, reader: _Reader) -> Any:
        if isinstance(reader, _Table):
            return self.table(key, found, reader)
        if isinstance(reader, _Tables):
            return self._tables(key, found, reader.each)
        try:
            return reader(found)
        except UnitError as error:
            self._wrong(key, str(error))
            return None

    def _tables(self, key: str, found: object, each: _Table) -> tuple[Any, ...] | None:
        if not isinstance(found, list):
            self._wrong(key, f"found {found!r}, allowed tables [[{each.key}]]")
            return None
        made = [self.table(f"{key}[{n}]", one, each) for n, one in enumerate(found, 1)]
        return tuple(one for one in made if one is not None)

    def _relay(self, mistakes: Iterable[str], key: str, made: str) -> None:
        """Take over what a value says of itself, but what is only due to a mistake in a part."""
        known = [known for known, _ in self.mistakes]
        for mistake in mistakes:
            inner, _, text = mistake.removeprefix(made).partition(": ")
            where = key + inner
            if not any(one == where or one.startswith((f"{where}.", f"{where}[")) for one in known):
                self.mistakes.append((where, text))

    def _unknown(self, key: str, name: str, allowed: Iterable[str]) -> None:
        choices = list(allowed)
        self._wrong(
            key,
            f"found an unknown key, did you mean {nearest(name, choices)!r}? "
            f"(allowed: {', '.join(choices)})",
        )

    def _wrong(self, key: str, text: str) -> None:
        self.mistakes.append((key, text))


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise UnitError(f"found {found!r}, allowed a text")
    return found


def _yes_or_no(found: object) -> bool:
    if not isinstance(found, bool):
        raise UnitError(f"found {found!r}, allowed true or false")
    return found


def _texts(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise UnitError(f"found {found!r}, allowed a list of texts")
    return tuple(found)


def _heartbeat(found: object) -> tuple[int, int]:
    """Read one duration, or the lowest and the highest, in whole seconds."""
    ends = [parse_duration(one) for one in (found if isinstance(found, list) else [found])]
    if len(ends) not in {1, 2} or not all(end.is_integer() for end in ends):
        raise UnitError(f"found {found!r}, allowed whole seconds: one time, or two in a list")
    return int(ends[0]), int(ends[-1])


def _pairs(found: object, allowed: str) -> list[tuple[Any, Any]]:
    ones: list[Any] = found if isinstance(found, list) else [found]
    if not all(isinstance(one, list) and len(one) == 2 for one in ones):  # noqa: PLR2004 - a pair
        raise UnitError(f"found {found!r}, allowed {allowed}")
    return [(first, second) for first, second in ones]


def _per_user(found: object) -> tuple[tuple[int, float], ...]:
    if not isinstance(found, list):
        return ((parse_count(found), 1.0),)
    pairs = _pairs(found, "a number, or a list of pairs of a number and its weight")
    return tuple((parse_count(count), parse_share(weight)) for count, weight in pairs)


def _folders(found: object) -> tuple[tuple[str, float], ...]:
    if isinstance(found, Mapping):
        return tuple((name, parse_share(weight)) for name, weight in found.items())
    pairs = _pairs(found, "folders with their weights, like { INBOX = 0.7, Calendar = 0.3 }")
    return tuple((_text(name), parse_share(weight)) for name, weight in pairs)


def _curve(found: object) -> tuple[tuple[float, float], ...]:
    pairs = _pairs(found, "a list of pairs of a part of the duration and a factor of the rate")
    return tuple((parse_share(part), parse_share(factor)) for part, factor in pairs)


def _profile(*, phones: tuple[Group, ...], **values: Any) -> Profile:
    return Profile(groups=phones, **values)


_USERS: Final = _Table(
    "users",
    Users,
    {
        "name": _text,
        "device": _text,
        "password": _text,
        "first": parse_count,
        "per_user": _per_user,
    },
)
_STAGE: Final = _Table(
    "arrival.stages",
    Stage,
    {"at": parse_span, "share": parse_share, "over": parse_span},
    required={"at": Span(), "share": 0.0},
)
_ARRIVAL: Final = _Table("arrival", Arrival, {"rate": parse_rate, "stages": _Tables(_STAGE)})
_GROUP: Final = _Table(
    "phones",
    Group,
    {
        "kind": _text,
        "share": parse_share,
        "heartbeat": _heartbeat,
        "watches": _texts,
        "syncs": _yes_or_no,
        "terse": parse_share,
        "returning": _yes_or_no,
    },
    required={"kind": ""},
)
_CHANGES: Final = _Table(
    "changes",
    Changes,
    {
        "rate": parse_rate,
        "pattern": _text,
        "burst": parse_count,
        "folders": _folders,
        "hot_mailboxes": parse_share,
        "hot_changes": parse_share,
        "curve": _curve,
    },
)
_FAULT: Final = _Table(
    "faults",
    Fault,
    {
        "at": parse_span,
        "kind": _text,
        "share": parse_share,
        "how": _text,
        "idle": parse_duration,
        "until": parse_span,
    },
    required={"at": Span(), "kind": ""},
)
_PROFILE: Final = _Table(
    "",
    _profile,
    {
        "name": _text,
        "description": _text,
        "devices": parse_count,
        "duration": parse_duration,
        "seed": parse_count,
        "settle": parse_duration,
        "slo": parse_duration,
        "grace": parse_duration,
        "asserts": _texts,
        "users": _USERS,
        "arrival": _ARRIVAL,
        "phones": _Tables(_GROUP),
        "changes": _CHANGES,
        "faults": _Tables(_FAULT),
    },
    required={"name": "", "devices": 0, "duration": 0.0, "phones": ()},
)
