"""Certificates for a measurement."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from loadtest.calibration import certificates

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(not certificates.can_make(), reason="needs the command openssl")
async def test_a_certificate_fits_its_key(tmp_path: Path) -> None:
    """What is made can be served."""
    made = await certificates.make(tmp_path)

    assert made is not None
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*made)


async def test_without_openssl_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the command is not there, nothing is made."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert not certificates.can_make()
    assert await certificates.make(tmp_path) is None


@pytest.mark.skipif(not certificates.can_make(), reason="needs the command openssl")
async def test_a_failure_makes_none(tmp_path: Path) -> None:
    """Where the files cannot be written, nothing is made."""
    assert await certificates.make(tmp_path / "nowhere") is None
