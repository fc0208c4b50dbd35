"""Waiting for numbers that change all the time."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERVAL: Final = 0.02


async def poll(is_so: Callable[[], bool], within: float) -> bool:
    """Look until something is so, for some seconds at most; return whether it was."""
    until = monotonic() + within
    while not (found := is_so()) and monotonic() < until:  # noqa: ASYNC110 - a count, no event
        await asyncio.sleep(_INTERVAL)
    return found
