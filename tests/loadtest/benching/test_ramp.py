"""Phones come as fast as the machine takes them."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest

from loadtest import ending, running, watching
from loadtest.benching import ramp
from loadtest.benching.ramp import Ramp
from loadtest.controller import WARM, Audience, GeneratorError
from loadtest.profiles.profile import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtest.profiles.profile import Profile
    from loadtest.running import Crew, Place


@pytest.fixture
def crew() -> Iterator[Crew]:
    found = running.engage(2)
    yield found
    found.dismiss()


def lead(load: Profile, place: Place, crew: Crew) -> Ramp:
    async def main() -> Ramp:
        async with watching.watch(place.admins) as watched:
            audience = Audience(show=lambda _: None, mark=lambda _: None)
            assignments = running.assignments(load, place, len(crew.channels))
            led = Ramp(assignments, crew.channels, watching=watched, audience=audience)
            await led.perform()
            return led

    return ending.run(main())


@pytest.fixture
def waves(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Phones of each wave, and those held when it was sent."""
    found: list[tuple[int, int]] = []
    send = Ramp._send_wave

    def sent(self: Ramp, *numbers: Any) -> int:
        held = self.held
        found.append((send(self, *numbers), held))
        return found[-1][0]

    monkeypatch.setattr(Ramp, "_send_wave", sent)
    return found


def test_all_phones_come_in_waves(
    standing: Place,
    profile: Callable[..., Profile],
    crew: Crew,
    waves: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each wave is part of the rate, waits until those before are held, and none is left out."""
    monkeypatch.setattr(ramp, "WAVE", 0.05)
    monkeypatch.setattr(ramp, "ON_THE_WAY", 0.01)
    led = lead(profile(devices=111, arrival=Arrival(rate=1000.0)), standing, crew)
    sent = list(accumulate((size for size, _ in waves), initial=WARM))

    assert 111 == sent[-1]
    assert all(size <= 50 for size, _ in waves)
    assert all(before - held <= 10 for before, (_, held) in zip(sent, waves, strict=False))
    assert "111 of 111 phones held" == led.marks[0].text


def test_a_slow_machine_is_told(
    standing: Place,
    profile: Callable[..., Profile],
    crew: Crew,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that does not take the phones in time ends the run with how many it took."""
    monkeypatch.setattr(ramp, "LATE", -1.0)
    load = replace(profile(devices=100), arrival=Arrival(rate=400.0))

    with pytest.raises(GeneratorError, match=r"50 of 100 phones held after -?\d+ s: this machine"):
        lead(load, standing, crew)
