"""Plans, the case study and traffic as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from loadtest.capacity import wording
from loadtest.capacity.casestudy import (
    ADDED_FOR,
    ADDED_SERVERS,
    CAVEATS,
    PHONES_AFTER,
    PHONES_BEFORE,
    SERVER_PRICE,
)
from loadtest.capacity.demand import TLS
from loadtest.capacity.needs import COMMAND_SECONDS, SERVERS
from loadtest.capacity.plan import ALONE
from loadtest.capacity.validation import PROMISE
from loadtest.wording import duration, number, rate, share, span, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from loadtest.capacity.casestudy import CaseStudy, Compared
    from loadtest.capacity.model import CostModel, Figure
    from loadtest.capacity.needs import Needs
    from loadtest.capacity.plan import Plan
    from loadtest.capacity.traffic import Traffic


def plan_table(plan: Plan) -> Table:
    """Return every figure with its error, its formula and its sources."""
    table = Table(title=headline(plan), title_justify="left", caption_justify="left")
    table.add_column("figure", no_wrap=True)
    table.add_column("value ± error", justify="right", no_wrap=True)
    table.add_column("how")
    table.add_column("source")
    for one in plan.figures:
        sources = wording.listed(one.sources)
        table.add_row(words(one.name), wording.spread(one), one.formula, sources)
    return table


def headline(plan: Plan) -> str:
    """Return the plan in one sentence."""
    demand = plan.demand
    decides = "one would do" if plan.binding == ALONE else f"decided by {plan.binding}"
    spare = f"{demand.spare} of them spare, " if demand.spare else ""
    nodes = wording.amount(plan.nodes, "nodes")
    phones = f"{demand.phones:,} phones of {demand.users:,} users"
    return f"{phones}: {nodes}, {spare}{decides} (TLS: {TLS[demand.tls]})"


def plan_notes(plan: Plan) -> Iterator[str]:
    """Yield what the plan leaves out."""
    yield "commands other than Ping are not counted: the EAS server behind answers them"
    yield "Redis runs on machines of its own, which are not among the nodes"
    yield "errors are the worst case: all costs at the same end of their bars at once"
    if plan.demand.tls == "proxy":
        yield "the memory and the CPU of the proxy on each node are counted, its files apart"


def measurements_table(measurements: Mapping[str, Figure]) -> Table:
    """Return the costs that figures are made of, each with where it was measured."""
    table = Table(title="measured", title_justify="left")
    table.add_column("cost", no_wrap=True)
    table.add_column("value ± error", justify="right", no_wrap=True)
    table.add_column("source")
    for name, figure in measurements.items():
        table.add_row(words(name), wording.spread(figure), figure.source)
    return table


def validation_table(model: CostModel) -> Table:
    """Return predictions beside measurements."""
    title = f"predicted and measured (promise: within {PROMISE:g} %)"
    table = Table("what", "predicted", "measured", "error", title=title, title_justify="left")
    for one in model.validation:
        predicted, measured = (wording.amount(x, one.unit) for x in (one.predicted, one.measured))
        table.add_row(one.what, predicted, measured, f"{one.error:+.1f} %")
    return table


def growth_table(plans: Iterable[Plan]) -> Table:
    """Return how the needs grow with the phones."""
    table = Table(title="growth", title_justify="left")
    columns = ("nodes", "decided by", "memory of all nodes", "cpu", "redis memory", "redis cpu")
    for name in ("phones", *columns, "reconnect time"):
        table.add_column(name, justify="left" if name == "decided by" else "right")
    for plan in plans:
        memory = plan["memory_per_node"].value * plan.in_service
        table.add_row(
            f"{plan.demand.phones:,}",
            f"{plan.nodes:,}",
            plan.binding,
            wording.amount(memory, "bytes"),
            *(_value(plan, name) for name in ("cpu", "redis_memory", "redis_cpu")),
            _value(plan, "reconnect_time"),
        )
    return table


def case_study_table(study: CaseStudy) -> Table:
    """Return 2012 beside ours, region by region."""
    table = Table(title="2012 and now: Microsoft IT's Exchange ActiveSync", title_justify="left")
    table.add_column("")
    for one in study.regions:
        table.add_column(one.region.name, justify="right")
    table.add_column("all", justify="right")
    for name, cells in case_study_rows(study):
        table.add_row(name, *cells)
    return table


def case_study_notes(study: CaseStudy) -> Iterator[str]:
    """Yield what the overnight jump took then and takes now, and what is not comparable."""
    yield (
        f"then: {PHONES_BEFORE:,} phones became {PHONES_AFTER:,} overnight;"
        f" {ADDED_SERVERS} more servers for about ${ADDED_FOR:,.0f}, ${SERVER_PRICE:,.0f} each"
    )
    if all(one.fits for one in study.regions):
        yield "now: the nodes planned for the phones before it take the jump as they are"
    else:
        short = ", ".join(one.region.name for one in study.regions if not one.fits)
        cost = study.added * SERVER_PRICE
        added = wording.amount(study.added, "nodes")
        yield f"now: {added} more in {short}, ${cost:,.0f} at the same price"
    for caveat in CAVEATS:
        yield f"not comparable: {caveat}"


def case_study_rows(study: CaseStudy) -> Iterator[tuple[str, list[str]]]:
    """Yield the lines of that table: a name, a cell for each region, and one for all."""

    def row(name: str, cells: Iterable[str], total: str) -> tuple[str, list[str]]:
        return name, [*cells, total]

    each = study.regions
    before, after = study.phones
    nodes_before, nodes_after = study.nodes
    yield row("users", (f"{one.region.users:,}" for one in each), f"{study.users:,}")
    yield row("servers then", (f"{one.region.servers}" for one in each), f"{study.servers}")
    yield row(
        "users per server then", map(_per_server, each), f"{study.users / study.servers:,.0f}"
    )
    yield row("phones before", (f"{one.before.demand.phones:,}" for one in each), f"{before:,}")
    yield row("phones after", (f"{one.after.demand.phones:,}" for one in each), f"{after:,}")
    yield row("nodes before", (_with_spare(one.before) for one in each), f"{nodes_before}")
    yield row("nodes after", (_with_spare(one.after) for one in each), f"{nodes_after}")
    yield row("decided by", (one.after.binding for one in each), "")
    yield row("phones per node", (_value(one.after, "phones_per_node") for one in each), "")
    yield row("memory per node", (_value(one.after, "memory_per_node") for one in each), "")
    yield row("memory before, after", map(_memory, each), "")
    yield row("CPU before, after", map(_cpu, each), "")
    yield row("jump fits", ("yes" if one.fits else "no" for one in each), "")
    yield row("nodes to add", (f"{one.added}" for one in each), f"{study.added}")
    yield row("cost then", (f"${one.cost_then:,.0f}" for one in each), f"${study.cost_then:,.0f}")
    yield row("cost now", (f"${one.cost_now:,.0f}" for one in each), f"${study.cost_now:,.0f}")
    syncs = (f"{one.syncs:,.0f} Syncs/s" for one in each)
    yield row("left to the EAS server", syncs, f"{study.syncs:,.0f} Syncs/s")


def _per_server(one: Compared) -> str:
    return f"{one.region.users / one.region.servers:,.0f}"


def _with_spare(plan: Plan) -> str:
    return f"{plan.nodes} ({plan.demand.spare} spare)"


def _memory(one: Compared) -> str:
    return f"{share(one.memory_before)}, {share(one.memory_after)}"


def _cpu(one: Compared) -> str:
    return f"{share(one.cpu_before)}, {share(one.cpu_after)}"


def _value(plan: Plan, name: str) -> str:
    figure = plan[name]
    return wording.amount(figure.value, figure.unit)


def traffic_table(traffic: Traffic) -> Table:
    """Return what a log tells."""
    table = Table(title="the log", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, text in traffic_rows(traffic):
        table.add_row(name, text)
    return table


def traffic_rows(traffic: Traffic) -> Iterator[tuple[str, str]]:
    """Yield the lines of that table."""
    yield "span", span(traffic.span)
    yield "users, devices", f"{traffic.users:,}, {traffic.devices:,}"
    yield "requests", _counts(traffic.commands)
    yield "HTTP statuses", _counts(traffic.statuses)
    yield "Pings", rate(traffic.pings_per_second)
    told = "from durations" if traffic.has_durations else "from the gaps between Pings"
    held, waiting = traffic.held, traffic.waiting
    yield "Pings held", f"peak {held.peak:,}, p95 {held.p95:,}, mean {number(held.mean)}, {told}"
    yield "Syncs waiting", f"peak {waiting.peak:,}, p95 {waiting.p95:,}"
    yield "other commands", f"{rate(traffic.others_peak)} in the busiest seconds"
    if traffic.heartbeat is not None:
        yield "heartbeat", f"{duration(traffic.heartbeat)}, median"
    yield "Pings ended by changes", f"{traffic.changed:,}"
    yield "lines not parsed", f"{traffic.unreadable:,}"
    for one in traffic.shown:
        yield "", f"{one.reason}: {one.line[:120]}"


def needs_table(needs: Needs) -> Table:
    """Return what the present EAS server needs, before and after the gateway."""
    table = Table(title="the present EAS server", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("without the gateway", justify="right")
    table.add_column("with it", justify="right")
    table.add_column("source")
    for cells in needs_rows(needs):
        table.add_row(*cells)
    return table


def needs_rows(needs: Needs) -> Iterator[tuple[str, str, str, str]]:
    """Yield the lines of that table."""
    busy = "durations in the log" if needs.is_busy_told else f"{COMMAND_SECONDS:g} s per command"
    most = "the log, most at the same time"
    before, after = f"{needs.workers_before:,}", f"{needs.workers_after:,}"
    yield "held Pings", f"{needs.held:,}", "0", most
    yield "waiting Syncs", f"{needs.waiting:,}", "0", most
    yield "busy with other commands", after, after, busy
    yield "workers", before, after, "their sum"
    for name, figure in SERVERS.items():
        then, now = (wording.spread(one) for one in needs.memory(figure))
        yield f"memory, {name}", then, now, figure.source


def _counts(counts: Mapping[str, int] | Mapping[int, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
