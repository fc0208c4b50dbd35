import asyncio
import gc
import json
import logging
import os
import re
import subprocess
import sys

import pytest
import structlog
from prometheus_client import REGISTRY

from pushgw import telemetry


class Log:
    """A file that the log is written into."""

    def __init__(self, path):
        self.path = path
        self.stream = path.open("w")

    def configure(self, level="info", fmt="json"):
        telemetry.configure(level, fmt, self.stream)
        return structlog.get_logger()

    def text(self):
        return self.path.read_text()

    def events(self):
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def log(tmp_path):
    root = logging.getLogger()
    level = root.level
    log = Log(tmp_path / "log")
    yield log
    telemetry._sink.direct(2)
    root.removeHandler(telemetry._library_log)
    root.setLevel(level)
    structlog.reset_defaults()
    telemetry._hot[0] = telemetry._log
    log.stream.close()


def fail():
    raise RuntimeError("found nothing")


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def ping(**facts):
    return {
        "mailbox": "user@example.org",
        "device": "d1",
        "command": "Ping",
        "code": 200,
        "status": 2,
        "held_seconds": 12.34567,
        "reason": "change",
        **facts,
    }


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("pushgw_held_pings", "gauge", ()),
        ("pushgw_pings_total", "counter", ("status",)),
        ("pushgw_notify_latency_seconds", "histogram", ()),
        ("pushgw_heartbeat_seconds", "histogram", ()),
        ("pushgw_connections", "gauge", ()),
        ("pushgw_requests_total", "counter", ("command", "code")),
        ("pushgw_wakes_total", "counter", ("reason",)),
        ("pushgw_refused_total", "counter", ("reason",)),
        ("pushgw_gc_pause_seconds", "histogram", ()),
        ("pushgw_redis_connected", "gauge", ()),
        ("pushgw_redis_reconnects_total", "counter", ()),
        ("pushgw_loop_lag_seconds", "histogram", ()),
        ("pushgw_workers", "gauge", ("state",)),
        ("pushgw_log_lines_lost_total", "counter", ()),
    ],
)
def test_metric_of_the_contract_exists(name, kind, labels):
    """Each metric that dashboards rely on is in the table, with its kind and labels."""
    (found,) = [one for one in telemetry.METRICS if one.name == name]

    assert (kind, labels) == (found.kind, found.labels)


def test_table_is_what_a_scrape_shows():
    """The table names exactly the metrics that are registered under our prefix."""
    registered = {
        one.name + ("_total" if one.type == "counter" else "")
        for one in REGISTRY.collect()
        if one.name.startswith("pushgw_")
    }

    assert registered == {one.name for one in telemetry.METRICS}


def test_each_metric_has_one_sentence():
    """Each metric says in one sentence what it means."""
    assert all(re.fullmatch(r"[A-Z0-9].*[^.]\.", one.meaning) for one in telemetry.METRICS)


def test_answered_request_is_one_event():
    """An answered request is logged as one event with all facts and a hash for the mailbox."""
    with structlog.testing.capture_logs() as events:
        telemetry.answered(**ping())

    assert [
        {
            "event": "answered",
            "log_level": "info",
            "user": telemetry.user_hash("user@example.org"),
            "device": "d1",
            "command": "Ping",
            "status": 2,
            "code": 200,
            "held_seconds": 12.346,
            "reason": "change",
        }
    ] == events


def test_answered_request_without_user():
    """A request that nobody logged in for is logged with an empty user."""
    with structlog.testing.capture_logs() as events:
        telemetry.answered(mailbox="", device="d1", command="Sync", code=401)

    facts = {key: events[0][key] for key in ("user", "status", "held_seconds", "reason")}
    assert {"user": "", "status": None, "held_seconds": 0.0, "reason": None} == facts


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("pushgw_requests_total", {"command": "Ping", "code": "200"}),
        ("pushgw_pings_total", {"status": "2"}),
        ("pushgw_wakes_total", {"reason": "change"}),
    ],
)
def test_answered_ping_is_counted(name, labels):
    """An answered Ping counts once as request, as Ping and as end of a wait."""
    before = sample(name, **labels)
    telemetry.answered(**ping())

    assert before + 1 == sample(name, **labels)


