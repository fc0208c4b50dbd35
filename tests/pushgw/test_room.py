"""How many phones fit, and what is said of a host that is too small for them."""

from __future__ import annotations

from typing import Any

import pytest

from pushgw.room import (
    MEASURED_PHONES,
    PHONE_BYTES,
    TLS_BYTES,
    Advice,
    Host,
    Room,
    RoomError,
    expected,
    judge,
    make,
    sentence,
)


def names(host: Host, **load: Any) -> list[str]:
    return [one.name for one in judge(host, **{"phones": 100_000, "backlog": 4096, **load})]


def test_the_reserve_is_no_room() -> None:
    """Phones have all files but the reserve; accepting stops when half of the reserve is used."""
    room = make(20_000, 501)

    assert Room(files=20_000, reserve=501, phones=19_499, connections=19_750) == room


def test_the_least_room_is_enough() -> None:
    """A worker with room for a hundred phones can run."""
    assert 100 == make(600, 500).phones


def test_too_few_files_are_refused() -> None:
    """With room for fewer phones the error says what was found and what is allowed."""
    with pytest.raises(RoomError) as caught:
        make(1599, 1500)

    expected_text = (
        "found 1,599 of a process, allowed at least 1,600: "
        "1,500 are kept back, and 100 phones need one each"
    )
    assert expected_text == str(caught.value)


@pytest.mark.parametrize(
    ("workers", "start"),
    [
        (1, "1 worker holds at most 19,500 phones: 20,000 open files, 500 kept for "),
        (6, "6 workers hold at most 117,000 phones: 20,000 open files each, 500 kept for "),
    ],
)
def test_the_room_is_said_in_a_sentence(workers: int, start: str) -> None:
    """The sentence has the phones of all workers and the reason why there are not more."""
    assert start + "Redis, the EAS server and logs" == sentence(make(20_000, 500), workers)


@pytest.mark.parametrize(
    ("files", "phones"), [(20_000, 6 * 19_500), (1_048_576, 6 * MEASURED_PHONES)]
)
def test_phones_are_expected_as_far_as_was_measured(files: int, phones: int) -> None:
    """A host is judged for the phones that fit, but not for millions that nobody tried."""
    assert phones == expected(make(files, 500), 6)


def test_a_roomy_host_needs_no_advice() -> None:
    """Limits that suffice, also just so, are not mentioned."""
    host = Host(
        somaxconn=4096,
        syn_backlog=4096,
        conntrack_max=120_000,
        files_max=200_000,
        nr_open=1,
        ports=(1, 100),
        memory_bytes=100_000 * PHONE_BYTES,
    )

    assert [] == names(host, opened=90)


def test_an_unknown_host_needs_no_advice() -> None:
    """What could not be read, or is not limited, is not judged."""
    assert [] == names(Host(), opened=100_000, tls=True)


def test_an_advice_has_the_command_that_mends_it() -> None:
    """What was found, what is wanted, why, and what to type."""
    (advice,) = judge(Host(somaxconn=128), phones=20_000, backlog=4096)

    why = "connections that wait for a worker; those of a storm beyond it are dropped"
    command = "sysctl -w net.core.somaxconn=4096"
    assert Advice("net.core.somaxconn", 128, 4096, why, command) == advice
    assert f"net.core.somaxconn: found 128, wanted 4,096 ({why}): {command}" == str(advice)


@pytest.mark.parametrize(("phones", "count"), [(1024, 0), (1025, 2)])
def test_few_phones_fill_no_queue(phones: int, count: int) -> None:
    """A queue that all phones together cannot fill is long enough."""
    host = Host(somaxconn=1024, syn_backlog=1024)

    assert count == len(judge(host, phones=phones, backlog=4096))


def test_handshakes_need_no_queue_with_syn_cookies() -> None:
    """The kernel asks for the length of the queue of handshakes only without SYN cookies."""
    assert ["net.ipv4.tcp_max_syn_backlog"] == names(Host(syn_backlog=512))
    assert [] == names(Host(syn_backlog=512, has_syncookies=True))


@pytest.mark.parametrize(
    ("host", "name", "wanted"),
    [
        (Host(conntrack_max=119_999), "net.netfilter.nf_conntrack_max", 120_000),
        (Host(files_max=199_999), "fs.file-max", 200_000),
    ],
)
def test_tables_have_room_for_more_than_the_phones(host: Host, name: str, wanted: int) -> None:
    """Tables that phones share with closed connections and other programs must be larger."""
    (advice,) = judge(host, phones=100_000, backlog=4096)

    assert (name, wanted, f"sysctl -w {name}={wanted}") == (
        advice.name,
        advice.wanted,
        advice.command,
    )


def test_source_ports_matter_for_what_is_opened() -> None:
    """Phones need no source port here; connections that the gateway opens need one each."""
    host = Host(ports=(32_768, 60_999))

    (advice,) = judge(host, phones=100_000, backlog=4096, opened=45_000)

    assert [] == names(host)
    assert (28_232, 50_000) == (advice.found, advice.wanted)
    assert 'sysctl -w net.ipv4.ip_local_port_range="10240 65535"' == advice.command


@pytest.mark.parametrize(("tls", "each"), [(False, PHONE_BYTES), (True, PHONE_BYTES + TLS_BYTES)])
def test_memory_is_that_of_all_phones(tls: bool, each: int) -> None:  # noqa: FBT001 - a row's value
    """Memory is too little when it ends before the files do; with TLS a phone takes more."""
    enough = 100_000 * each

    (advice,) = judge(Host(memory_bytes=enough - 1), phones=100_000, backlog=4096, tls=tls)

    assert [] == names(Host(memory_bytes=enough), tls=tls)
    found = (advice.name, advice.found, advice.wanted)
    assert ("available memory in MB", (enough - 1) // 10**6, -(-enough // 10**6)) == found
