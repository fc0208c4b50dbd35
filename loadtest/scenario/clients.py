"""The documented clients, one function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.scenario.hanging import hanging
from loadtest.scenario.memory import Memory
from loadtest.scenario.pace import AOSP, AOSP_2012, FIXED, WINDOWS_MOBILE
from loadtest.scenario.pinging import pinging

if TYPE_CHECKING:
    from loadtest.scenario.commands import Habits, Script


def fixed(habits: Habits, jitter: float) -> Script:
    """Ping with the same heartbeat always."""
    return pinging(Memory(habits, jitter, FIXED, syncs=habits.syncs))


def aosp(habits: Habits, jitter: float) -> Script:
    """Behave like Android's own client since 2013.

    Source: AOSP EasPing.
    """
    return pinging(Memory(habits, jitter, AOSP, syncs=habits.syncs))


def aosp_2012(habits: Habits, jitter: float) -> Script:
    """Behave like Android's own client before that.

    Source: AOSP EasSyncService.
    """
    return pinging(Memory(habits, jitter, AOSP_2012, syncs=habits.syncs))


def windows_mobile(habits: Habits, jitter: float) -> Script:
    """Behave like Windows Mobile with the Messaging and Security Feature Pack (MSFP).

    Source: MSFP cc182270.
    """
    return pinging(Memory(habits, jitter, WINDOWS_MOBILE, syncs=habits.syncs))


def ios(habits: Habits, jitter: float) -> Script:
    """Ping and Sync in turn on one connection, as iOS does.

    No source gives its heartbeat or how it adapts: the heartbeat stays.
    """
    return pinging(Memory(habits, jitter, FIXED, syncs=True))


def hanging_sync(habits: Habits, jitter: float) -> Script:
    """Wait with a Sync (HeartbeatInterval) instead of Pings."""
    return hanging(Memory(habits, jitter, FIXED, syncs=True))
