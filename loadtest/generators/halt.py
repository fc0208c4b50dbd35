"""A sleep that ends early when everything is to stop."""

from __future__ import annotations

import asyncio
from time import monotonic


class Halt:
    """Ends the sleep of all that sleep by it. Make it in a running loop."""

    def __init__(self) -> None:
        self._called = asyncio.get_running_loop().create_future()

    @property
    def is_called(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._called.done()

    def call(self) -> None:
        """End all sleep, that to come as well; again is harmless."""
        if not self._called.done():
            self._called.set_result(None)

    async def sleep_until(self, at: float) -> bool:
        """Sleep until a time of the monotonic clock; return False if the halt came before.

        The loop's timers are exact to a millisecond, and may be early by as much.
        """
        left = at - monotonic()
        if left > 0 and not self._called.done():
            await asyncio.wait((self._called,), timeout=left)
        return not self._called.done()
