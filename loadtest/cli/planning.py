"""``loadtest plan``."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import typer
from rich.console import Console

from loadtest.capacity import accesslog, casestudy, documents, model, tables
from loadtest.capacity.casestudy import CaseStudy
from loadtest.capacity.demand import Demand, DemandError
from loadtest.capacity.documents import Document
from loadtest.capacity.model import CostModel
from loadtest.capacity.needs import TrafficError, demand_from, needs
from loadtest.capacity.plan import growth, plan
from loadtest.capacity.traffic import Traffic, count
from loadtest.cli import options
from loadtest.cli.grouping import grouped
from loadtest.cli.options import OptionError
from loadtest.cli.telling import reason, refuse, say
from loadtest.profiles import units

GIB: Final = 1 << 30
"""Bytes."""
MEMORY: Final = (0.25, float(1 << 20))
"""GiB of a node, the least and the most."""
SHOWN_BYTES: Final = 120
"""Of a log's line that could not be parsed."""
_USUAL: Final = Demand(users=1)
_OPTIONS: Final = {"cores_per_node": "cores", "memory_per_node": "memory"}
"""Options that are not called as the fields of a demand."""

_KNOWN: Final = ("users", "devices_per_user", "cores_per_node", "memory_per_node")
"""Fields of a demand that the case study itself tells, or that its caveats speak of."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(grouped(show))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options that say what is asked of the gateway."""

    panel: ClassVar[str] = "Demand"

    users: Annotated[
        str | None, typer.Option(metavar="N", help="Mailboxes, such as 80000 or 2M.")
    ] = None
    from_log: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Access log of nginx, Apache or the gateway, gzipped or not: it tells what was "
            "asked of the EAS server; repeatable.",
        ),
    ] = field(default_factory=list)
    case_study: Annotated[
        bool, typer.Option("--case-study", help="The deployment of 2012 beside ours.")
    ] = False
    devices_per_user: Annotated[
        float | None,
        typer.Option(metavar="X", help=f"Phones of a user, if not {_USUAL.devices_per_user:g}."),
    ] = None
    heartbeat: Annotated[
        str | None,
        typer.Option(
            metavar="T", help=f"How long a phone waits, such as 15m, if not {_USUAL.heartbeat:g}s."
        ),
    ] = None
    changes_per_hour: Annotated[
        float | None,
        typer.Option(
            metavar="X", help=f"Of a mailbox, in the mean, if not {_USUAL.changes_per_hour:g}."
        ),
    ] = None
    peak_factor: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help=f"Changes in the busiest hour over the mean, if not {_USUAL.peak_factor:g}.",
        ),
    ] = None
    tls: Annotated[
        Literal["proxy", "gateway", "none"] | None,
        typer.Option(help=f"Where TLS ends, if not {_USUAL.tls}."),
    ] = None

    def told(self) -> dict[str, Any]:
        """Return the fields of a demand that were given.

        Raises:
            OptionError: If a quantity cannot be read.
        """
        return _given(
            users=options.read_if_given("--users", self.users, units.parse_count),
            devices_per_user=self.devices_per_user,
            heartbeat=options.read_if_given("--heartbeat", self.heartbeat, units.parse_duration),
            changes_per_hour=self.changes_per_hour,
            peak_factor=self.peak_factor,
            tls=self.tls,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The options that say what the gateway runs on."""

    panel: ClassVar[str] = "Nodes"

    spare: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Nodes that may fail at once, if not {_USUAL.spare}."),
    ] = None
    price: Annotated[
        float | None, typer.Option(metavar="X", help="Of a node, in any currency.")
    ] = None
    cores: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Of a node, if not {_USUAL.cores_per_node}."),
    ] = None
    memory: Annotated[
        float | None,
        typer.Option(metavar="GIB", help=f"Of a node, if not {_USUAL.memory_per_node // GIB}."),
    ] = None
    costs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What loadtest measure wrote, for figures of your host."),
    ] = None

    def told(self) -> dict[str, Any]:
        """Return the fields of a demand that were given.

        Raises:
            OptionError: If the memory is out of its range.
        """
        least, most = MEMORY
        if self.memory is not None and not least <= self.memory <= most:
            raise OptionError(f"--memory: found {self.memory:g}, allowed {least:g} to {most:,.0f}")
        return _given(
            spare=self.spare,
            price=self.price,
            cores_per_node=self.cores,
            memory_per_node=None if self.memory is None else int(self.memory * GIB),
        )

    def model(self) -> CostModel:
        """Read what a phone, a Ping and so on cost.

        Raises:
            OptionError: If the file cannot be read, or is none of costs.
        """
        if self.costs is None:
            return model.reference()
        return options.read("--costs", self.costs, _model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The options that say what is printed and written."""

    panel: ClassVar[str] = "Output"

    growth: Annotated[
        bool, typer.Option("--growth", help="The same for up to 10 million phones.")
    ] = False
    sources: Annotated[bool, typer.Option("--sources", help="Where each cost was measured.")] = (
        False
    )
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it all as JSON.")] = None
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it all as a page with the curve.")
    ] = None


