"""How many nodes a demand needs: the arithmetic, in plain numbers.

Rules:
    1. A node is full when any of its limits is: CPU in the busiest hour, memory, open files, source
       ports of its proxy, or the time in which the phones of a lost node must be back.
    2. Sizes hold with the spare nodes lost; only the loss of one node is timed, from full service.
    3. Where a proxy ends TLS it runs on the node, and takes of its memory and CPU.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtest.capacity.demand import Demand
    from loadtest.capacity.model import Costs

LIMITS: Final = ("cpu", "memory", "files", "ports", "reconnect")
"""What can fill a node, in the order in which a tie is told."""

FILES_APART: Final = 64
"""Open files of a worker that are no phones: listeners, Redis, its log; generous."""
MOST_WORKERS_PER_CORE: Final = 27
"""54 processes on two cores held a million phones; more were not tried."""
PORTS: Final = 28_232
"""Connections from one source address to one listener: Linux' ports 32,768 to 60,999."""
SOCKETS_BEHIND_PROXY: Final = 3
"""Of each phone on a node: the proxy's two and the worker's."""
_MICROSECONDS: Final = 1_000_000


class PlanError(ValueError):
    """No number of such nodes is enough."""


def phones_per_node(demand: Demand, nodes: int) -> int:
    """Return the phones of a node when so many are in service."""
    return math.ceil(demand.phones / nodes)


def files_per_worker(demand: Demand, costs: Costs[float]) -> int:
    """Return how many phones the files of a worker allow."""
    return int(demand.max_files or costs.max_files_per_process) - FILES_APART


def workers(demand: Demand, costs: Costs[float], nodes: int) -> int:
    """Return the workers of a node: one for each core, more where files run out."""
    needed = math.ceil(phones_per_node(demand, nodes) / files_per_worker(demand, costs))
    return max(demand.cores_per_node, needed)


def user_bytes(demand: Demand, costs: Costs[float], nodes: int) -> float:
    """Return the gateway's user memory on a node."""
    tls = demand.tls == "gateway"
    phone = costs.phone_bytes_tls if tls else costs.phone_bytes_plain
    processes = costs.node_bytes + workers(demand, costs, nodes) * costs.process_bytes
    return processes + phones_per_node(demand, nodes) * phone


def files_per_process(demand: Demand, costs: Costs[float], nodes: int) -> int:
    """Return the open files of a worker."""
    phones = phones_per_node(demand, nodes) / workers(demand, costs, nodes)
    return math.ceil(phones) + FILES_APART


def files(demand: Demand, costs: Costs[float], nodes: int) -> int:
    """Return the open files of all workers of a node."""
    apart = workers(demand, costs, nodes) * FILES_APART
    return phones_per_node(demand, nodes) + apart


def sockets(demand: Demand) -> int:
    """Return the sockets of a held phone on a node."""
    return SOCKETS_BEHIND_PROXY if demand.tls == "proxy" else 1


def kernel_bytes(demand: Demand, costs: Costs[float], nodes: int) -> float:
    """Return the kernel's memory for the sockets of a node."""
    each = sockets(demand) * costs.kernel_bytes_per_socket
    return phones_per_node(demand, nodes) * each


def proxy_bytes(demand: Demand, costs: Costs[float], nodes: int) -> float:
    """Return the proxy's user memory on a node; 0 where there is none."""
    if demand.tls != "proxy":
        return 0.0
    return phones_per_node(demand, nodes) * costs.proxy_bytes_per_phone


def memory(demand: Demand, costs: Costs[float], nodes: int) -> float:
    """Return all memory of a node in bytes."""
    parts = (user_bytes, kernel_bytes, proxy_bytes)
    return sum(part(demand, costs, nodes) for part in parts)


def cores(demand: Demand, costs: Costs[float]) -> float:
    """Return the cores that all nodes together use in the busiest hour."""
    cycle = costs.cycle_us
    if demand.tls == "proxy":
        cycle += costs.proxy_us_per_cycle
    busy = demand.cycles * cycle + demand.woken * costs.change_us + demand.phones * costs.idle_us
    return busy / _MICROSECONDS


