"""Promises as text: ``notify.p99<250ms and missed==0``.

Grammar, white space between any two parts::

    threshold  = clause { "and" clause }
    clause    = FIGURE ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) NUMBER [ unit ]

Rules:
    1. A duration takes us, ms, s, m or h, and is in seconds without; a size takes B, KB (of 1024),
       MB, GB, and is in bytes without; a count takes k, M or, where it is part of another one, %.
    2. A figure that was not measured keeps no promise: 0 ms is not the latency of nothing.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from loadtest.figures import COUNTS, HISTOGRAMS
from loadtest.judging.quantity import Quantity
from loadtest.nearest import nearest
from loadtest.result import Judged
from loadtest.wording import DIGITS, share

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from loadtest.result import Result

_PERCENTILES: Final = ("p50", "p90", "p99", "p999", "max", "mean")
_COUNTS: Final = (*COUNTS, "errors", "held", "devices", "invalid")
_SIZES: Final = ("bytes_per_phone", "generator_bytes_per_phone")

FIGURES: Final[Mapping[str, Quantity]] = {
    **{f"{name}.{one}": Quantity.DURATION for name in HISTOGRAMS for one in _PERCENTILES},
    **{f"{name}.count": Quantity.COUNT for name in HISTOGRAMS},
    **dict.fromkeys(_COUNTS, Quantity.COUNT),
    **dict.fromkeys(_SIZES, Quantity.SIZE),
    "duration": Quantity.DURATION,
}
"""Figures that a threshold may name; ``p99.9`` may be written for ``p999``."""
WHOLES: Final[Mapping[str, str]] = {
    "held": "devices",
    "received": "expected",
    "late": "expected",
    "missed": "expected",
    "cut_short": "pings",
}
"""Counts that may be compared with a percentage, and what 100 % of them is."""
ALLOWED: Final = (
    f"{'|'.join(HISTOGRAMS)} with .{'|.'.join((*_PERCENTILES, 'count'))}, "
    f"{', '.join((*_COUNTS, *_SIZES, 'duration'))}"
)
"""``FIGURES`` in one line of text."""

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_][\w.]*|%)|(?P<number>\d{1,18}(?:\.\d{1,18})?)"
    r"|(?P<operator>[<>=!]+)|(?P<other>\S))",
    re.ASCII,
)
_MOST_DIGITS: Final = 9
_AND: Final = "and"
_END: Final = "the end"


class ThresholdError(ValueError):
    """A threshold that cannot be read; the text says where, what was found, what is allowed."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One figure against one limit."""

    figure: str
    """One of ``FIGURES``."""
    operator: str
    limit: Fraction
    """In the base unit of the figure; a part of one where ``whole`` is set. Exact, so that 7 of
    100 are 7 %."""
    whole: str | None = None
    """Figure that the limit is a part of."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Clauses that all have to hold."""

    expression: str
    """As typed."""
    clauses: tuple[Clause, ...]
    """At least one."""


def parse(text: str) -> Threshold:
    """Read a threshold.

    Raises:
        ThresholdError: If it does not follow the grammar, names an unknown figure, or a unit that
            its figure does not have.
    """
    expression = text.strip()
    return Threshold(expression, tuple(_Parser(expression).clauses()))


def judge(threshold: Threshold, values: Mapping[str, float]) -> Judged:
    """Compare a threshold with what was measured.

    Args:
        threshold: What was promised.
        values: By the names of ``FIGURES``, in base units; what was not measured is missing.
    """
    ones = threshold.clauses
    found = dict.fromkeys(_say(one, values) for one in ones)
    return Judged(threshold.expression, all(_holds(one, values) for one in ones), ", ".join(found))


def figures_of(result: Result) -> dict[str, float]:
    """List what a run measured by the names of ``FIGURES``; what it did not measure is missing."""
    counts: dict[str, float] = {name: result.figures.counts[name] for name in COUNTS}
    sizes = (result.bytes_per_phone, result.generator_bytes_per_phone)
    return {
        **dict(_latencies(result)),
        **counts,
        "errors": sum(result.figures.errors.values()),
        "held": result.most_held,
        "devices": result.devices,
        "invalid": len(result.invalid),
        **{name: size for name, size in zip(_SIZES, sizes, strict=True) if size is not None},
        "duration": result.duration,
    }


