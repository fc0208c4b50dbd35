"""Opens the connections of the phones of one process.

Connections come from several source addresses, because one address has only some 28,000 ports for
each target; the kernel chooses the port when it knows the target (IP_BIND_ADDRESS_NO_PORT).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtest.figures import Figures
    from loadtest.phones.phone import Phone
    from loadtest.phones.twin import Twin
    from loadtest.targets import Target

AT_ONCE: Final = 512
"""Connections of one process on their way at the same time; the next ones wait for a place."""
TIMEOUT: Final = 20.0
"""Seconds for TCP and TLS together. Source: AOSP EasServerConnection."""
_PAUSE: Final = 0.01
"""Seconds until a phone hears of a failure. Some take no time at all, and a broken phone may
want its next connection at once: that must not keep the process from everything else."""
_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Source: Linux, linux/in.h; Python's socket module has no name for it."""


class ConnectError(Exception):
    """No connection; the text is the kind of failure, for the table of errors."""


def tls_context(*, authority: str | None, is_checked: bool) -> ssl.SSLContext:
    """Build what phones use for https targets.

    Args:
        authority: PEM file of the certificates to trust beside the system's.
        is_checked: False accepts any certificate.

    Raises:
        ValueError: If the file cannot be read.
    """
    context = ssl.create_default_context()
    if not is_checked:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if authority is not None:
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise ValueError(f"--tls-ca {authority}: {error.strerror or error}") from error
    return context


class Dialler:
    """Connects phones to targets.

    Args:
        targets: Phones take them in turn, by their number.
        sources: Addresses of this host to come from; empty leaves it to the kernel.
        tls: For https targets; None where there is none.
        figures: Where durations go.
        at_once: Connections on their way at the same time.
        timeout: Seconds for each.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        sources: Sequence[str],
        tls: ssl.SSLContext | None,
        figures: Figures,
        *,
        at_once: int = AT_ONCE,
        timeout: float = TIMEOUT,
    ) -> None:
        self._targets = tuple(targets)
        self._sources = tuple(sources)
        self._tls = tls
        self._figures = figures
        self._moved: dict[int, Target] = {}
        self._addresses: dict[Target, tuple[int, tuple[str, int]]] = {}
        self._resolving = asyncio.Lock()
        self._wanted: deque[Phone | Twin] = deque()
        self._timeout = timeout
        self._free = at_once
        self._opened = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def target_of(self, phone: int) -> Target:
        """Return where a phone goes."""
        return self._moved.get(phone) or self._targets[phone % len(self._targets)]

    def move(self, phone: int, target: Target) -> None:
        """Let a phone go elsewhere from now on."""
        self._moved[phone] = target

    def connect(self, caller: Phone | Twin) -> None:
        """Open a connection soon; ends in the caller's connection_made or unreachable."""
        self._wanted.append(caller)
        if self._free:
            self._free -= 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is on its way."""
        self._wanted.clear()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _work(self) -> None:
        """Connect one after the other until nobody waits."""
        try:
            while self._wanted:
                caller = self._wanted.popleft()
                try:
                    await self._open(caller)
                except ConnectError as error:
                    await asyncio.sleep(_PAUSE)
                    caller.unreachable(str(error))
        finally:
            self._free += 1

    async def _open(self, caller: Phone | Twin) -> None:
        """Connect to the caller's target.

        Raises:
            ConnectError: If that does not succeed.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._connect(caller, self.target_of(caller.number))
        except TimeoutError:
            raise ConnectError("connect timeout") from None
        except ConnectionRefusedError:
            raise ConnectError("connection refused") from None
        except ConnectionResetError:
            raise ConnectError("connect: reset") from None
        except ssl.SSLError as error:
            raise ConnectError(f"TLS: {error.reason or 'failed'}") from None
        except OSError as error:
            raise ConnectError(f"connect: {error.strerror or error}") from None
        except UnicodeError:
            raise ConnectError("connect: the name cannot be looked up") from None

    async def _connect(self, caller: Phone | Twin, target: Target) -> None:
        if target.is_tls and self._tls is None:  # a redirect led there
            raise ConnectError("TLS: no target of this run was https")
        loop, figures = asyncio.get_running_loop(), self._figures
        family, address = self._addresses.get(target) or await self._resolve(target)
        began = monotonic()
        connection = await self._tcp(family, address)
        connected = monotonic()
        figures.record("connect", connected - began)
        figures.counts["connects"] += 1
        # From here on the loop owns the socket, also if TLS fails.
        await loop.create_connection(
            lambda: caller,
            sock=connection,
            ssl=self._tls if target.is_tls else None,
            server_hostname=target.host if target.is_tls else None,
        )
        if target.is_tls:
            figures.record("tls", monotonic() - connected)

    async def _tcp(self, family: int, address: tuple[str, int]) -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            self._bind(connection)
            await asyncio.get_running_loop().sock_connect(connection, address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _bind(self, connection: socket.socket) -> None:
        if self._sources:
            self._opened += 1
            connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            connection.bind((self._sources[self._opened % len(self._sources)], 0))

    async def _resolve(self, target: Target) -> tuple[int, tuple[str, int]]:
        """Look a target up, once for all phones."""
        async with self._resolving:
            if target not in self._addresses:
                found = await asyncio.get_running_loop().getaddrinfo(
                    target.host, target.port, type=socket.SOCK_STREAM
                )
                family, *_, address = found[0]
                self._addresses[target] = int(family), (str(address[0]), int(address[1]))
            return self._addresses[target]
