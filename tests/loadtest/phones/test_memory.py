"""What a parked phone costs, with everything real but the server."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

PHONES = 3_000
"""Beside a thousand that are parked before them."""
FILES = 4_500
PROMISED = 2_500
"""Bytes of user memory."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < FILES, reason=f"needs {FILES} open files"
)
def test_a_parked_phone_costs_what_is_promised() -> None:
    """A phone that has had an answer and waits for the next takes at most 2.5 KB of its process."""
    command = [sys.executable, str(Path(__file__).with_name("parking.py")), str(PHONES)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert (0, "") == (found.returncode, found.stderr)
    assert 500 < float(found.stdout) <= PROMISED
