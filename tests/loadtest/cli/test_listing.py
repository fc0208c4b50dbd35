"""``loadtest profiles``."""

from __future__ import annotations

from loadtest.profiles import reading as profiles


def test_all_profiles_are_listed(invoke) -> None:
    """Each preset has a line with its name and all of its description."""
    found = invoke("profiles")
    rows = [line.split(None, 1) for line in found.stdout.splitlines()]

    assert (0, "") == (found.exit_code, found.stderr)
    assert profiles.describe() == [(name, description.strip()) for name, description in rows]
