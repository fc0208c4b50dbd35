"""A certificate for the gateway of a measurement, made by the command ``openssl``."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def can_make() -> bool:
    """Whether ``openssl`` is there."""
    return shutil.which("openssl") is not None


async def make(directory: Path) -> tuple[Path, Path] | None:
    """Make a certificate for 127.0.0.1 that holds for a day, with a key on the curve P-256.

    Args:
        directory: Where the files go.

    Returns:
        Certificate and key; None where ``openssl`` is not there or fails.
    """
    if not can_make():
        return None
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    process = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"),
        *("-out", str(certificate), "-keyout", str(key)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return (certificate, key) if await process.wait() == 0 else None
