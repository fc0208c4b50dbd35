"""Changes and hints: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import pickle

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.change import (
    CLASSES,
    HIERARCHY,
    MAX_CHANGES,
    Change,
    ChangeError,
    Hint,
    channel,
    class_key,
    parse_changes,
    sequence_key,
)

INBOX = {"mailbox": "alice", "folder": "INBOX"}
FULL_HINT = Hint("INBOX", 7, "Email", "new", 1_700_000_000_123.5)


def body(*entries: object) -> bytes:
    return orjson.dumps({"changes": entries})


def mistakes(*entries: object) -> tuple[str, ...]:
    with pytest.raises(ChangeError) as caught:
        parse_changes(body(*entries))
    return caught.value.mistakes


def test_mailbox_is_kept_in_lower_case() -> None:
    """The mailbox of a change is kept in lower case."""
    change = Change("Alice@Example.ORG", "INBOX")

    assert change.mailbox == "alice@example.org"


def test_hierarchy_is_a_folder() -> None:
    """The empty folder name is accepted: it stands for the hierarchy."""
    assert Change("alice", HIERARCHY).folder == ""


@pytest.mark.parametrize("class_", [None, *CLASSES])
def test_class_is_one_of_the_known(class_: str | None) -> None:
    """Every known class is accepted, and none at all."""
    assert class_ == Change("alice", "INBOX", class_).class_


def test_longest_names_are_accepted() -> None:
    """A mailbox of 320 characters, a folder of 1024 bytes and a kind of 64 are accepted."""
    change = Change("m" * 320, "é" * 512, kind="k" * 64)

    assert len(change.mailbox) == 320


@pytest.mark.parametrize("mailbox", ["", "m" * 321, "a{b", "a}b", "a\nb", "a\x85b", "a\ud800b", 5])
def test_wrong_mailbox_is_refused(mailbox: str) -> None:
    """An empty, long or unprintable mailbox, or one with braces, is refused."""
    with pytest.raises(ChangeError, match=r"^mailbox: found .*, allowed 1 to 320 characters"):
        Change(mailbox, "INBOX")


@pytest.mark.parametrize("folder", ["é" * 512 + "x", "a\x00b", "a\x7fb", "\udfff", None])
def test_wrong_folder_is_refused(folder: str) -> None:
    """A folder that is too long, or has control characters or no UTF-8, is refused."""
    with pytest.raises(ChangeError, match=r"^folder: found .*, allowed at most 1024 bytes"):
        Change("alice", folder)


@pytest.mark.parametrize("class_", ["", "Mail", "email", ["Email"]])
def test_wrong_class_is_refused(class_: str) -> None:
    """A class that the protocol does not know is refused."""
    with pytest.raises(ChangeError, match=r"^class: found .*, allowed Email, Calendar, Contacts"):
        Change("alice", "INBOX", class_)


@pytest.mark.parametrize("kind", ["", "k" * 65, "a\tb", 1.5])
def test_wrong_kind_is_refused(kind: str) -> None:
    """A kind that is empty, too long, unprintable or no text is refused."""
    with pytest.raises(ChangeError, match=r"^kind: found .*, allowed 1 to 64 characters"):
        Change("alice", "INBOX", kind=kind)


def test_all_wrong_fields_are_named() -> None:
    """A change with several wrong fields is refused with all of them."""
    with pytest.raises(ChangeError) as caught:
        Change("", "\n", "Mail", "")

    assert [line.split(":")[0] for line in caught.value.mistakes] == [
        "mailbox",
        "folder",
        "class",
        "kind",
    ]


def test_change_error_survives_pickling() -> None:
    """A change error keeps its mistakes when it crosses processes."""
    error = ChangeError("one", "two")

    assert pickle.loads(pickle.dumps(error)).mistakes == ("one", "two")  # noqa: S301 - our own bytes


def test_keys_share_a_cluster_slot() -> None:
    """Channel and keys of a mailbox carry it, in lower case, as their hash tag."""
    names = [channel("Alice"), sequence_key("Alice"), class_key("Alice")]

    assert names == ["pushgw:{alice}", "pushgw:{alice}:seq", "pushgw:{alice}:class"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"f":"INBOX","s":7,"c":"Email","e":"new","t":1700000000123.5}', FULL_HINT),
        (b'{"f":""}', Hint(HIERARCHY)),
        (b'{"f":"INBOX","s":null,"c":null,"e":null,"t":null}', Hint("INBOX")),
        (b'{"f":"INBOX","s":0,"c":"Mail","e":5,"t":"now"}', Hint("INBOX")),
        (b'{"f":"INBOX","s":true,"c":{},"e":[],"t":false}', Hint("INBOX")),
        (b'{"f":"INBOX","s":7.0,"more":1}', Hint("INBOX")),
        (b'{"f":"Entw\\u00fcrfe"}', Hint("Entwürfe")),
    ],
)
def test_hint_is_read(payload: bytes, expected: Hint) -> None:
    """A JSON object that names a folder is a hint; members of a wrong type count as absent."""
    assert expected == Hint.parse(payload)


@pytest.mark.parametrize(
    "payload",
    [b"", b"look", b"{", b"[]", b"{}", b'{"f":5}', b'{"s":7}', b"\xff", b'"f"', b'{"f":"\\ud800"}'],
)
def test_any_other_payload_is_a_look(payload: bytes) -> None:
    """Every other payload is a plain look."""
    assert Hint.parse(payload) is None


def test_huge_payload_is_a_look() -> None:
    """A payload that no hint can be as long as is not even read."""
    assert Hint.parse(orjson.dumps({"f": "x" * 8192})) is None


@given(st.binary())
def test_hint_never_raises(payload: bytes) -> None:
    """No payload makes the reader of hints raise."""
    found = Hint.parse(payload)

    assert found is None or isinstance(found, Hint)


@given(
    st.builds(
        Hint,
        st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
        st.none() | st.integers(1, 2**63 - 1),
        st.none() | st.sampled_from(CLASSES),
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=64),
        st.none() | st.integers(0, 2**53) | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_hint_survives_the_channel(hint: Hint) -> None:
    """A hint is read back as it was written."""
    assert hint == Hint.parse(hint.to_bytes())


def test_unknown_members_are_left_out() -> None:
    """A payload carries only what is known."""
    assert Hint("INBOX", 7).to_bytes() == b'{"f":"INBOX","s":7}'


def test_changes_are_read_in_order() -> None:
    """A body gives its changes in order; optional members may be null."""
    found = parse_changes(body(INBOX | {"class": "Email", "kind": None}, INBOX | {"folder": ""}))

    assert [Change("alice", "INBOX", "Email"), Change("alice", HIERARCHY)] == found


def test_empty_list_is_accepted() -> None:
    """A body with no changes is right, and gives none."""
    assert parse_changes(body()) == []


def test_all_mistakes_of_a_body_are_listed() -> None:
    """Every mistake of a body is listed with the index of its change."""
    allowed_mailbox = "1 to 320 characters, none of them a brace or a control character"
    allowed_folder = "at most 1024 bytes of UTF-8 without control characters"

    found = mistakes(
        INBOX,
        "INBOX",
        {"mailbx": "alice", "folder": "INBOX"},
        INBOX | {"class": "Mail"},
        INBOX | {"folder": None, "kind": 3},
    )

    assert found == (
        "changes[1]: found 'INBOX', allowed an object",
        "changes[2]: found member 'mailbx', the nearest allowed is 'mailbox'",
        f"changes[2].mailbox: found nothing, allowed {allowed_mailbox}",
        "changes[3].class: found 'Mail', allowed Email, Calendar, Contacts, Tasks, Notes, SMS",
        f"changes[4].folder: found null, allowed {allowed_folder}",
        "changes[4].kind: found 3, allowed 1 to 64 characters without control characters",
    )


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"{", "body: found no JSON"),
        (b"[]", "body: found a list, allowed an object"),
        (b"{}", "body: found members none, allowed an object"),
        (b'{"change":[]}', "body: found members 'change', allowed an object"),
        (b'{"changes":[],"x":1}', "body: found members 'changes', 'x', allowed an object"),
        (b'{"changes":{}}', "changes: found an object, allowed a list"),
    ],
)
def test_other_documents_are_refused(document: bytes, expected: str) -> None:
    """A body that is not an object with a list of changes is refused in one line."""
    with pytest.raises(ChangeError) as caught:
        parse_changes(document)

    assert str(caught.value).startswith(expected)


def test_too_many_changes_are_refused() -> None:
    """A body with more than 10,000 changes is refused unread."""
    found = mistakes(*[None] * (MAX_CHANGES + 1))

    assert found == ("changes: found 10001, allowed at most 10000",)


def test_list_of_mistakes_is_bounded() -> None:
    """After 1,000 mistakes the rest of a body is not looked at."""
    found = mistakes(*[None] * 2000)

    assert (len(found), found[-1]) == (1001, "more than 1000 mistakes: the rest not checked")


def test_long_values_are_cut() -> None:
    """A long wrong value is shown by its beginning."""
    (line,) = mistakes(INBOX | {"class": "M" * 1000})

    assert line.startswith(f"changes[0].class: found '{'M' * 63}..., allowed")
