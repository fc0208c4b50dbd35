"""Where each value comes from, and every mistake at once.

The later one wins: default, TOML file (one table per section), environment variable
``PUSHGW_<SECTION>__<KEY>``, command line. Values are checked one by one first, then against each
other; a mistake in one never hides another one.
"""

from __future__ import annotations

import re
import ssl
import tomllib
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from pushgw.settings.sections import Between, Server, Settings, address, is_loopback
from pushgw.users_file import UsersFileError, names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENVIRONMENT_PREFIX = "PUSHGW_"
MAX_FILE_BYTES = 1_048_576
"""Bytes of a settings file; one that sets every key has about two thousand."""


class SettingsError(Exception):
    """Settings that cannot be used; the text has one line for each mistake."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        """One line each: key, value found, where it came from, what is allowed."""
        super().__init__("\n".join(self.mistakes))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that passed every check."""

    settings: Settings
    sources: Mapping[str, str]
    """Key such as ``"server.listen"`` -> ``"default"``, the file's path, ``"environment
    PUSHGW_..."`` or ``"command line"``; in the order of the sections."""


class _Field(NamedTuple):
    adapter: TypeAdapter[Any]
    default: object
    allowed: str


class _Given(NamedTuple):
    value: object
    source: str


_SECTIONS: dict[str, type[Any]] = get_type_hints(Settings)


def _allowed(hint: Any) -> str:
    bounds = [mark for mark in get_args(hint) if isinstance(mark, Between)]
    choices = [choice for choice in get_args(hint) if isinstance(choice, str)]
    return str(bounds[0]) if bounds else (", ".join(choices) or "text")


_FIELDS: dict[str, _Field] = {
    f"{section}.{one.name}": _Field(TypeAdapter(hint), one.default, _allowed(hint))
    for section, cls in _SECTIONS.items()
    for one, hint in zip(
        fields(cls), get_type_hints(cls, include_extras=True).values(), strict=True
    )
}


def load(
    file: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    *,
    for_server: bool = True,
) -> Loaded:
    """Gather the settings and check them.

    Args:
        file: A TOML file, or None for none.
        environ: All environment variables; those of other programs are left alone.
        overrides: Key such as ``"server.listen"`` -> value of the command line; None is not given.
        for_server: False leaves out the checks of what only a server needs (listeners, certificate,
            users file), for commands that run beside it and perhaps as another user.

    Raises:
        SettingsError: With all mistakes.
    """
    draft = _Draft()
    is_whole = file is None or draft.read_file(file)
    draft.read_environment(environ)
    draft.read_overrides(overrides)
    draft.check_values()
    # Without its file most combinations would be wrong for want of what stands in there.
    if for_server and is_whole:
        _check_heartbeat(draft)
        _check_listeners(draft)
        _check_users_file(draft)
        _check_tls(draft)
    if draft.mistakes:
        raise SettingsError(draft.mistakes)
    return draft.finish()


def masked(key: str, value: object) -> str:
    """Show a value as a person may see it: a password in a URL is replaced, length is bounded."""
    text = repr(value) if isinstance(value, str) else str(value)
    if key == "redis.url":
        text = re.sub(r"://([^:@/]*):.*@", r"://\1:***@", text)
        text = re.sub(r"([?&]password=)[^&']*", r"\1***", text)
    return text if len(text) <= 200 else text[:197] + "..."  # noqa: PLR2004 - a line to read


def tls_context(server: Server) -> ssl.SSLContext | None:
    """Load the certificate and its key for serving TLS 1.2 and newer; None when none is set.

    Raises:
        OSError: If a file cannot be read, or is no certificate or its key (ssl.SSLError).
    """
    if not server.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An empty password makes an encrypted key fail; without one OpenSSL would ask the terminal.
    context.load_cert_chain(server.tls_cert, server.tls_key, password="")
    return context


def _nearest(name: str, choices: Iterable[str]) -> str:
    def likeness(choice: str) -> float:
        # The key alone counts too, so that a key in the wrong section finds its own.
        key, right = name.rpartition(".")[2], choice.rpartition(".")[2]
        return (
            SequenceMatcher(None, name, choice).ratio() + SequenceMatcher(None, key, right).ratio()
        )

    return max(choices, key=likeness)


def _variable(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.upper().replace(".", "__")


def _tables(file: Path) -> dict[str, Any]:
    with file.open("rb") as source:
        data = source.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"more than {MAX_FILE_BYTES} bytes")
    return tomllib.loads(data.decode())


