"""Full collections, asked for over the sockets of real control servers."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadtest.benching import collecting
from loadtest.benching.load_process import LoadError
from pushgw.admin.control import WorkerState, serve_control, socket_path

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def state() -> WorkerState:
    return WorkerState(pid=7, held=3, connections=4, draining=False, redis=True)


async def test_each_worker_collects(run_dir: Path) -> None:
    """The longest of all workers' collections is told, in seconds."""
    async with AsyncExitStack() as stack:
        for index in range(2):
            await stack.enter_async_context(serve_control(socket_path(run_dir, index), state))

        assert 0 < await collecting.longest(run_dir, 2) < collecting.WITHIN


async def test_worker_that_is_gone_is_an_error(run_dir: Path) -> None:
    """A worker that does not answer is an error that names its socket."""
    with pytest.raises(LoadError, match=r"found no answer at .*worker-0\.sock"):
        await collecting.longest(run_dir, 1)