def show(*, asked: Asked, nodes: Nodes, shown: Shown) -> None:
    """Say what a number of users needs: nodes, memory, files, ports, bandwidth, cost."""
    try:
        document = _plan(asked, {**asked.told(), **nodes.told()}, nodes.model())
        written = list(_write(document, shown))
    except DemandError as error:
        refuse(_named(error))
    except ValueError as error:
        refuse(error)
    # Lines of logs are printed, which may have brackets that rich would take for its own.
    console = Console(**options.terminal(), markup=False, highlight=False)
    _print(document, console, has_plan=bool(asked.users or asked.from_log), shown=shown)
    for path in written:
        say(console, f"wrote {path}")


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _model(path: Path) -> CostModel:
    try:
        return model.from_json(path.read_text("utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: {reason(error)}") from None
    except ValueError as error:
        raise OptionError(f"{path}: {error}") from None


def _plan(asked: Asked, told: dict[str, Any], costs: CostModel) -> Document:
    """Plan what was asked for.

    Raises:
        ValueError: If something makes no sense.
    """
    traffic = _traffic(asked.from_log)
    demand = _demand(asked, told, traffic)
    return Document(
        plan=plan(demand, costs),
        growth=growth(demand, costs),
        study=_study(told, costs) if asked.case_study else None,
        traffic=traffic,
    )


def _traffic(logs: list[Path]) -> Traffic | None:
    """Count what the logs tell.

    Raises:
        OptionError: If one cannot be read.
    """
    if not logs:
        return None
    return options.read(
        "--from-log", logs, lambda paths: count(chain.from_iterable(map(accesslog.read, paths)))
    )


def _demand(asked: Asked, told: dict[str, Any], traffic: Traffic | None) -> Demand:
    if traffic is not None:
        try:
            return demand_from(traffic, **told)
        except TrafficError as error:
            lines = [str(error), *_unread(traffic)]
            raise OptionError("\n".join(f"--from-log: {line}" for line in lines)) from None
    if asked.users is not None:
        return Demand(**told)
    if not asked.case_study:
        raise OptionError("found neither --users, nor --from-log, nor --case-study; allowed is one")
    if known := [name for name in told if name in _KNOWN]:
        names = ", ".join(map(_option, known))
        raise OptionError(f"{names}: found with --case-study alone, whose own figures are known")
    return Demand(**told, users=sum(one.users for one in casestudy.REGIONS))


def _study(told: dict[str, Any], costs: CostModel) -> CaseStudy:
    assumed = {name: value for name, value in told.items() if name not in _KNOWN}
    return casestudy.case_study(costs, replace(casestudy.ASSUMED, **assumed))


def _unread(traffic: Traffic) -> Iterator[str]:
    if traffic.unreadable:
        yield f"lines not parsed: {traffic.unreadable:,}, the first ones are"
    for one in traffic.shown:
        yield f"{one.reason}: {one.line[:SHOWN_BYTES]}"


def _named(error: DemandError) -> str:
    """Name the option and not the field."""
    name, colon, text = str(error).partition(":")
    return f"{_option(name)}{colon}{text}"


def _option(name: str) -> str:
    return "--" + _OPTIONS.get(name, name).replace("_", "-")


def _write(document: Document, shown: Shown) -> Iterator[Path]:
    """Write the files, and yield them.

    Raises:
        OptionError: If one cannot be written.
    """
    for option, path, content in (
        ("--json", shown.json, documents.to_json),
        ("--html", shown.html, documents.to_html),
    ):
        if path is not None:
            try:
                path.write_text(content(document), "utf-8")
            except OSError as error:
                raise OptionError(f"{option}: {path}: {reason(error)}") from None
            except ImportError as error:
                raise OptionError(
                    f"{option}: a page needs {error.name}, which is missing"
                ) from None
            yield path


def _print(document: Document, console: Console, *, has_plan: bool, shown: Shown) -> None:
    if document.traffic is not None:
        console.print(tables.traffic_table(document.traffic))
        console.print(tables.needs_table(needs(document.traffic)))
    if document.study is not None:
        console.print(tables.case_study_table(document.study))
        for line in tables.case_study_notes(document.study):
            say(console, line)
    if has_plan:
        console.print(tables.plan_table(document.plan))
        for line in tables.plan_notes(document.plan):
            say(console, line)
    if shown.growth:
        console.print(tables.growth_table(document.growth))
    if shown.sources:
        console.print(tables.measurements_table(document.plan.measurements))
        if document.plan.model.validation:
            console.print(tables.validation_table(document.plan.model))
