"""The command as an operator calls it: in a process of its own, or within this one."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from loadtest import process
from loadtest.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from loadtest.running import Place

# Arrives, settles and ends within fractions of a second: the profile of most runs here.
QUICK = """
devices = 40
duration = "1s"
settle = "100ms"
grace = "1s"
arrival.rate = "500/s"
changes.rate = "40/s"

[[phones]]
kind = "fixed"
heartbeat = "8m"
"""


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "loadtest", *arguments]


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of a profile whose runs are short."""
    path = tmp_path_factory.mktemp("profiles") / "quick.toml"
    path.write_text(QUICK)
    return str(path)


@pytest.fixture(scope="session")
def call() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command to its end."""

    def called(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*arguments),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "COLUMNS": "", **environment},
        )

    return called


@pytest.fixture
def start() -> Callable[..., AbstractContextManager[subprocess.Popen[str]]]:
    """Starts the command as a terminal does, in a process group of its own; kills what is left."""

    @contextmanager
    def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            _command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **environment},
        ) as process:
            try:
                yield process
            finally:
                process.kill()  # a test that fails in between would wait for it forever

    return started


@pytest.fixture
def invoke() -> Callable[..., Any]:
    """Calls the command within this process: for what ends before anything is started."""

    def invoked(*arguments: str, **options: Any) -> Any:
        return CliRunner().invoke(app, arguments, **options)

    return invoked


@pytest.fixture
def refused(invoke: Callable[..., Any]) -> Callable[..., list[str]]:
    """Calls the command with a wrong order, and returns its errors without their beginning."""

    def found(*arguments: str) -> list[str]:
        before = process.tree(os.getpid())
        result = invoke(*arguments)
        assert 2 == result.exit_code, result.output
        assert not result.stdout
        assert before == process.tree(os.getpid())
        lines = result.stderr.splitlines()
        assert lines
        assert all(line.startswith("error: ") for line in lines)
        return [line.removeprefix("error: ") for line in lines]

    return found


@pytest.fixture
def where(standing: Place) -> tuple[str, ...]:
    """The options that say where the standing gateway is."""
    (target,), (admin,) = standing.targets, standing.admins
    return "--target", f"http://{target.name}", "--admin", admin
