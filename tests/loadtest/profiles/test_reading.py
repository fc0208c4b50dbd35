"""Profiles as files and presets."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from loadtest.profiles.population import populate
from loadtest.profiles.profile import ProfileError
from loadtest.profiles.reading import (
    MAX_FILE_BYTES,
    UnknownProfileError,
    describe,
    find,
    names,
    parse,
)
from loadtest.profiles.units import Span

if TYPE_CHECKING:
    from pathlib import Path

PRESETS = (
    "idle-100k",
    "million",
    "monday-morning",
    "nat-cut",
    "overnight-surge",
    "rolling-restart",
    "shared-folder",
    "smoke",
    "soak",
    "steady",
    "storm",
)
SMALL = """
devices = 10
duration = "1m"
[[phones]]
kind = "fixed"
"""


def mistakes(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ProfileError) as caught:
        find(str(path))
    return [one.removeprefix(f"{path}: ") for one in caught.value.mistakes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_the_presets_are_listed() -> None:
    """Every preset that comes along is known by its name."""
    assert list(PRESETS) == names()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_in_a_hundredth_of_its_time(name: str) -> None:
    """Each preset can be tried small: its stages and faults shrink with the duration."""
    profile = find(name)

    small = profile.resized(devices=20, duration=profile.duration / 100)

    assert (name, 20) == (small.name, small.devices)


def test_each_preset_says_what_it_shows() -> None:
    """The descriptions are sentences, and all different."""
    found = dict(describe())

    assert len(PRESETS) == len(set(found.values()))
    assert all(len(text) > 50 for text in found.values())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_read_back_from_json(name: str) -> None:
    """What a profile writes as JSON is a profile's document again."""
    profile = find(name)

    assert profile == parse(profile.as_json(with_password=True), "json")


def test_smoke_is_small() -> None:
    """Smoke is 2,000 phones and 50 changes a second for half a minute."""
    smoke = find("smoke")

    assert (2000, 30.0, 50.0, ("missed==0",)) == (
        smoke.devices,
        smoke.duration,
        smoke.changes.rate,
        smoke.asserts,
    )


def test_half_of_the_phones_of_smoke_are_terse() -> None:
    """Weighted over its groups, half of the phones send Pings without a body."""
    groups = find("smoke").groups

    assert pytest.approx(0.5) == sum(one.share * one.terse for one in groups)


def test_the_surge_doubles_the_phones_in_two_minutes() -> None:
    """50,000 phones are there before, 50,000 more arrive from the second minute to the fourth."""
    surge = find("overnight-surge")

    (stage,) = surge.arrival.stages
    assert (50_000, 120.0, 120.0) == (
        surge.devices * surge.arrival.before,
        stage.at.seconds(surge.duration),
        stage.over.seconds(surge.duration),
    )


def test_a_shared_folder_has_many_phones() -> None:
    """The 10,000 phones belong to 20 mailboxes."""
    shared = find("shared-folder")
    dice = random.Random(1)

    population = populate(shared.users, devices=shared.devices, part=0, parts=1, rng=dice)

    assert 20 == population.mailboxes


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """The error names the preset that was probably meant, and all of them."""
    with pytest.raises(UnknownProfileError) as caught:
        find("smoek")

    assert (
        "found the profile 'smoek', did you mean 'smoke'? "
        f"(allowed: {', '.join(PRESETS)}, or the path of a .toml file)"
    ) == str(caught.value)


def test_a_file_is_named_after_itself(path: Path) -> None:
    """The name of a profile is that of its file, unless the file has another one."""
    path.write_text(SMALL)
    unnamed = find(str(path)).name
    path.write_text('name = "other"\n' + SMALL)

    assert ("mine", "other") == (unnamed, find(str(path)).name)


def test_every_key_can_be_set(path: Path) -> None:
    """Units, lists and pairs of a file arrive as values."""
    path.write_text(
        """
        description = "all of it"
        devices = "1k"
        duration = "10m"
        seed = 7
        settle = "500ms"
        slo = "250ms"
        grace = 5
        asserts = ["notify.p99<250ms"]
        [users]
        name = "u{n}"
        device = "D{n}N{d}"
        password = "hush"
        first = 100
        per_user = [[1, "70%"], [2, "30%"]]
        [arrival]
        rate = "600/m"
        [[arrival.stages]]
        at = "10%"
        share = "20%"
        over = "30s"
        [[phones]]
        kind = "ios"
        share = 3
        heartbeat = ["1m", "90s"]
        watches = ["INBOX"]
        syncs = true
        terse = "50%"
        returning = true
        [changes]
        rate = "120/m"
        pattern = "bursts"
        burst = 10
        folders = { INBOX = 1 }
        hot_mailboxes = "1%"
        hot_changes = "50%"
        curve = [["0%", 0.5], ["100%", 1]]
        [[faults]]
        at = "50%"
        kind = "nat"
        share = "10%"
        idle = "1m"
        until = "9m"
        [[faults]]
        at = 5
        kind = "cut"
        how = "silent"
        """
    )

    found = find(str(path))

    users, (stage,), (group,) = found.users, found.arrival.stages, found.groups
    changes, (nat, cut) = found.changes, found.faults
    assert (1000, 600.0, 7, 0.5, 0.25, 5.0, ("notify.p99<250ms",)) == (
        found.devices,
        found.duration,
        found.seed,
        found.settle,
        found.slo,
        found.grace,
        found.asserts,
    )
    assert ("u{n}", "D{n}N{d}", "hush", 100, ((1, 0.7), (2, 0.3))) == (
        users.name,
        users.device,
        users.password,
        users.first,
        users.per_user,
    )
    assert (10.0, Span(part=0.1), 0.2, Span(30.0)) == (
        found.arrival.rate,
        stage.at,
        stage.share,
        stage.over,
    )
    assert ("ios", 3.0, (60, 90), ("INBOX",), True, 0.5, True) == (
        group.kind,
        group.share,
        group.heartbeat,
        group.watches,
        group.syncs,
        group.terse,
        group.returning,
    )
    assert (2.0, "bursts", 10, (("INBOX", 1.0),), 0.01, 0.5, ((0.0, 0.5), (1.0, 1.0))) == (
        changes.rate,
        changes.pattern,
        changes.burst,
        changes.folders,
        changes.hot_mailboxes,
        changes.hot_changes,
        changes.curve,
    )
    assert (Span(part=0.5), 0.1, 60.0, Span(540.0)) == (nat.at, nat.share, nat.idle, nat.until)
    assert (Span(5.0), 1.0, "silent") == (cut.at, cut.share, cut.how)


