"""Nchan, a push module of nginx: what a held long poll costs in C, without a Redis beside it.

Phones wait by GET, each for the channel of its mailbox; changes are published by HTTP POST into
nginx itself. It keeps no record of what a phone was told: a change between two polls is lost.
Both come as packages, nothing is built here.

nginx runs as a child, in a directory of its own, with a configuration of its own: one worker, and
never the service of the system.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loadtest import limits, servers
from loadtest.benching.bed import RAMP, UNPACED, WINDOW, Bed
from loadtest.benching.load_process import LoadProcess
from loadtest.benching.rows import Measured
from loadtest.benching.size import Size
from loadtest.figures import Histogram
from loadtest.servers import Redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from loadtest.benching.rows import Sample
    from loadtest.servers import Server
    from loadtest.targets import Target

INSTALL: Final = "apt-get install nginx-light libnginx-mod-nchan"
IDLE: Final = 5.0
"""Seconds of doing nothing, as for the other servers."""
MOST_FILES: Final = 20_000
"""Open files of nginx. It takes memory for each connection that it may have when it starts, about
0.4 KB: that is in the empty server, not in what a held phone adds."""
_OTHER_FILES: Final = 100
"""Of these, not for connections: logs, modules, shared memory."""
_TRIED_WITHIN: Final = 10.0
_ANY_PORT: Final = 8080
"""nginx takes no offence at a port in use when it only tests its configuration."""
_SYSTEM: Final = ("/usr/local/sbin", "/usr/sbin")
"""Where nginx is, and where PATH of an ordinary user does not lead."""
_NO_REDIS: Final = Redis("", 0)
"""No process has this id: what is read of it is nothing."""
_KB: Final = 1024.0
_MB: Final = 1024.0**2
_US: Final = 1e6
_MS: Final = 1e3

_CONFIGURATION: Final = """\
daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes 1;
worker_rlimit_nofile %(files)d;
load_module %(module)s;
events { worker_connections %(connections)d; }
http {
  access_log off;
  keepalive_timeout 900;
  keepalive_requests 100000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  nchan_shared_memory_size 1024M;
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
    location = /sub {
      nchan_subscriber longpoll;
      nchan_channel_id $arg_User;
      nchan_subscriber_first_message newest;
      nchan_subscriber_timeout 900;
    }
    location = /pub {
      nchan_publisher;
      nchan_channel_id $arg_User;
      nchan_message_buffer_length 1;
      nchan_message_timeout 5s;
    }
    location = /status { nchan_stub_status; }
  }
}
"""


def available(search_path: str | None = None) -> str | None:
    """Tell why Nchan cannot be measured here, in one line; None if it can.

    Args:
        search_path: Directories where nginx may be, as in PATH; None for PATH and where systems
            put it.
    """
    nginx = _find(search_path)
    if nginx is None:
        return f"nginx is not installed ({INSTALL})"
    module = _module(nginx)
    if not module.is_file():
        return f"nginx has no Nchan module, which would be {module} ({INSTALL})"
    with tempfile.TemporaryDirectory() as name:
        found = _run([*_prepare(nginx, Path(name), _ANY_PORT), "-t"])
    if found.returncode:
        return f"nginx does not start with Nchan: {_reason(found.stderr)}"
    return None


async def measure(
    devices: int,
    *,
    rate: float,
    seconds: float,
    say: Callable[[str], None],
    idle: float = IDLE,
    window: float = WINDOW,
) -> Measured:
    """Measure nginx with Nchan; it must be available.

    Args:
        devices: Phones that are held.
        rate: Changes a second.
        seconds: How long there are changes.
        say: Called with one line per phase.
        idle: Seconds of doing nothing.
        window: Seconds of one look at whether nginx is calm.

    Raises:
        ServerError: If nginx does not start, or ends.
        LoadError: If the load process fails, or nothing can be measured here.
    """
    size = Size(devices, rate, seconds, idle=idle, window=window)
    with tempfile.TemporaryDirectory(prefix="loadtest-") as name:
        directory = Path(name)
        async with serve(directory) as server, load(server.target, directory) as one:
            phases = _Phases(size, Bed(server, _NO_REDIS, one, window), say)
            await phases.perform()
    return Measured("nchan", phases.figures, phases.samples, phases.latency)


@asynccontextmanager
async def serve(directory: Path) -> AsyncIterator[Server]:
    """Run nginx on a free loopback port until it accepts connections; it must be available.

    Args:
        directory: For its configuration, its logs and all that it writes.

    Raises:
        ServerError: If it does not accept in time.
    """
    nginx = _find()
    assert nginx is not None  # noqa: S101 - asked by ``available``

    def command(port: int) -> list[str]:
        return _prepare(nginx, directory, port)

    async with servers.listening("nchan", command, directory) as server:
        yield server


@asynccontextmanager
async def load(target: Target, directory: Path) -> AsyncIterator[LoadProcess]:
    """Run the load process for an nginx.

    Args:
        target: That nginx.
        directory: For the log file.
    """
    log = directory / "load.log"
    command = [sys.executable, "-m", "loadtest.benching.rivals.nchan_load", target.url]
    async with servers.obeying(command, log) as process:
        yield LoadProcess(process, log)


class _Phases:
    """The phases of the bench, as far as they apply to Nchan, by the same means."""

    def __init__(self, size: Size, one: Bed, say: Callable[[str], None]) -> None:
        self.figures: dict[str, float] = {}
        self.samples: Sequence[Sample] = ()
        self.latency = Histogram()
        self._size = size
        self._one = one
        self._say = say

    async def perform(self) -> None:
        await self._hold()
        await self._notify()
        await self._storm()

    async def _hold(self) -> None:
        one, size = self._one, self._size
        await one.warm_up()
        empty = one.memory()
        self._tell(f"holding {size.devices:,} phones, {RAMP:,.0f}/s")
        await one.gather(size.devices)
        arrived = await one.arrive(size.devices)
        held, memory = arrived.held, one.memory()
        self._tell(f"idle for {size.idle:g} s")
        rest = await one.idle(size.idle)
        self.samples = arrived.samples
        self.figures |= {
            "held": held,
            "empty_mb": empty / _MB,
            "held_kb": (memory - empty) / held / _KB,
            "park_us": arrived.cpu / held * _US,
            "idle_us": rest.cpu / held * _US,
        }

    async def _notify(self) -> None:
        size = self._size
        self._tell(f"{size.rate:g} changes/s for {size.seconds:g} s")
        used = await self._one.notify(size.rate, size.seconds)
        idle = self.figures["idle_us"] / _US * self.figures["held"] * used.seconds
        self.latency = Histogram.decode(used.outcome["histogram"])
        found = self.latency.latency()
        self.figures |= {
            "lost": used.outcome["lost"],
            "wake_us": (used.cpu - idle) / max(1, used.outcome["published"]) * _US,
            "p50_ms": found.p50 * _MS,
            "p99_ms": found.p99 * _MS,
            "p999_ms": found.p999 * _MS,
            "max_ms": found.max * _MS,
        }

    async def _storm(self) -> None:
        one, devices = self._one, self._size.burst
        self._tell(f"{devices:,} phones at once")
        await one.gather(devices)
        await one.calm()
        arrived = await one.arrive(devices, UNPACED)
        self._tell(f"one change to each of {devices:,} mailboxes")
        outcome = (await one.burst()).outcome
        self.figures["storm_us"] = arrived.cpu / arrived.held * _US
        self.figures["asleep"] = devices - outcome["woken"]
        if outcome["woken"] == devices:  # else it has no end
            self.figures["burst_each_s"] = outcome["last_s"]

    def _tell(self, phase: str) -> None:
        self._say(f"nchan: {phase}")


def _find(search_path: str | None = None) -> Path | None:
    if search_path is None:
        search_path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM))
    found = shutil.which("nginx", path=search_path)
    return None if found is None else Path(found)


def _module(nginx: Path) -> Path:
    """Return where this nginx' Nchan module is, if it has one."""
    told = _run([str(nginx), "-V"]).stderr
    modules = re.search(r"--modules-path=(\S+)", told)
    return Path(modules[1] if modules else "/usr/lib/nginx/modules") / "ngx_nchan_module.so"


def _prepare(nginx: Path, directory: Path, port: int) -> list[str]:
    """Write a configuration; return the command line that serves it."""
    hard = limits.read_host().files_hard
    files = MOST_FILES if hard is None else min(MOST_FILES, hard)
    facts = {
        "port": port,
        "module": _module(nginx),
        "files": files,
        "connections": files - _OTHER_FILES,
    }
    (directory / "nginx.conf").write_text(_CONFIGURATION % facts)
    # Paths in the configuration are relative to the prefix.
    return [str(nginx), "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]


def _reason(told: str) -> str:
    """Return the line that says why; notes stand before it, and its consequence behind it."""
    lines = told.strip().splitlines() or ["it says nothing"]
    return next((line for line in lines if "[emerg]" in line), lines[-1])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - nginx as it was found
        command, capture_output=True, text=True, timeout=_TRIED_WITHIN, check=False
    )
