"""The users file: who may log in, one ``name:hash`` per line.

Lines that are empty or begin with ``#`` are left alone. Hashes are Argon2 in its usual text form,
so that every program that writes those can write this file. It is read again when it changed; a
file that became unusable changes nothing until it is mended, so that a slip of an editor does not
lock out everybody.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from pushgw.eas.credentials import login_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHECK_INTERVAL = 1.0
"""Seconds between two looks at the file's time and size."""
MAX_FILE_BYTES = 64 * 1024 * 1024
"""Bytes of a users file: half a million users."""
LOCK_WITHIN = 5.0
"""Seconds a change of the file waits for another one that is under way."""

# The smallest of the settings that OWASP's password storage sheet holds equal: 19 MiB, 2 passes, 1
# lane. Measured: 48 ms for one verification against 200 ms with argon2-cffi's own 64 MiB, 3 passes,
# 4 lanes; after a restart every phone's password is verified once.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Of a random password that nobody kept; takes as long as a user's hash when there is no user.
_DECOY = (
    "$argon2id$v=19$m=19456,t=2,p=1"
    "$pGS/24WTJFA3d79EDSUDTA$FJ4b8gPt/lx1BAkfRMz6Yyw+U0IrP84jY4PnV3zAJE0"
)
_NAME = re.compile(r"[^\x00-\x1f\x7f:{}#\s][^\x00-\x1f\x7f:{}]{0,319}")
_NAME_ALLOWED = "1 to 320 characters without colon, braces and control characters, no # in front"

log = structlog.get_logger(__name__)


