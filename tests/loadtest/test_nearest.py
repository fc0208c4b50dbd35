"""Which name was meant."""

from __future__ import annotations

import pytest

from loadtest.nearest import nearest


@pytest.mark.parametrize(
    ("name", "expected"),
    [("smoek", "smoke"), ("SOAK", "soak"), ("steady-2", "steady"), ("", "smoke")],
)
def test_the_choice_that_is_most_alike_is_found(name: str, expected: str) -> None:
    """A slip of the finger or of the shift key is forgiven, and there always is an answer."""
    assert expected == nearest(name, ["smoke", "soak", "steady"])
