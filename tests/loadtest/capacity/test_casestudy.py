"""The deployment of 2012, loadtest/capacity/casestudy.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.capacity.casestudy import ASSUMED, CAVEATS, case_study
from tests.loadtest.capacity.samples import MIB, a_model

VALUES = {
    "process_bytes": 20 * MIB,
    "node_bytes": 40 * MIB,
    "phone_bytes_plain": 2000,
    "kernel_bytes_per_socket": 5000,
    "cycle_us": 200,
    "change_us": 100,
    "connect_us": 300,
    "handshake_us": 1000,
    "max_files_per_process": 100_064,
}


def test_published_numbers():
    """The study has 67 servers, 135,000 users and a jump from 50,000 to 100,000 phones."""
    study = case_study(a_model(VALUES))

    assert (67, 135_000) == (study.servers, study.users)
    assert (50_000, 100_000) == study.phones
    assert ["Redmond", "Dublin", "Singapore"] == [one.region.name for one in study.regions]


def test_phones_by_users():
    """Phones are shared out by users, and none is lost to rounding."""
    study = case_study(a_model(VALUES))

    assert [(29_630, 59_259), (11_111, 22_222), (9259, 18_519)] == [
        (one.before.demand.phones, one.after.demand.phones) for one in study.regions
    ]


def test_jump_fits():
    """Where the nodes of the evening are large enough, the jump takes none more."""
    study = case_study(a_model(VALUES))

    assert ((6, 6), 0) == (study.nodes, study.added)
    assert all(one.fits for one in study.regions)


def test_utilisation():
    """The jump doubles the CPU and the phones' share of the memory on the same nodes."""
    redmond = case_study(a_model(VALUES), replace(ASSUMED, tls="none")).regions[0]

    # 29,630 phones of 7,000 bytes beside 80 MiB, of 4 GiB; 29,630 / 900 heartbeats and 296.3 woken.
    assert pytest.approx((80 * MIB + 29_630 * 7000) / (4 << 30)) == redmond.memory_before
    assert pytest.approx((80 * MIB + 59_259 * 7000) / (4 << 30)) == redmond.memory_after
    cores = (29_630 / 900 + 296.3) * 200e-6 + 296.3 * 100e-6
    assert pytest.approx(cores / 2) == redmond.cpu_before
    assert pytest.approx(2 * cores / 2, rel=1e-4) == redmond.cpu_after


def test_jump_does_not_fit():
    """On nodes that were full in the evening the jump asks for more of them."""
    study = case_study(a_model(VALUES), replace(ASSUMED, tls="none", memory_per_node=512 * MIB))
    redmond = study.regions[0]

    # 329.6 MiB for phones are 49,372 of them.
    assert (2, 3, 1, False) == (
        redmond.before.nodes,
        redmond.after.nodes,
        redmond.added,
        redmond.fits,
    )
    assert 1 == study.added


def test_costs():
    """Then is each server at the price of the ten, now each node at the demand's price."""
    study = case_study(a_model(VALUES))

    assert (201_000, 18_000) == (study.cost_then, study.cost_now)
    assert (123_000, 6000) == (study.regions[0].cost_then, study.regions[0].cost_now)
    assert 0 == case_study(a_model(VALUES), replace(ASSUMED, price=None)).cost_now


def test_what_is_left_to_the_eas_server():
    """Each phone that a change wakes leaves a Sync to the EAS server: 1,000 a second in all."""
    study = case_study(a_model(VALUES))

    assert pytest.approx(1000.0) == study.syncs
    assert pytest.approx(592.59) == study.regions[0].syncs


def test_caveats():
    """It says that a Client Access server did more, and that the EAS server is extra."""
    text = " ".join(CAVEATS)

    assert "did more than hold Pings" in text
    assert "EAS server behind the gateway is extra" in text