def test_all_mistakes_of_a_file_are_told_at_once(path: Path) -> None:
    """Each line has the key; a number that only follows from another mistake has none."""
    found = mistakes(
        path,
        """
        devices = "10x"
        duraton = "1m"
        duration = 0
        [arrival]
        rate = 0
        [[arrival.stages]]
        share = "20%"
        [[phones]]
        kind = "aosb"
        heartbeat = "never"
        [[phones]]
        kind = "aosp"
        share = 0
        [changes]
        pattern = 3
        [[faults]]
        at = "50%"
        kind = "nat"
        idle = "soon"
        [fault]
        """,
    )

    assert [
        "devices",
        "duraton",
        "arrival.stages[1].at",
        "arrival.rate",
        "phones[1].heartbeat",
        "phones[1].kind",
        "phones[2].share",
        "changes.pattern",
        "faults[1].idle",
        "fault",
        "duration",
    ] == [one.partition(":")[0] for one in found]


def test_mistakes_across_tables_have_a_key_too(path: Path) -> None:
    """A fault after the end is told as that of the fault of that number."""
    found = mistakes(path, SMALL + '[[faults]]\nat = "2m"\nkind = "cut"\n')

    assert ["faults[1].at: found 120 s, allowed is less than the duration of 60 s"] == found


def test_an_unknown_key_is_answered_with_the_nearest(path: Path) -> None:
    """The line names the key that was probably meant, and those of its table."""
    found = mistakes(path, SMALL + "heartbeats = 5\n")

    assert [
        (
            "phones[1].heartbeats: found an unknown key, did you mean 'heartbeat'? "
            "(allowed: kind, share, heartbeat, watches, syncs, terse, returning)"
        )
    ] == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "devices: found none, it has no default"),
        ("users = 5", "users: found 5, allowed a table [users]"),
        ("faults = 5", "faults: found 5, allowed tables [[faults]]"),
        ("faults = [5]", "faults[1]: found 5, allowed a table [faults]"),
        ("asserts = 5", "asserts: found 5, allowed a list of texts"),
        ("asserts = [5]", "asserts: found [5], allowed a list of texts"),
        ("description = 5", "description: found 5, allowed a text"),
        ("[[phones]]\nsyncs = 1", "phones[1].syncs: found 1, allowed true or false"),
        (
            '[[phones]]\nheartbeat = "1500ms"',
            (
                "phones[1].heartbeat: found '1500ms', allowed whole seconds: one time, or two in a "
                "list"
            ),
        ),
        (
            "[[phones]]\nheartbeat = []",
            "phones[1].heartbeat: found [], allowed whole seconds: one time, or two in a list",
        ),
        (
            "users.per_user = [1, 2]",
            (
                "users.per_user: found [1, 2], allowed a number, or a list of pairs of a number "
                "and its weight"
            ),
        ),
        (
            'changes.folders = "INBOX"',
            (
                "changes.folders: found 'INBOX', allowed folders with their weights, like "
                "{ INBOX = 0.7, Calendar = 0.3 }"
            ),
        ),
        ("changes.folders = [[1, 2]]", "changes.folders: found 1, allowed a text"),
        (
            "changes.curve = [[1, 2, 3]]",
            (
                "changes.curve: found [[1, 2, 3]], allowed a list of pairs of a part of the "
                "duration and a factor of the rate"
            ),
        ),
    ],
)
def test_a_value_of_another_kind_is_refused(path: Path, text: str, expected: str) -> None:
    """The line says what was found and which kind of value is allowed."""
    assert expected in mistakes(path, text)


def test_a_count_of_devices_needs_no_list(path: Path) -> None:
    """A plain number of devices a user is that number for all users."""
    path.write_text("users.per_user = 5\n" + SMALL)

    assert ((5, 1.0),) == find(str(path)).users.per_user


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"devices = 1\nx = = 2\n", "line 2, column 5: Invalid value"),
        (b"devices = ", "end of document: Invalid value"),
        (b"a = 1\nb = '\xff'\n", "line 2: not UTF-8"),
        (b"x = " + b"9" * 5000, "Exceeds the limit"),
        (b"#" * (MAX_FILE_BYTES + 1), "found more than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(path: Path, text: bytes, expected: str) -> None:
    """The error names the file and the line."""
    path.write_bytes(text)

    with pytest.raises(ProfileError) as caught:
        find(str(path))

    assert str(caught.value).startswith(f"{path}: {expected}")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """What has a slash is a file, even without .toml, and the error says that there is none."""
    with pytest.raises(ProfileError, match="No such file or directory, allowed a readable TOML"):
        find(f"{tmp_path}/smoke")
