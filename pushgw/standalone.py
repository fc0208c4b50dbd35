"""The commands that the gateway answers by itself, with no EAS server behind it.

Enough for a phone to provision, to see its folders and to be told of changes. What needs a mailbox
(Sync and all the others) does not exist here.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from notifier.change import HIERARCHY
from pushgw.devices import Fresh
from pushgw.eas import device_information, folders, provision
from pushgw.eas.body import BodyError
from pushgw.eas.refusal import refusal_for_body
from pushgw.session import mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notifier.ledger import Ledger
    from pushgw.devices import Device, Devices
    from pushgw.eas.envelope import Envelope

_log = structlog.get_logger("pushgw.standalone")


@dataclass(frozen=True, slots=True)
class Command:
    """A request whose sender is known and whose body has been read."""

    device: Device
    envelope: Envelope
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command is answered with."""

    http_status: int
    body: bytes = b""
    """A WBXML document with status 200, otherwise one line of text or nothing."""
    reason: str | None = None
    """Why it was refused: one fixed word."""


class _Handler(Protocol):
    async def __call__(self, command: Command) -> bytes: ...


class Standalone:
    """Answers Provision, Settings and FolderSync from Redis alone."""

    def __init__(self, devices: Devices, ledger: Ledger) -> None:
        self._devices = devices
        self._ledger = ledger
        self._handlers: Mapping[str, _Handler] = {
            "FolderSync": self._folder_sync,
            "Provision": self._provision,
            "Settings": self._settings,
        }

    async def answer(self, command: Command) -> Reply:
        """Answer one command.

        Raises:
            DevicesError, LedgerError: Redis is away; nothing was done.
        """
        name, version = command.envelope.command, command.envelope.version
        handler = self._handlers.get(name)
        if handler is None:
            allowed = ", ".join((*self._handlers, "Ping"))
            text = f"found command {name}, allowed without an EAS server behind: {allowed}\n"
            return Reply(501, text.encode(), "unsupported")
        try:
            return Reply(200, await handler(command))
        except BodyError as error:
            http_status, body = refusal_for_body(name, version, error.status)
            _log.debug("body_refused", command=name, reason=str(error))
            return Reply(http_status, body, "malformed")

    async def _folder_sync(self, command: Command) -> bytes:
        key = folders.parse(command.body)
        known, fields = await self._devices.hierarchy(command.device)
        # The ledger is read before the answer is built: what is recorded later is news again.
        epoch = await self._ledger.epoch()
        numbers, classes = await self._ledger.everything(command.device.mailbox)
        outcome = folders.folder_sync(key, known, {name: classes.get(name) for name in numbers})
        if outcome.hierarchy is not None:
            listed = () if known is None else known.listed
            new = (
                numbers if outcome.is_initial else set(outcome.hierarchy.listed).difference(listed)
            )
            await self._devices.save_hierarchy(
                command.device,
                outcome.hierarchy,
                {name: mark(numbers.get(name, 0), epoch) for name in {HIERARCHY, *new}},
                Fresh(epoch, fields) if outcome.is_initial else None,
            )
        return outcome.body

    async def _provision(self, command: Command) -> bytes:
        request = provision.parse(command.body)
        keys = await self._devices.policy_keys(command.device)
        fresh_key = secrets.randbelow(0xFFFF_FFFF) + 1
        outcome = provision.provision(request, keys, command.envelope.version, fresh_key)
        await self._devices.save_provision(command.device, outcome.keys, outcome.device_information)
        return outcome.body

    async def _settings(self, command: Command) -> bytes:
        request = device_information.parse(command.body)
        if request.device_information is not None:
            await self._devices.save_information(command.device, request.device_information)
        return device_information.respond(request, command.envelope.version)
