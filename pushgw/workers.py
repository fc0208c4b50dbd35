"""One process per core: a supervisor forks them, restarts a dead one, and stops all of them.

Rules:
    1. The supervisor runs no event loop and no thread. It sleeps until a signal or a deadline,
       so a fork is safe at any time and workers share the memory of what was imported before.
    2. Only processes that it forked are waited for and signalled: an embedded Redis server is a
       child of the same process, and none of its business.
    3. A process that dies is started again, later each time. One that cannot even start ends the
       server: a clear message serves an operator better than a loop.
    4. A worker never outlives its supervisor.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pushgw import telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from structlog.typing import FilteringBoundLogger

FIRST_DELAY: Final = 0.1
"""Seconds until a dead process is started again; doubled with each further death."""
LAST_DELAY: Final = 10.0
"""Seconds, the longest such delay."""
HEALTHY: Final = 60.0
"""A process that lived for these seconds starts over with the first delay."""
HOPELESS_DEATHS: Final = 5
HOPELESS_WITHIN: Final = 10.0
"""So many deaths within so many seconds, of a role that never lived for longer, end the server."""
SAME_STOP: Final = 0.25
"""Seconds after a stop began in which further signals belong to it: timeout(1) and others send one
to the process and one to its group."""
LAST_WITHIN: Final = 2.0
"""Seconds that the roles which stop last have at least, however long the others took."""
COLLECTOR: Final = (5_000, 10, 20)
"""Thresholds of the three generations.

