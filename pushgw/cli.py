"""The command ``pushgw``. People read what it says: one line for each mistake, never a traceback.

Exit status: 0 done, 1 it could not be done, 2 it was asked for wrongly (arguments, settings).
"""

from __future__ import annotations

import io
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from notifier.publisher import PublishError, SyncPublisher
from pushgw import users_file
from pushgw.eas.credentials import login_name
from pushgw.settings import Loaded, Settings, SettingsError, load, masked
from pushgw.users_file import UsersFileError
from pushgw.wbxml import EncodeError, WbxmlError, XmlError, decode, encode, from_xml, to_xml

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_INPUT_BYTES = 64 * 1024 * 1024
"""Bytes that decode and encode read: more than the codec takes, so that it is the one to refuse."""
MAX_PASSWORD_CHARACTERS = 1024
_FAILED = 1
_ASKED_WRONGLY = 2
_NO_SOCKET = (
    "redis.url is embedded and server.run_dir is not set, so nobody but the server knows its "
    "Redis' socket: set PUSHGW_SERVER__RUN_DIR (run_dir in [server]) to the same directory for "
    "the server and for this command, or name a Redis with --redis"
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
users = typer.Typer(no_args_is_help=True, help="Names and passwords of the users file.")
app.add_typer(users, name="users")

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML).")
]
UsersPath = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="Users file; else that of the settings."),
]
Input = Annotated[str, typer.Argument(metavar="[FILE|-]", help="A file, or - for standard input.")]


def main() -> None:
    """Run the command line of this process and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal cannot show is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            app(prog_name="pushgw")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, into nothing then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_FAILED)


def _print_version(is_asked: bool) -> None:  # noqa: FBT001 - the shape of a typer callback
    if is_asked:
        print(f"pushgw {version('pushgw')}")
        raise typer.Exit


@app.callback()
def _program(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Direct Push gateway for Exchange ActiveSync."""


@app.command()
def serve(
    config: Config = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that hold phones; 0 is one per core.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Address for phones.")
    ] = None,
    admin_listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Address for health and metrics.")
    ] = None,
) -> None:
    """Run the gateway until it is told to stop."""
    overrides = {
        "server.workers": workers,
        "server.listen": listen,
        "server.admin_listen": admin_listen,
    }
    settings = _load(config, overrides).settings
    from pushgw import app as gateway  # noqa: PLC0415 - the other commands need no server

    try:
        status = gateway.serve(settings)
    except gateway.StartError as error:
        _fail(_ASKED_WRONGLY, *str(error).splitlines())
    except OSError as error:
        _fail(_FAILED, error.strerror or str(error))
    raise typer.Exit(status)


@app.command()
def check(
    config: Config = None,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="The gateway runs: its ports need not be free.")
    ] = False,
) -> None:
    """Show the settings in force with their sources and how many phones fit, or all mistakes.

    The limit of open files is that of the shell it runs in; a service may have another one.
    """
    loaded = _load(config, {})
    from pushgw import app as gateway  # noqa: PLC0415 - the other commands need no server

    capacity: list[str] = []
    mistakes = [] if live else gateway.taken_ports(loaded.settings)
    try:
        capacity = gateway.capacity(loaded.settings)
    except gateway.StartError as error:
        mistakes.append(str(error))
    if mistakes:
        _fail(_ASKED_WRONGLY, *mistakes)
    _print_settings(loaded)
    print(*capacity, sep="\n")


