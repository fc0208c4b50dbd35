"""Whether two runs can be compared at all: what differs besides the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from loadtest.wording import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtest.judging.summary import Summary

DURATION: Final = 0.2
"""Part by which durations may differ: the run is over when the last answer is."""
_COMPARED: Final = frozenset({"pushgw", "git commit"})
"""Facts of the environment that are what two runs are compared for."""
_NAMED: Final = frozenset({"name", "devices", "duration", "seed"})
"""Keys of a profile that have a line of their own, or may differ."""


def differences(a: Summary, b: Summary) -> tuple[str, ...]:
    """List the facts that make two runs hard to compare, one line each."""
    return (*_loads(a, b), *_machines(a, b), *_invalid(a, b))


def _loads(a: Summary, b: Summary) -> Iterator[str]:
    if a.name != b.name:
        yield f"other profile: {a.name} and {b.name}"
    else:
        yield from _keys(dict(_flat(a.profile)), dict(_flat(b.profile)))
    if a.devices != b.devices:
        yield f"other number of phones: {a.devices:,} and {b.devices:,}"
    shorter, longer = sorted((a.duration, b.duration))
    if longer > shorter * (1 + DURATION):
        yield f"other duration: {span(a.duration)} and {span(b.duration)}"


def _keys(a: Mapping[str, object], b: Mapping[str, object]) -> Iterator[str]:
    for key in sorted(a.keys() | b.keys()):
        if key not in _NAMED and a.get(key) != b.get(key):
            yield f"other {key}: {_say(a.get(key))} and {_say(b.get(key))}"


def _flat(profile: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the values with dotted keys: ``changes.rate``."""
    for key, value in profile.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _machines(a: Summary, b: Summary) -> Iterator[str]:
    facts = [
        {key: value for key, value in run.environment.items() if key not in _COMPARED}
        for run in (a, b)
    ]
    yield from _keys(*facts)


def _invalid(a: Summary, b: Summary) -> Iterator[str]:
    for name, run in (("A", a), ("B", b)):
        yield from (f"{name} is invalid: {reason}" for reason in run.invalid)


def _say(value: object) -> str:
    return "none" if value is None else f"{value}"
