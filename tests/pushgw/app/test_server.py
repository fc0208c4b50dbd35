"""What a server says at its start."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from pushgw.app import server
from pushgw.app.plan import make
from pushgw.room import Host
from pushgw.settings import Server, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pushgw.app.plan import Plan


@pytest.fixture
def plan() -> Iterator[Plan]:
    settings = Settings(server=Server(listen="127.0.0.1:0", admin_listen="127.0.0.1:0", workers=2))
    with contextlib.ExitStack() as stack:
        yield make(settings, stack)


def told(plan: Plan, host: Host) -> list[Any]:
    with capture_logs() as events:
        server._tell_room(plan, host)
    return events


def test_the_room_is_told_with_its_figures(plan: Plan) -> None:
    """One event has the phones of all workers and of each, the files, the reserve and why."""
    room = plan.room

    (event,) = told(plan, Host())

    text = event.pop("text")
    assert event == {
        "event": "room",
        "log_level": "info",
        "phones": 2 * room.phones,
        "per_worker": room.phones,
        "files": room.files,
        "reserved": 500,
        "workers": 2,
    }
    assert text.startswith(f"2 workers hold at most {2 * room.phones:,} phones: ")


def test_each_limit_of_the_host_is_a_warning(plan: Plan) -> None:
    """A limit that is too low is told with what was found, what is wanted and the command."""
    _, first, second = told(plan, Host(somaxconn=50, files_max=99))

    wanted = 2 * plan.settings.server.workers * min(plan.room.phones, 20_000)
    found = [(one["event"], one["log_level"], one["name"]) for one in (first, second)]
    assert [
        ("host_limit", "warning", "net.core.somaxconn"),
        ("host_limit", "warning", "fs.file-max"),
    ] == found
    assert (50, 4096) == (first["found"], first["wanted"])
    assert (99, wanted, f"sysctl -w fs.file-max={wanted}") == (
        second["found"],
        second["wanted"],
        second["command"],
    )
