"""The figures of a plan as a table: name, unit, formula in words, sources, formula as code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtest.capacity import sizing

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtest.capacity.demand import Demand
    from loadtest.capacity.model import Costs

    Formula = Callable[[Demand, Costs[float], int], float]
    """Demand, costs as numbers, nodes in service without the spare ones."""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure before it is calculated."""

    name: str
    unit: str
    how: str
    """The formula in words."""
    sources: str
    """Names of costs, of fields of the demand and of other figures, parted by spaces."""
    formula: Formula


LOAD: Final = (
    Row(
        "held_phones",
        "phones",
        "users x devices per user",
        "users devices_per_user",
        lambda demand, _costs, _nodes: demand.phones,
    ),
    Row(
        "changes",
        "1/s",
        "users x changes per hour / 3,600 x peak factor",
        "users changes_per_hour peak_factor",
        lambda demand, _costs, _nodes: demand.changes,
    ),
    Row(
        "phones_woken",
        "1/s",
        "changes x devices per user",
        "changes devices_per_user",
        lambda demand, _costs, _nodes: demand.woken,
    ),
    Row(
        "heartbeats_ended",
        "1/s",
        "held phones / heartbeat, at most: one that a change ends begins anew",
        "held_phones heartbeat",
        lambda demand, _costs, _nodes: demand.heartbeats,
    ),
    Row(
        "ping_cycles",
        "1/s",
        "heartbeats ended + phones woken",
        "heartbeats_ended phones_woken",
        lambda demand, _costs, _nodes: demand.cycles,
    ),
    Row(
        "cpu",
        "cores",
        "ping cycles x (cycle + proxy) + phones woken x change + held phones x idle",
        "ping_cycles phones_woken held_phones cycle_us change_us idle_us proxy_us_per_cycle",
        lambda demand, costs, _nodes: sizing.cores(demand, costs),
    ),
)
"""What all phones together ask for."""

NODE: Final = (
    Row(
        "phones_per_node",
        "phones",
        "held phones / nodes, the spare ones lost",
        "held_phones nodes spare",
        lambda demand, _costs, nodes: sizing.phones_per_node(demand, nodes),
    ),
    Row(
        "workers_per_node",
        "workers",
        f"one per core, or phones per node / (files - {sizing.FILES_APART})",
        "phones_per_node cores_per_node max_files max_files_per_process",
        sizing.workers,
    ),
    Row(
        "cpu_share",
        "share",
        "cpu / (nodes x cores per node), the spare ones lost, busiest hour",
        "cpu nodes spare cores_per_node",
        sizing.cpu_share,
    ),
    Row(
        "memory_user_per_node",
        "bytes",
        "node + workers x process + phones per node x phone",
        "phones_per_node workers_per_node node_bytes process_bytes phone_bytes_plain"
        " phone_bytes_tls",
        sizing.user_bytes,
    ),
    Row(
        "memory_kernel_per_node",
        "bytes",
        f"phones per node x sockets (1, with a proxy {sizing.SOCKETS_BEHIND_PROXY}) x socket",
        "phones_per_node tls kernel_bytes_per_socket",
        sizing.kernel_bytes,
    ),
    Row(
        "memory_proxy_per_node",
        "bytes",
        "phones per node x proxy's memory of a phone",
        "phones_per_node tls proxy_bytes_per_phone",
        sizing.proxy_bytes,
    ),
    Row(
        "memory_per_node",
        "bytes",
        "user + kernel + proxy",
        "memory_user_per_node memory_kernel_per_node memory_proxy_per_node",
        sizing.memory,
    ),
    Row(
        "memory_share",
        "share",
        "memory per node / memory of a node",
        "memory_user_per_node memory_kernel_per_node memory_proxy_per_node memory_per_node",
        sizing.memory_share,
    ),
    Row(
        "files_per_process",
        "files",
        f"phones per node / workers + {sizing.FILES_APART}",
        "phones_per_node workers_per_node",
        sizing.files_per_process,
    ),
    Row(
        "files_per_node",
        "files",
        f"phones per node + workers x {sizing.FILES_APART}, without the proxy",
        "phones_per_node workers_per_node",
        sizing.files,
    ),
)
"""What a node needs."""

