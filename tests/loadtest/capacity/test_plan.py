"""The plan, loadtest/capacity/plan.py and its table of formulas."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.capacity.demand import DEMAND
from loadtest.capacity.model import COSTS, Figure
from loadtest.capacity.plan import ALONE, SIZES, growth, plan
from tests.loadtest.capacity import samples
from tests.loadtest.capacity.samples import MIB, ROUND, exact


def a_model(**bounds):
    model = samples.a_model(ROUND)
    figures = {
        name: Figure(ROUND[name], low, high, "", "by hand") for name, (low, high) in bounds.items()
    }
    return replace(model, costs=replace(model.costs, **figures))


def a_demand(**changes):
    return samples.a_demand(**{"memory_per_node": 256 * MIB, **changes})


def test_by_hand():
    """A plan without a proxy has the figures that a sheet of paper gives."""
    found = plan(a_demand(price=3000), a_model())

    # Memory binds: 204.8 MiB less 80 MiB hold 18,694 phones of 7,000 bytes, so six nodes.
    assert ("memory", 7, 6) == (found.binding, found.nodes, found.in_service)
    expected = {
        "held_phones": 100_000,
        "changes": 900,
        "phones_woken": 900,
        "heartbeats_ended": 100,
        "ping_cycles": 1000,
        "cpu": 0.29,
        "nodes_for_cpu": 1,
        "nodes_for_memory": 6,
        "nodes_for_files": 1,
        "nodes_for_ports": 1,
        "nodes_for_reconnect": 1,
        "nodes": 7,
        "phones_per_node": 16_667,
        "workers_per_node": 2,
        "cpu_share": 0.29 / 12,
        "memory_user_per_node": 80 * MIB + 33_334_000,
        "memory_kernel_per_node": 83_335_000,
        "memory_proxy_per_node": 0,
        "memory_per_node": 80 * MIB + 116_669_000,
        "memory_share": (80 * MIB + 116_669_000) / (256 * MIB),
        "files_per_process": 8334 + 64,
        "files_per_node": 16_667 + 128,
        "redis_memory": 150_000_000,
        "redis_messages": 1800,
        "redis_round_trips": 1000,
        "redis_cpu": 0.096,
        "redis_servers": 1,
        "bandwidth_in": 6_400_000,
        "bandwidth_out": 2_400_000,
        # Seven nodes with 14,286 phones; six have 12 - 0.29 cores left.
        "reconnect_time": 14_286 * 300e-6 / 11.71,
        "cost": 21_000,
    }
    assert expected == {one.name: pytest.approx(one.value) for one in found.figures}


def test_proxy():
    """With a proxy its memory is counted, and its files, ports and source addresses are told."""
    found = plan(a_demand(tls="proxy", memory_per_node=16 << 30), a_model())

    assert ALONE == found.binding
    assert 2_000_000_000 == found["memory_proxy_per_node"].value
    assert 200_000 == found["proxy_files_per_node"].value
    assert 100_000 == found["source_ports_per_node"].value
    assert 4 == found["source_addresses_per_node"].value


def test_bounds():
    """A figure's bounds are those with all costs low and with all costs high."""
    model = a_model(cycle_us=(150, 300), change_us=(0, 200))

    cpu = plan(a_demand(), model)["cpu"]

    assert (0.29, 0.15, 0.48) == tuple(map(pytest.approx, (cpu.value, cpu.low, cpu.high)))


def test_bounds_of_nodes():
    """The nodes have bounds too, and hold for the whole plan at their value."""
    model = a_model(kernel_bytes_per_socket=(2500, 20_000))

    found = plan(a_demand(), model)

    # 130,862,285 bytes for phones: 29,080 of 4,500 bytes, 5,948 of 22,000 bytes.
    assert (7, 5, 18) == (found["nodes"].value, found["nodes"].low, found["nodes"].high)
    assert 6 == found.in_service


@pytest.mark.parametrize("tls", ["none", "gateway", "proxy"])
@pytest.mark.parametrize("max_files", [None, 50_000])
def test_sources(tls, max_files):
    """Each figure is traced to costs, fields of the demand or other figures, to one at least."""
    found = plan(a_demand(tls=tls, max_files=max_files, memory_per_node=4 << 30), a_model())

    known = {*COSTS, *DEMAND, *(one.name for one in found.figures)}
    assert [] == [
        one.name for one in found.figures if not set(one.sources) or set(one.sources) - known
    ]


def test_unused_costs():
    """What a demand makes no use of is no source of its figures."""
    proxy = plan(a_demand(tls="proxy", memory_per_node=4 << 30), a_model()).measurements
    inside = plan(a_demand(tls="gateway", max_files=5000), a_model()).measurements

    assert "phone_bytes_tls" not in proxy
    assert "proxy_bytes_per_phone" in proxy
    assert "phone_bytes_plain" not in inside
    assert "proxy_bytes_per_phone" not in inside
    assert "max_files_per_process" not in inside
    assert exact(1000) == inside["handshake_us"]


def test_unknown_figure():
    """A figure that the plan does not have is no figure."""
    with pytest.raises(KeyError, match="cost"):
        plan(a_demand(), a_model())["cost"]


def test_growth():
    """The curve has a plan for each size, exactly that size, and never fewer nodes."""
    plans = growth(a_demand(devices_per_user=1.3, memory_per_node=4 << 30), a_model())

    assert SIZES == tuple(one.demand.phones for one in plans)
    assert 10_000_000 == SIZES[-1]
    nodes = [one.nodes for one in plans]
    assert sorted(nodes) == nodes


def test_growth_of_less_than_a_user():
    """A size below the devices of one user is one user."""
    (found,) = growth(a_demand(devices_per_user=10), a_model(), [3])

    assert (1, 3) == (found.demand.users, found.demand.phones)


def test_spare_nodes():
    """Spare nodes come on top and are paid."""
    one, none = (plan(a_demand(spare=spare, price=10), a_model()) for spare in (1, 0))

    assert (7, 6) == (one.nodes, none.nodes)
    assert (70, 60) == (one["cost"].value, none["cost"].value)
    assert one == plan(replace(none.demand, spare=1), none.model)
