"""Posts changes to the admin listener of a gateway."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from loadtest.publishers.batches import LANES, Batches
from loadtest.publishers.publishing import PublishFailedError, changed, lost

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from notifier.change import Change

PATH: Final = "/v1/changes"
ATTEMPTS: Final = 3
"""Posts of a batch before it is given up."""
LONGEST_PAUSE: Final = 5.0
"""Seconds between two posts, however long the gateway asks to stay away."""
_ANSWER_WITHIN: Final = 10.0
_ACCEPTED: Final = 202
_UNAVAILABLE: Final = 503
_PAUSE: Final = 1.0


class OverHttp:
    """Publishes as a mail backend without Redis does; see ``Publishes``.

    Args:
        url: Of the admin listener; a path of its own takes the place of ``PATH``.
        tls: Whom to trust; the system's authorities if None.
    """

    carries_tags = False

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self._url = url if urlsplit(url).path.strip("/") else url.rstrip("/") + PATH
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=LANES, ssl=tls or True),
            timeout=aiohttp.ClientTimeout(_ANSWER_WITHIN),
            headers={"Content-Type": "application/json"},
        )
        self._batches = Batches(self._send)

    async def publish(self, mailbox: str, folder: str, tag: str) -> None:
        """Post one change, with the others of this loop turn."""
        # The gateway carries the tag along: whoever listens sees which change it was.
        await self._batches.put(replace(changed(mailbox, folder), kind=tag))

    async def close(self) -> None:
        """Close the connections."""
        await self._batches.close()
        await self._session.close()

    async def _send(self, changes: Sequence[Change]) -> None:
        entries = [
            {"mailbox": one.mailbox, "folder": one.folder, "class": one.class_, "kind": one.kind}
            for one in changes
        ]
        body = orjson.dumps({"changes": entries})
        for _ in range(ATTEMPTS - 1):
            pause = await self._post(body)
            if pause is None:
                return
            await asyncio.sleep(pause)
        if await self._post(body) is not None:
            raise PublishFailedError(f"HTTP {_UNAVAILABLE}")

    async def _post(self, body: bytes) -> float | None:
        """Post once; return the seconds after which to try again, None when it was accepted."""
        try:
            async with self._session.post(self._url, data=body) as answer:
                await answer.read()
        except aiohttp.ServerDisconnectedError:
            return 0.0  # it closed a connection that idled
        except aiohttp.ClientConnectorError as error:
            raise lost(error.os_error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise lost(error) from error
        if answer.status == _ACCEPTED:
            return None
        if answer.status != _UNAVAILABLE:
            raise PublishFailedError(f"HTTP {answer.status}")
        return _pause(answer.headers.get("Retry-After", ""))


def _pause(retry_after: str) -> float:
    return min(float(retry_after), LONGEST_PAUSE) if retry_after.isdecimal() else _PAUSE
