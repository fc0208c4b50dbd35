"""From samples to costs, by numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.calibration import costs
from loadtest.calibration.samples import Exchange, Samples
from loadtest.capacity.fit import Point
from loadtest.capacity.model import COSTS, CostError, Figure, reference

FALLBACK = reference().costs


def line(once: float, each: float, *amounts: float) -> list[Point]:
    return [Point(one, once + each * one) for one in amounts]


def whole() -> Samples:
    return Samples(
        nodes=line(60e6, 12e6, 1, 2, 3),
        plain=line(0, 2000, 100, 200, 300),
        secure=line(0, 25_000, 10, 20, 30),
        sockets=line(0, 4800, 200, 400, 600),
        parks=[140, 150, 160],
        slow_parks=[190, 210],
        secure_parks=[790, 810],
        idles=[0.01, 0.03],
        cycles=[79, 81],
        wakes=[480, 520],
        rates=(50, 100),
        redis_wakes=[140, 160],
        redis_cycles=[9, 11],
        redis_alone=line(0, 900, 100, 200, 300),
        redis_shared=line(0, 500, 100, 200, 300),
        exchange=Exchange(request=400, terse=300, changed=120, over=100),
        max_files=20_000,
    )


def derived(samples: Samples) -> dict[str, Figure]:
    found = costs.derive(samples, where="2 cores", fallback=FALLBACK)
    return {name: getattr(found, name) for name in COSTS}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("node_bytes", 60e6),
        ("process_bytes", 12e6),
        ("phone_bytes_plain", 2000),
        ("phone_bytes_tls", 25_000),
        ("kernel_bytes_per_socket", 4800),
        ("connect_us", 150),
        ("handshake_us", 600),
        ("idle_us", 0.02),
        ("cycle_us", 80),
        ("change_us", 420),
        ("redis_us_per_cycle", 10),
        ("redis_us_per_change", 140),
        # 900 = phone + mailbox, 500 = phone + mailbox / 4
        ("redis_bytes_per_mailbox", 1600 / 3),
        ("redis_bytes_per_phone", 1100 / 3),
        ("request_bytes", 400 + 22 + 104),
        ("answer_bytes", 120 + 22 + 104),
        ("max_files_per_process", 20_000),
    ],
)
def test_each_cost_comes_out_of_its_samples(name: str, value: float) -> None:
    """Slopes, means and differences are those of the samples, and name the machine."""
    found = derived(whole())[name]

    assert value == pytest.approx(found.value)
    assert "2 cores" in found.source or found.source.startswith("counted: ")


def test_the_source_of_a_change_tells_the_rates() -> None:
    """What a change costs depends on how many there are, so that stands in its source."""
    expected = (
        "mean over 2 phases of 50 and 100 changes/s in one worker, less the cycle at saturation, "
        "2 cores"
    )

    assert expected == derived(whole())["change_us"].source


@pytest.mark.parametrize("name", sorted(costs.NEVER_MEASURED))
def test_the_proxy_is_never_measured(name: str) -> None:
    """The costs of a proxy are taken over with their source as it is."""
    assert getattr(FALLBACK, name) == derived(whole())[name]


def test_nothing_measured_is_all_taken_over() -> None:
    """Without samples every cost is that of the other model, and its source says so once."""
    found = derived(Samples())
    again = costs.derive(
        Samples(), where="", fallback=replace(FALLBACK, cycle_us=found["cycle_us"])
    )

    assert FALLBACK.cycle_us.value == found["cycle_us"].value
    assert f"not measured here; {FALLBACK.cycle_us.source}" == found["cycle_us"].source
    assert found["cycle_us"].source == again.cycle_us.source


def test_a_cost_that_remains_needs_the_one_taken_off() -> None:
    """Without cycles at saturation there is no telling what a change costs on top of one."""
    samples = replace(whole(), cycles=[], slow_parks=[], redis_cycles=[], redis_shared=[])
    found = derived(samples)

    borrowed = {name for name in COSTS if found[name].source.startswith(costs.BORROWED)}
    assert {
        "change_us",
        "cycle_us",
        "handshake_us",
        "redis_us_per_cycle",
        "redis_us_per_change",
        "redis_bytes_per_phone",
        "redis_bytes_per_mailbox",
    } == borrowed


def test_noise_is_no_kernel_memory() -> None:
    """Where the kernel's memory went up and down, the other model's figure is better."""
    noise = [Point(200, 5e6), Point(400, 1e6), Point(600, 9e6)]
    found = derived(replace(whole(), sockets=noise))

    assert FALLBACK.kernel_bytes_per_socket.value == found["kernel_bytes_per_socket"].value


def test_too_few_samples_are_an_error() -> None:
    """One repetition has no error bars."""
    with pytest.raises(CostError, match="degrees of freedom"):
        derived(replace(whole(), cycles=[80]))


def test_errors_of_a_difference_add_up_by_squares() -> None:
    """3 and 4 make 5, and nothing costs less than nothing."""
    five = Figure(10, 7, 13, "us", "a")
    four = Figure(6, 2, 10, "us", "b")
    found = costs.combine([(1, five), (-1, four)], source="c")
    negative = costs.combine([(1, four), (-1, five)], source="c")

    assert Figure(4, 0, 9, "us", "c") == found
    assert Figure(0, 0, 5, "us", "c") == negative


def test_bytes_on_the_wire_have_bounds() -> None:
    """Without TLS and with the shorter message it is less, over IPv6 more."""
    found = derived(whole())

    assert (404, 566) == (found["request_bytes"].low, found["request_bytes"].high)
    assert (204, 286) == (found["answer_bytes"].low, found["answer_bytes"].high)
