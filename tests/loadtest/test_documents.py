"""What loadtest/README.md lists is what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from loadtest.figures import COUNTS, HISTOGRAMS
from loadtest.profiles import reading
from loadtest.publishers import PUBLISHERS
from loadtest.scenario.catalogue import SCENARIOS

TEXT = (Path(__file__).parents[2] / "loadtest/README.md").read_text()


def test_profile() -> None:
    """The profile in the document is one, and has every key that a profile may have."""
    (text,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    document = tomllib.loads(text)
    keys = set(reading.parse({"name": "x", **document}, "README").as_json())

    assert keys - {"name"} <= set(document)


@pytest.mark.parametrize(
    "name", dict.fromkeys([*reading.names(), *SCENARIOS, *PUBLISHERS, *HISTOGRAMS, *COUNTS])
)
def test_names(name: str) -> None:
    """Every preset, scenario, publisher and figure is named in the document."""
    assert f"`{name}`" in TEXT
