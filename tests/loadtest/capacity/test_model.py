"""The cost model and its file, loadtest/capacity/model.py."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from loadtest.capacity.model import (
    COSTS,
    CostError,
    CostModel,
    Costs,
    Figure,
    Validation,
    from_json,
    reference,
    to_json,
)
from loadtest.capacity.validation import PROMISE


def a_model():
    costs = {
        name: Figure(number + 2.0, number + 1.0, number + 4.0, "us", f"run {number}")
        for number, name in enumerate(COSTS)
    }
    return CostModel(
        costs=Costs(**costs),
        environment={"kernel": "6.18"},
        measured="2026-11-24",
        validation=(Validation("memory", 110.0, 100.0, "bytes"),),
    )


def changed(**changes):
    document = json.loads(to_json(a_model()))
    document.update(changes)
    return json.dumps(document)


def test_file_round_trip():
    """A model that is written and read again is the same model."""
    model = a_model()

    assert model == from_json(to_json(model))


def test_bounds():
    """The costs come as numbers: all values, all low or all high."""
    model = a_model()

    assert (2.0, 1.0, 4.0) == tuple(
        model.at(bound).process_bytes for bound in ("value", "low", "high")
    )
    assert len(COSTS) + 1.0 == model.at("value").proxy_us_per_cycle


@pytest.mark.parametrize(
    ("low", "value", "high"), [(2, 1, 3), (1, 3, 2), (-1, 0, 1), (0, math.nan, 1), (0, 1, math.inf)]
)
def test_figure_out_of_order(low, value, high):
    """A figure's bounds enclose its value, and none is negative or infinite."""
    with pytest.raises(CostError, match="found"):
        Figure(value, low, high, "us", "")


def test_error_in_percent():
    """The error of a prediction is in percent of what was measured."""
    assert 10.0 == Validation("memory", 110.0, 100.0, "bytes").error
    assert -25.0 == Validation("CPU", 0.75, 1.0, "cores").error


def test_nothing_measured():
    """A measurement of zero cannot judge a prediction."""
    with pytest.raises(CostError, match="CPU: found predicted 1, measured 0"):
        Validation("CPU", 1.0, 0.0, "cores")


def test_reference():
    """The model that comes with the package has every cost with a source, and predicts well."""
    model = reference()

    assert [] == [name for name in COSTS if not getattr(model.costs, name).source]
    assert [] == [one for one in model.validation if abs(one.error) > PROMISE]
    assert 2 == len(model.validation)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "cost model: found no JSON"),
        ("[]", "cost model: found list, allowed an object"),
        ("{}", "cost model: found no costs"),
        (changed(extra=1), "cost model: found extra, allowed costs, environment"),
        (changed(format=2), "cost model: found format 2, allowed 1"),
        (changed(costs={}), "costs: found no answer_bytes"),
        (changed(validation={}), "validation: found no list"),
        (changed(validation=[{}]), "validation 1: found no measured"),
        (changed(environment=[]), "environment: found list, allowed an object"),
    ],
)
def test_broken_file(text, error):
    """A file that is no cost model is refused with what was found and where."""
    with pytest.raises(CostError, match=error):
        from_json(text)


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("value", "12", r"costs.cycle_us.value: found '12', allowed a number"),
        ("value", True, r"costs.cycle_us.value: found True, allowed a number"),
        ("source", 3, r"costs.cycle_us.source: found 3, allowed text"),
        ("low", 99, r"costs.cycle_us: found low 99, value 7"),
    ],
)
def test_broken_cost(key, value, error):
    """A cost of the wrong kind or order is refused by its name."""
    document = json.loads(to_json(a_model()))
    document["costs"]["cycle_us"][key] = value

    with pytest.raises(CostError, match=error):
        from_json(json.dumps(document))


def test_replacing_one_cost():
    """A measurement replaces single costs of another model."""
    model = a_model()
    figure = Figure(1.0, 1.0, 1.0, "us", "new")

    model = replace(model, costs=replace(model.costs, cycle_us=figure))

    assert figure == model.costs.cycle_us
