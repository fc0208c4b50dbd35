"""JSON and HTML of a plan, loadtest/capacity/documents.py."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from loadtest.capacity.accesslog import Entry, Unreadable
from loadtest.capacity.casestudy import case_study
from loadtest.capacity.demand import Demand
from loadtest.capacity.documents import Document, to_html, to_json
from loadtest.capacity.model import Validation, reference
from loadtest.capacity.plan import growth, plan
from loadtest.capacity.traffic import count


@pytest.fixture(scope="module")
def model():
    return reference()


@pytest.fixture(scope="module")
def whole(model):
    demand = Demand(users=80_000, price=3000)
    traffic = count(
        [
            Entry(at=600, command="Ping", user="alice", device="D1", status=200, duration=480.0),
            Unreadable("<script>alert(1)</script>", "found no log format that is known"),
        ]
    )
    model = replace(model, validation=(Validation("memory", 4.4e6, 4e6, "bytes"),))
    return Document(
        plan=plan(demand, model),
        growth=growth(demand, model),
        study=case_study(model),
        traffic=traffic,
    )


@pytest.fixture(scope="module")
def page(whole):
    return to_html(whole)


def test_json(whole, model):
    """The JSON has the demand, all figures with formula and sources, and their measurements."""
    found = json.loads(to_json(whole))

    assert 80_000 == found["demand"]["users"]
    assert 104_000 == found["figures"]["held_phones"]["value"]
    assert model.costs.cycle_us.source == found["measurements"]["cycle_us"]["source"]
    assert 10_000_000 == found["growth"][-1]["phones"]
    assert 41 == found["case_study"]["regions"]["Redmond"]["servers_then"]
    assert (1, 2) == (found["traffic"]["held"]["peak"], found["needs"]["workers_before"])
    assert pytest.approx(10.0) == found["validation"][0]["error"]


def test_json_of_a_plan_alone(model):
    """What was not asked for is not in the JSON."""
    found = json.loads(to_json(Document(plan=plan(Demand(users=100), model))))

    assert [] == found["growth"]
    assert {"case_study", "traffic", "needs"}.isdisjoint(found)


def test_json_has_no_infinity(model):
    """A bound that is never reached is null."""
    demand = Demand(
        users=250_000, devices_per_user=1, changes_per_hour=60, spare=0, memory_per_node=1 << 36
    )
    unsure = replace(model.costs, change_us=replace(model.costs.change_us, high=10_000.0))
    model = replace(model, costs=unsure)
    found = plan(replace(demand, headroom=1, reconnect_within=86_400), model)

    written = json.loads(to_json(Document(plan=found)))

    assert written["figures"]["reconnect_time"]["high"] is None


def test_page_is_self_contained(page):
    """The page loads nothing: no script, no image, no style from elsewhere."""
    assert page.startswith("<!doctype html>")
    assert [] == re.findall(r"<script|<link|<img|@import|url\(\s*['\"]?http", page)
    assert [] == re.findall(r'(?:src|href)="(?!#)', page)


def test_each_figure_is_traced(page):
    """Each link of the page leads to a figure, a measurement or a field of the demand in it."""
    links = set(re.findall(r'<a href="#([\w-]+)"', page))
    anchors = set(re.findall(r'id="([\w-]+)"', page))

    assert set() == links - anchors
    assert {"measured-cycle_us", "demand-users", "figure-nodes_for_memory"} <= links


def test_page_says_what_is_not_comparable(page):
    """The case study's caveats are on the page."""
    assert "not comparable: a Client Access server did more than hold Pings" in page


def test_log_lines_are_escaped(page):
    """A line of a log cannot become part of the page."""
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_page_of_a_plan_alone(model):
    """What was not asked for has no heading."""
    model = replace(model, validation=())
    page = to_html(Document(plan=plan(Demand(users=100, tls="none"), model)))

    headings = re.findall(r'<h2 id="([\w-]+)"', page)
    assert ["figures", "demand", "measured", "environment"] == headings


def test_log_without_pings(model):
    """A log in which nothing was held has no picture."""
    page = to_html(Document(plan=plan(Demand(users=100), model), traffic=count([])))

    assert '<h2 id="log">' in page
    assert "<svg" not in page


def test_curve(page):
    """The curve is an SVG element that names its axes and the largest size."""
    drawn, _ = re.findall(r"<svg.*?</svg>", page, re.DOTALL)

    root = ET.fromstring(drawn)  # noqa: S314 - our own
    text = " ".join(part.strip() for part in root.itertext())
    assert "held phones" in text
    assert "10,000,000" in text
    assert "this plan" in text
