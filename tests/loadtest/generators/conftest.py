"""A small real server, and the part of one process in a run against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestServer

from loadtest.benching.rivals.aiohttp_hold import build
from loadtest.generators.assignment import Assignment
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from loadtest.profiles.profile import Profile


@dataclass(frozen=True, slots=True)
class Rival:
    """A running server that holds Pings, and where it hears of changes."""

    target: Target
    redis_url: str

    def assignment(self, load: Profile, **others: Any) -> Assignment:
        """Return the assignment of the only process of a run."""
        usual: dict[str, Any] = {
            "run": "run",
            "part": 0,
            "parts": 1,
            "devices": load.devices,
            "targets": (self.target,),
            "publisher_url": self.redis_url,
        }
        return Assignment(profile=load, **{**usual, **others})


@pytest.fixture
async def rival(valkey_url: str, profile: Callable[..., Profile]) -> AsyncIterator[Rival]:
    """A server of this loop."""
    async with TestServer(build(valkey_url)) as server:
        assert server.port is not None
        yield Rival(Target("127.0.0.1", server.port), valkey_url)