def cpu_share(demand: Demand, costs: Costs[float], nodes: int) -> float:
    """Return the share of their CPU that so many nodes use in the busiest hour."""
    return cores(demand, costs) / (nodes * demand.cores_per_node)


def memory_share(demand: Demand, costs: Costs[float], nodes: int) -> float:
    """Return the share of its memory that a node uses."""
    return memory(demand, costs, nodes) / demand.memory_per_node


def redis_bytes(demand: Demand, costs: Costs[float]) -> float:
    """Return the memory that Redis needs."""
    phones = demand.phones * costs.redis_bytes_per_phone
    return phones + demand.users * costs.redis_bytes_per_mailbox


def redis_cores(demand: Demand, costs: Costs[float]) -> float:
    """Return the cores that Redis uses in the busiest hour."""
    cycles = demand.cycles * costs.redis_us_per_cycle
    return (cycles + demand.changes * costs.redis_us_per_change) / _MICROSECONDS


def connect_us(demand: Demand, costs: Costs[float]) -> float:
    """Return the CPU of a node for one phone that comes back."""
    if demand.tls == "none":
        return costs.connect_us
    proxy = costs.proxy_us_per_cycle if demand.tls == "proxy" else 0.0
    return costs.connect_us + costs.handshake_us + proxy


def reconnect_time(demand: Demand, costs: Costs[float], nodes: int) -> float:
    """Return seconds until the phones of a lost node are held again, in the busiest hour.

    Those of the only node come back to itself, when it has been started again.

    Args:
        demand: With its spare nodes, which are in service as well until then.
        costs: As numbers.
        nodes: Without the spare ones.

    Returns:
        Infinity where the others have no CPU left.
    """
    all_nodes = nodes + demand.spare
    lost = math.ceil(demand.phones / all_nodes)
    free = max(all_nodes - 1, 1) * demand.cores_per_node - cores(demand, costs)
    if free <= 0:
        return math.inf
    return lost * connect_us(demand, costs) / _MICROSECONDS / free


def needed(demand: Demand, costs: Costs[float]) -> dict[str, int]:
    """Return the fewest nodes that each of the ``LIMITS`` allows, without the spare ones.

    Raises:
        PlanError: If a node is too small even for one phone.
    """
    fits: dict[str, Callable[[int], bool]] = {
        "cpu": lambda nodes: cpu_share(demand, costs, nodes) <= demand.headroom,
        "memory": lambda nodes: memory_share(demand, costs, nodes) <= demand.memory_headroom,
        "files": lambda nodes: workers(demand, costs, nodes) <= _most_workers(demand),
        "ports": lambda nodes: phones_per_node(demand, nodes) <= _most_ports(demand),
        "reconnect": lambda nodes: _is_back(demand, costs, nodes),
    }
    found = {}
    for limit in LIMITS:
        nodes = _least(fits[limit], demand.phones)
        if nodes is None:
            raise PlanError(f"found a node too small for a single phone, by its {limit}")
        found[limit] = nodes
    return found


def _most_workers(demand: Demand) -> int:
    return demand.cores_per_node * MOST_WORKERS_PER_CORE


def _most_ports(demand: Demand) -> float:
    if demand.tls != "proxy" or demand.source_addresses is None:
        return math.inf
    return PORTS * demand.source_addresses


def _is_back(demand: Demand, costs: Costs[float], nodes: int) -> bool:
    return reconnect_time(demand, costs, nodes) <= demand.reconnect_within


def _least(fits: Callable[[int], bool], most: int) -> int | None:
    """Return the least number from 1 to ``most`` that fits; all above it must fit as well."""
    low, high = 0, 1
    while not fits(high):
        if high >= most:
            return None
        low, high = high, min(high * 2, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
