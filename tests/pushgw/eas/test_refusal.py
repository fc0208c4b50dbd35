from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushgw.eas import refusal
from pushgw.eas.refusal import StatusCode

VECTORS = {
    one["id"]: bytes.fromhex(one["hex"])
    for one in json.loads(
        (Path(__file__).parents[2] / "vectors" / "eas.json").read_text(encoding="utf-8")
    )["wbxml"]
}


@pytest.mark.parametrize(
    ("vector", "command", "status"),
    [
        ("foldersync-resp-140", "FolderSync", StatusCode.REMOTE_WIPE_REQUESTED),
        ("foldersync-resp-129", "FolderSync", StatusCode.DEVICE_IS_BLOCKED_FOR_THIS_USER),
        ("settings-resp-126", "Settings", StatusCode.USER_DISABLED_FOR_SYNC),
        ("sync-resp-12", "Sync", 12),
        ("ping-resp-8", "Ping", 8),
    ],
)
def test_document_is_the_root_with_a_status(vector: str, command: str, status: int) -> None:
    """A refusal is the command's root element with nothing but the Status."""
    actual = refusal.refusal(command, status)

    assert VECTORS[vector] == actual


def test_command_without_document_has_no_refusal() -> None:
    """GetAttachment has no document that could carry a status."""
    with pytest.raises(ValueError, match="found command 'GetAttachment'"):
        refusal.refusal("GetAttachment", 137)


def test_every_status_is_explained() -> None:
    """Each status code has its line of explanation."""
    assert set(StatusCode) == set(refusal.EXPLANATIONS)


def test_since_14_a_status_stands_in_the_document() -> None:
    """From 14.0 on a body that cannot be decoded gets 200 and status 102."""
    expected = (200, refusal.refusal("Ping", 102))

    actual = refusal.refusal_for_body("Ping", "14.0", StatusCode.INVALID_WBXML)

    assert expected == actual


def test_a_status_of_the_command_stands_in_the_document_in_every_version() -> None:
    """Ping status 4 is as old as Ping and needs no HTTP status to stand for it."""
    expected = (200, refusal.refusal("Ping", 4))

    actual = refusal.refusal_for_body("Ping", "2.5", 4)

    assert expected == actual


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (StatusCode.INVALID_WBXML, 400),
        (StatusCode.INVALID_XML, 400),
        (StatusCode.SERVER_ERROR_RETRY_LATER, 503),
        (StatusCode.USER_DISABLED_FOR_SYNC, 403),
        (StatusCode.COMMAND_NOT_SUPPORTED, 501),
        (StatusCode.DEVICE_NOT_PROVISIONED, 449),
    ],
)
def test_before_14_an_http_status_stands_for_it(status: StatusCode, expected: int) -> None:
    """Up to 12.1 the HTTP status speaks and the body is empty."""
    actual = refusal.refusal_for_body("Sync", "12.1", status)

    assert (expected, b"") == actual


def test_command_without_document_is_refused_by_http_status() -> None:
    """A command that has no document is refused by HTTP status in every version."""
    actual = refusal.refusal_for_body("GetAttachment", "14.1", StatusCode.COMMAND_NOT_SUPPORTED)

    assert (501, b"") == actual


def test_no_passing_fault_is_a_500() -> None:
    """Several 500s make iOS reload the account, so no status is answered with one."""
    assert 500 not in refusal.HTTP_STATUSES.values()
