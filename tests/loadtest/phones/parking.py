"""Parks phones at a server of another process and prints what that costs; see test_memory.py."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import subprocess
import sys
from contextlib import AsyncExitStack
from time import monotonic
from typing import Final, cast

import uvloop

from loadtest import process
from loadtest.figures import Figures
from loadtest.generators import processes
from loadtest.phones.account import Account
from loadtest.phones.connecting import Dialler
from loadtest.phones.fleet import Fleet
from loadtest.phones.witness import Witness
from loadtest.polling import poll
from loadtest.profiles.population import populate
from loadtest.profiles.users import Users
from loadtest.scenario.commands import Habits
from loadtest.targets import LOOPBACK_SOURCES, Target
from pushgw.wbxml import encode, from_xml

FIRST: Final = 1_000
"""Phones that are parked before the others: what is needed once is needed by them."""
AT_ONCE: Final = 8
"""Few, for what connections cost while they are opened would be shared by too few phones here."""
WITHIN: Final = 30.0
"""Seconds until a party is parked."""
_FOLDERS: Final = "".join(
    f"<Add><ServerId>{id_}</ServerId><ParentId>0</ParentId><DisplayName>{name}</DisplayName>"
    f"<Type>{type_}</Type></Add>"
    for id_, name, type_ in (("1", "Calendar", 8), ("5", "Inbox", 2))
)
_HIERARCHY: Final = (
    '<FolderSync xmlns="FolderHierarchy:"><Status>1</Status><SyncKey>1</SyncKey>'
    f"<Changes><Count>2</Count>{_FOLDERS}</Changes></FolderSync>"
)
_CHANGED: Final = (
    '<Ping xmlns="Ping:"><Status>2</Status><Folders><Folder>5</Folder></Folders></Ping>'
)


def _response(document: str = "") -> bytes:
    body = encode(from_xml(document)) if document else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ms-sync.wbxml\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


class Lot(asyncio.Protocol):
    """Serves one phone: names a folder to its first Ping, and holds the second one for ever."""

    answers: Final = (_response(), _response(_HIERARCHY), _response(_CHANGED))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._answers = iter(self.answers)

    def data_received(self, data: bytes) -> None:
        del data  # requests come one by one, each in one piece
        self._transport.write(next(self._answers, b""))


async def serve() -> None:
    """Serve on a free port, which is printed, until the input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Lot, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


async def park(target: Target, devices: int, stack: AsyncExitStack) -> None:
    """Let phones arrive until each of them is held for the second time."""
    rng, figures = random.Random(1), Figures()
    dialler = Dialler((target,), LOOPBACK_SOURCES, None, figures, at_once=AT_ONCE)
    fleet = Fleet(
        populate(Users(), devices=devices, part=0, parts=1, rng=rng),
        [Habits()] * devices,
        dialler=dialler,
        witness=Witness(figures, Account(devices, figures, slo=1.0), settle=0.0),
        errors=figures.errors,
        rng=rng,
    )
    stack.push_async_callback(dialler.close)
    stack.callback(fleet.stop)
    await fleet.arrive(range(devices), 0.0, monotonic())
    is_parked = await poll(
        lambda: figures.counts["pings"] == devices and fleet.held == devices, WITHIN
    )
    assert is_parked, (fleet.states, figures.errors)


async def measure(target: Target, devices: int) -> None:
    """Print how many bytes more the process has for each phone beyond the first ones."""
    async with AsyncExitStack() as stack:
        await park(target, FIRST, stack)
        before = _bytes()
        await park(target, devices, stack)
        sys.stdout.write(f"{(_bytes() - before) / devices}\n")


def _bytes() -> int:
    gc.collect()
    return process.pss_many([os.getpid()])


def main() -> None:
    """Serve, or start a server and measure as many phones as the argument says."""
    processes.tune()
    if sys.argv[1] == "serve":
        uvloop.run(serve())
        return
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        target = Target("127.0.0.1", int(server.stdout.readline()))
        try:
            uvloop.run(measure(target, int(sys.argv[1])))
        finally:
            server.stdin.close()


if __name__ == "__main__":
    main()
