"""Reading of access logs, loadtest/capacity/accesslog.py."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import pytest

from loadtest.capacity.accesslog import Entry, LogError, Unreadable, entries, read

AT = datetime(2026, 10, 12, 8, 0, 0, tzinfo=UTC).timestamp()
PING = "Cmd=Ping&User=Alice%40example.org&DeviceId=abc123&DeviceType=iPhone"
AGENT = '"-" "Apple-iPhone/1.0"'
BASE64 = "jRIJBAhNRUFTVVJFMQQAAAAAA3JpZw=="
"""Command 18, device MEASURE1."""


def line(*, query=PING, user="-", status=200, size=13, rest="", method="POST"):
    request = f"{method} /Microsoft-Server-ActiveSync?{query} HTTP/1.1".replace("? ", " ")
    time = "12/Oct/2026:10:00:00 +0200"
    return f'203.0.113.9 - {user} [{time}] "{request}" {status} {size}{rest and " "}{rest}'


def one(text):
    (found,) = entries([text])
    return found


def gateway(**event):
    given = {
        "timestamp": "2026-10-12T08:00:00.500Z",
        "level": "info",
        "event": "answered",
        "user": "0123456789ab",
        "device": "ABC123",
        "command": "Ping",
        "status": 1,
        "code": 200,
        "held_seconds": 480.0,
        "reason": "heartbeat",
        **event,
    }
    return json.dumps({key: value for key, value in given.items() if value is not None})


def test_nginx_combined():
    """A combined line without a duration tells who asked for what, and when."""
    expected = Entry(
        at=AT,
        command="Ping",
        user="alice@example.org",
        device="ABC123",
        status=200,
        ended="heartbeat",
    )

    assert expected == one(line(rest=AGENT))


def test_nginx_request_time():
    """A number with a decimal point is nginx' duration, and the line's time is the end."""
    found = one(line(rest=f"{AGENT} 480.012"))

    assert (AT, 480.012) == (found.at, found.duration)


def test_named_request_time():
    """A duration may have a name before it, and further quoted fields around it."""
    assert 1.5 == one(line(rest=f'{AGENT} "10 20" rt=1.500 "3"')).duration


def test_apache_microseconds():
    """Whole numbers that never are 0 and exceed a day are %D, and the line's time is the begin."""
    found = list(
        entries(line(rest=f"{AGENT} {micro}") for micro in (480_000_000, 1_500_000, 90_000))
    )

    assert [480.0, 1.5, 0.09] == [entry.duration for entry in found]
    assert [AT + 480, AT + 1.5, AT + 0.09] == [entry.at for entry in found]


@pytest.mark.parametrize("numbers", [(480, 0), (480, 3), (0, 90_000)])
def test_apache_seconds(numbers):
    """Whole numbers with a 0 among them, or below a day, are %T."""
    found = list(entries(line(rest=f"{AGENT} {number}") for number in numbers))

    assert [float(number) for number in numbers] == [entry.duration for entry in found]
    assert [AT + number for number in numbers] == [entry.at for entry in found]


def test_unit_from_the_first_lines():
    """The unit that the first lines tell holds for all."""
    first = [line(rest="480000000")] * 1000

    *_, last = entries([*first, line(rest="90000")])

    assert 0.09 == last.duration


def test_apache_common():
    """A common line has nothing behind the size; a login is the user where the query has none."""
    found = one(line(query="Cmd=Sync&DeviceId=abc123", user="Bob", status=401, size="-"))

    assert ("Sync", "bob", 401, None, "") == (
        found.command,
        found.user,
        found.status,
        found.duration,
        found.ended,
    )


def test_base64_query():
    """The compact query is read as well."""
    found = one(line(query=BASE64, rest=AGENT))

    assert ("Ping", "", "MEASURE1") == (found.command, found.user, found.device)


def test_options():
    """OPTIONS needs no query, and with one it is still OPTIONS."""
    bare = one(line(method="OPTIONS", query=""))
    asked = one(line(method="OPTIONS"))

    assert ("OPTIONS", "", "") == (bare.command, bare.user, bare.device)
    assert ("OPTIONS", "ABC123") == (asked.command, asked.device)


