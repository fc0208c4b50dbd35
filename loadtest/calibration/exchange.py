"""A phone made by hand: how many bytes of HTTP a Ping and its answers have."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from loadtest.benching.load import KNOWN
from loadtest.calibration.samples import Exchange
from loadtest.scenario.commands import Ping
from loadtest.wire.requests import Dialect, Identity, request
from notifier.publisher import Publisher

if TYPE_CHECKING:
    from loadtest.targets import Target

_WITHIN: Final = 10.0
_AGAIN: Final = 0.1
"""Seconds between changes until one of them ends the Ping."""
_HEARTBEAT: Final = 480


async def count(target: Target, redis_url: str) -> Exchange | None:
    """Let one Ping end by its interval and another by a change, and count bytes.

    Args:
        target: A gateway without TLS that grants intervals of a second.
        redis_url: Where it hears of changes.

    Returns:
        None if an answer did not come.
    """
    who = Identity("exchange@example.org", "synthetic", "EXCHANGE1")
    dialect = Dialect(
        host=target.name, version="14.1", user_agent="Android/14-EAS-2.0", device_type="Android"
    )
    usual = request(dialect, who, Ping(_HEARTBEAT, KNOWN))
    try:
        async with asyncio.timeout(_WITHIN), Publisher.from_url(redis_url) as publisher:
            over = await _answer(target, request(dialect, who, Ping(1, KNOWN)))
            ping = asyncio.create_task(_answer(target, usual))
            while not ping.done():
                await publisher.publish(who.mailbox, KNOWN[0].watch, class_=KNOWN[0].class_)
                await asyncio.wait([ping], timeout=_AGAIN)
            changed = ping.result()
    except (OSError, TimeoutError):
        return None
    terse = request(dialect, who, Ping(_HEARTBEAT, KNOWN, is_full=False))
    return Exchange(request=len(usual), terse=len(terse), changed=changed, over=over)


async def _answer(target: Target, sent: bytes) -> int:
    """Return the length of the answer to a request: it comes in one piece."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        writer.write(sent)
        return len(await reader.read(1 << 16))
    finally:
        writer.close()
        await writer.wait_closed()
