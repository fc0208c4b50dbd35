from __future__ import annotations

import dataclasses
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from pushgw import users_file
from pushgw.settings import Server, Settings, SettingsError, load, masked, tls_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

USERS_FILE = "auth.users_file"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(file, environ or {}, overrides or {})
    assert str(caught.value) == "\n".join(caught.value.mistakes)
    return list(caught.value.mistakes)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    return str(cert), str(key)


def test_defaults_need_nothing() -> None:
    """Without file, environment and command line the defaults are in force."""
    loaded = load(None, {}, {})

    assert Settings() == loaded.settings
    assert set(loaded.sources.values()) == {"default"}


def test_sources_name_every_key() -> None:
    """The sources have all keys, in the order of the sections."""
    loaded = load(None, {}, {})

    expected = [
        f"{section.name}.{field.name}"
        for section in dataclasses.fields(Settings)
        for field in dataclasses.fields(getattr(loaded.settings, section.name))
    ]
    assert expected == list(loaded.sources)


def test_the_later_source_wins(tmp_path: Path) -> None:
    """The command line goes before the environment, that before the file, that before a default."""
    file = write(tmp_path / "p.toml", "[heartbeat]\nmin = 61\nmax = 1000\ndefault = 500\n")
    environ = {"PUSHGW_HEARTBEAT__MAX": "1001", "PUSHGW_HEARTBEAT__DEFAULT": "501"}

    loaded = load(file, environ, {"heartbeat.default": 502})

    heartbeat = loaded.settings.heartbeat
    assert (61, 1001, 502) == (heartbeat.min, heartbeat.max, heartbeat.default)
    assert loaded.sources["heartbeat.min"] == str(file)
    assert loaded.sources["heartbeat.max"] == "environment PUSHGW_HEARTBEAT__MAX"
    assert loaded.sources["heartbeat.default"] == "command line"
    assert loaded.sources["log.level"] == "default"


def test_an_option_not_given_changes_nothing() -> None:
    """None on the command line leaves the value and its source."""
    loaded = load(None, {"PUSHGW_SERVER__WORKERS": "3"}, {"server.workers": None})

    assert loaded.settings.server.workers == 3
    assert loaded.sources["server.workers"] == "environment PUSHGW_SERVER__WORKERS"