@pytest.mark.parametrize(
    ("status", "size", "ended"),
    [(200, 13, "heartbeat"), (200, 66, "change"), (200, 0, ""), (503, 66, ""), (200, "-", "")],
)
def test_how_a_ping_ended(status, size, ended):
    """13 bytes are a heartbeat over, more are a change; other answers tell nothing."""
    assert ended == one(line(status=status, size=size)).ended


def test_other_requests():
    """Requests that are no EAS, and empty lines, are passed over."""
    other = line().replace("/Microsoft-Server-ActiveSync", "/SOGo/so/alice")

    assert [] == list(entries([other, "", "  \n"]))


def test_path_of_sogo():
    """The path is compared in any case and below any other."""
    text = line().replace("/Microsoft-Server-ActiveSync", "/SOGo/microsoft-server-activesync")

    assert "Ping" == one(text).command


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("what is this", "found no log format that is known"),
        (line(query="Cmd=Dance&DeviceId=1"), "found command 'Dance'"),
        (line(query=""), "found no query"),
        (line().replace("/Oct/", "/Okt/"), "found time '12/Okt/2026:10:00:00 +0200'"),
        (line().replace("12/Oct", "yesterday"), "found time 'yesterday/2026"),
        (line().replace("12/Oct", "32/Oct"), "day is out of range"),
        ("{broken", "Expecting property name"),
        (gateway(user=None), "found an event answered without user"),
        (gateway(held_seconds="long"), "found 'long', allowed a number"),
    ],
)
def test_unreadable(text, reason):
    """A line that cannot be read is told with its reason."""
    found = one(text)

    assert isinstance(found, Unreadable)
    assert text == found.line
    assert reason in found.reason


def test_gateway_answered():
    """The gateway's event tells the end, the duration and the reason of a Ping."""
    expected = Entry(
        at=AT + 0.5,
        command="Ping",
        user="0123456789ab",
        device="ABC123",
        status=200,
        duration=480.0,
        ended="heartbeat",
    )

    assert expected == one(gateway())


@pytest.mark.parametrize(
    ("reason", "ended"), [("change", "change"), ("hierarchy", "change"), ("drain", ""), (None, "")]
)
def test_gateway_reasons(reason, ended):
    """A changed hierarchy is a change; other reasons tell of neither."""
    assert ended == one(gateway(reason=reason)).ended


def test_gateway_other_commands():
    """A command that was answered at once has no duration in the gateway's log."""
    assert one(gateway(command="FolderSync", held_seconds=0.0)).duration is None
    assert 30.0 == one(gateway(command="Sync", held_seconds=30.0)).duration


def test_gateway_abandoned():
    """A phone that hung up held a Ping until then."""
    text = gateway(event="abandoned", command=None, code=None, status=None, reason=None)

    assert ("Ping", 0, 480.0) == (one(text).command, one(text).status, one(text).duration)


def test_gateway_other_events():
    """Other events of the gateway are passed over."""
    assert [] == list(entries([gateway(event="worker_started")]))


def test_files(tmp_path):
    """A log may be gzipped, whatever its name."""
    plain, packed = tmp_path / "access.log", tmp_path / "access.log.1"
    plain.write_text(line() + "\n")
    packed.write_bytes(gzip.compress(line().encode() + b"\n"))

    assert 1 == len(list(read(plain)))
    assert list(read(plain)) == list(read(packed))


def test_no_such_file(tmp_path):
    """A log that is not there is told by its path."""
    with pytest.raises(LogError, match=r"access.log: No such file or directory"):
        list(read(tmp_path / "access.log"))


def test_broken_gzip(tmp_path):
    """A gzipped log that breaks off is told by its path."""
    path = tmp_path / "access.log.gz"
    path.write_bytes(gzip.compress(line().encode() * 100)[:40])

    with pytest.raises(LogError, match=r"access.log.gz: Compressed file ended"):
        list(read(path))
