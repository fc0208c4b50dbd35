"""The pictures of a plan, as SVG elements: growth over phones, held Pings over time."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtest.capacity import sizing
from loadtest.wording import number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

    from loadtest.capacity.plan import Derived, Plan
    from loadtest.capacity.traffic import Level

_GIB: Final = 1 << 30
_HOUR: Final = 3600
_COLOURS: Final = {
    "cpu": "#c2410c",
    "memory": "#1d4ed8",
    "files": "#6d28d9",
    "ports": "#0f766e",
    "reconnect": "#be185d",
}


def curve(plan: Plan, plans: Sequence[Plan]) -> str:
    """Draw nodes and memory over phones, both logarithmic, as an SVG element.

    Args:
        plan: Marked in the picture.
        plans: One for each size, in growing order.
    """

    def draw(picture: Picture) -> None:
        left, right = picture.subplots(1, 2)
        _draw_nodes(left, plan, plans)
        _draw_memory(right, plan, plans)

    return _drawn(draw, height=4.2)


def held(level: Level) -> str:
    """Draw how many were held over time, as an SVG element.

    Args:
        level: With a curve of at least one point.
    """

    def draw(picture: Picture) -> None:
        axes = picture.subplots()
        begin = level.curve[0][0]
        hours = [(at - begin) / _HOUR for at, _ in level.curve]
        axes.fill_between(hours, [count for _, count in level.curve], step="post", color="#93c5fd")
        axes.axhline(level.p95, ls="--", lw=1, color="#475569", label=f"p95 {level.p95:,}")
        axes.set_xlabel("hours")
        axes.set_title("Pings held at the same time", loc="left", fontsize=11)
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, max(hours[-1], 1 / _HOUR))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)

    return _drawn(draw, height=2.6)


def _drawn(draw: Callable[[Picture], None], *, height: float) -> str:
    # Imported here: it takes half a second and is needed for nothing else.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pushgw", "font.size": 10}):
        picture = Figure(figsize=(10.5, height), layout="constrained")
        draw(picture)
        text = io.StringIO()
        FigureCanvasSVG(picture).print_svg(text, metadata={"Date": None})  # type: ignore[no-untyped-call]
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def _draw_nodes(axes: Axes, plan: Plan, plans: Sequence[Plan]) -> None:
    phones = [one.demand.phones for one in plans]
    for limit in sizing.LIMITS:
        asked = [one[f"nodes_for_{limit}"].value for one in plans]
        if max(asked) > 1:
            axes.plot(phones, asked, "--", lw=1, color=_COLOURS[limit], label=f"for {limit}")
    nodes = [one["nodes"] for one in plans]
    axes.fill_between(phones, _lows(nodes), _highs(nodes), color="#94a3b8", alpha=0.35, lw=0)
    axes.plot(phones, [one.value for one in nodes], "o-", ms=3, color="#0f172a", label="with spare")
    axes.plot([plan.demand.phones], [plan.nodes], "D", color="#dc2626", label="this plan")
    _finish(axes, "nodes")


def _draw_memory(axes: Axes, plan: Plan, plans: Sequence[Plan]) -> None:
    phones = [one.demand.phones for one in plans]
    for name, colour in (("user", "#1d4ed8"), ("kernel", "#c2410c"), ("proxy", "#0f766e")):
        memory = [_gib(one, f"memory_{name}_per_node").value for one in plans]
        if max(memory) > 0:
            axes.plot(phones, memory, "--", lw=1, color=colour, label=name)
    total = [_gib(one, "memory_per_node") for one in plans]
    axes.fill_between(phones, _lows(total), _highs(total), color="#94a3b8", alpha=0.35, lw=0)
    axes.plot(phones, [one.value for one in total], "o-", ms=3, color="#0f172a", label="all")
    mine = _gib(plan, "memory_per_node").value
    axes.plot([plan.demand.phones], [mine], "D", color="#dc2626", label="this plan")
    _finish(axes, "GB of memory, all nodes in service")


@dataclass(frozen=True, slots=True)
class _Band:
    value: float
    low: float
    high: float


def _gib(plan: Plan, name: str) -> _Band:
    one, scale = plan[name], plan.in_service / _GIB
    return _Band(one.value * scale, one.low * scale, one.high * scale)


def _lows(bands: Sequence[Derived | _Band]) -> list[float]:
    return [one.low for one in bands]


def _highs(bands: Sequence[Derived | _Band]) -> list[float]:
    return [one.high for one in bands]


def _finish(axes: Axes, what: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("held phones")
    axes.set_title(what, loc="left", fontsize=11)
    axes.xaxis.set_major_formatter(_plain)
    axes.yaxis.set_major_formatter(_plain)
    axes.grid(visible=True, which="major", color="#e2e8f0")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def _plain(value: float, _at: float) -> str:
    return number(value)
