from __future__ import annotations

import pytest

from pushgw.wbxml.pages import PAGES, TAGS, TOKENS, Page

# Page, name, tags of the current specification, obsolete tags.
COUNTS = [
    (0, "AirSync", 34, 3),
    (1, "Contacts", 57, 1),
    (2, "Email", 58, 1),
    (3, "AirNotify", 0, 19),
    (4, "Calendar", 47, 9),
    (5, "Move", 8, 0),
    (6, "GetItemEstimate", 8, 2),
    (7, "FolderHierarchy", 17, 3),
    (8, "MeetingResponse", 12, 1),
    (9, "Tasks", 33, 1),
    (10, "ResolveRecipients", 25, 0),
    (11, "ValidateCert", 6, 0),
    (12, "Contacts2", 10, 0),
    (13, "Ping", 8, 2),
    (14, "Provision", 54, 1),
    (15, "Search", 27, 4),
    (16, "GAL", 14, 0),
    (17, "AirSyncBase", 40, 1),
    (18, "Settings", 38, 0),
    (19, "DocumentLibrary", 8, 0),
    (20, "ItemOperations", 21, 0),
    (21, "ComposeMail", 18, 1),
    (22, "Email2", 18, 0),
    (23, "Notes", 5, 0),
    (24, "RightsManagement", 20, 0),
    (25, "Find", 22, 0),
]


def test_counts_of_each_page() -> None:
    """Every page has as many tags as the specification, and the obsolete ones known besides."""
    counts = [(page.number, page.name, len(page.tokens), len(page.obsolete)) for page in PAGES]

    assert COUNTS == counts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_identities_are_tags(page: Page) -> None:
    """No identity is that of a global token or wider than the six bits of a tag."""
    identities = set(TAGS[page.number])

    assert set(range(0x05, 0x40)) >= identities


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lookups_are_inverse(page: Page) -> None:
    """No page has a number or a name twice, so reading and writing undo each other."""
    tags = TAGS[page.number]

    assert {token: tag for tag, token in TOKENS[page.name].items()} == tags
    assert len(page.tokens) + len(page.obsolete) == len(tags)


@pytest.mark.parametrize(
    ("page", "tag", "identity"),
    [
        ("AirSync", "HeartbeatInterval", 0x29),
        ("FolderHierarchy", "FolderSync", 0x16),
        ("Ping", "MaxFolders", 0x0D),
        ("Provision", "AccountOnlyRemoteWipe", 0x3B),
        ("AirSyncBase", "Data", 0x0B),
        ("Settings", "DeviceInformation", 0x16),
        ("ComposeMail", "Mime", 0x10),
        ("Find", "Picture", 0x22),
    ],
)
def test_tags_the_gateway_lives_on(page: str, tag: str, identity: int) -> None:
    """Tags of several pages have the numbers of the specification."""
    assert identity == TOKENS[page][tag]