A held Ping is a few objects that live for minutes, so a young collection finds little garbage and
walks over every Ping that came since the one before: it should be rare. With 10,000 held records of
four containers each, of which 200,000 were replaced, Python's own 700/10/10 made 35 collections of
up to 14 ms and 180 ms in all; these made 5 of up to 24 ms and 90 ms in all. Thresholds of 10,000
and more save nothing further, and with 100,000 records each pause passes 100 ms.
"""

_WAITED_FOR: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_PR_SET_PDEATHSIG: Final = 1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


@dataclass(frozen=True, slots=True)
class Role:
    """What one child process does."""

    name: str
    """Stands in the log, for example ``"worker-0"``."""
    run: Callable[[], int]
    """Runs in the child until SIGTERM, and returns its exit status; SIGINT never reaches it."""
    stops_last: bool = False
    """True for a process that is needed until all others have ended."""


@dataclass(slots=True)
class Restarts:
    """The pure half of restarting one role: when, and whether at all."""

    delay: float = FIRST_DELAY
    was_healthy: bool = False
    """One of its processes lived for longer than `HOPELESS_WITHIN`."""
    deaths: list[float] = field(default_factory=list)
    """Times of the latest deaths, at most `HOPELESS_DEATHS`."""

    def died(self, now: float, lived: float) -> float | None:
        """Record a death.

        Args:
            now: Seconds of any clock that does not jump.
            lived: Seconds since the process was started.

        Returns:
            Seconds until it should be started again; None if there is no hope.
        """
        self.was_healthy |= lived > HOPELESS_WITHIN
        self.deaths = [*self.deaths[1 - HOPELESS_DEATHS :], now]
        is_burst = len(self.deaths) == HOPELESS_DEATHS and now - self.deaths[0] <= HOPELESS_WITHIN
        if is_burst and not self.was_healthy:
            return None
        delay = FIRST_DELAY if lived >= HEALTHY else self.delay
        self.delay = min(2 * delay, LAST_DELAY)
        return delay


@dataclass(slots=True, eq=False)
class _Child:
    role: Role
    restarts: Restarts = field(default_factory=Restarts)
    pid: int = 0
    """0 while it does not run."""
    at: float = 0.0
    """When it was started, or is to be started."""


class Supervisor:
    """Forks one process for each role and keeps them running until SIGTERM or SIGINT.

    Args:
        roles: In the order in which they are started.
        stop_within: Seconds that processes have for stopping, before they are killed.
        log: Gets ``worker_started``, ``worker_died``, ``worker_failed``, ``worker_killed``, ...
        on_stop: Called first when a stop begins, to close this process' listening sockets for
            example: while one copy is open, the kernel goes on queuing connections for it.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        stop_within: float,
        log: FilteringBoundLogger,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        self._children = [_Child(role) for role in roles]
        self._stop_within = stop_within
        self._log = log
        self._on_stop = on_stop
        self._stopped_at = 0.0
        self._inherited_mask: set[signal.Signals | int] = set()

    def run(self) -> int:
        """Run until the server has stopped; in the main thread, as the last thing a process does.

        Returns:
            Exit status: 0 after an orderly stop; 1 if one had to be killed or could not start.
        """
        # Blocked signals wait for sigtimedwait: none is lost between two looks, no handler runs.
        self._inherited_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
        # A parent that ignores it hands that down, and the kernel would reap the children itself.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            has_failed = self._run_until_stop()
            return self._stop() or int(has_failed)
        finally:
            self._kill_all()
            # A repeat of the signal that stopped the server must not take its exit status away.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._inherited_mask)

    def _run_until_stop(self) -> bool:
        """Keep all roles running; True if one of them could not be started."""
        while True:
            now = time.monotonic()
            for child in self._children:
                if not child.pid and child.at <= now:
                    self._start(child)
            starts = [child.at for child in self._children if not child.pid]
            if _wait(min(starts, default=None)) in {signal.SIGTERM, signal.SIGINT}:
                return False
            for child, pid, status in self._reap():
                if not self._schedule(child, pid, status):
                    return True

    def _start(self, child: _Child) -> None:
        # What exists now is never looked at by the workers' collector: the pages stay shared.
        gc.collect()
        gc.freeze()
        supervisor = os.getpid()
        pid = os.fork()
        if not pid:
            self._become(child.role, supervisor)
        child.pid, child.at = pid, time.monotonic()
        self._log.info("worker_started", role=child.role.name, pid=pid)

    def _become(self, role: Role, supervisor: int) -> NoReturn:
        """Be the child: run the role, and leave without the clean-up that is the parent's."""
        status = 1
        try:
            self._reset_signals()
            _die_with(supervisor)
            status = int(role.run())
        except BaseException:  # noqa: BLE001 (the root of a process, whose stack is the parent's)
            self._log.exception("worker_failed", role=role.name, pid=os.getpid())
        finally:
            try:
                telemetry.flush()
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)

    def _reset_signals(self) -> None:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        # Ctrl-C reaches the whole group of a terminal, and it is the supervisor who decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._inherited_mask - _WAITED_FOR)

    def _schedule(self, child: _Child, pid: int, status: int) -> bool:
        """Plan the next start of a dead child; False if it is hopeless."""
        now = time.monotonic()
        delay = child.restarts.died(now, now - child.at)
        facts = {"role": child.role.name, "pid": pid, **_ending(status)}
        if delay is None:
            self._log.error(
                "worker_hopeless", **facts, deaths=HOPELESS_DEATHS, within_seconds=HOPELESS_WITHIN
            )
            return False
        self._log.warning("worker_died", **facts, restart_in_seconds=delay)
        child.at = now + delay
        return True

    def _stop(self) -> int:
        """Stop all processes, in two stages; returns the exit status."""
        if self._on_stop is not None:
            self._on_stop()
        self._stopped_at = time.monotonic()
        until = self._stopped_at + self._stop_within
        self._log.info("server_stopping", within_seconds=self._stop_within)
        first = [child for child in self._children if not child.role.stops_last]
        last = [child for child in self._children if child.role.stops_last]
        is_orderly = self._end(first, until)
        if is_orderly:
            is_orderly = self._end(last, max(until, time.monotonic() + LAST_WITHIN))
        self._kill_all()
        self._log.info("server_stopped", is_orderly=is_orderly)
        return 0 if is_orderly else 1

    def _end(self, children: list[_Child], until: float) -> bool:
        """Ask processes to end; True if all did, False if time is up or a second signal hastens."""
        for child in children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        while True:
            for child, pid, status in self._reap():
                self._log.info("worker_ended", role=child.role.name, pid=pid, **_ending(status))
            if not any(child.pid for child in children):
                return True
            found = _wait(until)
            is_repeat = time.monotonic() < self._stopped_at + SAME_STOP
            if found is None or (found != signal.SIGCHLD and not is_repeat):
                return False

    def _kill_all(self) -> None:
        for child in self._children:
            if child.pid:
                self._log.error("worker_killed", role=child.role.name, pid=child.pid)
                os.kill(child.pid, signal.SIGKILL)
        for child in self._children:
            if child.pid:
                os.waitpid(child.pid, 0)
                child.pid = 0

    def _reap(self) -> list[tuple[_Child, int, int]]:
        """Collect the children that have ended, with the process ids and wait statuses they had."""
        ended = []
        for child in self._children:
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    child.pid = 0
                    ended.append((child, pid, status))
        return ended


def pin_allocator() -> bool:
    """Keep glibc's allocator from holding on to memory; False where there is no glibc.

    The size from which memory is mapped, and so given back when it is freed, moves up with the
    first mapped block that is freed. Left to move, it makes every TLS connection after the first
    one that closed cost 44.6 KB instead of 23.0 (measured, 3,000 held). One event loop needs few
    arenas.

    To be called before threads start and before workers are forked.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 131_072)) and bool(mallopt(_M_ARENA_MAX, 2))


def tune_collector() -> None:
    """Make garbage collections rare, see `COLLECTOR`; forked workers inherit it."""
    gc.set_threshold(*COLLECTOR)


def _wait(until: float | None) -> int | None:
    """Sleep until a signal comes and return it, or None at the given time."""
    if until is None:
        return signal.sigwaitinfo(_WAITED_FOR).si_signo
    found = signal.sigtimedwait(_WAITED_FOR, max(0.0, until - time.monotonic()))
    return found.si_signo if found else None


def _die_with(supervisor: int) -> None:
    """Get SIGTERM when the supervisor dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:
        os._exit(1)


def _ending(status: int) -> dict[str, int | str]:
    code = os.waitstatus_to_exitcode(status)
    return {"signal": signal.Signals(-code).name} if code < 0 else {"exit_status": code}
