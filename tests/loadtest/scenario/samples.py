"""Folders and answers that most scenarios are told of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loadtest.scenario.commands import Answer, Document, Watched

Play = Callable[..., list[Any]]
"""What the fixture ``play`` is."""

INBOX = Watched("5", "Email", "INBOX")
CALENDAR = Watched("1", "Calendar", "Calendar")
OVER = Answer(200, Document("Ping", 1))
"""The interval is over."""
CHANGED = Answer(200, Document("Ping", 2, folders=("5",)))
"""The inbox has changed."""
