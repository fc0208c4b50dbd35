"""What a process has to do, on its way as JSON and taken apart."""

from __future__ import annotations

import ssl
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import orjson
import pytest

from loadtest.generators.assignment import Assignment, AssignmentError
from loadtest.profiles import reading
from loadtest.profiles.profile import Arrival, Group, Profile, Stage
from loadtest.profiles.units import Span
from loadtest.scenario.commands import Watched
from loadtest.targets import Target, TargetError

HERE = Target("127.0.0.1", 8800)
SMALL = Profile(name="small", devices=300, duration=10.0, groups=(Group(kind="fixed"),))
WHOLE = Assignment(run="r", profile=SMALL, part=0, parts=1, devices=SMALL.devices, targets=(HERE,))


@pytest.mark.parametrize("name", reading.names())
def test_an_assignment_survives_its_journey(name: str) -> None:
    """Each preset comes out of JSON as it went in, with everything around it."""
    sent = Assignment(
        run="1124080000ff",
        profile=reading.find(name),
        part=3,
        parts=54,
        devices=19_000,
        targets=(HERE, Target("mail.example.org", 443, is_tls=True, path="/eas")),
        sources=("127.0.1.1", "127.0.1.2"),
        allowed=("mail.example.org",),
        publisher="imap",
        publisher_url="imaps://mail.example.org",
        tls_ca="/etc/ca.pem",
        insecure=True,
    )

    assert sent == Assignment.from_json(orjson.loads(orjson.dumps(sent.as_json())))


@pytest.mark.parametrize("found", [None, {}, [], {**WHOLE.as_json(), "devices": "many"}])
def test_what_is_no_assignment_is_refused(found: object) -> None:
    """Another version's assignment is refused in one line that names the first mistake."""
    with pytest.raises(AssignmentError, match=r"^found no assignment: .+$"):
        Assignment.from_json(found)


@pytest.mark.parametrize("name", reading.names())
@pytest.mark.parametrize("devices", [0, 1, 7, 300])
def test_each_phone_arrives_once(name: str, devices: int) -> None:
    """The phones of before and those of the stages follow each other without gap or overlap."""
    part = replace(WHOLE, profile=reading.find(name), devices=devices)
    stages = sorted(part.stages())

    edges = [0, part.before, *(edge for first, last, *_ in stages for edge in (first, last))]
    assert all(before <= after for before, after in pairwise(edges))
    assert edges[1::2] == [*edges[2::2], devices]


def test_stages_come_in_the_order_of_their_phones() -> None:
    """Each stage has its share of the phones, its beginning and its length in seconds."""
    stages = (
        Stage(at=Span(part=0.1), share=0.2, over=Span(part=0.5)),
        Stage(at=Span(8.0), share=0.3),
    )
    part = replace(WHOLE, profile=replace(SMALL, arrival=Arrival(stages=stages)))

    assert [(150, 210, 1.0, 5.0), (210, 300, 8.0, 0.0)] == sorted(part.stages())
    assert 150 == part.before


def test_equal_habits_are_one_object() -> None:
    """Phones of a group with one heartbeat share their habits: there are many of them."""
    groups = (Group(kind="fixed"), Group(kind="ios", heartbeat=(900, 900)))
    part = replace(WHOLE, profile=replace(SMALL, groups=groups))

    found = part.habits(part.dice("habits"))

    assert {"fixed": 150, "ios": 150} == Counter(one.kind for one in found)
    assert 2 == len({id(one) for one in found})


def test_each_phone_draws_its_heartbeat() -> None:
    """Heartbeats lie within those of the group, both ends included, and so does terseness."""
    groups = (Group(kind="fixed", heartbeat=(60, 62), terse=0.5),)
    part = replace(WHOLE, profile=replace(SMALL, groups=groups))

    found = part.habits(part.dice("habits"))

    assert {60, 61, 62} == {one.heartbeat for one in found}
    assert {True, False} == {one.is_terse for one in found}


def test_phones_name_themselves_as_their_kind_does() -> None:
    """Each client has its User-Agent and DeviceType; a broken one looks like Android."""
    groups = (Group(kind="windows-mobile"), Group(kind="ping-loop"))
    part = replace(WHOLE, profile=replace(SMALL, groups=groups))

    found = {(one.kind, one.device_type) for one in part.habits(part.dice("habits"))}

    assert {("windows-mobile", "PocketPC"), ("ping-loop", "Android")} == found


def test_returning_phones_know_the_standard_folders() -> None:
    """Who comes back knows the folders that every mailbox has, and no other one."""
    watches = ("INBOX", "Calendar", "Projects")
    groups = (Group(kind="fixed", watches=watches, returning=True),)
    part = replace(WHOLE, profile=replace(SMALL, groups=groups))

    (found,) = set(part.habits(part.dice("habits")))

    assert (Watched("5", "Email", "INBOX"), Watched("1", "Calendar", "Calendar")) == found.known
    assert watches == found.watches


def test_a_host_that_is_not_allowed_is_refused() -> None:
    """A process loads only what its own host allows, whatever the assignment says."""
    part = replace(WHOLE, targets=(HERE, Target("192.0.2.1", 80)), allowed=("192.0.2.1",))

    with pytest.raises(TargetError, match=r"found '192\.0\.2\.1'"):
        part.limited_to(())


def test_what_is_allowed_is_that_of_the_host() -> None:
    """The list that came along is replaced by the host's own."""
    part = replace(WHOLE, targets=(HERE, Target("192.0.2.1", 80)), allowed=("192.0.2.9",))

    assert ("192.0.2.1",) == part.limited_to(["192.0.2.1"]).allowed


def test_plain_targets_need_no_tls() -> None:
    """Without a TLS connection no context is made: it costs time and memory."""
    assert replace(WHOLE, publisher_url="redis://127.0.0.1").tls_context() is None


@pytest.mark.parametrize(
    ("targets", "url"),
    [((Target("127.0.0.1", 443, is_tls=True),), ""), ((HERE,), "https://127.0.0.1:8801")],
    ids=["target", "publisher"],
)
def test_tls_checks_certificates(targets: tuple[Target, ...], url: str) -> None:
    """Certificates are checked, unless somebody said that any will do."""
    part = replace(WHOLE, targets=targets, publisher_url=url)

    contexts = [part.tls_context(), replace(part, insecure=True).tls_context()]
    assert [ssl.CERT_REQUIRED, ssl.CERT_NONE] == [one.verify_mode for one in contexts if one]


def test_an_authority_that_is_not_here_is_refused() -> None:
    """A file of certificates that this host does not have is named."""
    part = replace(WHOLE, targets=(Target("127.0.0.1", 443, is_tls=True),), tls_ca="/nowhere.pem")

    with pytest.raises(AssignmentError, match=r"--tls-ca /nowhere\.pem: No such file"):
        part.tls_context()


def test_equal_seeds_give_equal_loads() -> None:
    """Dice depend on seed, part and purpose, and on nothing else."""
    others = [
        replace(WHOLE, part=1),
        replace(WHOLE, parts=2),
        replace(WHOLE, profile=replace(SMALL, seed=2)),
    ]
    draws = [one.dice("changes").random() for one in (WHOLE, *others)]

    assert draws[0] == replace(WHOLE, run="other").dice("changes").random()
    assert 5 == len({*draws, WHOLE.dice("phones").random()})
