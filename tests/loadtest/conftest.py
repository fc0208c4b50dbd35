"""Small runs with everything real: forked generator processes against a gateway of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from loadtest import ending, running
from loadtest.controller import Audience
from loadtest.profiles.profile import Arrival, Changes, Group, Profile
from loadtest.running import Place
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtest.result import Result

_SERVE = """
import asyncio, json, sys
from pathlib import Path
from loadtest import serving
from loadtest.profiles.profile import Group, Profile
from loadtest.running import Place

ONE = Profile(name="x", devices=1, duration=1, groups=(Group(kind="fixed", heartbeat=(1, 1)),))

async def main():
    async with serving.serve(Place(targets=()), Path(sys.argv[1]), ONE, nodes=1) as place:
        where = [place.targets[0].port, place.publisher_url, place.admins[0], place.pids()]
        print(json.dumps(where), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@pytest.fixture(scope="session")
def standing() -> Iterator[Place]:
    """A gateway and its Valkey, which nobody may disturb."""
    with (
        # Not pytest's own directory: its name can be longer than a socket address may be.
        tempfile.TemporaryDirectory(prefix="loadtest-") as directory,
        subprocess.Popen(
            [sys.executable, "-c", _SERVE, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        port, url, admin, pids = json.loads(process.stdout.readline())
        yield Place(
            targets=(Target("127.0.0.1", port),),
            sources=("127.0.1.1", "127.0.1.2"),
            publisher_url=url,
            admins=(admin,),
            pids=lambda: pids,
        )
        process.stdin.close()


def _profile(**numbers: Any) -> Profile:
    usual: dict[str, Any] = {
        "name": "small",
        "devices": 40,
        "duration": 0.5,
        "arrival": Arrival(rate=2000.0),
        "groups": (Group(kind="fixed"),),
        "changes": Changes(rate=40.0),
        "settle": 0.1,
        "grace": 5.0,
    }
    return Profile(**{**usual, **numbers})


@pytest.fixture(scope="session")
def profile() -> Callable[..., Profile]:
    """Makes profiles of 40 phones and half a second, with other numbers where they are given."""
    return _profile


@dataclass(frozen=True, slots=True)
class Ran:
    """A run, and what its audience was told."""

    result: Result
    shown: list[Any]
    marked: list[str]


def _perform(load: Profile, place: Place, *, processes: int = 1, **engaged: Any) -> Ran:
    shown: list[Any] = []
    marked: list[str] = []
    audience = Audience(show=shown.append, mark=lambda mark: marked.append(mark.text))
    crew = running.engage(processes, **engaged)
    try:
        main = running.perform(load, place, crew, audience, command="loadtest run small")
        return Ran(ending.run(main), shown, marked)
    finally:
        crew.dismiss()


@pytest.fixture(scope="session")
def perform() -> Callable[..., Ran]:
    """Runs a profile at a place, by forked processes or those of lenders."""
    return _perform
