"""The phases of the bench with 100,000 phones, with a few hundred."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from loadtest.benching import hundred_rows, hundred_thousand
from loadtest.benching.crew import Told
from loadtest.benching.hundred_rows import Size
from loadtest.benching.hundred_thousand import HundredThousand
from loadtest.benching.load_process import LoadError
from loadtest.benching.stand import Reading
from loadtest.targets import Target

if TYPE_CHECKING:
    from loadtest.benching.rows import Sample

SMALL = Size(devices=300, rate=40, few_seconds=0.3, seconds=0.3, idle=0.1, drain=0.1, rest=0.1)
ALONE = {"balance"}
"""Rows whose figures not every gateway tells."""


async def test_a_gateway_goes_through_all_phases() -> None:
    """A small bench finds every figure, loses no change, and all phones come back."""
    said: list[str] = []
    found = await hundred_thousand.perform(SMALL, said.append)
    figures = found.measured.figures

    assert {row.key for row in hundred_rows.rows(SMALL)} - ALONE == set(figures) - ALONE
    assert [300] * 4 == [figures[key] for key in ("new", "held", "held_told", "back")]
    assert (0, 0) == (figures["lost"], figures["other_errors"])
    assert min(figures[key] for key in ("first_us", "park_us", "back_s")) > 0
    assert figures["stop_s"] < figures["ready_s"]
    assert [0, *range(30, 301, 30)] == [one.held for one in found.measured.samples]
    assert {"restart, until ready", "restart, since ready"} >= set(found.errors)
    assert 6 == len(said)


@dataclass
class Hands:
    """A crew whose answers are given."""

    tells: list[Told] = field(default_factory=list)
    waves: list[int] = field(default_factory=list)

    async def arrive(self, devices: int, _rate: float) -> Told:
        self.waves.append(devices)
        return self.tells.pop(0)

    async def tell(self) -> Told:
        return self.tells.pop(0)


@dataclass
class Stage:
    """A stand without programs."""

    crew: Hands

    class node:  # noqa: N801 - named as the attribute is
        admin = Target("127.0.0.1", 1)

    def read(self) -> Reading:
        return Reading(at=0.0, gateway=0.0, redis=0.0, load=0.0)

    def memory(self) -> int:
        return 1


def bench(*tells: Told) -> HundredThousand:
    return HundredThousand(SMALL, cast("Any", Stage(Hands(list(tells)))), lambda _: None)


def told(held: int, **errors: int) -> Told:
    return Told(held, Counter(errors))


async def test_no_phone_at_all_is_an_error() -> None:
    """A gateway that held nobody is told with what the phones saw."""
    with pytest.raises(LoadError, match=r"the gateway held no phone: \{'timeout': 30\}"):
        await bench(told(0, timeout=30))._come("phones", 300)


async def test_no_wave_follows_one_that_was_not_held() -> None:
    """Phones stop coming when some were not held in time, and their errors are kept."""
    one = bench(told(30), told(59, timeout=1))
    samples: list[Sample] = []
    held = await one._come("phones", 300, samples)

    assert (59, [30, 30]) == (held, one._one.crew.waves)
    assert ([30], {"phones": {"timeout": 1}}) == ([two.held for two in samples], one.errors)


async def test_phones_that_stay_away_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phones that do not come back in time are missing, not waited for."""
    monkeypatch.setattr(hundred_thousand, "BACK_WITHIN", 0.0)
    held, errors, _ = await bench(told(299, timeout=1))._come_back(0.0)

    assert (299, {"timeout": 1}) == (held, errors)


async def test_a_gateway_that_does_not_tell_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phones are back only when the gateway says so, too."""
    monkeypatch.setattr(hundred_thousand, "BACK_WITHIN", 0.02)
    monkeypatch.setattr(hundred_thousand, "LOOK", 0.01)
    now = hundred_thousand.monotonic()
    held, _, seconds = await bench(*[told(300)] * 100)._come_back(now)

    assert 0 == held
    assert seconds > 0.02
