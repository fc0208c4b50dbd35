"""A whole measurement, as small as can be, with everything real."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.benching.load_process import LoadError
from loadtest.calibration import certificates, costs, measuring
from loadtest.calibration.measuring import TooManyPhonesError
from loadtest.calibration.size import FULL, QUICK, Size, TrialSize
from loadtest.capacity.model import COSTS, from_json, to_json

TINY = Size(
    rounds=1,
    steps=3,
    phones=60,
    seconds=0.3,
    rates=(40.0,),
    workers=(2, 3),
    heartbeats=(1, 2),
    secure_rounds=1,
    secure_phones=15,
    new_phones=30,
    trial=TrialSize(phones=150, rate=40.0, seconds=0.5, heartbeat=(1, 3)),
    window=0.1,
    within=90.0,
)


async def test_everything_is_measured_and_validated() -> None:
    """A measurement ends with all costs, its own ones but the proxy's, and two comparisons."""
    said: list[str] = []

    model = await measuring.perform(TINY, said.append)

    figures = {name: getattr(model.costs, name) for name in COSTS}
    borrowed = {name for name in COSTS if figures[name].source.startswith(costs.BORROWED)}
    may_be = {"kernel_bytes_per_socket"}  # so few sockets may vanish among others'
    if not certificates.can_make():
        may_be |= {"phone_bytes_tls", "handshake_us"}
    assert borrowed <= may_be
    assert figures["cycle_us"].value > 0
    assert ["memory, 150 phones, 2 workers", "CPU, 150 phones, 2 workers"] == [
        one.what.partition(" workers")[0] + " workers" for one in model.validation
    ]
    assert model == from_json(to_json(model))
    assert any("gateway 1 of 1 with TLS" in line for line in said)


async def test_too_little_time_is_an_error() -> None:
    """A measurement that is not done in time says what is the matter, and leaves nothing."""
    with pytest.raises(LoadError, match=r"not done within 1\.2 s: other programs use too much"):
        await measuring.perform(replace(TINY, within=1.2), lambda _: None)


def test_a_size_that_fits_is_good() -> None:
    """A size for which there are open files enough passes."""
    measuring.check_size(TINY)


def test_a_size_that_does_not_fit_is_refused() -> None:
    """More phones than a process can have are refused before anything starts."""
    large = replace(FULL, trial=TrialSize(phones=99_999))

    with pytest.raises(TooManyPhonesError, match="99,999 are needed"):
        measuring.check_size(large)


def test_the_quick_one_validates_elsewhere() -> None:
    """The trial of a quick measurement is smaller than that of the full one."""
    assert QUICK.trial.phones < FULL.trial.phones


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (
            {"cores": "2", "CPU": "Xeon(R)", "kernel": "Linux 6.18.1-x x86_64"},
            "2 cores Xeon, Linux 6.18.1",
        ),
        ({}, "? cores"),
    ],
)
def test_a_place_is_named_shortly(facts: dict[str, str], text: str) -> None:
    """Cores, processor and kernel are what a source tells of a machine."""
    assert text == measuring.place(facts)
