"""One phone's connection for its whole life, and who has its transport at the moment.

    idle        between two requests: nothing but this object and the transport
    receiving   a head or a small body is incomplete: its bytes, and a deadline
    leased      aiohttp processes one request, through a transport that can be revoked
    waiting     a Ping waits: one record in the hub

The connection owns the transport. A complete small Ping needs no aiohttp at all. Everything else is
fed to a fresh aiohttp protocol, exactly one request of it, and when that is answered (or turns out
to be a Ping that must wait) the lease ends: aiohttp sees its connection end and frees what it has.
Bytes of a further request wait here until it is their turn, so that answers
leave in order. Only public interfaces of asyncio and aiohttp are used.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from heartbeat.deadlines import Deadlines
from pushgw import telemetry, wire
from pushgw.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

    from pushgw.hub import Hub
    from pushgw.receipts import Receipts
    from pushgw.waiting import Waiting

MAX_AHEAD: Final = 65_536
"""Bytes that a client may send ahead of its answer; then nothing more is read until it has it."""
CHUNK: Final = 500
"""Connections that are ended in one go."""
LAST_WORDS: Final = 1.0
"""Seconds that a phone has for taking in the last answer of a TLS connection."""


class ShortRoad(Protocol):
    """Takes complete small requests."""

    def __call__(self, connection: Connection, request: wire.ShortRequest) -> bool:
        """Take the request; False if it is aiohttp's after all."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may take, in seconds."""

    request: float
    """From the first byte of a request to its last."""
    idle: float
    """Between two requests."""