def _latencies(result: Result) -> Iterator[tuple[str, float]]:
    for name in HISTOGRAMS:
        latency = result.figures.latency(name)
        yield f"{name}.count", latency.count
        if latency.count:
            yield from ((f"{name}.{one}", getattr(latency, one)) for one in _PERCENTILES)


def _holds(one: Clause, values: Mapping[str, float]) -> bool:
    found = values.get(one.figure)
    whole = values.get(one.whole, 0.0) if one.whole else 1.0
    if found is None or not whole:
        return False
    return _OPERATORS[one.operator](found, float(one.limit * Fraction(whole)))


def _say(one: Clause, values: Mapping[str, float]) -> str:
    value = values.get(one.figure)
    if value is None:
        return f"{one.figure} = no data"
    say, limit = FIGURES[one.figure].say, float(one.limit)
    if one.whole is None:
        return f"{one.figure} = {_beside(limit, value, say)}"
    whole = values.get(one.whole)
    part = _beside(limit, value / whole, share) if whole else "no data"
    return f"{one.figure} = {say(value)} ({part} of {one.whole})"


def _beside(limit: float, value: float, say: Callable[[float, int], str]) -> str:
    """Write a value with the digits that it takes not to read like a limit that it is not."""
    for digits in range(DIGITS, _MOST_DIGITS):
        text = say(value, digits)
        if text != say(limit, digits):
            return text
    return say(value, DIGITS)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """word, number, operator, other or end."""
    text: str
    at: int
    """Its first character, counted from 1."""


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        yield _Token(kind, match[kind], match.start(kind) + 1)
    yield _Token("end", _END, len(text) + 1)


class _Parser:
    """Reads the tokens from left to right, one ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._ahead = next(self._tokens)

    def clauses(self) -> Iterator[Clause]:
        yield self._clause()
        while self._ahead.kind != "end":
            self._take("word", (_AND,))
            yield self._clause()

    def _clause(self) -> Clause:
        figure = self._figure()
        sign = self._take("operator", _OPERATORS)
        number = Fraction(self._take("number", None))
        scale, whole = self._unit(figure)
        return Clause(figure, sign, number * scale, whole)

    def _figure(self) -> str:
        word = self._ahead.text
        name = f"{word[:-4]}999" if word.endswith(".p99.9") else word
        if name not in FIGURES:
            hint = f", the nearest is {nearest(word, FIGURES)!r}" if word != _END else ""
            raise self._error(ALLOWED, hint)
        self._step()
        return name

    def _unit(self, figure: str) -> tuple[Fraction, str | None]:
        """Return what one of the unit is in the base unit, and the whole of a percentage."""
        word = self._ahead
        if word.kind != "word" or word.text == _AND:
            return Fraction(1), None
        units, whole = FIGURES[figure].units, WHOLES.get(figure)
        known = [*units, *(["%"] if whole else [])]
        if word.text not in known:
            kind = FIGURES[figure].value
            raise self._error(f"{', '.join(known)} ({figure} is a {kind}) or 'and'")
        self._step()
        return (Fraction(1, 100), whole) if word.text == "%" else (units[word.text], None)

    def _take(self, kind: str, allowed: Collection[str] | None) -> str:
        """Return the next token's text if it is one of those allowed; None allows all of a kind."""
        token = self._ahead
        if token.kind != kind or (allowed is not None and token.text not in allowed):
            raise self._error(", ".join(allowed or (f"a {kind}",)))
        self._step()
        return token.text

    def _step(self) -> None:
        self._ahead = next(self._tokens)

    def _error(self, allowed: str, hint: str = "") -> ThresholdError:
        token = self._ahead
        found = token.text if token.kind == "end" else repr(token.text)
        where = f"{self._text!r}, character {token.at}"
        return ThresholdError(f"{where}: found {found}{hint}; allowed: {allowed}")
