"""The table of those who wait, on plain records and against a list."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pushgw.waiters import Waiters


@dataclass(frozen=True, eq=False)
class One:
    """One that waits."""

    mailbox: str = "anna"
    device: str = "D1"


@pytest.fixture(name="table")
def _table() -> Waiters[One]:
    return Waiters()


def filled(table: Waiters[One], *ones: One) -> tuple[One, ...]:
    for one in ones:
        table.add(one)
    return ones


def test_empty_table_knows_nobody(table: Waiters[One]) -> None:
    """Whoever is asked for in an empty table is not there."""
    assert (0, [], []) == (len(table), list(table), table.of("anna"))
    assert table.of_device("anna", "D1") == []


def test_only_one_of_a_mailbox_is_found(table: Waiters[One]) -> None:
    """One record is found by its mailbox and by its device, and by no other."""
    (one,) = filled(table, One())

    assert (1, [one], [one]) == (len(table), list(table), table.of("anna"))
    assert [one] == table.of_device("anna", "D1")
    assert ([], [], []) == (
        table.of("bert"),
        table.of_device("anna", "D2"),
        table.of_device("bert", "D1"),
    )


def test_several_devices_are_found_each(table: Waiters[One]) -> None:
    """Records of several devices are found together by mailbox, alone by device."""
    first, second = filled(table, One(device="D1"), One(device="D2"))

    assert [first, second] == table.of("anna") == list(table)
    assert ([first], [second], []) == tuple(
        table.of_device("anna", name) for name in ("D1", "D2", "D3")
    )


def test_several_of_one_device_are_found(table: Waiters[One]) -> None:
    """Any number of records of one device is kept, in the order in which they came."""
    ones = filled(table, One(), One(), One())

    assert list(ones) == table.of("anna") == list(table) == table.of_device("anna", "D1")


def test_mailboxes_do_not_mix(table: Waiters[One]) -> None:
    """A device's name says nothing across mailboxes."""
    anna, bert = filled(table, One("anna"), One("bert"))

    assert ([anna], [bert]) == (table.of_device("anna", "D1"), table.of_device("bert", "D1"))
    assert [anna, bert] == list(table)


@pytest.mark.parametrize("devices", [("D1", "D1", "D1"), ("D1", "D2", "D2"), ("D1", "D2", "D3")])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_last_one_of_a_mailbox_is_told(
    table: Waiters[One], devices: tuple[str, ...], order: tuple[int, ...]
) -> None:
    """Only who is taken out last is told to be the last, whatever the order; nothing stays."""
    ones = filled(table, *(One(device=name) for name in devices))

    assert [False, False, True] == [table.remove(ones[at]) for at in order]
    assert (0, [], {}) == (len(table), table.of("anna"), table._by_mailbox)


def test_removed_one_is_not_found(table: Waiters[One]) -> None:
    """Of two records of one device the right one is taken out."""
    first, second = filled(table, One(), One())
    table.remove(first)

    assert [second] == table.of_device("anna", "D1") == table.of("anna")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_lists_are_the_callers_own(table: Waiters[One], count: int) -> None:
    """Whoever walks over a list may take records out meanwhile."""
    filled(table, *(One() for _ in range(count)))
    for one in table.of_device("anna", "D1"):
        table.remove(one)

    assert len(table) == 0


def test_list_of_a_mailbox_is_the_callers_own(table: Waiters[One]) -> None:
    """Whoever walks over a mailbox may take its records out meanwhile."""
    filled(table, One(device="D1"), One(device="D2"), One(device="D2"))
    for one in table.of("anna"):
        table.remove(one)

    assert len(table) == 0


class AgainstAList(RuleBasedStateMachine):
    """The table against a list of all records."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Waiters[One] = Waiters()
        self.ones: list[One] = []

    @rule(mailbox=st.sampled_from("ab"), device=st.sampled_from("123"))
    def add(self, mailbox: str, device: str) -> None:
        self.ones.append(One(mailbox, device))
        self.table.add(self.ones[-1])

    @rule(choice=st.integers(0, 10**6))
    def remove(self, choice: int) -> None:
        if self.ones:
            one = self.ones.pop(choice % len(self.ones))
            is_last = not any(other.mailbox == one.mailbox for other in self.ones)
            assert is_last == self.table.remove(one)

    @invariant()
    def agrees(self) -> None:
        assert len(self.ones) == len(self.table)
        assert set(self.ones) == set(self.table)
        for mailbox in "ab":
            mine = [one for one in self.ones if one.mailbox == mailbox]
            assert set(mine) == set(self.table.of(mailbox))
            for device in "123":
                expected = [one for one in mine if one.device == device]
                assert expected == self.table.of_device(mailbox, device)


TestAgainstAList = AgainstAList.TestCase
TestAgainstAList.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
