"""Nchan is found, served and measured; skipped where it is not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from loadtest.benching.rivals import nchan
from loadtest.servers import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING = nchan.available()
needs_nchan = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")
FIGURES = {
    *("held", "empty_mb", "held_kb", "park_us", "idle_us", "lost", "wake_us", "p50_ms", "p99_ms"),
    *("p999_ms", "max_ms", "storm_us", "asleep", "burst_each_s"),
}


@pytest.fixture
def impostor(tmp_path: Path) -> Callable[[str, str], str]:
    """Puts an nginx of few words where it is looked for."""

    def put(version: str, told: str) -> str:
        path = tmp_path / "nginx"
        path.write_text(
            f"#!{sys.executable}\n"
            "import sys\n"
            f"print({version!r} if sys.argv[1] == '-V' else {told!r}, file=sys.stderr)\n"
            "sys.exit(sys.argv[1] != '-V')\n"
        )
        path.chmod(0o700)
        return str(tmp_path)

    return put


def test_an_nginx_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Without nginx the reason names the packages to install."""
    found = nchan.available(str(tmp_path))

    assert f"nginx is not installed ({nchan.INSTALL})" == found


def test_an_nginx_without_the_module_is_told(
    impostor: Callable[[str, str], str], tmp_path: Path
) -> None:
    """An nginx that lacks the module is told with the file that would be it."""
    found = nchan.available(impostor(f"--prefix=/x --modules-path={tmp_path}/m --y", ""))

    module = tmp_path / "m" / "ngx_nchan_module.so"
    assert f"nginx has no Nchan module, which would be {module} ({nchan.INSTALL})" == found


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("[info] Using memory\nnginx: [emerg] no such\nfailed", "nginx: [emerg] no such"),
        ("Killed", "Killed"),
        ("", "it says nothing"),
    ],
)
def test_an_nginx_that_refuses_is_told(
    impostor: Callable[[str, str], str], tmp_path: Path, told: str, reason: str
) -> None:
    """An nginx that does not take the configuration is told with the line that says why."""
    (tmp_path / "ngx_nchan_module.so").touch()

    found = nchan.available(impostor(f"--modules-path={tmp_path}", told))

    assert f"nginx does not start with Nchan: {reason}" == found


@needs_nchan
async def test_nginx_keeps_to_its_directory() -> None:
    """A running nginx has its pid file in the directory that it was given, and goes with it."""
    with TemporaryDirectory() as name:
        async with nchan.serve(Path(name)) as server:
            server.check()
            pid = int((Path(name) / "nginx.pid").read_text())

        assert server.pid == pid
        with pytest.raises(ServerError, match="nchan ended with status 0"):
            server.check()


@needs_nchan
async def test_all_figures_are_measured() -> None:
    """A small bench gives each figure, holds and wakes all phones, and tells of its phases."""
    said: list[str] = []

    # At this size no mailbox changes twice, so that nothing can be lost between two polls.
    found = await nchan.measure(300, rate=100, seconds=0.3, say=said.append, idle=0.2, window=0.1)

    assert FIGURES == found.figures.keys()
    assert (300, 0, 0) == tuple(found.figures[key] for key in ("held", "lost", "asleep"))
    assert min(found.figures[key] for key in FIGURES - {"lost", "asleep", "idle_us"}) > 0
    assert found.figures["p50_ms"] <= found.figures["max_ms"] < 1000
    assert found.figures["burst_each_s"] < 5
    assert 300 == found.samples[-1].held
    assert 30 == found.latency.count
    assert all(line.startswith("nchan: ") for line in said)


async def test_a_bench_of_nobody_is_refused() -> None:
    """A size that makes no sense is an error before anything starts."""
    with pytest.raises(ValueError, match="devices is 0"):
        await nchan.measure(0, rate=1, seconds=1, say=print)
