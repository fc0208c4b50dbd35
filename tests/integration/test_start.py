"""How the gateway starts, and how it says that it cannot."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.integration.gateway import Valkey, run, until
from tests.integration.phone import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Dial, StartGateway, StartValkey


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file that is no certificate."""
    path = tmp_path / "cert.pem"
    path.write_text("hello")
    return path


def complaint(settings: dict[str, str]) -> tuple[int, str]:
    """Start a gateway that cannot start; return its exit status and what it says."""
    addresses = {"LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0", "WORKERS": "1"}
    usual = {f"PUSHGW_SERVER__{name}": value for name, value in addresses.items()}
    return run("serve", settings={**usual, **settings})


@pytest.mark.parametrize("key", ["listen", "admin_listen"])
def test_port_in_use(key: str, taken_port: int) -> None:
    """A port that somebody else has ends the start with a line that names the key and address."""
    where = f"127.0.0.1:{taken_port}"
    status, said = complaint({f"PUSHGW_SERVER__{key.upper()}": where})

    assert status == 2
    assert "Traceback" not in said
    assert [True] == [
        f"server.{key}" in line and where in line
        for line in said.splitlines()
        if line.startswith("error: ")
    ]


def test_port_of_another_gateway(start_valkey: StartValkey, start_gateway: StartGateway) -> None:
    """A second gateway on the same port is refused, although workers share theirs."""
    first = start_gateway(start_valkey().url)

    status, said = complaint({"PUSHGW_SERVER__LISTEN": f"127.0.0.1:{first.eas}"})

    assert status == 2
    assert "error: server.listen: " in said


def test_check_finds_taken_ports(taken_port: int) -> None:
    """Both addresses are tried by the check, and each that is taken has its line."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = {"LISTEN": taken_port, "ADMIN_LISTEN": other.getsockname()[1]}
        where = {f"PUSHGW_SERVER__{key}": f"127.0.0.1:{port}" for key, port in ports.items()}

        status, said = run("check", settings=where)

    keys = [line.split(":")[1].strip() for line in said.splitlines()]
    assert (2, ["server.listen", "server.admin_listen"]) == (status, keys)


def test_check_of_a_running_gateway(taken_port: int) -> None:
    """Whoever says that the gateway runs is not told that its ports are taken."""
    where = f"127.0.0.1:{taken_port}"

    assert 0 == run("check", "--live", settings={"PUSHGW_SERVER__LISTEN": where})[0]


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"PUSHGW_SERVER__TLS_CERT": "CERT", "PUSHGW_SERVER__TLS_KEY": "CERT"}, "server.tls_cert"),
        ({"PUSHGW_SERVER__TLS_CERT": "/nowhere", "PUSHGW_SERVER__TLS_KEY": "CERT"}, "tls_cert"),
        ({"PUSHGW_SERVER__TLS_CERT": "CERT"}, "server.tls_key"),
        ({"PUSHGW_HEARTBEAT__MINIMUM": "3"}, "PUSHGW_HEARTBEAT__MINIMUM"),
        ({"PUSHGW_HEARTBEAT__MIN": "soon"}, "heartbeat.min"),
        ({"PUSHGW_HEARTBEAT__MIN": "90", "PUSHGW_HEARTBEAT__MAX": "80"}, "heartbeat.min"),
        ({"PUSHGW_AUTH__METHOD": "users_file"}, "auth.users_file"),
        ({"PUSHGW_SERVER__LISTEN": "0.0.0.0:0"}, "server.listen"),
        ({"PUSHGW_REDIS__URL": "mysql://localhost"}, "redis.url"),
    ],
    ids=[
        *("no-pem", "unreadable", "no-key", "unknown", "no-number", "bounds", "users", "open"),
        "redis",
    ],
)
def test_settings_that_cannot_be(settings: dict[str, str], key: str, certificate: Path) -> None:
    """A wrong setting ends the start with status 2 and one line that names its key."""
    given = {name: str(certificate) if one == "CERT" else one for name, one in settings.items()}
    status, said = complaint(given)

    lines = said.splitlines()
    assert (2, [True]) == (status, [key in line for line in lines])
    assert "Traceback" not in said


def test_unknown_key_in_the_file(tmp_path: Path) -> None:
    """A key of the settings file that nobody knows ends the start with a line that names it."""
    path = tmp_path / "pushgw.toml"
    path.write_text("[heartbeat]\nminimum = 3\n")

    status, said = run("serve", "--config", str(path))

    assert (2, 1) == (status, said.count("\n"))
    assert "heartbeat.minimum" in said


def test_publish_without_redis(tmp_path: Path) -> None:
    """A change that cannot be recorded makes the command fail with one line."""
    status, said = run("publish", "anna", "INBOX", "--redis", f"unix://{tmp_path}/none.sock")

    assert (1, 1) == (status, said.count("\n"))
    assert said.startswith("error: not known to be recorded")


def test_publish(start_valkey: StartValkey) -> None:
    """The command records each folder and says its number."""
    valkey = start_valkey()

    status, said = run("publish", "Anna", "INBOX", "Work", "--redis", valkey.url)

    with valkey.client() as store:
        assert {"INBOX": "1", "Work": "1"} == store.hgetall("pushgw:{anna}:seq")
    assert (0, 2) == (status, said.count("recorded "))


async def test_redis_comes_after_the_gateway(
    tmp_path_factory: pytest.TempPathFactory,
    start_gateway: StartGateway,
    dial: Dial,
    user: str,
) -> None:
    """A gateway whose Redis is not there says so, waits for it, and opens what was parked."""
    valkey = Valkey(tmp_path_factory.mktemp("v"))
    gateway = start_gateway(valkey.url, waits=False)
    try:
        gateway.await_listening()
        await until(lambda: gateway.ask("/readyz").http_status == 503)
        phone = dial(gateway, Identity(user))
        await phone.ping("5")
        await until(lambda: any(gateway.events("bus_lost")))
        with pytest.raises(TimeoutError):
            await phone.receive(within=0.3)

        valkey.start()
        answer = await phone.receive(within=20.0)
        await until(lambda: gateway.ask("/readyz").http_status == 200)
    finally:
        valkey.kill()

    assert 7 == answer.status
    assert "Traceback" not in gateway.log.read_text()


async def test_embedded_redis(start_gateway: StartGateway, dial: Dial, user: str) -> None:
    """With the Redis that comes along, a change published over HTTP reaches a phone."""
    gateway = start_gateway("embedded")
    phone = dial(gateway, Identity(user))
    await phone.synchronise()
    await phone.ping("5")

    body = f'{{"changes": [{{"mailbox": "{user}", "folder": "INBOX"}}]}}'
    reply = gateway.ask("/v1/changes", "POST", body)

    assert (202, ("5",)) == (reply.http_status, (await phone.receive()).folders)
