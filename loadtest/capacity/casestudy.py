"""The deployment of 2012 beside ours: Microsoft IT's Client Access servers, region by region.

Rules:
    1. What was published is a constant here. The regions add up to 135,000 users, not to the
       170,000 mailboxes of the whole company.
    2. Phones are shared out by users, for nobody said how many each region had.
    3. The overnight jump meets the nodes that were planned for the phones before it, with their
       spare one lost.

Source: Microsoft IT, "Exchange ActiveSync" case study, July 2012 (Exchange 2010).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from loadtest.capacity import sizing
from loadtest.capacity.demand import Demand
from loadtest.capacity.plan import plan

if TYPE_CHECKING:
    from loadtest.capacity.model import CostModel
    from loadtest.capacity.plan import Plan


@dataclass(frozen=True, slots=True)
class Region:
    """A site of the case study."""

    name: str
    servers: int
    """Client Access servers."""
    users: int


REGIONS: Final = (
    Region("Redmond", 41, 80_000),
    Region("Dublin", 14, 30_000),
    Region("Singapore", 12, 25_000),
)
PHONES_BEFORE: Final = 50_000
PHONES_AFTER: Final = 100_000
"""The next morning; "more than", says the study."""
ADDED_SERVERS: Final = 10
ADDED_FOR: Final = 30_000.0
"""Dollars, about, for all of them."""
SERVER_PRICE: Final = ADDED_FOR / ADDED_SERVERS

ASSUMED: Final = Demand(users=1, price=SERVER_PRICE)
"""What the study does not say: heartbeat 15 minutes (it names 15 to 30), 12 changes an hour, three
times as many in the busiest hour, TLS ended by a proxy on each node, one spare node in each
region."""

CAVEATS: Final = (
    (
        "a Client Access server did more than hold Pings: Sync, Outlook Anywhere, Outlook on the"
        " web, Exchange Web Services, Autodiscover, POP3 and IMAP4; a node of ours holds Pings only"
    ),
    (
        "the EAS server behind the gateway is extra; what is left to it is told as Syncs a second,"
        " one for each phone that a change wakes in the busiest hour"
    ),
    (
        "servers of 2010 to 2012 stand beside a node of 2 cores and 4 GB; they are not alike, and"
        " one price is taken for both only to have one"
    ),
    (
        "the study does not say what its servers were busy with, how full they were, or how many"
        " phones each region had: phones are shared out by users"
    ),
    "Redis is extra as well; the plan of a region tells its size",
)
"""What cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A region then and now."""

    region: Region
    before: Plan
    """For the phones before the jump."""
    after: Plan
    cpu_before: float
    """Share of the CPU in the busiest hour, on the nodes of ``before``, the spare one lost."""
    cpu_after: float
    """Same nodes, phones after the jump."""
    memory_before: float
    """Share of the memory, same nodes."""
    memory_after: float
    fits: bool
    """Whether the nodes of ``before`` take the phones of ``after`` within all limits."""

    @property
    def added(self) -> int:
        """Nodes to add for the jump."""
        return max(self.after.nodes - self.before.nodes, 0)

    @property
    def cost_then(self) -> float:
        """Dollars of all its servers at the price of the ten."""
        return self.region.servers * SERVER_PRICE

    @property
    def cost_now(self) -> float:
        """Of all nodes after the jump, at the demand's price."""
        return self.after.nodes * (self.after.demand.price or 0.0)

    @property
    def syncs(self) -> float:
        """Syncs a second that are left to the EAS server, in the busiest hour after the jump."""
        return self.after.demand.woken


@dataclass(frozen=True, slots=True)
class CaseStudy:
    """All regions."""

    regions: tuple[Compared, ...]

    @property
    def servers(self) -> int:
        """Client Access servers then."""
        return sum(one.region.servers for one in self.regions)

    @property
    def users(self) -> int:
        """Of all regions."""
        return sum(one.region.users for one in self.regions)

    @property
    def phones(self) -> tuple[int, int]:
        """Before and after the jump."""
        before = sum(one.before.demand.phones for one in self.regions)
        return before, sum(one.after.demand.phones for one in self.regions)

    @property
    def nodes(self) -> tuple[int, int]:
        """Before and after the jump."""
        before = sum(one.before.nodes for one in self.regions)
        return before, sum(one.after.nodes for one in self.regions)

    @property
    def added(self) -> int:
        """Nodes to add for the jump."""
        return sum(one.added for one in self.regions)

    @property
    def cost_then(self) -> float:
        """Dollars."""
        return sum(one.cost_then for one in self.regions)

    @property
    def cost_now(self) -> float:
        """At the demand's price."""
        return sum(one.cost_now for one in self.regions)

    @property
    def syncs(self) -> float:
        """A second, left to the EAS servers in the busiest hour after the jump."""
        return sum(one.syncs for one in self.regions)


def case_study(model: CostModel, assumed: Demand = ASSUMED) -> CaseStudy:
    """Plan each region before and after the jump.

    Args:
        model: What things cost.
        assumed: Everything but users and devices.

    Raises:
        PlanError: If a node is too small for a single phone.
    """
    return CaseStudy(tuple(_compare(region, model, assumed) for region in REGIONS))


def _compare(region: Region, model: CostModel, assumed: Demand) -> Compared:
    demands = [
        replace(assumed, users=region.users, devices_per_user=phones / region.users)
        for phones in (_shared(PHONES_BEFORE)[region], _shared(PHONES_AFTER)[region])
    ]
    before, after = (plan(demand, model) for demand in demands)
    costs = model.at("value")
    nodes = before.in_service
    cpu = [sizing.cpu_share(demand, costs, nodes) for demand in demands]
    memory = [sizing.memory_share(demand, costs, nodes) for demand in demands]
    return Compared(
        region=region,
        before=before,
        after=after,
        cpu_before=cpu[0],
        cpu_after=cpu[1],
        memory_before=memory[0],
        memory_after=memory[1],
        fits=after.in_service <= nodes,
    )


def _shared(phones: int) -> dict[Region, int]:
    """Share phones out by users, none lost to rounding."""
    users = sum(one.users for one in REGIONS)
    found: dict[Region, int] = {}
    for region in REGIONS[:-1]:
        found[region] = round(phones * region.users / users)
    return {**found, REGIONS[-1]: phones - sum(found.values())}
