"""The plan: every figure of a deployment, with its bounds, its formula and its sources.

The nodes are decided at the values of the costs; all other figures hold for that many nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from loadtest.capacity import formulas, sizing
from loadtest.capacity.model import COSTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadtest.capacity.demand import Demand
    from loadtest.capacity.formulas import Row
    from loadtest.capacity.model import CostModel, Costs, Figure

SIZES: Final = (
    *(1_000, 3_000, 10_000, 30_000, 100_000),
    *(300_000, 1_000_000, 3_000_000, 10_000_000),
)
"""Phones of the growth curve."""
ALONE: Final = "none"
"""What binds where no limit asks for a second node."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A figure of the plan, and where it comes from."""

    name: str
    value: float
    low: float
    """The least it becomes with all costs at one end of their error bars."""
    high: float
    """The most; infinity where the nodes would not do at all."""
    unit: str
    formula: str
    """In words."""
    sources: tuple[str, ...]
    """Names of the costs, fields of the demand and other figures that it is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a demand needs."""

    demand: Demand
    model: CostModel
    nodes: int
    """With the spare ones."""
    binding: str
    """Which limit decides: one of ``sizing.LIMITS``, or ``ALONE``."""
    figures: tuple[Derived, ...]

    @property
    def in_service(self) -> int:
        """Nodes that are left when the spare ones are lost."""
        return self.nodes - self.demand.spare

    def __getitem__(self, name: str) -> Derived:
        for one in self.figures:
            if one.name == name:
                return one
        raise KeyError(name)

    @property
    def measurements(self) -> dict[str, Figure]:
        """The costs that the figures are made of, by name, in order of appearance."""
        named = dict.fromkeys(name for one in self.figures for name in one.sources)
        return {name: getattr(self.model.costs, name) for name in named if name in COSTS}


def plan(demand: Demand, model: CostModel) -> Plan:
    """Plan a deployment.

    Raises:
        PlanError: If a node is too small for a single phone.
    """
    asked = tuple(sizing.needed(demand, costs) for costs in _ends(model))
    most = max(asked[0].values())
    binding = next(one for one in sizing.LIMITS if asked[0][one] == most)
    return Plan(
        demand=demand,
        model=model,
        nodes=most + demand.spare,
        binding=binding if most > 1 else ALONE,
        figures=(
            *_derive(formulas.LOAD, demand, model, most),
            *_nodes(demand, asked),
            *_derive(_rows(demand), demand, model, most),
        ),
    )


def growth(demand: Demand, model: CostModel, sizes: Iterable[int] = SIZES) -> tuple[Plan, ...]:
    """Plan the same demand for other numbers of phones.

    Args:
        demand: All is kept but the users; their devices are rounded to meet the sizes.
        model: What things cost.
        sizes: Phones.

    Raises:
        PlanError: If a node is too small for a single phone.
    """
    return tuple(plan(_sized(demand, size), model) for size in sizes)


def _sized(demand: Demand, phones: int) -> Demand:
    users = max(round(phones / demand.devices_per_user), 1)
    return replace(demand, users=users, devices_per_user=phones / users)


def _ends(model: CostModel) -> tuple[Costs[float], Costs[float], Costs[float]]:
    return model.at("value"), model.at("low"), model.at("high")


def _rows(demand: Demand) -> Iterator[Row]:
    yield from formulas.NODE
    if demand.tls == "proxy":
        yield from formulas.PROXY
    yield from formulas.AROUND
    if demand.price is not None:
        yield formulas.COST


def _derive(rows: Iterable[Row], demand: Demand, model: CostModel, nodes: int) -> Iterator[Derived]:
    for row in rows:
        value, *ends = (float(row.formula(demand, costs, nodes)) for costs in _ends(model))
        sources = _sources(row.sources, demand)
        yield Derived(row.name, value, min(ends), max(ends), row.unit, row.how, sources)


def _nodes(demand: Demand, asked: tuple[dict[str, int], ...]) -> Iterator[Derived]:
    """Yield the nodes that each limit asks for, and those of the whole plan."""
    for limit, (how, named) in formulas.WHY.items():
        value, *ends = (float(one[limit]) for one in asked)
        sources = _sources(named, demand)
        name = f"nodes_for_{limit}"
        yield Derived(name, value, min(ends), max(ends), "nodes", how, sources)
    value, *ends = (float(max(one.values()) + demand.spare) for one in asked)
    limits = tuple(f"nodes_for_{limit}" for limit in formulas.WHY)
    how = "the most of these + spare"
    yield Derived("nodes", value, min(ends), max(ends), "nodes", how, (*limits, "spare"))


def _sources(named: str, demand: Demand) -> tuple[str, ...]:
    """Leave out what this demand makes no use of."""
    unused = {"phone_bytes_plain" if demand.tls == "gateway" else "phone_bytes_tls"}
    unused.add("max_files_per_process" if demand.max_files else "max_files")
    if demand.tls != "proxy":
        unused |= {"proxy_bytes_per_phone", "proxy_us_per_cycle"}
    if demand.tls == "none":
        unused.add("handshake_us")
    return tuple(name for name in named.split() if name not in unused)
