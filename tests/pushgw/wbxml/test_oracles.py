"""libwbxml, which SOGo uses, as a judge of bytes and names that is not ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pushgw.wbxml import decode, element, encode, from_xml, to_xml
from pushgw.wbxml.pages import PAGES_BY_NAME

pytestmark = pytest.mark.skipif(
    not (shutil.which("wbxml2xml") and shutil.which("xml2wbxml")),
    reason="wbxml2xml and xml2wbxml of libwbxml2-utils are not installed",
)

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "eas.json").read_text("utf-8")
)["wbxml"]
PROLOG = (
    '<?xml version="1.0"?><!DOCTYPE ActiveSync PUBLIC "-//MICROSOFT//DTD ActiveSync//EN"'
    ' "http://www.microsoft.com/">'
)
# Pages on which libwbxml 0.11.8 spells every tag as the specification does now.
SAME_NAMES = {
    "AirSync",
    "AirSyncBase",
    "Contacts2",
    "DocumentLibrary",
    "Email2",
    "FolderHierarchy",
    "GAL",
    "GetItemEstimate",
    "ItemOperations",
    "Move",
    "Notes",
    "Ping",
    "ResolveRecipients",
    "Search",
    "ValidateCert",
}


def judged(key: str) -> list[Any]:
    """The vectors on which libwbxml agrees; of the others it lacks a tag."""
    chosen = [vector for vector in VECTORS if vector["verified"][key]]
    return [pytest.param(vector, id=vector["id"]) for vector in chosen]


def run(*command: str, stdin: bytes) -> bytes:
    return subprocess.run(
        [*command, "-o", "-", "-"], input=stdin, capture_output=True, check=True, timeout=10
    ).stdout


def their_xml(data: bytes) -> str:
    text = run("wbxml2xml", "-l", "ACTIVESYNC", "-m", "0", "-k", stdin=data).decode()
    assert text.startswith(PROLOG)
    # Provision 0x10 by its name of protocol version 12.0.
    text = text.replace("DeviceEncryptionEnabled>", "RequireStorageCardEncryption>")
    return text.removeprefix(PROLOG)


@pytest.mark.parametrize("vector", judged("libwbxml_decode_equal"))
def test_libwbxml_reads_what_we_write(vector: dict[str, Any]) -> None:
    """What we encode prints as the same XML there."""
    assert vector["xml"] == their_xml(encode(from_xml(vector["xml"])))


@pytest.mark.parametrize("vector", judged("libwbxml_encode_identical"))
def test_libwbxml_writes_the_same_bytes(vector: dict[str, Any]) -> None:
    """What we print is encoded to the same bytes there."""
    text = to_xml(decode(bytes.fromhex(vector["hex"])))
    data = run("xml2wbxml", "-a", "-n", "-k", "-v", "1.3", stdin=(PROLOG + text).encode())

    assert vector["hex"] == data.hex()


@pytest.mark.parametrize("name", sorted(SAME_NAMES))
def test_libwbxml_has_the_same_names(name: str) -> None:
    """Every tag of a page has the same name there."""
    tags = list(PAGES_BY_NAME[name].tokens.values())
    data = encode(element("Settings", "Settings", *(element(name, tag) for tag in tags)))

    assert tags == re.findall(r"<(\w+)[^>]*/>", their_xml(data))
