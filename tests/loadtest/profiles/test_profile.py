"""What a run puts on a server, as values."""

from __future__ import annotations

import re

import pytest

from loadtest.profiles.profile import (
    Arrival,
    Changes,
    Fault,
    Group,
    Profile,
    ProfileError,
    Stage,
    Users,
)
from loadtest.profiles.units import Span

GROUP = Group(kind="fixed")


def a_profile(**values) -> Profile:
    return Profile(**{"name": "x", "devices": 100, "duration": 60.0, "groups": (GROUP,), **values})


def test_numbers_can_be_replaced() -> None:
    """Given numbers replace those of the profile, the others stay."""
    found = a_profile(changes=Changes(rate=5.0)).resized(devices=500, rate=7.0)

    assert (500, 60.0, 7.0, 1) == (found.devices, found.duration, found.changes.rate, found.seed)


def test_duration_and_seed_can_be_replaced() -> None:
    """Given numbers replace those of the profile, the others stay."""
    found = a_profile(changes=Changes(rate=5.0)).resized(duration=30.0, seed=9)

    assert (100, 30.0, 5.0, 9) == (found.devices, found.duration, found.changes.rate, found.seed)


def test_percentages_scale_with_the_duration() -> None:
    """A stage at 50 % that fits a minute fits ten seconds too."""
    stage = Stage(at=Span(part=0.5), share=0.2, over=Span(part=0.5))

    found = a_profile(arrival=Arrival(stages=(stage,))).resized(duration=10.0)

    assert 5.0 == found.arrival.stages[0].at.seconds(found.duration)


def test_what_no_stage_has_arrives_before() -> None:
    """The rest of the phones is there when the clock starts."""
    stages = (Stage(at=Span(), share=0.2), Stage(at=Span(1.0), share=0.3))

    assert pytest.approx(0.5) == Arrival(stages=stages).before


def test_a_run_takes_its_ramp_and_its_duration() -> None:
    """Only phones that arrive before the clock starts make a run longer than its duration."""
    stage = Stage(at=Span(), share=0.2)

    assert 64.0 == a_profile(arrival=Arrival(rate=20.0, stages=(stage,))).planned


def test_a_profile_is_written_as_json() -> None:
    """The values have the shape of a file: tables, lists, percentages."""
    profile = a_profile(
        users=Users(per_user=((2, 1.0),)),
        changes=Changes(rate=1.0),
        faults=(Fault(at=Span(part=0.5), kind="cut"),),
    )

    found = profile.as_json()

    assert {
        "name": "x",
        "description": "",
        "devices": 100,
        "duration": 60.0,
        "seed": 1,
        "users": {
            "name": "user{n:06d}@example.org",
            "device": "PHONE{n:06d}N{d}",
            "first": 1,
            "per_user": [[2, 1.0]],
        },
        "arrival": {"rate": 400.0, "stages": []},
        "phones": [
            {
                "kind": "fixed",
                "share": 1.0,
                "heartbeat": [480, 480],
                "watches": ["INBOX", "Calendar"],
                "syncs": False,
                "terse": 0.0,
                "returning": False,
            }
        ],
        "changes": {
            "rate": 1.0,
            "pattern": "even",
            "burst": 1,
            "folders": [["INBOX", 0.7], ["Calendar", 0.3]],
            "hot_mailboxes": 0.0,
            "hot_changes": 0.0,
            "curve": [],
        },
        "faults": [{"at": "50%", "kind": "cut", "share": 1.0, "how": "reset", "idle": 0.0}],
        "settle": 2.0,
        "slo": 1.0,
        "grace": 10.0,
        "asserts": [],
    } == found


def test_a_password_is_written_only_when_asked_for() -> None:
    """Reports get a profile without the users' password, processes one with it."""
    users = a_profile().as_json(with_password=True)["users"]

    assert "synthetic" == users["password"]


