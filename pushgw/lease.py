"""The transport that aiohttp gets: good for one request, revoked when it is needed back."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

Lender = TypeVar("Lender")


class Lease(asyncio.Transport, Generic[Lender]):
    """What aiohttp takes for its transport. Revoked, it swallows every call."""

    __slots__ = ("_is_paused", "_owner", "lender", "remaining")

    def __init__(self, owner: asyncio.Transport, lender: Lender, remaining: int | None) -> None:
        super().__init__()
        self._owner: asyncio.Transport | None = owner
        self._is_paused = False
        self.lender = lender
        """The connection that owns the transport."""
        self.remaining = remaining
        """Bytes of the request that are still to come; None if only its parser can tell."""

    def revoke(self) -> None:
        """Let go of the transport, which reads as it did before."""
        if self._owner and self._is_paused:
            self._owner.resume_reading()
        self._owner = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Ask the transport."""
        return self._owner.get_extra_info(name, default) if self._owner else default

    def is_closing(self) -> bool:
        """Tell if nothing can be written any more."""
        return self._owner is None or self._owner.is_closing()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Write to the transport."""
        if self._owner:
            self._owner.write(data)

    def writelines(self, list_of_data: Any) -> None:
        """Write to the transport."""
        if self._owner:
            self._owner.writelines(list_of_data)

    def close(self) -> None:
        """Close the connection after what is written."""
        if self._owner:
            self._owner.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._owner:
            self._owner.abort()

    def pause_reading(self) -> None:
        """Stop reading from the socket."""
        if self._owner:
            self._is_paused = True
            self._owner.pause_reading()

    def resume_reading(self) -> None:
        """Read from the socket again."""
        if self._owner:
            self._is_paused = False
            self._owner.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Choose when writing pauses."""
        if self._owner:
            self._owner.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Count the bytes that the socket has not taken yet."""
        return self._owner.get_write_buffer_size() if self._owner else 0