class UsersFileError(Exception):
    """A users file, or a change of it, that cannot be."""

    def __init__(self, path: Path, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        """What was found and what is allowed, one line each; never a hash."""
        super().__init__("\n".join(f"{path}: {mistake}" for mistake in self.mistakes))


class UsersFile:
    """Names and password hashes as the file has them, read again when it changes.

    One thread calls `refresh`; `check` may run in others at the same time.

    Raises:
        UsersFileError: If the file cannot be used at the start.
    """

    def __init__(self, path: Path) -> None:
        self.version = 1
        """Grows with each reload."""
        self._path = path
        self._check_at = 0.0
        self._seen = _fingerprint(path)
        self._hashes = _hashes(path)

    def refresh(self, now: float) -> None:
        """Read the file again if it changed; looks at most once in `CHECK_INTERVAL`.

        Args:
            now: Seconds of a clock that does not go backwards.
        """
        if now < self._check_at:
            return
        self._check_at = now + CHECK_INTERVAL
        fingerprint = _fingerprint(self._path)
        if fingerprint == self._seen:
            return
        self._seen = fingerprint
        try:
            self._hashes = _hashes(self._path)
        except UsersFileError as error:
            log.error("users_file_unusable", mistakes=error.mistakes)  # noqa: TRY400 - a list of mistakes, not a crash
            return
        self.version += 1
        log.info("users_file_read", users=len(self._hashes), version=self.version)

    def check(self, name: str, password: str) -> bool:
        """Say whether this is the user's password; takes as long for a name that is not there.

        Takes about 50 ms of one core, outside the interpreter's lock.

        Args:
            name: In the form of `pushgw.eas.credentials.login_name`.
            password: As the client sent it.
        """
        hashes = self._hashes
        # A hash of the file itself, if there is one: it costs what the users' own ones cost.
        known = hashes.get(name)
        stored = known or next(iter(hashes.values()), _DECOY)
        try:
            return _HASHER.verify(stored, password) and known is not None
        except (VerificationError, InvalidHashError):
            return False


def names(path: Path) -> list[str]:
    """List the users of a file, sorted.

    Raises:
        UsersFileError: If the file cannot be used.
    """
    return sorted(_hashes(path))


def add(path: Path, name: str, password: str) -> bool:
    """Give a user a password; the file is made if it is not there.

    Returns:
        True for a new user, False when an existing one has a new password now.

    Raises:
        UsersFileError: If the name, the password or the file cannot be used.
    """
    login = login_name(name)
    if not _NAME.fullmatch(login):
        raise UsersFileError(path, [f"found the name {name!r}, allowed {_NAME_ALLOWED}"])
    if not password:
        raise UsersFileError(path, ["found an empty password, allowed one or more characters"])
    line = f"{login}:{_HASHER.hash(password)}"
    with _changing(path):
        lines = _lines(path) if path.exists() else []
        kept = [_replaced(text, login, line) for text in lines]
        is_new = kept == lines
        _rewrite(path, [*kept, line] if is_new else kept)
    return is_new


def remove(path: Path, name: str) -> None:
    """Take a user out of the file.

    Raises:
        UsersFileError: If there is no such user, or the file cannot be used.
    """
    login = login_name(name)
    with _changing(path):
        lines = _lines(path)
        kept = [text for text in lines if _replaced(text, login, "") == text]
        if kept == lines:
            raise UsersFileError(path, [f"found no user {login!r}, allowed a name of this file"])
        _rewrite(path, kept)


class _Fingerprint(NamedTuple):
    inode: int
    mtime_ns: int
    size: int


def _fingerprint(path: Path) -> _Fingerprint | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return _Fingerprint(status.st_ino, status.st_mtime_ns, status.st_size)


def _lines(path: Path) -> list[str]:
    """Read all lines of a file that has no mistake."""
    data = _data(path)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"line {line}: found byte 0x{data[error.start]:02x}, allowed UTF-8"
        raise UsersFileError(path, [found]) from None
    lines = text.removesuffix("\n").split("\n") if text else []
    if mistakes := list(_mistakes(lines)):
        raise UsersFileError(path, mistakes)
    return lines


def _data(path: Path) -> bytes:
    try:
        with path.open("rb") as source:
            data = source.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsersFileError(path, [f"cannot be read: {error.strerror}"]) from None
    if len(data) > MAX_FILE_BYTES:
        raise UsersFileError(path, [f"found a larger file, allowed {MAX_FILE_BYTES} bytes"])
    return data


def _hashes(path: Path) -> dict[str, str]:
    return dict(_entry(line) for line in _lines(path) if _is_entry(line))


def _is_entry(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _entry(line: str) -> tuple[str, str]:
    name, _, hashed = line.partition(":")
    return login_name(name), hashed.strip()


def _replaced(line: str, login: str, replacement: str) -> str:
    return replacement if _is_entry(line) and _entry(line)[0] == login else line


def _mistakes(lines: list[str]) -> Iterator[str]:
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not _is_entry(line):
            continue
        name, hashed = _entry(line)
        if ":" not in line:
            yield f"line {number}: found no colon, allowed NAME:HASH"
        elif not _NAME.fullmatch(name):
            yield f"line {number}: found the name {name!r}, allowed {_NAME_ALLOWED}"
        elif name in first:
            yield f"line {number}: found {name!r} again, allowed once (line {first[name]})"
        elif not _is_hash(hashed):
            yield f"line {number}: found no Argon2 hash, allowed $argon2id$v=19$m=...$SALT$HASH"
        first.setdefault(name, number)


def _is_hash(text: str) -> bool:
    try:
        extract_parameters(text)
    except InvalidHashError:
        return False
    return True


@contextmanager
def _changing(path: Path, within: float = LOCK_WITHIN) -> Iterator[None]:
    """Keep other changes of the file out, and turn the system's errors into ours."""
    try:
        # The directory is locked, not the file: the file is replaced, its lock would go with it.
        directory = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(directory, within)
            yield
        finally:
            os.close(directory)
    except OSError as error:
        raise UsersFileError(path, [f"cannot be changed: {error.strerror or error}"]) from None


def _lock(directory: int, within: float) -> None:
    until = time.monotonic() + within
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _rewrite(path: Path, lines: list[str]) -> None:
    """Replace the file in one step; a crash leaves the old one or the new one, never a part."""
    target = path.resolve()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            sink.writelines(f"{line}\n" for line in lines)
            _keep_owner(sink.fileno(), target)
            sink.flush()
            os.fsync(sink.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _keep_owner(handle: int, target: Path) -> None:
    """Leave owner and mode as they are, so that a gateway that may read the file still may.

    A new file is private (0600), as mkstemp makes it; others than owner and group get no rights.
    """
    if not target.exists():
        return
    status = target.stat()
    with suppress(PermissionError):
        os.fchown(handle, status.st_uid, status.st_gid)
    os.fchmod(handle, status.st_mode & 0o660)
