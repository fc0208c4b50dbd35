"""The EAS route: who is it, what is asked, who answers.

Two roads lead here. The short one takes a complete Ping of a phone whose credentials are known and
needs no task. The long one is an aiohttp handler and takes everything; a Ping that arrives on it
gives the transport back and goes on like one of the short road.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from notifier.change import Change, ChangeError
from notifier.ledger import LedgerError
from pushgw import telemetry
from pushgw.accounts import AccessDenied
from pushgw.devices import Device, DevicesError
from pushgw.eas import envelope as envelopes
from pushgw.eas import ping
from pushgw.eas.credentials import login_name, same_user
from pushgw.eas.envelope import Envelope, EnvelopeError
from pushgw.eas.refusal import refusal_for_body
from pushgw.lease import Lease
from pushgw.standalone import Command, Reply
from pushgw.wire import Refused as ShortRefusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushgw.accounts import Door
    from pushgw.connection import Connection
    from pushgw.opening import Opener
    from pushgw.standalone import Standalone
    from pushgw.wire import ShortRequest

PATH: Final = "/Microsoft-Server-ActiveSync"
WBXML: Final = "application/vnd.ms-sync.wbxml"
PLAIN: Final = 320
"""Characters of a login that is not looked at more closely."""
RETRY_AFTER: Final = 5
"""Seconds; after that Redis is usually back."""
FULL: Final = "found no room for another waiting phone, allowed as many as there are files for"
FULL_RETRY: Final = (10, 30)
"""Seconds after which a phone that found no room comes again, drawn evenly so that they do not come
together; most come to another worker or node."""

_log = structlog.get_logger("pushgw.endpoint")


class Refused(Exception):  # noqa: N818 (an answer to a client, not a fault of ours)
    """A request that is not answered with what it asked for."""

    def __init__(
        self,
        http_status: int,
        reason: str,
        text: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.http_status = http_status
        self.reason = reason
        """One fixed word for logs and metrics."""
        self.text = text
        """One line for whoever reads the answer; may be empty."""
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Intake:
    """What a request may take."""

    max_body: int
    """Bytes."""
    patience: float
    """Seconds for its body to arrive."""


class Endpoint:
    """Answers the requests of phones."""

    def __init__(  # noqa: PLR0913 - keywords, each a part of its own
        self,
        *,
        door: Door | None,
        realm: str,
        opener: Opener,
        standalone: Standalone,
        intake: Intake,
        clock: Callable[[], float],
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._door = door
        """None: nobody is asked for credentials, the query's User names the mailbox."""
        self._challenge = {"WWW-Authenticate": f'Basic realm="{realm}", charset="UTF-8"'}
        self._opener = opener
        self._standalone = standalone
        self._intake = intake
        self._clock = clock
        self._is_full = is_full

    def take_short(self, connection: Connection, request: ShortRequest) -> bool:
        """Open a Ping whose sender is known; leave anything else to ``handle``."""
        if request.method != "POST" or request.path != PATH:
            return False
        now = self._clock()
        try:
            envelope = envelopes.parse(request.query, request.headers)
            if envelope.command != "Ping":
                return False
            login = self._known(request.headers.get("authorization"), envelope, now)
            if login is None or not same_user(envelope.user, login):
                return False
            wanted = ping.parse_cached(request.body)
        except (EnvelopeError, ping.PingError):
            return False
        if self._is_full():
            connection.refuse(ShortRefusal(503, FULL, _later()))
        else:
            self._opener.begin(connection, Device(login, envelope.device_id), wanted, now)
        return True

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request; the handler of aiohttp's server."""
        lease = request.transport
        if not isinstance(lease, Lease):
            return web.Response()  # the client has gone
        connection: Connection = lease.lender
        try:
            reply = await self._answer(request, connection)
        except Refused as refused:
            reply = self._refusal(refused)
        if lease.is_closing():
            # Gone, or a Ping that waits elsewhere: aiohttp finds its connection closed, writes
            # nothing and frees everything.
            return reply
        return await self._send(request, connection, reply)

    async def _answer(self, request: web.BaseRequest, connection: Connection) -> web.Response:
        if request.path != PATH:
            raise Refused(404, "path", f"found {request.path[:64]!r}, allowed {PATH}")
        if request.method not in {"POST", "OPTIONS"}:
            raise Refused(405, "method", "", {"Allow": "OPTIONS, POST"})
        received = self._clock()
        if request.method == "OPTIONS":
            await self._login(request, connection, None)
            telemetry.answered(mailbox="", device="", command="OPTIONS", code=200)
            return web.Response(headers=dict(envelopes.options_headers()))
        envelope = self._envelope(request)
        login = await self._login(request, connection, envelope)
        body = await self._body(request)
        device = Device(login, envelope.device_id)
        if envelope.command == "Ping":
            return self._ping(request, connection, (device, envelope, body, received))
        return await self._command(Command(device, envelope, body), received)

    def _envelope(self, request: web.BaseRequest) -> Envelope:
        _, _, query = request.raw_path.partition("?")
        try:
            return envelopes.parse(query, request.headers)
        except EnvelopeError as error:
            raise Refused(error.http_status, error.metric_label, str(error)) from None

    def _known(self, authorization: str | None, envelope: Envelope, now: float) -> str | None:
        """Name the mailbox of a request if that can be told at once."""
        if self._door is None:
            login: str | None = login_name(envelope.user or "")
        else:
            login = None if authorization is None else self._door.known(authorization, now)
        return login if login and _is_plain(login) else None

    async def _login(
        self, request: web.BaseRequest, connection: Connection, envelope: Envelope | None
    ) -> str:
        """Name the mailbox of a request, however long it takes to find out."""
        if self._door is None:
            return self._claimed(envelope)
        authorization = request.headers.get("Authorization")
        try:
            login = await self._door.admit(authorization, connection.address, self._clock())
        except AccessDenied as denied:
            headers = self._challenge
            if denied.retry_after is not None:
                headers = {"Retry-After": str(denied.retry_after)}
            raise Refused(denied.http_status, denied.metric_label, "", headers) from None
        if envelope is not None and not same_user(envelope.user, login):
            raise Refused(403, "other_user", "found a User that is not the one who logged in")
        mailbox = _mailbox(login)
        if mailbox is None:
            raise Refused(403, "mailbox", "found a login that cannot name a mailbox")
        return mailbox

    def _claimed(self, envelope: Envelope | None) -> str:
        if envelope is None:
            return ""
        mailbox = _mailbox(login_name(envelope.user or ""))
        if mailbox is None:
            raise Refused(
                400, "mailbox", "found no User in the query, allowed one that names a mailbox"
            )
        return mailbox

    async def _body(self, request: web.BaseRequest) -> bytes:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._intake.patience):
                async for part in request.content.iter_any():
                    size += len(part)
                    if size > self._intake.max_body:
                        text = (
                            f"found a longer body; allowed: at most {self._intake.max_body} bytes"
                        )
                        raise Refused(413, "body_size", text)
                    parts.append(part)
        except TimeoutError:
            text = f"found no end of the body; allowed: {self._intake.patience:g} s"
            raise Refused(408, "slow_body", text) from None
        return b"".join(parts)

    def _ping(
        self,
        request: web.BaseRequest,
        connection: Connection,
        arrival: tuple[Device, Envelope, bytes, float],
    ) -> web.Response:
        device, envelope, body, received = arrival
        try:
            wanted = ping.parse_cached(body)
        except ping.PingError as error:
            http_status, document = refusal_for_body("Ping", envelope.version, error.status)
            _log.debug("body_refused", command="Ping", reason=str(error))
            reply = Reply(http_status, document, "malformed")
            return self._told(Command(device, envelope, body), reply, received, error.status)
        if self._is_full():
            headers = {"Retry-After": str(_later()), "Connection": "close"}
            raise Refused(503, "full", FULL, headers)
        connection.take_back(keep_alive=request.keep_alive)
        self._opener.begin(connection, device, wanted, received)
        return web.Response()

    async def _command(self, command: Command, received: float) -> web.Response:
        try:
            reply = await self._standalone.answer(command)
        except (DevicesError, LedgerError) as error:
            headers = {"Retry-After": str(RETRY_AFTER)}
            raise Refused(503, "redis_away", str(error), headers) from None
        return self._told(command, reply, received)

    def _told(
        self, command: Command, reply: Reply, received: float, status: int | None = None
    ) -> web.Response:
        telemetry.answered(
            mailbox=command.device.mailbox,
            device=command.device.id,
            command=command.envelope.command,
            code=reply.http_status,
            status=status,
            held_seconds=self._clock() - received,
            reason=reply.reason,
        )
        kind = WBXML if reply.http_status == HTTPStatus.OK else "text/plain"
        return web.Response(status=reply.http_status, body=reply.body, content_type=kind)

    def _refusal(self, refused: Refused) -> web.Response:
        telemetry.REFUSED.labels(refused.reason).inc()
        telemetry.answered(
            mailbox="",
            device="",
            command="other",
            code=refused.http_status,
            reason=refused.reason,
        )
        text = f"{refused.text}\n" if refused.text else None
        reply = web.Response(status=refused.http_status, text=text, headers=refused.headers)
        if "Connection" in refused.headers:
            reply.force_close()
        return reply

    async def _send(
        self, request: web.BaseRequest, connection: Connection, response: web.Response
    ) -> web.Response:
        """Write the answer completely, so that the lease can end before aiohttp waits for more."""
        if not request.content.at_eof():
            response.force_close()
        await response.prepare(request)
        await response.write_eof()
        if response.keep_alive:
            asyncio.get_running_loop().call_soon(connection.released)
        return response


def _later() -> int:
    return random.randint(*FULL_RETRY)  # noqa: S311 (spreads phones, hides nothing)


def _is_plain(login: str) -> bool:
    """Tell cheaply that a login can name a mailbox; of others ``_mailbox`` decides."""
    return login.isprintable() and "{" not in login and "}" not in login and len(login) <= PLAIN


def _mailbox(login: str) -> str | None:
    """Check that a login can name a mailbox, which is what changes are published for."""
    try:
        return Change(login, "").mailbox
    except ChangeError:
        return None