@pytest.mark.parametrize(
    ("facts", "name", "labels"),
    [
        ({"status": 177}, "pushgw_pings_total", {"status": "177"}),
        ({"reason": "policy"}, "pushgw_wakes_total", {"reason": "policy"}),
        ({"command": "X" * 99}, "pushgw_requests_total", {"command": "other", "code": "200"}),
    ],
)
def test_unforeseen_labels_are_counted(facts, name, labels):
    """A status or reason without a resolved child is counted, an unknown command as other."""
    before = sample(name, **labels)
    telemetry.answered(**ping(**facts))

    assert before + 1 == sample(name, **labels)


def test_ping_without_reason_is_no_wake():
    """A Ping that was answered without a reason does not count as the end of a wait."""
    before = [sample("pushgw_wakes_total", reason=one) for one in telemetry.WAKES_BY_REASON]
    telemetry.answered(**ping(reason=None))

    assert before == [sample("pushgw_wakes_total", reason=one) for one in telemetry.WAKES_BY_REASON]


def test_abandoned_ping_is_an_event():
    """A phone that hung up leaves an event, and a wake by disconnect."""
    before = sample("pushgw_wakes_total", reason="disconnect")
    with structlog.testing.capture_logs() as events:
        telemetry.abandoned(mailbox="a", device="d1", held_seconds=0.12345)

    user = telemetry.user_hash("a")
    assert [
        {
            "event": "abandoned",
            "log_level": "info",
            "user": user,
            "device": "d1",
            "held_seconds": 0.123,
        }
    ] == events
    assert before + 1 == sample("pushgw_wakes_total", reason="disconnect")


def test_hash_of_a_mailbox():
    """A mailbox always has the same hash of 12 hex digits within a run."""
    found = {telemetry.user_hash("a@example.org") for _ in range(2)}

    assert 1 == len(found)
    assert re.fullmatch("[0-9a-f]{12}", found.pop())


def test_hashes_differ():
    """Two mailboxes have two hashes."""
    assert telemetry.user_hash("a") != telemetry.user_hash("b")


def test_collections_are_measured():
    """Each collection of the watched process is observed."""
    telemetry.watch_collector()
    before = sample("pushgw_gc_pause_seconds_count")
    gc.collect()
    gc.callbacks.pop()

    assert before + 1 == sample("pushgw_gc_pause_seconds_count")


def test_event_as_json(log):
    """An event is one line of JSON with time, level, name and facts, in this order."""
    log.configure().warning("disk_full", left_bytes=0)

    (line,) = log.text().splitlines()
    assert re.fullmatch(
        r'\{"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","level":"warning",'
        r'"event":"disk_full","left_bytes":0\}',
        line,
    )


def test_time_of_an_event():
    """Times are those of UTC, to the millisecond."""
    assert "1970-01-02T00:00:01.250Z" == telemetry._timestamp(86401.25)


def test_level_filters(log):
    """Events below the level are not written."""
    logger = log.configure("warning")
    logger.info("quiet")
    logger.warning("loud")

    assert ["loud"] == [one["event"] for one in log.events()]


def test_unknown_level(log):
    """A level that does not exist is refused with those that do."""
    with pytest.raises(ValueError, match="found log level 'loud', allowed debug, info"):
        log.configure("loud")


def test_exception_in_json(log):
    """An event of an exception carries its traceback as text."""
    logger = log.configure()
    try:
        fail()
    except RuntimeError:
        logger.exception("failed")

    (event,) = log.events()
    assert "error" == event["level"]
    assert event["exception"].endswith("RuntimeError: found nothing")


@pytest.mark.parametrize("fact", [2**70, "\ud800"])
def test_odd_facts_lose_no_event(log, fact):
    """An event with a fact that the fast renderer refuses is written all the same."""
    log.configure().info("odd", fact=fact)

    assert [fact] == [one["fact"] for one in log.events()]


def test_console_form(log):
    """The console form is for eyes: no JSON, no colours outside a terminal."""
    log.configure(fmt="console").info("hello", answer=42)

    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info +\] hello +answer=42\n", log.text())


@pytest.mark.parametrize(("is_terminal", "first"), [(True, b"\x1b["), (False, b"{")])
def test_form_is_chosen_by_the_stream(log, is_terminal, first):
    """Left to choose, events are coloured text on a terminal and JSON elsewhere."""
    reader, writer = os.openpty() if is_terminal else os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as out, os.fdopen(writer, "w") as stream:
        telemetry.configure("info", "auto", stream)
        structlog.get_logger().info("hello")
        found = out.read(len(first))
        telemetry._sink.direct(2)

    assert first == found