@pytest.mark.parametrize(
    ("make", "values", "text"),
    [
        (Group, {"kind": "aosb"}, "phones.kind: found 'aosb', did you mean 'aosp'?"),
        (Group, {"share": 0.0}, "phones.share: found 0, allowed more than 0"),
        (
            Group,
            {"heartbeat": (9, 5)},
            "phones.heartbeat: found 9 to 5 s, allowed 1 to 86400 s, the lower one first",
        ),
        (Group, {"heartbeat": (0, 5)}, "phones.heartbeat: found 0 to 5 s"),
        (Group, {"heartbeat": (1, 86_401)}, "phones.heartbeat: found 1 to 86401 s"),
        (Group, {"watches": ()}, "phones.watches: found [], allowed one or more, each once"),
        (Group, {"watches": ("",)}, "phones.watches: found ['']"),
        (Group, {"watches": ("A", "A")}, "phones.watches: found ['A', 'A']"),
        (Group, {"terse": 1.5}, "phones.terse: found 1.5, allowed 0 to 1"),
        (Stage, {"share": 0.0}, "arrival.stages.share: found 0"),
        (Stage, {"share": 1.1}, "arrival.stages.share: found 1.1"),
        (Arrival, {"rate": 0.0}, "arrival.rate: found 0, allowed more than 0"),
        (
            Arrival,
            {"stages": (Stage(at=Span(), share=0.6),) * 2},
            "arrival.stages: found shares of 1.2 in sum, allowed at most 1",
        ),
        (Changes, {"rate": -1.0}, "changes.rate: found -1, allowed 0 or more"),
        (Changes, {"pattern": "poison"}, "found 'poison', did you mean 'poisson'?"),
        (Changes, {"burst": 0}, "changes.burst: found 0, allowed 1 or more"),
        (Changes, {"burst": 5}, "found 5 with the pattern even, allowed only with bursts"),
        (Changes, {"folders": ()}, "changes.folders: found none, allowed one or more"),
        (Changes, {"folders": (("A", 0.0),)}, "changes.folders.A: found 0, allowed more than 0"),
        (Changes, {"hot_mailboxes": 2.0, "hot_changes": 0.1}, "changes.hot_mailboxes: found 2"),
        (Changes, {"hot_mailboxes": 0.1, "hot_changes": 2.0}, "changes.hot_changes: found 2"),
        (Changes, {"hot_mailboxes": 0.1}, "are allowed only together"),
        (Changes, {"curve": ((0.5, 1.0), (0.5, 2.0))}, "changes.curve: found 1 at 0.5, 2 at 0.5;"),
        (Changes, {"curve": ((1.5, 1.0),)}, "changes.curve: found 1 at 1.5;"),
        (Changes, {"curve": ((0.5, -1.0),)}, "changes.curve: found -1 at 0.5;"),
        (Changes, {"curve": ((0.0, 0.0), (1.0, 0.0))}, "not all of them 0"),
        (Fault, {"kind": "cutt"}, "faults.kind: found 'cutt', did you mean 'cut'?"),
        (Fault, {"share": 0.0}, "faults.share: found 0, allowed more than 0 and at most 1"),
        (Fault, {"how": "rst"}, "faults.how: found 'rst', did you mean 'reset'?"),
        (Fault, {"kind": "nat"}, "faults.idle: found 0, allowed more than 0"),
        (Fault, {"idle": 5.0}, "faults.idle: found 5 s with cut, allowed only with nat"),
        (Fault, {"until": Span(5.0)}, "faults.until: found with cut, allowed only with nat"),
        (Profile, {"name": ""}, "name: found nothing, allowed a text"),
        (Profile, {"devices": 0}, "devices: found 0, allowed 1 or more"),
        (Profile, {"duration": 0.0}, "duration: found 0, allowed more than 0"),
        (Profile, {"groups": ()}, "phones: found 0 groups, allowed 1 to 256"),
        (Profile, {"groups": (GROUP,) * 257}, "phones: found 257 groups"),
        (Profile, {"settle": -1.0}, "settle: found -1, allowed 0 or more"),
        (Profile, {"slo": 0.0}, "slo: found 0, allowed more than 0"),
        (Profile, {"grace": -1.0}, "grace: found -1, allowed 0 or more"),
    ],
)
def test_a_value_out_of_range_is_refused(make, values: dict[str, object], text: str) -> None:
    """The error names the key, what was found and what is allowed."""
    right = {
        Group: {"kind": "fixed"},
        Stage: {"at": Span(), "share": 0.5},
        Fault: {"at": Span(), "kind": "cut"},
        Profile: {"name": "x", "devices": 100, "duration": 60.0, "groups": (GROUP,)},
    }

    with pytest.raises(ProfileError, match=re.escape(text)):
        make(**{**right.get(make, {}), **values})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"arrival": Arrival(stages=(Stage(at=Span(50.0), share=0.1, over=Span(11.0)),))},
            (
                "arrival.stages[1].over: found a stage that ends at 61 s, allowed is the duration "
                "of 60 s"
            ),
        ),
        (
            {"faults": (Fault(at=Span(60.0), kind="cut"),)},
            "faults[1].at: found 60 s, allowed is less than the duration of 60 s",
        ),
        (
            {"faults": (Fault(at=Span(9.0), kind="nat", idle=1.0, until=Span(9.0)),)},
            "faults[1].until: found 9 s, allowed is more than its beginning at 9 s",
        ),
        (
            {"changes": Changes(rate=1.0, pattern="bursts", burst=100)},
            "changes.burst: found 100 mailboxes, allowed are the 60 changes of the whole run",
        ),
    ],
)
def test_what_does_not_fit_the_run_is_refused(values: dict[str, object], text: str) -> None:
    """Stages, faults and bursts have to lie within the duration."""
    with pytest.raises(ProfileError, match=re.escape(text)):
        a_profile(**values)


def test_what_fits_the_run_is_taken() -> None:
    """A stage may end, and a NAT may go on, until the very end."""
    profile = a_profile(
        arrival=Arrival(stages=(Stage(at=Span(50.0), share=0.1, over=Span(10.0)),)),
        changes=Changes(rate=1.0, pattern="bursts", burst=60),
        faults=(Fault(at=Span(), kind="nat", idle=1.0, until=Span(part=1.0)),),
    )

    assert 60.0 == profile.duration


def test_all_mistakes_are_named_at_once() -> None:
    """A profile with three wrong numbers is refused with three lines."""
    with pytest.raises(ProfileError) as caught:
        a_profile(devices=0, slo=0.0, grace=-1.0)

    assert ["devices", "slo", "grace"] == [one.partition(":")[0] for one in caught.value.mistakes]
