"""All workers of a node as one: their states, and their metrics added up.

Rules of the sum:
    1. Samples of the same name and labels are added, whatever their kind: counters, the series of
       histograms, and gauges, which therefore count things and never are averages.
    2. Metrics of a process as such (memory, CPU, garbage) stay apart under a label ``worker``.
    3. A counter never falls when a worker dies, restarts or misses a scrape: what it had counted
       stays in the sum, for Prometheus takes a smaller counter for a new one that began at zero,
       and would count everything again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson
from prometheus_client import REGISTRY, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pushgw import telemetry
from pushgw.admin.control import WorkerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ANSWER_WITHIN: Final = 1.0
"""Seconds that a worker has for its answer; Prometheus gives a scrape ten by default."""

_OWN: Final = ("process_", "python_")
_CUMULATIVE: Final = frozenset({"counter", "histogram", "summary"})
_START: Final = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class _Families:
    """Metrics in the form of the library's collectors."""

    metrics: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def parse(text: str) -> tuple[Metric, ...]:
    """Read the text format, without the times of birth of series.

    Raises:
        ValueError: If it is no text format.
    """
    families = text_string_to_metric_families(text)
    return tuple(one for one in families if not one.name.endswith("_created"))


def add_up(members: Iterable[tuple[str, Iterable[Metric]]]) -> tuple[Metric, ...]:
    """Add up the metrics of several processes.

    Args:
        members: Names of workers, as the label ``worker`` shows them, and their metrics.

    Returns:
        One family for each name, in the order in which they were first met.
    """
    families: dict[str, Metric] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for worker, metrics in members:
        for metric in metrics:
            name = metric.name
            families.setdefault(name, Metric(name, metric.documentation, metric.type))
            series = sums.setdefault(name, {})
            for sample in metric.samples:
                labels = dict(sample.labels)
                if name.startswith(_OWN):
                    labels["worker"] = worker
                key = (sample.name, tuple(labels.items()))
                series[key] = series.get(key, 0.0) + sample.value
    for name, series in sums.items():
        for (sample_name, pairs), value in series.items():
            families[name].add_sample(sample_name, dict(pairs), value)
    return tuple(families.values())


def only_counted(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Keep what a worker leaves behind when it ends: counters and histograms, not its state."""
    return tuple(
        one for one in metrics if one.type in _CUMULATIVE and not one.name.startswith(_OWN)
    )


def unready(states: Mapping[str, WorkerState | None]) -> list[str]:
    """Say why a node should get no new phones.

    Args:
        states: By name of the worker; None for one that did not answer.

    Returns:
        Reasons in words, in the order of workers; empty if the node is ready.
    """
    if not states:
        return ["no worker is expected to run"]
    reasons = []
    for name, state in states.items():
        if state is None:
            reasons.append(f"worker {name} does not answer")
            continue
        if state.draining:
            reasons.append(f"worker {name} is draining")
        if not state.redis:
            reasons.append(f"worker {name} is not connected to redis")
        if not state.upstream:
            reasons.append(f"worker {name} does not reach the upstream")
    return reasons


@dataclass(slots=True)
class Counted:
    """What workers have counted so far, also those that are gone; see rule 3."""

    last: dict[str, tuple[float, tuple[Metric, ...]]] = field(default_factory=dict)
    """By worker: when its process began, and the counters of its latest answer."""
    past: tuple[Metric, ...] = ()
    """Sum of the processes that were replaced."""

    def missing(self, worker: str) -> tuple[Metric, ...]:
        """Return what stands for a worker that does not answer."""
        return self.last[worker][1] if worker in self.last else ()

    def answered(self, worker: str, metrics: tuple[Metric, ...]) -> None:
        """Take note of a worker's answer."""
        began = next((one.samples[0].value for one in metrics if one.name == _START), 0.0)
        before, counters = self.last.get(worker, (began, ()))
        if began > before:
            self.past = add_up([("", self.past), ("", counters)])
        # Of two scrapes at once, one may bring the late answer of a process that is gone.
        if began >= before:
            self.last[worker] = (began, only_counted(metrics))


class Fleet:
    """The workers of this node, asked over their unix sockets.

    Args:
        sockets: By name of the worker, for example ``"0"``.
        within: Seconds that each worker has for an answer; all are asked at once.
    """

    def __init__(self, sockets: Mapping[str, Path], *, within: float = ANSWER_WITHIN) -> None:
        self._sockets = sockets
        self._within = within
        self._counted = Counted()

    async def states(self) -> dict[str, WorkerState | None]:
        """Ask all workers what they are doing; None for one that does not answer in time."""
        answers = await self._ask("/state")
        return {
            worker: WorkerState(**orjson.loads(body)) if body else None
            for worker, body in answers.items()
        }

    async def metrics(self) -> bytes:
        """Return the metrics of all workers, and of this process, in the text format."""
        answers, states = await asyncio.gather(self._ask("/metrics"), self.states())
        for what, count in _doing(states.values()).items():
            telemetry.WORKERS.labels(what).set(count)
        members = [("admin", parse(generate_latest(REGISTRY).decode()))]
        for worker, body in answers.items():
            if body:
                metrics = parse(body.decode())
                self._counted.answered(worker, metrics)
            else:
                metrics = self._counted.missing(worker)
            members.append((worker, metrics))
        members.append(("", self._counted.past))
        return generate_latest(_Families(add_up(members)))

    async def _ask(self, path: str) -> dict[str, bytes]:
        """Ask all workers at once; no bytes stand for no answer."""
        bodies = await asyncio.gather(*(self._get(one, path) for one in self._sockets.values()))
        return dict(zip(self._sockets, bodies, strict=True))

    async def _get(self, socket: Path, path: str) -> bytes:
        # A connection for each question: a kept one would outlive the worker at its other end.
        connector = aiohttp.UnixConnector(str(socket), force_close=True)
        timeout = aiohttp.ClientTimeout(total=self._within)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(f"http://worker{path}", raise_for_status=True) as response,
            ):
                return await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return b""


def _doing(states: Iterable[WorkerState | None]) -> dict[str, int]:
    """Count workers by what they do."""
    counts = dict.fromkeys(("serving", "draining", "silent"), 0)
    for state in states:
        counts["silent" if state is None else "draining" if state.draining else "serving"] += 1
    return counts
