"""What an operator may set. Only the program's roots, app and cli, import this."""

from __future__ import annotations

from pushgw.settings.loading import Loaded, SettingsError, load, masked, tls_context
from pushgw.settings.sections import (
    Auth,
    Heartbeat,
    Limits,
    Log,
    Redis,
    Server,
    Settings,
    address,
)

__all__ = [
    "Auth",
    "Heartbeat",
    "Limits",
    "Loaded",
    "Log",
    "Redis",
    "Server",
    "Settings",
    "SettingsError",
    "address",
    "load",
    "masked",
    "tls_context",
]