class _Draft:
    """Values gathered so far and what is wrong with them."""

    def __init__(self) -> None:
        self.given: dict[str, _Given] = {
            key: _Given(one.default, "default") for key, one in _FIELDS.items()
        }
        self.values: dict[str, Any] = {}
        self.mistakes: list[str] = []

    def read_file(self, file: Path) -> bool:
        """Take the values of a TOML file; False when it is none or cannot be read."""
        try:
            tables = _tables(file)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self.mistakes.append(f"{file}: {reason}, allowed a readable TOML file")
            return False
        for section, table in tables.items():
            if section in _SECTIONS and isinstance(table, dict):
                for key, value in table.items():
                    self._take(f"{section}.{key}", value, str(file))
            elif section in _SECTIONS:
                self.mistakes.append(
                    f"{section}: found {table!r} ({file}), allowed a table [{section}]"
                )
            elif isinstance(table, dict):
                nearest = _nearest(section, _SECTIONS)
                self.mistakes.append(
                    f"{section}: unknown section ({file}), the nearest is {nearest}"
                )
            else:
                self._take(section, table, str(file))
        return True

    def read_environment(self, environ: Mapping[str, str]) -> None:
        """Take the variables that have our prefix and a section."""
        keys = {_variable(key): key for key in _FIELDS}
        for name in sorted(environ):
            if name in keys:
                self._take(keys[name], environ[name], f"environment {name}")
            elif name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
                key = name.removeprefix(ENVIRONMENT_PREFIX).replace("__", ".").lower()
                nearest = _variable(_nearest(key, _FIELDS))
                self.mistakes.append(
                    f"{name}: unknown variable (environment), the nearest is {nearest}"
                )

    def read_overrides(self, overrides: Mapping[str, object]) -> None:
        """Take the values of the command line that are not None."""
        for key, value in overrides.items():
            if value is not None:
                self._take(key, value, "command line")

    def _take(self, key: str, value: object, source: str) -> None:
        if key in _FIELDS:
            self.given[key] = _Given(value, source)
        else:
            # Its value stays unsaid: it may be a password in the wrong place.
            nearest = _nearest(key, _FIELDS)
            self.mistakes.append(f"{key}: unknown key ({source}), the nearest is {nearest}")

    def check_values(self) -> None:
        """Check each value by itself; the right ones are in `values` afterwards."""
        for key, one in _FIELDS.items():
            value = self.given[key].value
            try:
                # Pydantic reads true as 1; there is no yes-or-no setting here.
                if isinstance(value, bool):
                    self.mistake(key, one.allowed)
                else:
                    self.values[key] = one.adapter.validate_python(value)
            except ValidationError as error:
                detail = error.errors()[0]
                is_ours = detail["type"] == "value_error"
                self.mistake(key, str(detail["ctx"]["error"]) if is_ours else one.allowed)

    def mistake(self, key: str, allowed: str) -> None:
        """Note that the value given for this key is not allowed."""
        value, source = self.given[key]
        self.mistakes.append(f"{key}: found {masked(key, value)} ({source}), allowed {allowed}")

    def has(self, *keys: str) -> bool:
        """Say whether these values are right by themselves, so that they can be compared."""
        return all(key in self.values for key in keys)

    def finish(self) -> Loaded:
        """Build the settings of values that are all right."""
        sections = {
            section: cls(**{one.name: self.values[f"{section}.{one.name}"] for one in fields(cls)})
            for section, cls in _SECTIONS.items()
        }
        return Loaded(Settings(**sections), {key: one.source for key, one in self.given.items()})


def _check_heartbeat(draft: _Draft) -> None:
    if not draft.has("heartbeat.min", "heartbeat.max", "heartbeat.default"):
        return
    low, high = draft.values["heartbeat.min"], draft.values["heartbeat.max"]
    if low > high:
        draft.mistake("heartbeat.min", f"at most heartbeat.max, {high}")
    elif not low <= draft.values["heartbeat.default"] <= high:
        draft.mistake("heartbeat.default", f"heartbeat.min to heartbeat.max, {low} to {high}")


def _check_listeners(draft: _Draft) -> None:
    listeners = [key for key in ("server.listen", "server.admin_listen") if draft.has(key)]
    addresses = [address(draft.values[key]) for key in listeners]
    if len(set(addresses)) < len(addresses) and addresses[0][1]:
        draft.mistake("server.admin_listen", "another address than that of server.listen")
    if draft.values.get("auth.method") != "open":
        return
    for key, (host, _) in zip(listeners, addresses, strict=True):
        if not is_loopback(host):
            allowed = 'a loopback address, because auth.method is "open": nobody is asked who he is'
            draft.mistake(key, allowed)


def _check_users_file(draft: _Draft) -> None:
    if draft.values.get("auth.method") != "users_file" or not draft.has("auth.users_file"):
        return
    path = draft.values["auth.users_file"]
    if not path:
        draft.mistake("auth.users_file", 'a path, because auth.method is "users_file"')
        return
    try:
        names(Path(path))
    except UsersFileError as error:
        for mistake in error.mistakes:
            draft.mistake("auth.users_file", f"a readable users file ({mistake})")


def _check_tls(draft: _Draft) -> None:
    keys = ("server.tls_cert", "server.tls_key")
    if not draft.has(*keys) or not any(draft.values[key] for key in keys):
        return
    for key, other in zip(keys, reversed(keys), strict=True):
        if not draft.values[key]:
            draft.mistake(key, f"a path, because {other} is given")
            return
    unreadable = {key: reason for key in keys if (reason := _unreadable(draft.values[key]))}
    for key, reason in unreadable.items():
        draft.mistake(key, f"a readable file ({reason})")
    if not unreadable:
        try:
            tls_context(Server(tls_cert=draft.values[keys[0]], tls_key=draft.values[keys[1]]))
        except OSError as error:
            reason = getattr(error, "reason", "") or error.strerror or "no PEM"
            draft.mistake(
                keys[0],
                f"a PEM certificate chain that fits the unencrypted PEM key of {keys[1]} "
                f"(OpenSSL: {reason})",
            )


def _unreadable(path: str) -> str:
    try:
        with Path(path).open("rb"):
            return ""
    except OSError as error:
        return error.strerror or str(error)
