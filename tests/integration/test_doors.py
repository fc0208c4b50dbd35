"""Who gets in, and over which kind of connection."""

from __future__ import annotations

import asyncio
import ssl
import time
import warnings
from typing import TYPE_CHECKING

import pytest
import trustme

from pushgw import users_file
from tests.integration.gateway import until
from tests.integration.phone import Identity, ping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from notifier.publisher import Publisher
    from tests.integration.conftest import Dial, Hold, Running
    from tests.integration.gateway import Gateway, Valkey

PASSWORD = "correct horse"
CYCLES = 50


NAMES = [f"guest{number}" for number in range(20)]
_unused = iter(NAMES)


@pytest.fixture
def user() -> str:
    """A login name that no other test has."""
    return next(_unused)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A users file."""
    path = tmp_path_factory.mktemp("doors") / "users"
    for name in (*NAMES, "victim"):
        users_file.add(path, name, PASSWORD)
    return path


@pytest.fixture(scope="module")
def guarded(valkey: Valkey, users: Path, running: Running) -> Iterator[Gateway]:
    """A gateway that asks for passwords."""
    settings = {"auth__method": "users_file", "auth__users_file": str(users)}
    with running(valkey.url, **settings, limits__refusal_delay_seconds="1") as gateway:
        yield gateway


async def test_right_password(
    guarded: Gateway, user: str, dial: Dial, hold: Hold, publisher: Publisher
) -> None:
    """A phone with the right password synchronises, waits, and is told of changes."""
    phone = dial(guarded, Identity(user, password=PASSWORD))
    await phone.synchronise()
    await hold(phone, "5")

    await publisher.publish(user, "5")

    assert 2 == (await phone.receive()).status


@pytest.mark.parametrize("password", [None, "wrong", ""])
async def test_wrong_password(
    password: str | None, guarded: Gateway, user: str, dial: Dial
) -> None:
    """Without the right password a phone gets 401, no body, and is asked for credentials."""
    phone = dial(guarded, Identity(user, password=password))

    answer = await phone.ask("Ping", ping("5"))

    challenge = answer.headers["www-authenticate"]
    assert (401, b"", True) == (answer.http_status, answer.body, challenge.startswith("Basic "))


async def test_options_ask_for_a_password(guarded: Gateway, user: str, dial: Dial) -> None:
    """OPTIONS without credentials gets 401."""
    phone = dial(guarded, Identity(user))
    await phone.send(phone.request("", query="", line="OPTIONS {} HTTP/1.1"))

    assert 401 == (await phone.receive()).http_status


async def test_guessing_gets_slower(guarded: Gateway, dial: Dial) -> None:
    """Each wrong password of a user is refused later than the one before, from any address."""
    took = []
    for number in range(4):
        who = Identity("victim", password=f"guess{number}")
        phone = dial(guarded, who, source=f"127.0.1.{number}")
        began = time.monotonic()
        assert 401 == (await phone.ask("FolderSync")).http_status
        took.append(time.monotonic() - began)

    # 0, 0.25, 0.5 and 1 s, each with the time that one verification takes.
    assert took[0] < took[2] < took[3]
    assert took[3] >= 1.0


async def test_guessing_does_not_slow_down_others(guarded: Gateway, user: str, dial: Dial) -> None:
    """While a guesser is kept waiting, a user with the right password gets in at once."""
    guesser = dial(guarded, Identity("nobody", password="guess"), source="127.0.2.1")
    for _ in range(3):
        await guesser.ask("FolderSync")
    await guesser.send(guesser.request("FolderSync"))

    began = time.monotonic()
    await dial(guarded, Identity(user, password=PASSWORD)).synchronise()

    assert time.monotonic() - began < 0.9


async def test_somebody_elses_mailbox(guarded: Gateway, user: str, dial: Dial) -> None:
    """The User of the query must be the one who logged in."""
    phone = dial(guarded, Identity(user, password=PASSWORD))
    query = "Cmd=Ping&User=victim&DeviceId=PHONE1&DeviceType=Test"
    found = []
    for _ in range(2):
        await phone.send(phone.request("Ping", ping("5"), query=query))
        found.append((await phone.receive()).http_status)
        await phone.connect()

    assert [403, 403] == found


async def test_other_spellings_of_the_user(
    guarded: Gateway, user: str, dial: Dial, hold: Hold
) -> None:
    """A Windows domain, a mail domain and capital letters in the query are the same user."""
    phone = dial(guarded, Identity(user, password=PASSWORD))
    await phone.synchronise()
    found = []
    for spelled in (f"CORP%5C{user}", f"{user}@example.org", user.upper()):
        query = f"Cmd=FolderSync&User={spelled}&DeviceId=PHONE1&DeviceType=Test"
        await phone.send(phone.request("FolderSync", b"", query=query))
        found.append((await phone.receive()).status)

    assert [101] * 3 == found


async def test_changed_password(guarded: Gateway, user: str, users: Path, dial: Dial) -> None:
    """After a change of the users file the old password gets in no more, the new one does."""
    old = dial(guarded, Identity(user, password=PASSWORD))
    assert 1 == (await old.synchronise()).status

    users_file.add(users, user, "new one")
    for _ in range(100):
        if (await old.ask("FolderSync")).http_status == 401:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the old password gets in after 5 s")

    new = dial(guarded, Identity(user, password="new one"))
    assert 1 == (await new.synchronise()).status


async def test_cycles_do_not_verify_the_password(
    guarded: Gateway, user: str, dial: Dial, publisher: Publisher
) -> None:
    """Pings after the first request cost far less than the verification of a password."""
    phone = dial(guarded, Identity(user, password=PASSWORD))
    began = time.monotonic()
    await phone.synchronise()
    first = time.monotonic() - began

    began = time.monotonic()
    for _ in range(CYCLES):
        await phone.ping("5")
        await publisher.publish(user, "5")
        assert 2 == (await phone.receive()).status

    assert time.monotonic() - began < CYCLES * first / 2


async def test_password_is_not_logged(guarded: Gateway, user: str, dial: Dial) -> None:
    """Neither names nor passwords, right or wrong, stand in the log."""
    for password in (PASSWORD, "wrong guess"):
        await dial(guarded, Identity(user, password=password)).synchronise()
    await until(lambda: len(guarded.events("answered")) >= 2, within=5.0)

    log = guarded.log.read_text()
    assert [False] * 3 == [text in log for text in (user, PASSWORD, "wrong guess")]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who issued the certificate."""
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(
    authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
    valkey: Valkey,
    running: Running,
) -> Iterator[Gateway]:
    """A gateway that speaks TLS."""
    issued, directory = authority.issue_cert("localhost"), tmp_path_factory.mktemp("tls")
    certificate, key = directory / "cert.pem", directory / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    files = {"server__tls_cert": str(certificate), "server__tls_key": str(key)}
    with running(valkey.url, **files) as gateway:
        yield gateway


