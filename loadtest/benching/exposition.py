"""What a gateway tells of itself: its metrics as text, fetched once for several figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from loadtest.benching.load_process import LoadError
from loadtest.scrape import ANSWER_WITHIN, metrics_url

if TYPE_CHECKING:
    from loadtest.targets import Target

_PER_WORKER: Final = "pushgw_held_pings_per_worker"


async def fetch(admin: Target) -> str:
    """Return the metrics of a gateway in the text format.

    Args:
        admin: Its admin listener.

    Raises:
        LoadError: If it does not tell.
    """
    url = metrics_url(f"http://{admin.name}")
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            answer.raise_for_status()
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise LoadError(f"found no metrics at {url}: {error}") from None


def balance(text: str) -> float | None:
    """Return what the fullest worker holds, divided by the mean of all; 1 is even.

    Args:
        text: Metrics in the text format.

    Returns:
        None if the gateway does not tell, or holds nothing.

    Raises:
        ValueError: If it is no text format.
    """
    lines = [line for line in text.splitlines() if line.startswith(_PER_WORKER)]
    families = text_string_to_metric_families("\n".join(lines))
    held = [sample.value for family in families for sample in family.samples]
    return max(held) * len(held) / sum(held) if any(held) else None