class Gate:
    """All connections of this process and what they have in common."""

    def __init__(
        self,
        *,
        hub: Hub,
        receipts: Receipts,
        limits: wire.Limits,
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        self.hub = hub
        self.receipts = receipts
        self.limits = limits
        self.patience = patience
        self.clock = clock
        self.short_road: ShortRoad
        self.long_road: web.Server
        self.connections: set[Connection] = set()
        self.leases = 0
        """Connections that aiohttp has at the moment."""
        self.deadlines: Deadlines[Connection] = Deadlines(clock())
        self.is_draining = False

    def serve(self, short_road: ShortRoad, long_road: web.Server) -> None:
        """Take those who answer requests; they and the gate know each other."""
        self.short_road = short_road
        self.long_road = long_road

    def __call__(self) -> Connection:
        """Make the protocol of a new connection."""
        return Connection(self)

    def expire(self, now: float) -> bool:
        """End connections that took too long, a chunk of them; True if there are more."""
        due = self.deadlines.due(now, CHUNK)
        for connection in due:
            connection.expired()
        return len(due) == CHUNK

    def drain(self) -> None:
        """End all connections that are between two requests, and the others after theirs."""
        self.is_draining = True
        for connection in list(self.connections):
            connection.close_if_idle()


class Connection(asyncio.Protocol):
    """The protocol of one connection; see the module."""

    __slots__ = (
        "_buffer",
        "_gate",
        "_has_ended",
        "_http",
        "_keep_alive",
        "_lease",
        "_transport",
        "_until",
        "rested",
        "waiting",
    )

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._transport: asyncio.Transport | None = None
        self._buffer: bytes | None = None
        self._lease: Lease[Connection] | None = None
        self._http: RequestHandler | None = None
        self._keep_alive = True
        self._has_ended = False
        self._until = 0.0
        self.waiting: Waiting | None = None
        """The Ping that waits for its answer; the hub sets it."""
        self.rested: Waiting | None = None
        """The Ping before, if the next one may go on from there; the hub sets it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, idle."""
        self._transport = transport  # type: ignore[assignment]  # stream servers give nothing else
        self._gate.connections.add(self)
        self._allow(self._gate.patience.idle)

    def data_received(self, data: bytes) -> None:
        """Take bytes wherever they belong now."""
        if self._lease is not None:
            self._feed(self._lease, data)
        elif self.waiting is not None:
            self._keep(data)
            self._interrupt()
        elif not self._has_ended:
            self._receive(data if self._buffer is None else self._buffer + data)

    def eof_received(self) -> bool:
        """The phone will send no more: whatever waits for it is over.

        From here on the transport drops what is written, without a word.
        """
        if self._http is not None:
            self._http.eof_received()
        self._gate.receipts.closed(self, cleanly=True)
        self._forget_ping()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Free everything at once."""
        gate = self._gate
        gate.connections.discard(self)
        gate.receipts.closed(self, cleanly=False)
        self._allow(None)
        self._forget_ping()
        self._end_lease(exc)
        self._transport = None
        self._buffer = None

    def pause_writing(self) -> None:
        """Pass the signal on to aiohttp; answers to Pings fit any buffer."""
        if self._http is not None:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        """Pass the signal on to aiohttp."""
        if self._http is not None:
            self._http.resume_writing()

    @property
    def address(self) -> str:
        """Address of the client as text, empty when it is not known any more."""
        peer = self._transport.get_extra_info("peername") if self._transport else None
        return str(peer[0]) if peer else ""

    def answer(self, body: bytes, *, close: bool) -> None:
        """Write the answer to a Ping; the connection is free for its next request."""
        self.waiting = None
        transport = self._transport
        if transport is None:
            return
        ends = close or not self._keep_alive
        transport.write(wire.answer(body, ends=ends))
        if ends:
            self._end()
        else:
            self._begin_idle()

    def refuse(self, refused: wire.Refused) -> None:
        """Answer a request without looking at it further, and end the connection."""
        if self._transport is not None:
            telemetry.REFUSED.labels(refused.metric_label).inc()
            telemetry.answered(
                mailbox="",
                device="",
                command="other",
                code=refused.http_status,
                reason=refused.metric_label,
            )
            self._transport.write(wire.refusal(refused))
            self._end()

    def has_delivered(self) -> bool:
        """Tell if the peer acknowledged all that was written."""
        transport = self._transport
        # A closed transport still tells the number of its socket, which may be another phone's now.
        if transport is None or transport.is_closing() or transport.get_write_buffer_size():
            return False
        socket = transport.get_extra_info("socket")
        left = array.array("i", [0])
        try:
            # TIOCOUTQ is SIOCOUTQ on a TCP socket: bytes not yet acknowledged.
            fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, left)
        except (OSError, ValueError):
            return False
        return left[0] == 0

    def take_back(self, *, keep_alive: bool) -> None:
        """End the lease before its request is answered: the answer comes from elsewhere."""
        # Where only aiohttp knows where the request ended it may have read on, and loses that.
        knows_end = self._lease is not None and self._lease.remaining is not None
        self._keep_alive = keep_alive and knows_end
        self._end_lease(None)

    def released(self) -> None:
        """End the lease of a request that aiohttp has answered."""
        lease = self._lease
        if lease is None or lease.remaining or lease.is_closing():
            return
        self._end_lease(None)
        # Where only aiohttp knew where the request ended it may have read on, and lost that.
        if self._gate.is_draining or lease.remaining is None:
            self._end()
        else:
            self._begin_idle()

    def expired(self) -> None:
        """End a connection that took too long."""
        transport = self._transport
        if transport is None:
            return
        if self._buffer is not None:
            self.refuse(wire.Refused(408, "the request took too long"))
        else:
            self._close(transport)

    def close_if_idle(self) -> None:
        """End a connection that has no request on its way."""
        if self._transport and self.waiting is None and self._lease is None and not self._buffer:
            self._close(self._transport)

    def _receive(self, data: bytes) -> None:
        outcome = wire.read(data, self._gate.limits)
        if outcome == wire.NEED_MORE:
            if self._buffer is None:
                self._allow(self._gate.patience.request)
            self._buffer = data
            return
        self._buffer = None
        self._allow(None)
        if isinstance(outcome, wire.Refused):
            self.refuse(outcome)
        elif isinstance(outcome, wire.ShortRequest):
            self._take_short(outcome, data)
        else:
            self._lend(data, outcome.length)

    def _take_short(self, request: wire.ShortRequest, data: bytes) -> None:
        self._keep_alive = request.keep_alive
        self._buffer = data[request.length :] or None
        if not self._gate.short_road(self, request):
            self._lend(data[: request.length], request.length)
        elif self._buffer is not None:
            self._interrupt()

    def _lend(self, data: bytes, length: int | None) -> None:
        """Give aiohttp one request."""
        if self._transport is None:
            return
        if self.rested is not None:  # whatever is asked may change what the next Ping depends on
            self._gate.hub.forget_rest(self.rested)
        self._lease = lease = Lease(self._transport, self, length)
        self._http = self._gate.long_road()
        self._gate.leases += 1
        self._http.connection_made(lease)
        self._feed(lease, data)

    def _feed(self, lease: Lease[Connection], data: bytes) -> None:
        if self._http is None:
            return
        if lease.remaining is None:
            self._http.data_received(data)
            return
        part = data[: lease.remaining]
        lease.remaining -= len(part)
        if part:
            self._http.data_received(part)
        if len(data) > len(part):
            self._keep(data[len(part) :])

    def _end_lease(self, exc: BaseException | None) -> None:
        http, lease = self._http, self._lease
        if http is None or lease is None:
            return
        self._http = self._lease = None
        self._gate.leases -= 1
        lease.revoke()
        http.connection_lost(exc)

    def _keep(self, data: bytes) -> None:
        """Keep what came ahead of its turn."""
        self._buffer = data if self._buffer is None else self._buffer + data
        if self._lease is not None and len(self._buffer) > MAX_AHEAD:
            # Through the lease: when it ends, the transport reads on.
            self._lease.pause_reading()

    def _interrupt(self) -> None:
        # Answers leave in the order of requests: the Ping gets its own, a legal one, first.
        if self.waiting is not None:
            self._gate.hub.interrupt(self.waiting)

    def _begin_idle(self) -> None:
        if self._buffer is None:
            self._allow(self._gate.patience.idle)
        else:
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        """Take up the request whose bytes came ahead of its turn."""
        if self._buffer is not None and self.waiting is None and self._lease is None:
            data, self._buffer = self._buffer, None
            self._receive(data)

    def _end(self) -> None:
        """Say that nothing more is written; the phone reads what is there, then closes.

        Closing at once would leave nobody to learn whether the answer arrived.
        """
        transport, self._has_ended, self._buffer = self._transport, True, None
        if transport is None:
            return
        if transport.can_write_eof():
            transport.write_eof()
            self._allow(self._gate.patience.request)
        else:
            # TLS cannot end one direction. Told to close, the phone mostly does it first.
            self._allow(LAST_WORDS)

    def _close(self, transport: asyncio.Transport) -> None:
        self._gate.receipts.closed(self, cleanly=True)
        transport.close()

    def _forget_ping(self) -> None:
        if self.waiting is not None:
            self._gate.hub.abandon(self.waiting)
        if self.rested is not None:
            self._gate.hub.forget_rest(self.rested)

    def _allow(self, seconds: float | None) -> None:
        """Set the deadline of this connection anew, or take it away."""
        if self._until:
            self._gate.deadlines.disarm(self, self._until)
        self._until = 0.0 if seconds is None else self._gate.clock() + seconds + 1.0
        if self._until:
            self._gate.deadlines.arm(self, self._until)
