"""Costs in round numbers, and a demand that goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtest.capacity.demand import Demand
from loadtest.capacity.model import COSTS, CostModel, Costs, Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1 << 20
ROUND = {
    "process_bytes": 20 * MIB,
    "node_bytes": 40 * MIB,
    "phone_bytes_plain": 2000,
    "phone_bytes_tls": 20_000,
    "kernel_bytes_per_socket": 5000,
    "cycle_us": 200,
    "change_us": 100,
    "connect_us": 300,
    "handshake_us": 1000,
    "idle_us": 0,
    "redis_bytes_per_phone": 1000,
    "redis_bytes_per_mailbox": 500,
    "redis_us_per_cycle": 60,
    "redis_us_per_change": 40,
    "request_bytes": 800,
    "answer_bytes": 300,
    "max_files_per_process": 20_064,
    "proxy_bytes_per_phone": 20_000,
    "proxy_us_per_cycle": 50,
}
"""Of each cost; there are 20,000 phones for each worker."""


def exact(value: float) -> Figure:
    """Return a cost without an error bar."""
    return Figure(value, value, value, "", "by hand")


def a_model(values: Mapping[str, float]) -> CostModel:
    """Return a model of exact costs; those that are not given cost nothing."""
    return CostModel(costs=Costs(**{name: exact(values.get(name, 0)) for name in COSTS}))


def a_demand(**changes: Any) -> Demand:
    """Return 100,000 phones with 1,000 cycles a second, 900 of them by changes."""
    given: dict[str, Any] = {
        "users": 100_000,
        "devices_per_user": 1.0,
        "heartbeat": 1000,
        "changes_per_hour": 16.2,
        "peak_factor": 2.0,
        "tls": "none",
        "spare": 1,
        **changes,
    }
    return Demand(**given)
