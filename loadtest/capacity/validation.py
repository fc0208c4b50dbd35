"""Is the model right? What it predicts for a run, beside what was measured there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtest.capacity.model import Validation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtest.capacity.model import CostModel, Costs

PROMISE: Final = 15.0
"""Percent within which a prediction is to be, at a size the model was not fitted on."""
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A run of one node, measured for comparison and not for fitting."""

    phones: int
    """Held all the time."""
    workers: int
    is_tls: bool = False
    """The workers themselves speak TLS."""
    cycles: float = 0.0
    """Ping cycles in a second."""
    woken: float = 0.0
    """Those of them that a change ended."""
    connects: float = 0.0
    """Phones that came back, in a second; with a handshake each where the workers speak TLS."""
    memory_bytes: float | None = None
    """User memory measured; None leaves it out."""
    cores: float | None = None
    """CPU measured, in cores; None leaves it out."""


def memory_bytes(costs: Costs[float], trial: Trial) -> float:
    """Predict the user memory of a node in bytes."""
    phone = costs.phone_bytes_tls if trial.is_tls else costs.phone_bytes_plain
    return costs.node_bytes + trial.workers * costs.process_bytes + trial.phones * phone


def cores(costs: Costs[float], trial: Trial) -> float:
    """Predict the cores that a node uses."""
    connect = costs.connect_us + (costs.handshake_us if trial.is_tls else 0.0)
    busy = (
        trial.cycles * costs.cycle_us
        + trial.woken * costs.change_us
        + trial.connects * connect
        + trial.phones * costs.idle_us
    )
    return busy / _MICROSECONDS


def validate(model: CostModel, trials: Iterable[Trial]) -> tuple[Validation, ...]:
    """Compare predictions with measurements, at sizes the model was not fitted on.

    Raises:
        CostError: If something measured is not above 0.
    """
    costs = model.at("value")
    found = []
    for trial in trials:
        where = f"{trial.phones:,} phones, {trial.workers} workers"
        if trial.memory_bytes is not None:
            predicted = memory_bytes(costs, trial)
            found.append(Validation(f"memory, {where}", predicted, trial.memory_bytes, "bytes"))
        if trial.cores is not None:
            what = f"CPU, {where}, {trial.cycles:,.0f} cycles/s"
            found.append(Validation(what, cores(costs, trial), trial.cores, "cores"))
    return tuple(found)