async def test_lines_wait_for_others(log):
    """In an event loop a line is not written at once."""
    log.configure().info("first")

    assert "" == log.text()


async def test_lines_do_not_wait_long(log):
    """A line is written after a tenth of a second, although no other came."""
    log.configure().info("first")
    async with asyncio.timeout(5.0):
        while not log.text():  # noqa: ASYNC110 (a file has no event)
            await asyncio.sleep(0.01)

    assert ["first"] == [one["event"] for one in log.events()]


async def test_warning_is_written_at_once(log):
    """A warning is written at once, behind what came before it."""
    logger = log.configure()
    logger.info("first")
    logger.warning("second")

    assert ["first", "second"] == [one["event"] for one in log.events()]


async def test_batch_is_never_torn(log):
    """Waiting lines are written before they would exceed what a pipe takes in one piece."""
    logger = log.configure()
    for _ in range(5):
        logger.info("first", fact="x" * 1000)

    assert 3 == len(log.events())


async def test_overdue_lines_are_written(log):
    """A line whose timer died with its loop is written with the next one."""
    logger = log.configure()
    logger.info("first")
    telemetry._sink._due = 0.0
    logger.info("second")

    assert ["first", "second"] == [one["event"] for one in log.events()]


async def test_flush_writes_what_waits(log):
    """A flush writes the waiting lines."""
    log.configure().info("first")
    telemetry.flush()

    assert ["first"] == [one["event"] for one in log.events()]


async def test_long_message_is_written_whole(log):
    """A line longer than a batch is written as it is."""
    log.configure().info("long", fact="x" * 10_000)
    telemetry.flush()

    assert 10_000 == len(log.events()[0]["fact"])


def test_lost_lines_are_counted(log):
    """A stream that takes no more lines costs lines, not the service."""
    before = sample("pushgw_log_lines_lost_total")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        telemetry.configure("info", "json", stream)
        structlog.get_logger().warning("unread")
        telemetry._sink.direct(2)

    assert before + 1 == sample("pushgw_log_lines_lost_total")


def test_fork_and_exit_write_once():
    """A line that waits at a fork or at the exit is written exactly once."""
    program = """
import asyncio, os, structlog, sys
from pushgw import telemetry
telemetry.configure("info", "json", sys.stdout)
async def main():
    structlog.get_logger().info("forked")
    if not os.fork():
        telemetry.flush()
        os._exit(0)
    os.wait()
    structlog.get_logger().info("left")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    found = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert ["forked", "left"] == found


def test_library_log_is_an_event(log):
    """Warnings of libraries become events of the same stream."""
    log.configure()
    logging.getLogger("aiohttp.server").warning("found %d cookies", 3)

    (event,) = log.events()
    del event["timestamp"]
    assert {
        "level": "warning",
        "event": "library_log",
        "logger": "aiohttp.server",
        "message": "found 3 cookies",
    } == event


def test_library_log_with_traceback(log):
    """An exception that a library logs keeps its traceback."""
    log.configure()
    try:
        fail()
    except RuntimeError:
        logging.getLogger("asyncio").exception("failed")

    assert log.events()[0]["exception"].endswith("RuntimeError: found nothing")


def test_library_log_with_wrong_arguments(log):
    """A record whose text does not fit its arguments is logged without them."""
    log.configure()
    record = logging.makeLogRecord({"levelno": 30, "msg": "found %d", "args": ("three",)})
    telemetry._library_log.handle(record)

    assert "found %d" == log.events()[0]["message"]


def test_library_chatter_is_dropped(log):
    """Information of libraries is not logged, whatever our own level is."""
    log.configure("debug")
    logging.getLogger("aiohttp.access").info("GET /")

    assert [] == log.events()


@pytest.mark.parametrize(("level", "expected"), [(35, "warning"), (60, "critical")])
def test_library_level_in_between(log, level, expected):
    """A level that structlog has no name for is rounded down."""
    log.configure()
    logging.getLogger("asyncio").log(level, "odd")

    assert expected == log.events()[0]["level"]


def test_answered_request_goes_the_same_way(log):
    """An answered request is written like all events, without the raw mailbox."""
    log.configure()
    telemetry.answered(**ping())

    assert ["answered"] == [one["event"] for one in log.events()]
    assert "user@example.org" not in log.text()


def test_configured_twice(log):
    """Configuring again does not write the records of libraries twice."""
    log.configure()
    log.configure()
    logging.getLogger("asyncio").warning("once")

    assert 1 == len(log.events())