PROXY: Final = (
    Row(
        "proxy_files_per_node",
        "files",
        "2 x phones per node",
        "phones_per_node",
        lambda demand, _costs, nodes: 2 * sizing.phones_per_node(demand, nodes),
    ),
    Row(
        "source_ports_per_node",
        "ports",
        "phones per node: each is a connection from the proxy to a worker",
        "phones_per_node",
        lambda demand, _costs, nodes: sizing.phones_per_node(demand, nodes),
    ),
    Row(
        "source_addresses_per_node",
        "addresses",
        f"source ports / {sizing.PORTS:,} ports of an address (Linux' default range)",
        "source_ports_per_node",
        lambda demand, _costs, nodes: math.ceil(
            sizing.phones_per_node(demand, nodes) / sizing.PORTS
        ),
    ),
)
"""What the proxy of a node needs besides."""

AROUND: Final = (
    Row(
        "redis_memory",
        "bytes",
        "held phones x phone + users x mailbox",
        "held_phones users redis_bytes_per_phone redis_bytes_per_mailbox",
        lambda demand, costs, _nodes: sizing.redis_bytes(demand, costs),
    ),
    Row(
        "redis_messages",
        "1/s",
        "changes published + hints delivered (at most one for each phone woken)",
        "changes phones_woken",
        lambda demand, _costs, _nodes: demand.changes + demand.woken,
    ),
    Row(
        "redis_round_trips",
        "1/s",
        "ping cycles, at most: those of one loop turn share a round trip",
        "ping_cycles",
        lambda demand, _costs, _nodes: demand.cycles,
    ),
    Row(
        "redis_cpu",
        "cores",
        "ping cycles x cycle + changes x change; one server has one core for commands",
        "ping_cycles changes redis_us_per_cycle redis_us_per_change",
        lambda demand, costs, _nodes: sizing.redis_cores(demand, costs),
    ),
    Row(
        "redis_servers",
        "servers",
        "redis cpu / headroom, without replicas; more than one is a cluster",
        "redis_cpu headroom",
        lambda demand, costs, _nodes: max(
            math.ceil(sizing.redis_cores(demand, costs) / demand.headroom), 1
        ),
    ),
    Row(
        "bandwidth_in",
        "bit/s",
        "ping cycles x request x 8, all nodes",
        "ping_cycles request_bytes",
        lambda demand, costs, _nodes: demand.cycles * costs.request_bytes * 8,
    ),
    Row(
        "bandwidth_out",
        "bit/s",
        "ping cycles x answer x 8, all nodes",
        "ping_cycles answer_bytes",
        lambda demand, costs, _nodes: demand.cycles * costs.answer_bytes * 8,
    ),
    Row(
        "reconnect_time",
        "s",
        "phones of a lost node x (connect + handshake + proxy) / cores that the others have left",
        "held_phones nodes connect_us handshake_us proxy_us_per_cycle cpu cores_per_node",
        sizing.reconnect_time,
    ),
)
"""What is needed around the nodes."""

COST: Final = Row(
    "cost",
    "money",
    "nodes x price",
    "nodes price",
    lambda demand, _costs, nodes: (nodes + demand.spare) * (demand.price or 0.0),
)

WHY: Final = {
    "cpu": ("cpu / (cores per node x headroom)", "cpu cores_per_node headroom"),
    "memory": (
        "fewest whose memory per node is within memory of a node x memory headroom",
        (
            "memory_per_node memory_headroom node_bytes process_bytes phone_bytes_plain"
            " phone_bytes_tls kernel_bytes_per_socket proxy_bytes_per_phone"
        ),
    ),
    "files": (
        f"fewest with at most {sizing.MOST_WORKERS_PER_CORE} workers per core",
        "cores_per_node max_files max_files_per_process",
    ),
    "ports": (
        f"fewest with at most {sizing.PORTS:,} phones for each source address given",
        "source_addresses tls",
    ),
    "reconnect": (
        "fewest whose reconnect time is within the time allowed",
        "reconnect_within connect_us handshake_us proxy_us_per_cycle cycle_us change_us",
    ),
}
"""How many nodes each limit asks for: the formula in words, and its sources."""
