"""Measures everything, fits the cost model, and holds a prediction of it against a further run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest import limits
from loadtest.benching.bench import check_readable
from loadtest.benching.load_process import LoadError
from loadtest.calibration import certificates, costs, experiments, readings
from loadtest.calibration.samples import Samples
from loadtest.capacity import validation
from loadtest.capacity.model import CostModel, reference
from loadtest.reports.environment import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadtest.calibration.experiments import Lab
    from loadtest.calibration.size import Size

    Say = Callable[[str], None]

CALM: Final = 0.1
"""Share of this host's CPU that other programs may use without being told of."""


class TooManyPhonesError(ValueError):
    """This host lets no process have so many phones."""


def check_size(size: Size) -> None:
    """Do nothing if this host has what it takes.

    Raises:
        TooManyPhonesError: If it has too few open files.
    """
    most = limits.read_host().max_phones
    if size.most_phones > most:
        raise TooManyPhonesError(
            f"found room for {most:,} phones in a process (open files, ulimit -Hn), "
            f"{size.most_phones:,} are needed: raise the limit, or measure with --quick"
        )


async def perform(size: Size, say: Say, *, validates: bool = True) -> CostModel:
    """Measure what the gateway costs on this host.

    Args:
        size: How much is measured.
        say: Called with one line for each thing done.
        validates: Whether a prediction is compared with a measurement at the end.

    Raises:
        LoadError: If nothing can be measured here, or not in time.
        ServerError: If a server does not start.
        CostError: If there was too little to fit a cost to.
    """
    check_readable()
    limits.raise_files(size.most_phones + limits.SPARE_FILES)
    progress = _Progress(say)
    try:
        async with asyncio.timeout(size.within):
            return await _perform(size, progress.say, validates=validates)
    except TimeoutError:
        raise LoadError(
            f"not done within {size.within:g} s: other programs use too much of this host"
        ) from None


async def _perform(size: Size, say: Say, *, validates: bool) -> CostModel:
    facts = environment()
    busy = await readings.busy(1.0)
    if busy is not None and busy > CALM:
        say(f"other programs use {busy:.0%} of this host's CPU: the figures will suffer")
        facts["CPU used by others"] = f"{busy:.0%}"
    samples = Samples(max_files=readings.max_files())
    async with experiments.open_lab(size, samples, say) as lab:
        await _sample(lab, size, say)
        await experiments.measure_redis(size, samples, say)
        model = CostModel(
            costs=costs.derive(samples, where=place(facts), fallback=reference().costs),
            environment=facts,
            measured=time.strftime("%Y-%m-%d", time.gmtime()),
        )
        if not validates:
            return model
        return replace(model, validation=validation.validate(model, [await lab.trial()]))


async def _sample(lab: Lab, size: Size, say: Say) -> None:
    await lab.pair()
    for number in range(1, size.rounds + 1):
        say(f"gateway {number} of {size.rounds}")
        await lab.plain()
    await lab.weigh_nodes()
    if not certificates.can_make():
        say("no openssl: the costs of TLS are those of the reference")
    for number in range(1, size.secure_rounds + 1):
        say(f"gateway {number} of {size.secure_rounds} with TLS")
        await lab.secure()


def place(facts: Mapping[str, str]) -> str:
    """Name the machine in a few words, for the sources of figures.

    Args:
        facts: As ``environment`` finds them.
    """
    processor = facts.get("CPU", "").replace("(R)", "")
    system = " ".join(facts.get("kernel", "").split()[:2]).partition("-")[0]
    machine = f"{facts.get('cores', '?')} cores {processor}".strip()
    return f"{machine}, {system}" if system else machine


class _Progress:
    """Says how much time has passed."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._start = monotonic()

    def say(self, text: str) -> None:
        self._say(f"{monotonic() - self._start:4.0f} s  {text}")
