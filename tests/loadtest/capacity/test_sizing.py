"""The arithmetic of nodes, loadtest/capacity/sizing.py."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from loadtest.capacity import sizing
from loadtest.capacity.model import Costs
from tests.loadtest.capacity.samples import MIB, ROUND, a_demand

GIB = 1 << 30
COSTS = Costs(**{**ROUND, "idle_us": 1})


def test_workers():
    """There is a worker for each core, or more where the open files of one run out."""
    assert 5 == sizing.workers(a_demand(), COSTS, 1)
    assert 2 == sizing.workers(a_demand(), COSTS, 4)
    assert 10 == sizing.workers(a_demand(max_files=10_064), COSTS, 1)


def test_files():
    """Each worker has its phones open, and a few files apart."""
    assert 20_064 == sizing.files_per_process(a_demand(), COSTS, 1)
    assert 100_000 + 5 * 64 == sizing.files(a_demand(), COSTS, 1)


@pytest.mark.parametrize(
    ("tls", "user", "kernel", "proxy"),
    [
        ("none", 140 * MIB + 200_000_000, 500_000_000, 0),
        ("gateway", 140 * MIB + 2_000_000_000, 500_000_000, 0),
        ("proxy", 140 * MIB + 200_000_000, 1_500_000_000, 2_000_000_000),
    ],
)
def test_memory(tls, user, kernel, proxy):
    """TLS costs memory in the workers, or in a proxy with two more sockets for each phone."""
    demand = a_demand(tls=tls, memory_per_node=8 * GIB)

    assert user == sizing.user_bytes(demand, COSTS, 1)
    assert kernel == sizing.kernel_bytes(demand, COSTS, 1)
    assert proxy == sizing.proxy_bytes(demand, COSTS, 1)
    assert user + kernel + proxy == sizing.memory(demand, COSTS, 1)
    assert (user + kernel + proxy) / (8 * GIB) == sizing.memory_share(demand, COSTS, 1)


def test_cores():
    """Cycles, woken phones and held ones use CPU; a proxy adds to each cycle."""
    # 1,000 x 200 + 900 x 100 + 100,000 x 1 = 390,000 us in a second.
    assert pytest.approx(0.39) == sizing.cores(a_demand(), COSTS)
    assert pytest.approx(0.44) == sizing.cores(a_demand(tls="proxy"), COSTS)
    assert pytest.approx(0.39 / 8) == sizing.cpu_share(a_demand(), COSTS, 4)


def test_redis():
    """Redis has each phone and mailbox in memory and works for cycles and changes."""
    assert 150_000_000 == sizing.redis_bytes(a_demand(), COSTS)
    assert pytest.approx(0.06 + 0.036) == sizing.redis_cores(a_demand(), COSTS)


@pytest.mark.parametrize(("tls", "us"), [("none", 300), ("gateway", 1300), ("proxy", 1350)])
def test_connect(tls, us):
    """A phone that comes back costs a hold, and a handshake where TLS ends on the node."""
    assert us == sizing.connect_us(a_demand(tls=tls), COSTS)


def test_reconnect_time():
    """The phones of a lost node come back to the others, on the CPU these have left."""
    # Five nodes with 20,000 phones each; four of them have 8 - 0.39 cores left.
    assert pytest.approx(20_000 * 300e-6 / 7.61) == sizing.reconnect_time(a_demand(), COSTS, 4)


def test_only_node_comes_back_to_itself():
    """The phones of the only node wait for itself."""
    demand = a_demand(spare=0)

    assert pytest.approx(100_000 * 300e-6 / 1.61) == sizing.reconnect_time(demand, COSTS, 1)


def test_no_time_is_enough():
    """Where the other nodes have no CPU left the phones never come back."""
    demand = a_demand(changes_per_hour=160, cores_per_node=1, spare=0)

    assert math.inf == sizing.reconnect_time(demand, COSTS, 2)


@pytest.mark.parametrize(
    ("limit", "changes", "nodes"),
    [
        # 0.39 cores of 0.05 x 1.
        ("cpu", {"cores_per_node": 1, "headroom": 0.05}, 8),
        # 100 MiB for itself, 7,000 bytes a phone: 204.8 MiB - 80 MiB hold 18,694 phones.
        ("memory", {"memory_per_node": 256 * MIB}, 6),
        # 54 workers with 36 phones each.
        ("files", {"max_files": 128}, 29),
        # 28,232 for the only address.
        ("ports", {"tls": "proxy", "source_addresses": 1}, 4),
        # n + 1 nodes: 30 / (n + 1) seconds of CPU on 2 n - 0.39 cores within one second.
        ("reconnect", {"reconnect_within": 1}, 4),
    ],
)
def test_needed(limit, changes, nodes):
    """Each limit asks for the fewest nodes that it allows."""
    assert nodes == sizing.needed(a_demand(**changes), COSTS)[limit]


def test_one_node_is_enough():
    """Where nothing is short, each limit asks for one node."""
    demand = a_demand(memory_per_node=8 * GIB)

    assert dict.fromkeys(sizing.LIMITS, 1) == sizing.needed(demand, COSTS)


def test_addresses_not_given():
    """Ports do not limit a proxy that may use as many source addresses as it needs."""
    assert 1 == sizing.needed(a_demand(tls="proxy"), COSTS)["ports"]


def test_node_too_small():
    """A node that cannot hold a single phone is refused by the limit that it fails."""
    costs = replace(COSTS, node_bytes=300 * MIB)

    with pytest.raises(sizing.PlanError, match="too small for a single phone, by its memory"):
        sizing.needed(a_demand(memory_per_node=256 * MIB), costs)
