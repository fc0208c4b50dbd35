"""What the gateway costs, measured: the cost model, its error bars, and its file.

Rules:
    1. A number never comes alone: each has its bounds, its unit, and where it was measured.
    2. All costs at their low bounds, and all at their high ones, are the two ends of every figure
       that is derived from them. That is the worst case, wider than 95 % as soon as two costs with
       independent errors are involved.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Bound = Literal["value", "low", "high"]
Number = TypeVar("Number")

FORMAT: Final = 1
"""Version of the file."""


class CostError(ValueError):
    """A cost model, or a number in it, that makes no sense."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number with its error bars."""

    value: float
    low: float
    """Lower end of the 95 % confidence interval."""
    high: float
    """Upper end."""
    unit: str
    source: str
    """Where it was measured: sizes, runs, machine."""

    def __post_init__(self) -> None:
        bounds = (self.low, self.value, self.high)
        if not all(map(math.isfinite, bounds)):
            raise CostError(f"found {bounds}, allowed finite numbers")
        if not 0 <= self.low <= self.value <= self.high:
            found = f"low {self.low:g}, value {self.value:g}, high {self.high:g}"
            raise CostError(f"found {found}, allowed 0 <= low <= value <= high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs(Generic[Number]):
    """What each thing costs: as measured figures, or as plain numbers to calculate with."""

    process_bytes: Number
    """User memory of a worker without phones."""
    node_bytes: Number
    """User memory of a node's supervisor and its admin process."""
    phone_bytes_plain: Number
    """User memory of a held phone."""
    phone_bytes_tls: Number
    """The same where the worker itself speaks TLS."""
    kernel_bytes_per_socket: Number
    """Kernel memory of an idle TCP socket."""
    cycle_us: Number
    """CPU of the gateway for one Ping cycle: the answer, and the next Ping held."""
    change_us: Number
    """CPU of a change for each phone that it wakes, on top of the cycle."""
    connect_us: Number
    """CPU to accept a phone that comes back and to hold its first Ping."""
    handshake_us: Number
    """CPU of a full TLS handshake."""
    idle_us: Number
    """CPU in a second for each held phone to which nothing happens."""
    redis_bytes_per_phone: Number
    """Memory of Redis for each phone."""
    redis_bytes_per_mailbox: Number
    """Memory of Redis for each mailbox: sequence numbers, classes, one subscription."""
    redis_us_per_cycle: Number
    """CPU of Redis for one Ping cycle."""
    redis_us_per_change: Number
    """CPU of Redis for one published change and its hints."""
    request_bytes: Number
    """A Ping on the wire, towards the gateway: HTTP, TLS, TCP/IP, and what acknowledges the
    answer."""
    answer_bytes: Number
    """An answer on the wire, and what acknowledges the request."""
    max_files_per_process: Number
    """Open files that a process may have."""
    proxy_bytes_per_phone: Number
    """User memory of a TLS proxy in front for each held phone."""
    proxy_us_per_cycle: Number
    """CPU of that proxy for each Ping that it passes on."""


COSTS: Final = tuple(one.name for one in fields(Costs))
"""Names of all costs, in the order of the class."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A prediction beside what was measured."""

    what: str
    predicted: float
    measured: float
    """Above 0."""
    unit: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.predicted) and 0 < self.measured < math.inf):
            found = f"predicted {self.predicted:g}, measured {self.measured:g}"
            raise CostError(f"{self.what}: found {found}, allowed finite, measured above 0")

    @property
    def error(self) -> float:
        """Percent that the prediction is too high; negative where it is too low."""
        return 100.0 * (self.predicted - self.measured) / self.measured


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """All costs, the machine they hold for, and how well they predict."""

    costs: Costs[Figure]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Machine, kernel, limits, versions."""
    measured: str = ""
    """Date of the measurement, ISO 8601."""
    validation: tuple[Validation, ...] = ()

    def at(self, bound: Bound) -> Costs[float]:
        """Return the costs as numbers: all at their values, all low or all high."""
        return Costs(**{name: getattr(getattr(self.costs, name), bound) for name in COSTS})


def to_json(model: CostModel) -> str:
    """Write a model as the text of its file."""
    document = {
        "format": FORMAT,
        "measured": model.measured,
        "environment": dict(model.environment),
        "costs": {name: _plain(getattr(model.costs, name)) for name in COSTS},
        "validation": [_plain(one) for one in model.validation],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> CostModel:
    """Read what ``to_json`` wrote.

    Raises:
        CostError: If it is no JSON, of another format, or if a cost is missing or unknown.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CostError(f"cost model: found no JSON ({error})") from None
    _expect(document, {"format", "measured", "environment", "costs", "validation"}, "cost model")
    if document["format"] != FORMAT:
        raise CostError(f"cost model: found format {document['format']!r}, allowed {FORMAT}")
    _expect(document["costs"], set(COSTS), "costs")
    found = {name: _read(Figure, one, f"costs.{name}") for name, one in document["costs"].items()}
    if not isinstance(document["validation"], list):
        raise CostError("validation: found no list")
    return CostModel(
        costs=Costs(**found),
        environment=_texts(document["environment"]),
        measured=str(document["measured"]),
        validation=tuple(
            _read(Validation, one, f"validation {number}")
            for number, one in enumerate(document["validation"], 1)
        ),
    )


def reference() -> CostModel:
    """Return the model that comes with the package."""
    return from_json(files(__package__).joinpath("reference.json").read_text("utf-8"))


Record = TypeVar("Record", Figure, Validation)


def _plain(record: Figure | Validation) -> dict[str, Any]:
    return {one.name: getattr(record, one.name) for one in fields(record)}


def _read(kind: type[Record], document: Any, where: str) -> Record:
    _expect(document, {one.name for one in fields(kind)}, where)
    values: dict[str, Any] = {}
    for one in fields(kind):
        value = document[one.name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number is not (one.type == "float"):
            allowed = "a number" if one.type == "float" else "text"
            raise CostError(f"{where}.{one.name}: found {value!r}, allowed {allowed}")
        values[one.name] = float(value) if is_number else str(value)
    try:
        return kind(**values)
    except CostError as error:
        raise CostError(f"{where}: {error}") from None


def _expect(document: Any, names: set[str], where: str) -> None:
    if not isinstance(document, dict):
        raise CostError(f"{where}: found {type(document).__name__}, allowed an object")
    for name in sorted(names - document.keys()):
        raise CostError(f"{where}: found no {name}")
    for name in sorted(document.keys() - names):
        raise CostError(f"{where}: found {name}, allowed {', '.join(sorted(names))}")


def _texts(document: Any) -> dict[str, str]:
    if not isinstance(document, dict):
        raise CostError(f"environment: found {type(document).__name__}, allowed an object")
    return {str(name): str(value) for name, value in document.items()}
