import gc
import json
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from pushgw.workers import COLLECTOR, Restarts, pin_allocator, tune_collector

SCRIPT = Path(__file__).with_name("supervised.py")
PATIENCE = 15.0


class Server:
    """A supervised server in processes of its own."""

    def __init__(self, where, stop_within, roles):
        self.out, self.err = where / "out", where / "err"
        facts = json.dumps({"stop_within": stop_within, "roles": roles})
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen([sys.executable, SCRIPT, facts], stdout=out, stderr=err)

    def close(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def lines(self, *words):
        said = [line.split() for line in self.out.read_text().splitlines()]
        return [line for line in said if line[: len(words)] == list(words)]

    def pid(self, name, nth=1):
        """Wait until a role has been started that often; its process id."""
        return int(self.wait_for("ready", name, count=nth)[nth - 1][2])

    def wait_for(self, *words, count=1):
        until = time.monotonic() + PATIENCE
        while len(found := self.lines(*words)) < count:
            assert time.monotonic() < until, (words, self.lines(), self.err.read_text())
            time.sleep(0.01)
        return found

    def events(self, name):
        lines = self.err.read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def status(self):
        return self.process.wait(PATIENCE)


@pytest.fixture
def serve(tmp_path):
    with ExitStack() as stack:

        def start(*roles, stop_within=10.0):
            server = Server(tmp_path, stop_within, roles)
            stack.callback(server.close)
            return server

        yield start


def test_killed_worker_is_started_again(serve):
    """A worker that is killed is replaced, and the log says what ended it and when it returns."""
    server = serve(("worker-0", "obedient"), ("worker-1", "obedient"))
    first = server.pid("worker-0")
    os.kill(first, signal.SIGKILL)
    server.pid("worker-0", nth=2)

    (died,) = server.events("worker_died")
    found = {key: died[key] for key in ("role", "pid", "signal", "restart_in_seconds")}
    assert {
        "role": "worker-0",
        "pid": first,
        "signal": "SIGKILL",
        "restart_in_seconds": 0.1,
    } == found


def test_other_workers_live_on(serve):
    """The death of one worker leaves the others alone."""
    server = serve(("worker-0", "obedient"), ("worker-1", "obedient"))
    server.pid("worker-1")
    os.kill(server.pid("worker-0"), signal.SIGKILL)
    server.pid("worker-0", nth=2)

    assert 1 == len(server.lines("ready", "worker-1"))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stop_is_orderly(serve, signum):
    """A stop closes listeners, ends workers, then the roles that stop last, and exits with 0."""
    server = serve(("admin", "last"), ("worker-0", "obedient"))
    server.pid("admin")
    server.pid("worker-0")
    server.process.send_signal(signum)

    assert 0 == server.status()
    said = [line[:2] for line in server.lines() if line[0] != "ready"]
    assert [["stopping"], ["ended", "worker-0"], ["ended", "admin"], ["foreign", "7"]] == said


def test_worker_ignores_the_terminal(serve):
    """Ctrl-C reaches workers too, but only the supervisor ends them."""
    server = serve(("worker-0", "obedient"))
    os.kill(server.pid("worker-0"), signal.SIGINT)
    server.process.send_signal(signal.SIGTERM)

    assert 0 == server.status()
    assert 1 == len(server.lines("ended", "worker-0"))


def test_foreign_children_are_left_alone(serve):
    """The supervisor does not take the exit status of a process that others started."""
    server = serve(("worker-0", "obedient"))
    os.kill(server.pid("worker-0"), signal.SIGKILL)
    server.pid("worker-0", nth=2)
    server.process.send_signal(signal.SIGTERM)
    server.status()

    assert [["foreign", "7"]] == server.lines("foreign")


def test_deaf_worker_is_killed(serve):
    """A worker that does not end in time is killed, which the log and exit status 1 tell."""
    server = serve(("worker-0", "deaf"), ("worker-1", "obedient"), stop_within=0.2)
    pid = server.pid("worker-0")
    server.pid("worker-1")
    server.process.send_signal(signal.SIGTERM)

    assert 1 == server.status()
    assert [pid] == [event["pid"] for event in server.events("worker_killed")]


def test_second_signal_hastens(serve):
    """A second signal kills what is left without waiting for the time to be up."""
    server = serve(("worker-0", "deaf"), stop_within=2 * PATIENCE)
    server.pid("worker-0")
    server.process.send_signal(signal.SIGINT)
    server.wait_for("stopping")
    until = time.monotonic() + PATIENCE
    while server.process.poll() is None and time.monotonic() < until:
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.05)

    assert 1 == server.status()


def test_signals_at_one_moment_are_one_stop(serve):
    """A signal that comes twice, as timeout(1) sends it, does not hasten anything."""
    server = serve(("worker-0", "obedient"))
    server.pid("worker-0")
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGINT)

    assert 0 == server.status()


def test_hopeless_worker_ends_the_server(serve):
    """A role that cannot start ends the server with status 1, and the others stop in order."""
    server = serve(("worker-0", "failing"), ("worker-1", "obedient"))

    assert 1 == server.status()
    assert 1 == len(server.lines("ended", "worker-1"))
    assert ["worker-0"] == [event["role"] for event in server.events("worker_hopeless")]


def test_exception_is_one_event(serve):
    """A worker that raises logs one event with the traceback, and exits with status 1."""
    server = serve(("worker-0", "failing"))
    server.status()

    failed = server.events("worker_failed")[0]
    assert "RuntimeError: found no ground" in failed["exception"]
    assert 1 == server.events("worker_died")[0]["exit_status"]


def test_no_orphan_stays(serve):
    """Workers end by themselves when their supervisor is killed."""
    server = serve(("worker-0", "obedient"), ("worker-1", "obedient"))
    server.pid("worker-0")
    server.pid("worker-1")
    server.process.kill()

    assert 2 == len(server.wait_for("ended", count=2))


def test_delays_double_up_to_a_limit():
    """Each further death doubles the delay, up to ten seconds."""
    restarts = Restarts()
    delays = [restarts.died(now, lived=20.0) for now in range(0, 180, 20)]

    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0] == delays


def test_health_resets_the_delay():
    """A process that lived for a minute starts over with the first delay."""
    restarts = Restarts(delay=6.4)

    assert [0.1, 0.2] == [restarts.died(100.0, lived=60.0), restarts.died(101.0, lived=1.0)]


def test_fifth_death_at_the_start_is_hopeless():
    """Five deaths within ten seconds, none after a healthy life, leave no hope."""
    restarts = Restarts()
    delays = [restarts.died(now, lived=0.0) for now in (0.0, 1.0, 2.0, 3.0, 10.0)]

    assert delays[-1] is None


def test_slow_deaths_are_not_hopeless():
    """Five deaths over more than ten seconds are answered with delays."""
    restarts = Restarts()
    delays = [restarts.died(now, lived=0.0) for now in (0.0, 1.0, 2.0, 3.0, 10.1)]

    assert 1.6 == delays[-1]


def test_role_that_was_healthy_is_not_given_up():
    """A role that ran once is started again however often it dies: others serve meanwhile."""
    restarts = Restarts()
    delays = [restarts.died(11.0, lived=11.0)]
    delays += [restarts.died(11.0, lived=0.0) for _ in range(9)]

    assert None not in delays


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_allocator_is_pinned():
    """Where there is glibc, it accepts both settings."""
    assert pin_allocator()


def test_collector_is_tuned():
    """The collector gets the thresholds that were measured."""
    before = gc.get_threshold()
    tune_collector()
    found = gc.get_threshold()
    gc.set_threshold(*before)

    assert found == COLLECTOR
