"""A run as a JUnit test suite, so that a CI server shows it like any other test."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtest.result import Result

Case = tuple[str, str, bool]
"""Name, what was found, whether it passed."""


def render(result: Result) -> bytes:
    """Return the suite: a case for each threshold, for missed changes and for the generator."""
    cases = list(_cases(result))
    failures = sum(not passed for _, _, passed in cases)
    head = {"name": f"loadtest {result.name}", "tests": str(len(cases)), "failures": str(failures)}
    head |= {"errors": "0", "time": f"{result.duration:.3f}", "timestamp": result.started}
    suite = Element("testsuite", head)
    _properties(suite, result)
    for case in cases:
        _case(suite, result.name, case)
    indent(suite)
    text: bytes = tostring(suite, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _cases(result: Result) -> Iterator[Case]:
    for one in result.judged:
        yield one.expression, one.found, one.is_met
    missed = result.figures.counts["missed"]
    yield "missed==0", f"missed = {missed:,}", not missed
    found = "\n".join(result.invalid) or "it kept up with its plan"
    yield "the generator was not the bottleneck", found, result.is_valid


def _properties(suite: Element, result: Result) -> None:
    properties = SubElement(suite, "properties")
    facts = {"command": result.command, "devices": str(result.devices), "seed": str(result.seed)}
    for name, value in facts.items():
        SubElement(properties, "property", {"name": name, "value": value})


def _case(suite: Element, profile: str, case: Case) -> None:
    name, found, passed = case
    element = SubElement(suite, "testcase", {"classname": f"loadtest.{profile}", "name": name})
    if passed:
        SubElement(element, "system-out").text = found
    else:
        SubElement(element, "failure", {"message": found.splitlines()[0]}).text = found
