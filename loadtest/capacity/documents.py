"""A plan as JSON, and as one HTML file that opens offline."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from loadtest.capacity import tables, wording
from loadtest.capacity.curve import curve, held
from loadtest.capacity.demand import TLS
from loadtest.capacity.needs import SERVERS, needs
from loadtest.wording import words

if TYPE_CHECKING:
    from jinja2 import Environment

    from loadtest.capacity.casestudy import CaseStudy
    from loadtest.capacity.plan import Derived, Plan
    from loadtest.capacity.traffic import Traffic

_BRIEF: Final = (
    *("nodes", "phones_per_node", "workers_per_node", "memory_per_node", "cpu_share"),
    *("redis_memory", "redis_cpu", "bandwidth_in", "reconnect_time", "cost"),
)
"""Figures that stand on top."""
_UNITS: Final = {
    "users": "users",
    "devices_per_user": "phones",
    "heartbeat": "s",
    "changes_per_hour": "changes",
    "spare": "nodes",
    "cores_per_node": "cores",
    "memory_per_node": "bytes",
    "headroom": "share",
    "memory_headroom": "share",
    "reconnect_within": "s",
    "max_files": "files",
    "source_addresses": "addresses",
}
"""Of the demand's fields; the others are plain numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """All that was planned."""

    plan: Plan
    growth: tuple[Plan, ...] = ()
    """The same demand at other sizes."""
    study: CaseStudy | None = None
    traffic: Traffic | None = None
    """The log that the demand was read from."""


def to_json(document: Document) -> str:
    """Write everything as JSON; what is never reached becomes null."""
    plan = document.plan
    written: dict[str, Any] = {
        "demand": asdict(plan.demand),
        **_planned(plan),
        "measurements": {name: asdict(one) for name, one in plan.measurements.items()},
        "environment": dict(plan.model.environment),
        "measured": plan.model.measured,
        "validation": [{**asdict(one), "error": one.error} for one in plan.model.validation],
        "growth": [{"phones": one.demand.phones, **_planned(one)} for one in document.growth],
    }
    if document.study:
        written["case_study"] = _study(document.study)
    if document.traffic:
        written["traffic"] = asdict(document.traffic)
        written["needs"] = _needs(document.traffic)
    return json.dumps(written, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_html(document: Document) -> str:
    """Write everything as one page: no script, no file but itself."""
    plan, study, traffic = document.plan, document.study, document.traffic
    page = (
        _templates()
        .get_template("plan.html")
        .render(
            plan=plan,
            headline=tables.headline(plan),
            brief=[one for one in plan.figures if one.name in _BRIEF],
            notes=list(tables.plan_notes(plan)),
            curve=curve(plan, document.growth) if document.growth else "",
            growth=document.growth,
            demand=_demand(plan),
            study=list(tables.case_study_rows(study)) if study else [],
            regions=[one.region.name for one in study.regions] if study else [],
            study_notes=list(tables.case_study_notes(study)) if study else [],
            held=held(traffic.held) if traffic and traffic.held.curve else "",
            traffic=list(tables.traffic_rows(traffic)) if traffic else [],
            needs=list(tables.needs_rows(needs(traffic))) if traffic else [],
        )
    )
    return page + "\n"


@cache
def _templates() -> Environment:
    # Imported here, as matplotlib is: only pages need it, and it need not be installed.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    found = Environment(
        loader=PackageLoader("loadtest.capacity"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"spread": wording.spread, "words": words}
    found.globals["amount"] = wording.amount
    return found


def _demand(plan: Plan) -> dict[str, str]:
    return {name: _given(name, value) for name, value in asdict(plan.demand).items()}


def _given(name: str, value: float | str | None) -> str:
    if value is None:
        return "not given"
    if isinstance(value, str):
        return f"{value}: {TLS[value]}"
    return wording.amount(value, _UNITS.get(name, "money"))


def _planned(plan: Plan) -> dict[str, Any]:
    figures = {one.name: _figure(one) for one in plan.figures}
    return {"nodes": plan.nodes, "decided_by": plan.binding, "figures": figures}


def _figure(one: Derived) -> dict[str, Any]:
    written = asdict(one)
    del written["name"]
    return {
        key: None if isinstance(value, float) and math.isinf(value) else value
        for key, value in written.items()
    }


def _study(study: CaseStudy) -> dict[str, Any]:
    return {
        "regions": {
            one.region.name: {
                "users": one.region.users,
                "servers_then": one.region.servers,
                "phones": [one.before.demand.phones, one.after.demand.phones],
                "nodes": [one.before.nodes, one.after.nodes],
                "cpu_share": [one.cpu_before, one.cpu_after],
                "memory_share": [one.memory_before, one.memory_after],
                "fits": one.fits,
                "nodes_to_add": one.added,
                "cost_then": one.cost_then,
                "cost_now": one.cost_now,
                "syncs_per_second": one.syncs,
            }
            for one in study.regions
        },
        "notes": list(tables.case_study_notes(study)),
    }


def _needs(traffic: Traffic) -> dict[str, Any]:
    found = needs(traffic)
    memory = {name: found.memory(each) for name, each in SERVERS.items()}
    return {
        **asdict(found),
        "workers_before": found.workers_before,
        "workers_after": found.workers_after,
        "memory": {
            name: {"before": asdict(before), "after": asdict(after)}
            for name, (before, after) in memory.items()
        },
    }