def client_context(authority: trustme.CA, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Make the context of a phone that speaks one version only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    if version is ssl.TLSVersion.TLSv1_1:
        # Today's OpenSSL would refuse it by itself, and Python warns of it.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        context.minimum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_ping_over_tls(
    version: ssl.TLSVersion,
    authority: trustme.CA,
    secure: Gateway,
    dial: Dial,
    hold: Hold,
    publisher: Publisher,
) -> None:
    """Over TLS a Ping is held, answered, and its answer acknowledged like any other."""
    user = version.name
    phone = dial(secure, Identity(user), client_context(authority, version))
    await phone.synchronise()
    told = []
    for folder in ("5", "1"):
        await hold(phone, "5", "1")
        await publisher.publish(user, folder)
        told.append((await phone.receive()).folders)
    await hold(phone)

    assert [("5",), ("1",)] == told
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.3)


async def test_answer_over_tls_is_acknowledged_by_a_clean_end(
    authority: trustme.CA, secure: Gateway, user: str, dial: Dial, hold: Hold, publisher: Publisher
) -> None:
    """Over TLS a change whose answer was read before the connection ended is not told again."""
    phone = dial(secure, Identity(user), client_context(authority, ssl.TLSVersion.TLSv1_3))
    await phone.synchronise()
    await hold(phone, "5")
    await publisher.publish(user, "5")
    await phone.receive()
    await phone.close()

    await phone.ping()
    with pytest.raises(TimeoutError):
        await phone.receive(within=0.3)


async def test_outdated_tls(authority: trustme.CA, secure: Gateway, user: str, dial: Dial) -> None:
    """TLS 1.1 is refused by the gateway."""
    phone = dial(secure, Identity(user), client_context(authority, ssl.TLSVersion.TLSv1_1))

    with pytest.raises((ssl.SSLError, ConnectionResetError)) as found:
        await phone.connect()

    assert "NO_PROTOCOLS_AVAILABLE" not in str(found.value), "the client has refused it itself"


async def test_plain_http_on_the_tls_port(
    secure: Gateway, authority: trustme.CA, user: str, dial: Dial
) -> None:
    """Who speaks no TLS is hung up on, and those who do are served."""
    plain = dial(secure, Identity(user))
    await plain.ping("5")
    assert await plain.ended()

    phone = dial(secure, Identity(user), client_context(authority, ssl.TLSVersion.TLSv1_3))

    assert 1 == (await phone.synchronise()).status
