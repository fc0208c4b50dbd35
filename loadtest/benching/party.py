"""The phones of one load process, and what sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.figures import Figures
from loadtest.phones.account import Account
from loadtest.phones.connecting import Dialler, tls_context
from loadtest.phones.fleet import Fleet
from loadtest.phones.witness import Witness
from loadtest.scenario.commands import Habits
from loadtest.targets import default_sources

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

    from loadtest.phones.phone import Phone
    from loadtest.profiles.population import Population
    from loadtest.scenario.commands import Answer, Watched
    from loadtest.targets import Target

    Tell = Callable[[int, float], None]
    """Called with the number of a phone that was told of a change, and when."""

_SLO: Final = 1.0
_CHANGES: Final = 2
"""Status of a Ping answer that names changed folders. Source: [MS-ASCMD] 2.2.3.177.11."""


class Party:
    """Phones that arrive one after the other at one server.

    Args:
        target: The server.
        population: Who they are.
        each: Habits of each of them.
        rng: The dice.
    """

    def __init__(
        self, target: Target, population: Population, each: Sequence[Habits], rng: random.Random
    ) -> None:
        self.arrived = 0
        """Phones that have begun; those with the lowest numbers."""
        self.figures = Figures()
        self.account = Account(population.devices, self.figures, slo=_SLO)
        self.witness = Telling(self.figures, self.account, settle=0.0)
        # The certificate is one that this bench made for itself.
        tls = tls_context(authority=None, is_checked=False) if target.is_tls else None
        self._dialler = Dialler((target,), default_sources((target,)), tls, self.figures)
        self.fleet = Fleet(
            population,
            each,
            dialler=self._dialler,
            witness=self.witness,
            errors=self.figures.errors,
            rng=rng,
        )

    def mailboxes(self) -> Iterator[str]:
        """Yield the names of the mailboxes of those that have arrived."""
        population = self.fleet.population
        for number in range(population.mailbox_of(self.arrived - 1) + 1 if self.arrived else 0):
            yield population.mailbox_name(number)

    async def close(self) -> None:
        """Hang up."""
        self.fleet.stop()
        await self._dialler.close()


class Telling(Witness):
    """A witness that also tells of each change that reached a phone."""

    tell: Tell | None = None
    """Who wants to hear of it."""

    def answered(self, phone: Phone, answer: Answer, at: float) -> None:
        """Enter an answer, and tell of it if it names changes."""
        super().answered(phone, answer, at)
        document = answer.document
        if self.tell is not None and document.root == "Ping" and document.status == _CHANGES:
            self.tell(phone.number, at)


def habits(
    devices: int, heartbeat: Sequence[int], *, watched: tuple[Watched, ...], rng: random.Random
) -> list[Habits]:
    """Return those of each phone; equal ones are one object.

    Args:
        devices: How many phones.
        heartbeat: Seconds, lowest and highest; each phone draws its own.
        watched: Folders that they know from before; empty for new phones.
        rng: The dice.
    """
    low, high = heartbeat
    each = {one: Habits(heartbeat=one, known=watched) for one in range(low, high + 1)}
    return [each[rng.randint(low, high)] for _ in range(devices)]
