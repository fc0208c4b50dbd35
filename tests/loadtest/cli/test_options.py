"""Options that several commands share, loadtest/cli/options.py."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trustme

from loadtest.cli import options
from loadtest.cli.options import ADMIN, GATEWAY, OptionError, What, Where, Who
from loadtest.limits import MAX_PHONES
from loadtest.profiles import reading as profiles
from loadtest.profiles import units
from loadtest.running import Place
from loadtest.targets import LOOPBACK_SOURCES, parse_target

if TYPE_CHECKING:
    from pathlib import Path

ASSERTS = """
devices = 1
duration = "1s"
asserts = ["missed=0"]

[[phones]]
kind = "fixed"
"""


def test_the_usual_place_is_the_gateway_of_this_host() -> None:
    """Without options, phones go to this host's gateway, and changes to its admin listener."""
    expected = Place(
        targets=(parse_target(GATEWAY),),
        sources=LOOPBACK_SOURCES,
        publisher="http",
        publisher_url=ADMIN,
        admins=(ADMIN,),
    )
    assert expected == Where().place()


def test_options_say_the_place(certificate) -> None:
    """Every option about the servers finds its way into the place."""
    urls = ["https://10.0.0.1", "https://10.0.0.2"]
    expected = Place(
        targets=tuple(parse_target(url, allowed=["10.0.0.1", "10.0.0.2"]) for url in urls),
        sources=("127.0.0.1", "127.0.0.2"),
        allowed=("10.0.0.1", "10.0.0.2"),
        publisher="redis",
        publisher_url="redis://10.0.0.1:1",
        tls_ca=str(certificate),
        insecure=True,
        admins=("http://10.0.0.2:8801",),
    )
    found = Where(
        target=urls,
        allow_target=["10.0.0.1", "10.0.0.2"],
        source="127.0.0.1-127.0.0.2",
        admin=["http://10.0.0.2:8801"],
        publisher="redis",
        publish_to="redis://10.0.0.1:1",
        tls_ca=certificate,
        insecure=True,
    ).place()

    assert expected == found


@pytest.fixture
def certificate(tmp_path) -> Path:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize(
    ("where", "url", "admins"),
    [
        ({"target": [GATEWAY]}, "", ()),
        ({"target": [GATEWAY], "admin": ["http://127.0.0.1:1"]}, "http://127.0.0.1:1", None),
        ({"publisher": "imap"}, "", (ADMIN,)),
        ({"publish_to": "http://127.0.0.1:2"}, "http://127.0.0.1:2", (ADMIN,)),
        ({"serve": True, "nodes": 2}, ADMIN, (ADMIN,)),
    ],
)
def test_changes_are_made_at_the_admin_listener(where, url, admins) -> None:
    """By HTTP changes go to the admin listener that is known; a target of one's own has none."""
    found = Where(**where).place()

    assert url == found.publisher_url
    assert (tuple(where.get("admin", ())) if admins is None else admins) == found.admins


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({"target": ["http://192.0.2.1"]}, "--target: found '192.0.2.1', only loopback"),
        ({"target": ["127.0.0.1:8800"]}, "--target: found '127.0.0.1:8800', a URL like"),
        ({"target": ["http://127.0.0.1:x"]}, "--target: found 'http://127.0.0.1:x': "),
        ({"admin": ["ftp://127.0.0.1"]}, "--admin: found 'ftp://127.0.0.1', a URL like"),
        ({"admin": ["http://192.0.2.1"], "publisher": "redis"}, "--admin: found '192.0.2.1', only"),
        ({"source": "127.0.0.1/33"}, "--source: found '127.0.0.1/33'"),
        ({"publisher": "rediss"}, "--publisher: found publisher 'rediss', did you mean redis?"),
        ({"publish_to": "redis://127.0.0.1"}, "--publish-to: found 'redis://127.0.0.1'"),
        ({"publish_to": "http://192.0.2.1"}, "--publish-to: found '192.0.2.1'"),
        ({"tls_ca": "/nowhere"}, "--tls-ca /nowhere: "),
        ({"nodes": 2}, "--nodes: found 2 without --serve, which starts them"),
        (
            {"serve": True, "target": [GATEWAY], "insecure": True},
            "--target, --insecure: found with --serve, which starts servers of its own",
        ),
        (
            {"target": ["http://192.0.2.1"], "allow_target": ["192.0.2.1"]},
            "--publisher: found none, allowed are redis, http, imap, lmtp: how are changes made",
        ),
    ],
)
def test_a_wrong_place_is_refused(where, text) -> None:
    """What is wrong about the servers is said with the option, and what is allowed."""
    with pytest.raises(ValueError) as raised:
        Where(**where).place()

    assert str(raised.value).startswith(text)


def test_a_profile_is_as_it_is() -> None:
    """Without options, a profile is the preset's."""
    assert profiles.find("smoke") == What(name="smoke").profile()


def test_options_change_a_profile(tmp_path) -> None:
    """Numbers, thresholds and users of the options take the place of the profile's."""
    secret = tmp_path / "password"
    secret.write_text(" a secret \r\n")
    usual = profiles.find("smoke")
    expected = replace(
        usual.resized(devices=100_000, duration=90.0, rate=2.0, seed=7),
        asserts=(*usual.asserts, "errors==0"),
        users=replace(usual.users, name="u{n}", password=" a secret "),
        groups=tuple(replace(one, syncs=True) for one in usual.groups),
    )
    found = What(
        name="smoke",
        devices="100k",
        duration="1.5m",
        rate="120/m",
        seed=7,
        user_name="u{n}",
        password_file=secret,
        syncs=True,
    ).profile(["errors==0"])

    assert expected == found


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ({"name": "smokee"}, "found the profile 'smokee', did you mean 'smoke'? (allowed: "),
        (
            {"devices": "10x"},
            "--devices: found '10x' with the unknown unit 'x', the nearest is 'k'",
        ),
        ({"duration": "5q"}, "--duration: found '5q' with the unknown unit 'q'"),
        ({"rate": "5/q"}, "--rate: found '5/q' with the unknown unit '/q', the nearest is '/s'"),
        ({"devices": "0"}, "devices: found 0, allowed 1 or more"),
        ({"user_name": "all"}, "users.name: found 'all', allowed a text with {n}"),
    ],
)
def test_a_wrong_load_is_refused(what, text) -> None:
    """What is wrong about the load is said with the nearest name or unit."""
    with pytest.raises(ValueError) as raised:
        What(**{"name": "smoke", **what}).profile()

    assert str(raised.value).startswith(text)