def test_variables_of_others_are_left_alone() -> None:
    """Variables without our prefix or without a section are not ours."""
    loaded = load(None, {"PUSHGW": "1", "PUSHGW_HOME": "/srv", "OTHER_SERVER__LISTEN": "x"}, {})

    assert Settings() == loaded.settings


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("server.listen", "8800", "'8800' (command line), allowed HOST:PORT, an IPv6 host in "),
        ("server.listen", 8800, "8800 (command line), allowed text"),
        ("server.workers", -1, "-1 (command line), allowed 0 to 1024 processes"),
        ("server.workers", True, "True (command line), allowed 0 to 1024 processes"),
        ("server.workers", "many", "'many' (command line), allowed 0 to 1024 processes"),
        ("server.drain_seconds", float("nan"), "nan (command line), allowed 0 to 3600 seconds"),
        ("server.run_dir", "/" + "x" * 90, "'/xxx"),
        ("server.run_dir", __file__, "'/"),
        ("heartbeat.min", 0, "0 (command line), allowed 1 to 3540 whole seconds"),
        ("heartbeat.min", 60.5, "60.5 (command line), allowed 1 to 3540 whole seconds"),
        ("heartbeat.max", 3541, "3541 (command line), allowed 1 to 3540 whole seconds"),
        ("auth.method", "upstream", "'upstream' (command line), allowed open or users_file; ups"),
        ("auth.method", "none", "'none' (command line), allowed open or users_file"),
        ("auth.realm", 'a"b', "'a\"b' (command line), allowed 1 to 100 printable ASCII "),
        ("limits.max_folders", 0, "0 (command line), allowed 1 to 5000 folders"),
        ("limits.max_body_bytes", 1, "1 (command line), allowed 1024 to 1073741824 bytes"),
        ("limits.reserved_files", 49, "49 (command line), allowed 50 to 1000000 files"),
        ("log.level", "loud", "'loud' (command line), allowed debug, info, warning, error"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(key: str, value: object, line: str) -> None:
    """One line names the key, the value, where it came from and what is allowed."""
    found = mistakes(overrides={key: value})

    assert len(found) == 1
    assert found[0].startswith(f"{key}: found {line}")


@pytest.mark.parametrize(
    "url",
    ["embedded", "redis://h:6379/0", "rediss://u:p@h", "unix:///run/valkey.sock", "redis://[::1]"],
)
def test_redis_urls_are_accepted(url: str) -> None:
    """The embedded server and the three schemes of one Redis server are supported."""
    assert url == load(None, {}, {"redis.url": url}).settings.redis.url


@pytest.mark.parametrize(
    "url", ["", "redis", "redis://", "redis://h:port", "unix://", "http://h", "redis://[::1"]
)
def test_other_redis_urls_are_refused(url: str) -> None:
    """A text that names no Redis server is refused with the forms that do."""
    found = mistakes(overrides={"redis.url": url})

    allowed = "embedded, redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH"
    assert [f"redis.url: found {url!r} (command line), allowed {allowed}"] == found


@pytest.mark.parametrize("scheme", ["redis+sentinel", "redis+cluster"])
def test_later_redis_urls_are_told_apart(scheme: str) -> None:
    """Sentinel and cluster are refused as not supported yet, without their password."""
    found = mistakes(overrides={"redis.url": f"{scheme}://:secret@h:1/x"})

    assert f"; {scheme}:// is not supported yet" in found[0]
    assert "secret" not in found[0]


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    """Every mistake of every source is told in one go."""
    text = (
        "[servr]\nlisten = 1\n[heartbeat]\nmin = 0\nmaxx = 5\n[limits]\nmin = 1\n[log]\nlevel=3\n"
    )
    file = write(tmp_path / "p.toml", text)

    found = mistakes(
        file, {"PUSHGW_SERVER__LISTN": "x"}, {"server.workers": -1, "server.lissen": 1}
    )

    assert [
        f"servr: unknown section ({file}), the nearest is server",
        f"heartbeat.maxx: unknown key ({file}), the nearest is heartbeat.max",
        f"limits.min: unknown key ({file}), the nearest is heartbeat.min",
        (
            "PUSHGW_SERVER__LISTN: unknown variable (environment), "
            "the nearest is PUSHGW_SERVER__LISTEN"
        ),
        "server.lissen: unknown key (command line), the nearest is server.listen",
        "server.workers: found -1 (command line), allowed 0 to 1024 processes",
        f"heartbeat.min: found 0 ({file}), allowed 1 to 3540 whole seconds",
        f"log.level: found 3 ({file}), allowed debug, info, warning, error",
    ] == found


def test_a_key_outside_a_section_finds_its_own(tmp_path: Path) -> None:
    """A key that stands above all sections is answered with its full name."""
    file = write(tmp_path / "p.toml", 'users_file = "secret"\nserver = 3\n')

    assert [
        f"users_file: unknown key ({file}), the nearest is auth.users_file",
        f"server: found 3 ({file}), allowed a table [server]",
    ] == mistakes(file)


def test_a_syntax_error_has_its_line(tmp_path: Path) -> None:
    """A file that is no TOML is told with the line, and hides no mistake of other sources."""
    file = write(tmp_path / "p.toml", "[server]\nlisten = \n")

    found = mistakes(file, {"PUSHGW_LOG__LEVEL": "x", "PUSHGW_SERVER__LISTEN": "0.0.0.0:1"})

    assert [
        f"{file}: Invalid value (at line 2, column 10), allowed a readable TOML file",
        "log.level: found 'x' (environment PUSHGW_LOG__LEVEL), allowed debug, info, warning, error",
    ] == found


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"\xff", "'utf-8'"), (b"#" * 1_048_577, "more than 1")],
)
def test_an_unusable_file_is_told(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """A file that is missing, not UTF-8 or far too large is one mistake."""
    file = tmp_path / "p.toml"
    if content is not None:
        file.write_bytes(content)

    found = mistakes(file)

    assert len(found) == 1
    assert found[0].startswith(f"{file}: {reason}")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"heartbeat.min": 600},
            (
                "heartbeat.default: found 480 (default), "
                "allowed heartbeat.min to heartbeat.max, 600 to 3540"
            ),
        ),
        (
            {"heartbeat.min": 90, "heartbeat.max": 80},
            "heartbeat.min: found 90 (command line), allowed at most heartbeat.max, 80",
        ),
        (
            {"server.admin_listen": "127.0.0.1:8800"},
            (
                "server.admin_listen: found '127.0.0.1:8800' (command line), "
                "allowed another address than that of server.listen"
            ),
        ),
        (
            {"server.listen": "0.0.0.0:8800"},
            (
                "server.listen: found '0.0.0.0:8800' (command line), allowed a loopback address, "
                'because auth.method is "open": nobody is asked who he is'
            ),
        ),
        (
            {"auth.method": "users_file"},
            (
                "auth.users_file: found '' (default), "
                'allowed a path, because auth.method is "users_file"'
            ),
        ),
        (
            {"server.tls_key": "/key"},
            "server.tls_cert: found '' (default), allowed a path, because server.tls_key is given",
        ),
        (
            {"server.tls_cert": "/cert"},
            "server.tls_key: found '' (default), allowed a path, because server.tls_cert is given",
        ),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(
    values: dict[str, object], line: str
) -> None:
    """Values that are right one by one are checked against each other."""
    assert [line] == mistakes(overrides=values)


