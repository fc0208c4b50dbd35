"""What a server did on purpose beside what the load generator found of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtest.faulty.faults import Done
    from loadtest.result import Result


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault, from both sides."""

    name: str
    done: int
    """By the server."""
    found: int
    """By the generator."""
    differences: tuple[str, ...] = ()
    """Changes, if these are known one by one, that only one of the two names."""

    @property
    def is_same(self) -> bool:
        """Whether the generator found exactly what the server did."""
        return self.done == self.found and not self.differences


def compare(done: Done, result: Result) -> tuple[Finding, ...]:
    """Compare each kind of fault, and first the number of changes among which they are.

    Args:
        done: As the server tells.
        result: Of a run in which each mailbox has one phone: the generator counts what is missed
            and late for each phone that should have heard of it.
    """
    counts = result.figures.counts
    return (
        Finding("changes", done.changes, counts["published"] - counts["withdrawn"]),
        Finding("lost", len(done.lost), counts["missed"], tuple(_differences(done, result))),
        Finding("delayed", len(done.delayed), counts["late"]),
        Finding("spurious", done.spurious, counts["spurious"]),
        Finding("duplicate", done.duplicate, counts["duplicate"]),
    )


def _differences(done: Done, result: Result) -> Iterator[str]:
    missed = {one.change: one for one in result.missed}
    for change in sorted(missed.keys() - set(done.lost)):
        one = missed[change]
        yield f"missed, but not lost: {change}, {one.mailbox}, {one.folder}, at {one.at:.1f} s"
    if len(missed) == result.figures.counts["missed"]:  # else only the first ones are known
        for change in sorted(set(done.lost) - missed.keys()):
            yield f"lost, but not missed: {change}"
