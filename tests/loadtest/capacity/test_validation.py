"""Predictions beside measurements, loadtest/capacity/validation.py."""

from __future__ import annotations

import pytest

from loadtest.capacity.model import Validation
from loadtest.capacity.validation import Trial, cores, memory_bytes, validate
from tests.loadtest.capacity.samples import a_model

VALUES = {
    "node_bytes": 1_000_000,
    "process_bytes": 500_000,
    "phone_bytes_plain": 2000,
    "phone_bytes_tls": 20_000,
    "cycle_us": 200,
    "change_us": 100,
    "connect_us": 300,
    "handshake_us": 1000,
    "idle_us": 1,
}


def test_memory():
    """Memory is that of the node, of its workers and of its phones."""
    costs = a_model(VALUES).at("value")

    assert 4_000_000 == memory_bytes(costs, Trial(phones=1000, workers=2))
    assert 22_000_000 == memory_bytes(costs, Trial(phones=1000, workers=2, is_tls=True))


def test_cores():
    """CPU is that of cycles, woken phones, phones that come back, and held ones."""
    costs = a_model(VALUES).at("value")
    trial = Trial(phones=1000, workers=2, cycles=500, woken=400, connects=100)
    tls = Trial(phones=1000, workers=2, connects=100, is_tls=True)

    assert pytest.approx(0.1 + 0.04 + 0.03 + 0.001) == cores(costs, trial)
    assert pytest.approx(0.13 + 0.001) == cores(costs, tls)


def test_validate():
    """What was measured of a run is compared, what was not is left out."""
    trials = [
        Trial(phones=1000, workers=2, memory_bytes=4_400_000, cycles=500, cores=0.1),
        Trial(phones=2000, workers=1),
    ]

    found = validate(a_model(VALUES), trials)

    memory, cpu = found
    assert Validation("memory, 1,000 phones, 2 workers", 4e6, 4.4e6, "bytes") == memory
    assert "CPU, 1,000 phones, 2 workers, 500 cycles/s" == cpu.what
    assert pytest.approx(1.0) == cpu.error
