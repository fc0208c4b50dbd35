"""Mailbox changes over HTTP: ``POST /v1/changes``, for backends that do not speak Redis.

Rule: 202 is a promise. It is sent when the changes are in Redis, never before.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web

from notifier.change import ChangeError, parse_changes
from notifier.ledger import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.ledger import Ledger

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""Room for 10,000 changes with names of some hundred bytes each."""
BODY_TIMEOUT: Final = 30.0
"""Seconds within which a body must have arrived; nginx and Apache wait 60 and 20."""


def routes(
    ledger: Ledger, clock_ms: Callable[[], float], *, body_timeout: float = BODY_TIMEOUT
) -> list[web.RouteDef]:
    """Return the routes through which backends publish; they ask for no credentials.

    Args:
        ledger: Where changes are recorded.
        clock_ms: Unix milliseconds, read once per request.
        body_timeout: Seconds within which a body must have arrived.
    """

    async def publish(request: web.Request) -> web.Response:
        if not _is_json(request):
            return _error(415, f"found {request.content_type}, allowed application/json")
        try:
            async with asyncio.timeout(body_timeout):
                body = await _read(request)
        except TimeoutError:
            return _error(408, f"found no end of the body, allowed {body_timeout:g} s")
        try:
            sequences = await ledger.record(parse_changes(body), clock_ms())
        except ChangeError as error:
            return _mistakes(error)
        except LedgerError as error:
            return _unavailable(error)
        return _json(202, {"recorded": len(sequences), "sequences": sequences})

    return [web.post("/v1/changes", publish)]


def _is_json(request: web.Request) -> bool:
    kind = request.content_type
    return (
        "Content-Type" not in request.headers
        or kind == "application/json"
        or kind.endswith("+json")
    )


async def _read(request: web.Request) -> bytes:
    """Read a body of at most `MAX_BODY_BYTES`, whatever the application's own limit is."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large(request.content_length or 0)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_large(len(body))
    return bytes(body)


def _too_large(found: int) -> web.HTTPRequestEntityTooLarge:
    answer = {"error": f"found a body of {found} bytes or more, allowed {MAX_BODY_BYTES}"}
    return web.HTTPRequestEntityTooLarge(
        MAX_BODY_BYTES,
        found,
        text=orjson.dumps(answer).decode(),
        content_type="application/json",
    )


def _mistakes(error: ChangeError) -> web.Response:
    first, *others = error.mistakes
    line = f"{first} (and {len(others)} more)" if others else first
    return _json(error.http_status, {"error": line, "mistakes": error.mistakes})


def _unavailable(error: LedgerError) -> web.Response:
    answer = _error(error.http_status, str(error))
    answer.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return answer


def _error(status: int, line: str) -> web.Response:
    return _json(status, {"error": line})


def _json(status: int, document: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/json")