@app.command()
def publish(
    mailbox: Annotated[str, typer.Argument(help="Login name of the mailbox.")],
    folders: Annotated[list[str], typer.Argument(metavar="FOLDER...", help="What changed.")],
    class_: Annotated[
        str | None, typer.Option("--class", help="Email, Calendar, Contacts, Tasks, Notes or SMS.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="What happened, in a word of your own.")] = None,
    config: Config = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Redis to record in.")] = None,
) -> None:
    """Record that folders of a mailbox changed, and wake the phones that wait for them."""
    settings = _load(config, {"redis.url": redis}, for_server=False).settings
    try:
        with SyncPublisher.from_url(_redis_url(settings)) as publisher:
            for folder in folders:
                sequence = publisher.publish(mailbox, folder, class_=class_, kind=kind)
                print(f"recorded {mailbox} {folder} {sequence}", flush=True)
    except PublishError as error:
        _fail(_FAILED, str(error))


@app.command("decode")
def decode_command(source: Input = "-") -> None:
    """Print a WBXML document as XML."""
    try:
        text = to_xml(decode(_read(source)))
    except WbxmlError as error:
        _fail(_FAILED, str(error))
    sys.stdout.buffer.write(f"{text}\n".encode())


@app.command("encode")
def encode_command(source: Input = "-") -> None:
    """Write an XML document, as decode prints it, as WBXML."""
    data = _read(source)
    try:
        document = encode(from_xml(data.decode()))
    except UnicodeDecodeError as error:
        found = f"{error.start}: found byte 0x{data[error.start]:02x}, allowed UTF-8"
        _fail(_FAILED, found)
    except (XmlError, EncodeError) as error:
        _fail(_FAILED, str(error))
    sys.stdout.buffer.write(document)


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="Login name.")],
    *,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from standard input.")
    ] = False,
    config: Config = None,
    file: UsersPath = None,
) -> None:
    """Give a user a password: a new user, or a new password."""
    path = _users_path(config, file)
    password = _password_of_input() if password_stdin else _password_of_person()
    try:
        is_new = users_file.add(path, name, password)
    except UsersFileError as error:
        _fail(_FAILED, *str(error).splitlines())
    print(f"{'added' if is_new else 'changed'} {login_name(name)}")


@users.command("list")
def list_users(config: Config = None, file: UsersPath = None) -> None:
    """Print the login names, one per line."""
    try:
        found = users_file.names(_users_path(config, file))
    except UsersFileError as error:
        _fail(_FAILED, *str(error).splitlines())
    for name in found:
        print(name)


@users.command("remove")
def remove_user(
    name: Annotated[str, typer.Argument(help="Login name.")],
    config: Config = None,
    file: UsersPath = None,
) -> None:
    """Take a user out; who is logged in is asked again within a second."""
    try:
        users_file.remove(_users_path(config, file), name)
    except UsersFileError as error:
        _fail(_FAILED, *str(error).splitlines())
    print(f"removed {login_name(name)}")


def _fail(status: int, *mistakes: str) -> NoReturn:
    for mistake in mistakes:
        print(f"error: {mistake}", file=sys.stderr)
    raise typer.Exit(status)


def _print_settings(loaded: Loaded) -> None:
    rows = [("KEY", "VALUE", "SOURCE")]
    for key, source in loaded.sources.items():
        section, _, name = key.partition(".")
        value = getattr(getattr(loaded.settings, section), name)
        rows.append((key, masked(key, value), source))
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    for key, value, source in rows:
        print(f"{key:{first}}  {value:{second}}  {source}")


def _load(
    config: Path | None, overrides: Mapping[str, object], *, for_server: bool = True
) -> Loaded:
    try:
        return load(config, os.environ, overrides, for_server=for_server)
    except SettingsError as error:
        _fail(_ASKED_WRONGLY, *error.mistakes)


def _redis_url(settings: Settings) -> str:
    if settings.redis.url != "embedded":
        return settings.redis.url
    if not settings.server.run_dir:
        _fail(_FAILED, _NO_SOCKET)
    from pushgw.embedded import SOCKET  # noqa: PLC0415 - only who asks for it loads a server

    return f"unix://{Path(settings.server.run_dir).absolute() / SOCKET}"


def _users_path(config: Path | None, file: Path | None) -> Path:
    if file is not None:
        return file
    path = _load(config, {}, for_server=False).settings.auth.users_file
    if not path:
        _fail(
            _ASKED_WRONGLY, "no users file is named: give --file, or --config with auth.users_file"
        )
    return Path(path)


def _read(source: str) -> bytes:
    try:
        if source != "-":
            with Path(source).open("rb") as file:
                return file.read(MAX_INPUT_BYTES)
        if sys.stdin is not None:
            return sys.stdin.buffer.read(MAX_INPUT_BYTES)
    except OSError as error:
        _fail(_FAILED, f"{source}: {error.strerror}")
    _fail(_FAILED, "standard input is closed: name a file")


def _password_of_input() -> str:
    line = sys.stdin.readline(MAX_PASSWORD_CHARACTERS + 1) if sys.stdin is not None else ""
    if len(line) > MAX_PASSWORD_CHARACTERS:
        _fail(
            _ASKED_WRONGLY, f"found a longer password, allowed {MAX_PASSWORD_CHARACTERS} characters"
        )
    return line.rstrip("\r\n")


def _password_of_person() -> str:
    if sys.stdin is None or not sys.stdin.isatty():
        _fail(_ASKED_WRONGLY, "no terminal to ask for the password: give --password-stdin")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer
