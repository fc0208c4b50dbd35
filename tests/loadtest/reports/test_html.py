"""The page of a run."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from loadtest.figures import COUNTS, HISTOGRAMS, Figures
from loadtest.reports import html
from loadtest.result import Mark, Missed
from loadtest.wording import duration

if TYPE_CHECKING:
    from loadtest.result import Result

EMPTY_ELEMENTS = {"meta", "use"}
HEADINGS = [
    "Good: no change was missed",
    "Thresholds",
    "Charts",
    "Durations",
    "Heartbeat accuracy",
    "Counts",
    "Errors",
    "Missed changes",
    "Marks",
    "Environment",
    "Command line",
    "Profile",
]


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str]] = []
        self.elements: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.elements[tag] += 1
        self.open[tag] += tag not in EMPTY_ELEMENTS
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag) -> None:
        self.open[tag] -= tag not in EMPTY_ELEMENTS

    def handle_startendtag(self, tag, attrs) -> None:
        self.handle_starttag(tag, attrs)
        self.open[tag] -= tag not in EMPTY_ELEMENTS


@pytest.fixture(scope="module")
def text(good: Result) -> str:
    """The page of a good run."""
    return html.render(good)


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_it_stands_alone(text: str) -> None:
    """The page has no script and refers to nothing outside itself."""
    page = Page(text)

    references = {"src", "href", "srcset", "data", "action", "xlink:href", "xmlns"}
    found = [value for name, value in page.attributes if name in references]
    assert [] == [value for value in found if not value.startswith("#")]
    assert [] == re.findall(r"url\((?!#)|@import|https?:", text)
    assert {"script", "link", "img", "iframe"} & set(page.elements) == set()


def test_it_is_well_formed(text: str) -> None:
    """Every element is closed, and no identifier occurs twice."""
    page = Page(text)

    assert {} == {tag: count for tag, count in page.open.items() if count}
    ids = Counter(value for name, value in page.attributes if name == "id")
    assert [] == [one for one, count in ids.items() if count > 1]


def test_the_order(text: str) -> None:
    """The verdict comes first, then key figures, charts, tables and how the run was made."""
    assert HEADINGS == re.findall(r"<h2>([^<]*)</h2>", text)
    assert 7 == Page(text).elements["svg"]


def test_the_key_figures(text: str, good: Result) -> None:
    """Each key figure has its unit."""
    notify = good.figures.latency("notify")
    found = text_of(text)

    expected = [
        "held 14,910 phones",
        "missed 0 pairs",
        f"notify p50 {duration(notify.p50)}",
        f"notify max {duration(notify.max)}",
        "memory per phone 1.7 KB",
        "generator CPU 62 %",
        "took 6 min 10 s",
        "begun 2026-09-12 08:15:00 UTC",
    ]
    assert [] == [one for one in expected if one not in found]


def test_every_figure_is_explained(text: str, good: Result) -> None:
    """Each count and each histogram with data has its explanation beside it."""
    found = text.replace("&#39;", "'")

    explanations = [HISTOGRAMS[name] for name in good.figures.histograms] + list(COUNTS.values())
    assert [] == [one for one in explanations if one not in found]


def test_a_bad_run(bad: Result) -> None:
    """Missed changes are the verdict and have a table; the failed threshold is marked."""
    found = html.render(bad)

    assert '<section class="verdict bad">' in found
    assert "<td>c2</td><td>user2@example.org</td><td>phone2</td><td>INBOX</td>" in found
    assert 1 == found.count("not met</td>")


def test_an_invalid_run(invalid: Result) -> None:
    """An invalid run says why before anything else."""
    found = text_of(html.render(invalid).partition("<h3>")[0])

    assert found.endswith("a generator process used 98 % of a core its lag was 61 ms")


def test_an_empty_run(empty: Result) -> None:
    """A run in which nothing happened is a page without charts and thresholds."""
    found = html.render(empty)

    assert 0 == Page(found).elements["svg"]
    expected = ["Nothing was measured.", "No change was missed.", "Nothing is known of the machine"]
    assert [] == [one for one in expected if one not in found]


def test_many_missed_changes(empty: Result) -> None:
    """The page lists a hundred and says how many there are."""
    missed = tuple(Missed(f"c{n}", "a@example.org", "p", "INBOX", 1.0) for n in range(150))
    figures = Figures()
    figures.counts["missed"] = 1234

    found = html.render(replace(empty, figures=figures, missed=missed))
    unlisted = html.render(replace(empty, figures=figures))

    assert 100 == found.count("<td>a@example.org</td>")
    assert "100 of 1,234" in found
    assert "1,234 were missed; they were not listed one by one" in unlisted


def test_text_is_escaped(good: Result) -> None:
    """What others wrote cannot become part of the page."""
    evil = "<script>alert(1)</script>"
    moments = tuple(replace(one, errors={evil: n}) for n, one in enumerate(good.moments[:10]))
    marks = (Mark(2, evil),)

    found = html.render(replace(good, name=evil, command=evil, marks=marks, moments=moments))

    assert 0 == Page(found).elements["script"]


def test_a_histogram_that_is_not_known(empty: Result) -> None:
    """A histogram without an explanation is shown all the same."""
    figures = Figures()
    figures.record("other", 0.0123)

    found = html.render(replace(empty, figures=figures))

    assert "<th>other</th>" in found
