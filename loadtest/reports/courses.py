"""The charts of a run over time; each function paints one into an empty figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.moments import gateway_cpu
from loadtest.reports import canvas, timeline
from loadtest.reports.canvas import AMBER, BLUE, GREEN, INK, LINES, PURPLE, SKY, VERMILION
from loadtest.reports.clock import Clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from loadtest.figures import Latency
    from loadtest.result import Result

KINDS: Final = len(LINES) - 1
"""Kinds of errors with a line of their own."""
_STATES: Final = {
    "held": BLUE,
    "waiting": PURPLE,
    "preparing": SKY,
    "connecting": AMBER,
    "stopped": INK,
}
"""From below: the largest first, so that the others stand out above it."""
_MB: Final = 1 << 20


def latency(figure: Figure, result: Result) -> None:
    """Paint the latency of each interval, logarithmic, with the marks."""
    axes, clock = figure.subplots(), Clock(result)
    ats, found = _recent(result, "notify")
    xs, longest = clock.of(ats), [one.max * 1000 for one in found]
    shortest = [one.p50 * 1000 for one in found]
    canvas.line(axes, xs, longest, "max", color=VERMILION, linewidth=1)
    canvas.line(axes, xs, [one.p99 * 1000 for one in found], "p99", color=AMBER)
    canvas.line(axes, xs, shortest, "p50", color=BLUE)
    canvas.logarithmic(axes, longest + shortest)
    clock.annotate(axes)
    _finish(axes, clock, "ms")


def throughput(figure: Figure, result: Result) -> None:
    """Paint changes a second and their target above answers and connections a second."""
    above, below = figure.subplots(2, 1, sharex=True)
    moments, clock = result.moments, Clock(result)
    xs = clock.of(one.at for one in moments)
    canvas.line(above, xs, [one.published_per_second for one in moments], "published", color=BLUE)
    targets = [one.rate_target for one in moments]
    canvas.line(above, xs, targets, "target", color=VERMILION, linestyle=(0, (4, 2)))
    canvas.line(below, xs, timeline.per_second(moments, "answers"), "answers", color=GREEN)
    canvas.line(below, xs, timeline.per_second(moments, "connects"), "connections", color=PURPLE)
    _pair(above, below, clock, ("a second", "a second"))


def held(figure: Figure, result: Result) -> None:
    """Paint held phones, and the gateway's memory on an axis of its own."""
    axes, clock = figure.subplots(), Clock(result)
    ats = clock.of(one.at for one in result.moments)
    canvas.line(axes, ats, [one.held for one in result.moments], "phones held", color=BLUE)
    read = [(one.at, one.gateway.memory_bytes) for one in result.moments]
    known = [(at, memory / _MB) for at, memory in read if memory is not None]
    others = []
    if known:
        right = canvas.second_axis(axes, "MB of memory")
        xs, ys = clock.of(at for at, _ in known), [memory for _, memory in known]
        canvas.line(right, xs, ys, "gateway memory (right)", color=VERMILION)
        others.append(right)
    canvas.from_zero(axes)
    canvas.from_zero(*others, headroom=0.35)  # else both lines would lie on each other
    clock.annotate(axes, text_at="bottom")  # the top is where the lines are
    _finish(axes, clock, "phones", *others)


def states(figure: Figure, result: Result) -> None:
    """Paint phones by state, one upon the other."""
    axes, clock = figure.subplots(), Clock(result)
    chosen = timeline.thin([one.held for one in result.moments], canvas.POINTS)
    moments = [result.moments[n] for n in chosen]
    seen = [name for name in _STATES if any(one.states.get(name) for one in moments)]
    heights = [[one.states.get(name, 0) for one in moments] for name in seen]
    colours = [_STATES[name] for name in seen]
    if heights:
        xs = clock.of(one.at for one in moments)
        axes.stackplot(xs, heights, labels=seen, colors=colours, linewidth=0)
    canvas.from_zero(axes)
    clock.annotate(axes, text_at=None)
    _finish(axes, clock, "phones")


def errors(figure: Figure, result: Result) -> None:
    """Paint failures a second by kind."""
    axes, clock = figure.subplots(), Clock(result)
    xs = clock.of(one.at for one in result.moments)
    kinds = timeline.errors_per_second(result.moments, KINDS)
    for (kind, ys), colour in zip(kinds.items(), (VERMILION, *LINES[2:], BLUE, SKY), strict=False):
        canvas.line(axes, xs, ys, kind, color=colour)
    canvas.from_zero(axes)
    clock.annotate(axes)
    _finish(axes, clock, "a second")


def generator(figure: Figure, result: Result) -> None:
    """Paint the lag of the generator above its CPU."""
    above, below = figure.subplots(2, 1, sharex=True)
    clock = Clock(result)
    ats, found = _recent(result, "lag")
    xs = clock.of(ats)
    canvas.line(above, xs, [one.max * 1000 for one in found], "lag, max", color=AMBER, linewidth=1)
    canvas.line(above, xs, [one.p99 * 1000 for one in found], "lag, p99", color=BLUE)
    xs = clock.of(one.at for one in result.moments)
    busiest = [one.cpu * 100 for one in result.moments]
    canvas.line(below, xs, busiest, "busiest generator process", color=GREEN)
    used = gateway_cpu(result.moments)
    if used:
        xs, ys = clock.of(at for at, _ in used), [share * 100 for _, share in used]
        canvas.line(below, xs, ys, "gateway, all processes", color=VERMILION)
    _pair(above, below, clock, ("ms", "% of a core"))


def _recent(result: Result, name: str) -> tuple[list[float], list[Latency]]:
    """Return when a histogram had data, and what."""
    found = [(one.at, one.recent[name]) for one in result.moments if name in one.recent]
    told = [(at, one) for at, one in found if one.count]
    return [at for at, _ in told], [one for _, one in told]


def _finish(axes: Axes, clock: Clock, unit: str, *others: Axes) -> None:
    axes.set_ylabel(unit)
    clock.scale(axes)
    canvas.legend(axes, *others)


def _pair(above: Axes, below: Axes, clock: Clock, units: tuple[str, str]) -> None:
    canvas.from_zero(above, below)
    for axes, unit in zip((above, below), units, strict=True):
        axes.set_ylabel(unit)
        clock.annotate(axes, text_at=None)
        canvas.legend(axes)
    clock.scale(below)