def test_both_listeners_must_be_loopback_when_nobody_is_asked() -> None:
    """With auth.method open each listener that others can reach is a mistake of its own."""
    found = mistakes(overrides={"server.listen": "h:1", "server.admin_listen": "[::]:2"})

    assert ["server.listen", "server.admin_listen"] == [one.split(":")[0] for one in found]


def test_two_free_ports_do_not_collide() -> None:
    """Port 0 twice is two ports."""
    addresses = {"server.listen": "[::1]:0", "server.admin_listen": "[::1]:0"}

    assert load(None, {}, addresses).settings.server.listen == "[::1]:0"


def test_a_command_beside_the_server_needs_no_files_of_it() -> None:
    """Checks of listeners, certificate and users file are left out on demand."""
    values = {"server.listen": "0.0.0.0:1", "server.tls_key": "/none", "auth.method": "users_file"}

    loaded = load(None, {}, values, for_server=False)

    assert loaded.settings.server.tls_key == "/none"


def test_combinations_of_wrong_values_are_not_judged() -> None:
    """A value that is wrong by itself is told once, not compared."""
    values = {"heartbeat.min": 0, "server.listen": 1, "auth.method": 2, "server.tls_cert": 3}

    found = mistakes(overrides=values)

    assert sorted(values) == sorted(one.split(":")[0] for one in found)


def test_a_users_file_opens_the_listeners(tmp_path: Path) -> None:
    """With a users file the gateway may listen on every address."""
    users_file.add(tmp_path / "users", "anna", "secret")
    values = {
        "auth.method": "users_file",
        USERS_FILE: str(tmp_path / "users"),
        "server.listen": "0.0.0.0:8800",
    }

    assert load(None, {}, values).settings.server.listen == "0.0.0.0:8800"


def test_each_mistake_of_the_users_file_is_told(tmp_path: Path) -> None:
    """A users file that is there but wrong is a mistake for each of its lines."""
    file = write(tmp_path / "users", "anna\nbert:x\n")

    found = mistakes(overrides={"auth.method": "users_file", USERS_FILE: str(file)})

    start = f"auth.users_file: found {str(file)!r} (command line), allowed a readable users file "
    assert [
        f"{start}(line 1: found no colon, allowed NAME:HASH)",
        f"{start}(line 2: found no Argon2 hash, allowed $argon2id$v=19$m=...$SALT$HASH)",
    ] == found


def test_a_certificate_is_loaded(certificate: tuple[str, str]) -> None:
    """A certificate and its key make a context for TLS 1.2 and newer."""
    cert, key = certificate
    server = load(None, {}, {"server.tls_cert": cert, "server.tls_key": key}).settings.server

    context = tls_context(server)

    assert context is not None
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version


def test_no_certificate_is_no_context() -> None:
    """Without a certificate plain HTTP is served."""
    assert tls_context(Server()) is None


def test_unreadable_certificate_files_are_told(tmp_path: Path) -> None:
    """Each of the two files that cannot be read is a mistake."""
    cert, key = str(tmp_path / "cert"), str(tmp_path / "key")

    found = mistakes(overrides={"server.tls_cert": cert, "server.tls_key": key})

    allowed = "allowed a readable file (No such file or directory)"
    assert [
        f"server.tls_cert: found {cert!r} (command line), {allowed}",
        f"server.tls_key: found {key!r} (command line), {allowed}",
    ] == found


def test_a_key_of_another_certificate_is_refused(
    certificate: tuple[str, str], tmp_path: Path
) -> None:
    """Certificate and key must belong together."""
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)

    found = mistakes(overrides={"server.tls_cert": certificate[0], "server.tls_key": str(other)})

    assert found[0].endswith("of server.tls_key (OpenSSL: KEY_VALUES_MISMATCH)")


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    """A readable file that is no PEM is refused."""
    file = str(write(tmp_path / "x", "no PEM"))

    found = mistakes(overrides={"server.tls_cert": file, "server.tls_key": file})

    assert len(found) == 1
    assert found[0].startswith(f"server.tls_cert: found {file!r}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("redis://user:secret@h/0", "'redis://user:***@h/0'"),
        ("redis://:se:cr@et@h", "'redis://:***@h'"),
        ("unix:///s?db=1&password=secret&x=1", "'unix:///s?db=1&password=***&x=1'"),
        ("redis://h:1", "'redis://h:1'"),
    ],
)
def test_a_password_in_a_url_is_masked(value: str, expected: str) -> None:
    """A Redis password is shown to nobody."""
    assert expected == masked("redis.url", value)


def test_a_long_value_is_shortened() -> None:
    """A value is shown with a bounded length."""
    assert len(masked("auth.realm", "x" * 1000)) == 200
