"""The load process from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.benching import load_process
from loadtest.benching.load_process import LoadError
from loadtest.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = Target("127.0.0.1", 1)


async def test_an_order_is_performed(valkey_url: str, tmp_path: Path) -> None:
    """The outcome of an order comes back, and the process has an id."""
    async with load_process.start(NOWHERE, valkey_url, tmp_path) as load:
        found = await load.perform("close")

    assert {} == found
    assert load.pid > 0


async def test_a_failure_brings_its_reason(valkey_url: str, tmp_path: Path) -> None:
    """A process that fails at an order is an error with the end of its log."""
    async with load_process.start(NOWHERE, valkey_url, tmp_path) as load:
        with pytest.raises(LoadError, match=r"found the order \{'do': 'dance'\}"):
            await load.perform("dance")


async def test_an_order_without_end_is_an_error(
    valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that takes too long is named, with its numbers."""
    monkeypatch.setattr(load_process, "_WITHIN", -0.1)

    async with load_process.start(NOWHERE, valkey_url, tmp_path) as load:
        with pytest.raises(LoadError, match=r"did not end its order: saturate .*'seconds': 0.1"):
            await load.perform("saturate", outstanding=1, seconds=0.1)
