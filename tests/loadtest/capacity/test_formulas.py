"""The table of formulas, loadtest/capacity/formulas.py."""

from __future__ import annotations

import pytest

from loadtest.capacity import formulas
from loadtest.capacity.demand import Demand
from loadtest.capacity.model import COSTS, Costs
from loadtest.capacity.sizing import LIMITS

DEMAND = Demand(
    users=80_000,
    devices_per_user=1.25,
    heartbeat=1000,
    changes_per_hour=9,
    peak_factor=2,
    tls="proxy",
    spare=1,
    price=10,
    headroom=0.5,
)
"""100,000 phones; 400 changes a second wake 500 phones, 100 heartbeats end."""
VALUES = {
    "phone_bytes_plain": 2000,
    "kernel_bytes_per_socket": 1000,
    "proxy_bytes_per_phone": 5000,
    "cycle_us": 400,
    "change_us": 100,
    "proxy_us_per_cycle": 100,
    "connect_us": 500,
    "handshake_us": 1000,
    "redis_bytes_per_phone": 1000,
    "redis_bytes_per_mailbox": 500,
    "redis_us_per_cycle": 1000,
    "redis_us_per_change": 1000,
    "request_bytes": 800,
    "answer_bytes": 300,
    "max_files_per_process": 50_064,
}
ROWS = (*formulas.LOAD, *formulas.NODE, *formulas.PROXY, *formulas.AROUND, formulas.COST)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("held_phones", 100_000),
        ("changes", 400),
        ("phones_woken", 500),
        ("heartbeats_ended", 100),
        ("ping_cycles", 600),
        ("cpu", 0.35),
        ("phones_per_node", 50_000),
        ("workers_per_node", 2),
        ("cpu_share", 0.0875),
        ("memory_user_per_node", 100_000_000),
        ("memory_kernel_per_node", 150_000_000),
        ("memory_proxy_per_node", 250_000_000),
        ("memory_per_node", 500_000_000),
        ("memory_share", 500_000_000 / 2**32),
        ("files_per_process", 25_064),
        ("files_per_node", 50_128),
        ("proxy_files_per_node", 100_000),
        ("source_ports_per_node", 50_000),
        ("source_addresses_per_node", 2),
        ("redis_memory", 140_000_000),
        ("redis_messages", 900),
        ("redis_round_trips", 600),
        ("redis_cpu", 1.0),
        ("redis_servers", 2),
        ("bandwidth_in", 3_840_000),
        ("bandwidth_out", 1_440_000),
        ("reconnect_time", 33_334 * 1600e-6 / 3.65),
        ("cost", 30),
    ],
)
def test_formula(name, value):
    """Each formula gives what a sheet of paper gives, for two nodes and a spare one."""
    costs = Costs(**{cost: float(VALUES.get(cost, 0)) for cost in COSTS})
    (row,) = (row for row in ROWS if row.name == name)

    assert pytest.approx(value) == row.formula(DEMAND, costs, 2)


def test_no_price():
    """Where no price is given the nodes cost nothing."""
    costs = Costs(**dict.fromkeys(COSTS, 0.0))

    assert 0.0 == formulas.COST.formula(Demand(users=1), costs, 1)


def test_each_limit_is_explained():
    """Each limit has its formula in words."""
    assert LIMITS == tuple(formulas.WHY)