def test_a_wrong_threshold_is_refused() -> None:
    """A threshold is refused with the position and the nearest figure."""
    with pytest.raises(OptionError) as raised:
        What(name="smoke").profile(["notify.p98<1s"])

    text = (
        "--assert: 'notify.p98<1s', character 1: found 'notify.p98', the nearest is 'notify.p90'; "
        "allowed: notify|"
    )
    assert str(raised.value).startswith(text)


def test_a_wrong_threshold_of_a_file_is_refused(tmp_path) -> None:
    """A threshold of a profile's file is refused with the file and the key."""
    path = tmp_path / "wrong.toml"
    path.write_text(ASSERTS)

    with pytest.raises(OptionError) as raised:
        What(name=str(path)).profile()

    assert str(raised.value).startswith(f"{path}: asserts: 'missed=0', character 7: found '='")


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "no such file or directory"), (b"\xff", "which is not UTF-8")],
)
def test_a_wrong_password_file_is_refused(tmp_path, content, text) -> None:
    """A password that cannot be read is refused with the file."""
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(OptionError) as raised:
        What(name="smoke", password_file=path).profile()

    assert f"--password-file: found {path}, {text}" == str(raised.value)


@pytest.mark.parametrize(
    ("who", "processes"), [({}, 3), ({"processes": 4}, 4), ({"processes": 4, "lender": ["a:1"]}, 3)]
)
def test_needs_are_those_of_all_generators(who, processes) -> None:
    """Processes that are asked for are taken, unless they are only a part of all."""
    profile = What(
        name="smoke", devices=str(2 * MAX_PHONES + 1), rate="10", duration="20"
    ).profile()
    place = Where(target=["https://127.0.0.1"], source="127.0.0.1").place()
    needs = Who(**who).needs(profile, place)

    assert processes == needs.processes
    assert (2 * MAX_PHONES + 1, 1, 1) == (needs.connections, needs.sources, needs.targets)
    assert (20.0, 200) == (needs.duration, needs.changes)


@pytest.mark.parametrize(
    ("who", "shares"),
    [
        ({}, (5, 0)),
        ({"processes": 5}, (5, 0)),
        ({"lender": ["a:1"]}, (0, 5)),
        ({"lender": ["a:1", "b:1"]}, (0, 3)),
        ({"lender": ["a:1", "b:1"], "processes": 2}, (2, 2)),
        ({"lender": ["a:1"], "processes": 5}, (5, 1)),
    ],
)
def test_processes_are_shared_out(who, shares) -> None:
    """Lenders lend what this host does not do itself, each of them one process at least."""
    assert shares == Who(**who).shares(5)


def test_lenders_have_addresses_and_a_secret(tmp_path) -> None:
    """Lenders are read with the secret that they ask for; without lenders there is none."""
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef\n")
    addresses, found = Who(lender=["[::1]:9400"], secret_file=secret).lent()

    assert (["[::1]:9400"], b"0123456789abcdef") == ([str(one) for one in addresses], found)
    assert ([], b"") == Who().lent()


@pytest.mark.parametrize(
    ("who", "text"),
    [
        ({"lender": ["a:1"]}, "--lender: found without --secret-file, which the lenders ask for"),
        ({"lender": ["a"]}, "--lender: found 'a', allowed is an address like 10.0.0.2:9400"),
    ],
)
def test_wrong_lenders_are_refused(who, text) -> None:
    """A lender needs an address and a secret."""
    with pytest.raises(OptionError) as raised:
        Who(**who).lent()

    assert text == str(raised.value)


def test_what_is_not_given_is_not_read() -> None:
    """An option that was not given stays none; else the error begins with its name."""
    assert options.read_if_given("--rate", None, units.parse_rate) is None
    assert 2.0 == options.read_if_given("--rate", "2", units.parse_rate)
    with pytest.raises(OptionError, match=r"^--rate: found"):
        options.read_if_given("--rate", "x", units.parse_rate)


def test_the_command_line_has_no_logins(monkeypatch) -> None:
    """The command is as it was typed, but for logins in URLs: a report is passed on."""
    typed = [
        "x",
        "run",
        "a profile",
        "--publish-to",
        "redis://:se/cr@et@127.0.0.1:1/0",
        "u@example",
    ]
    monkeypatch.setattr(sys, "argv", typed)

    assert (
        "loadtest run 'a profile' --publish-to 'redis://***@127.0.0.1:1/0' u@example"
        == options.command_line()
    )


@pytest.mark.parametrize(("columns", "width"), [("", 160), ("90", 90), ("0", 160), ("wide", 160)])
def test_piped_output_is_wide(monkeypatch, columns, width) -> None:
    """What goes into a pipe is not cut to 80 columns, unless the environment says how wide."""
    monkeypatch.setenv("COLUMNS", columns)

    assert {"width": width} == options.terminal()


def test_a_terminal_is_as_wide_as_it_is(monkeypatch) -> None:
    """On a terminal, its own width counts."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert {} == options.terminal()
