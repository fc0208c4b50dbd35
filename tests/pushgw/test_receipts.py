"""Which answers count as arrived."""

from __future__ import annotations

import pytest

from pushgw.devices import Device, Seen
from pushgw.receipts import Receipts


class Phone:
    """A connection whose bytes arrive when the test says so."""

    def __init__(self, *, delivered: bool = False) -> None:
        self.delivered = delivered

    def has_delivered(self) -> bool:
        return self.delivered


def seen(number: int, device: str = "D1") -> Seen:
    return Seen(Device("anna", device), (("INBOX", f"{number}.e1"),))


@pytest.fixture(name="receipts")
def _receipts() -> Receipts:
    return Receipts()


def test_next_request_is_a_receipt(receipts: Receipts) -> None:
    """A phone that sends its next request has read the answer before."""
    phone = Phone()
    receipts.sent(phone, seen(1))

    assert seen(1) == receipts.next_request(phone)
    assert len(receipts) == 0


def test_first_request_is_no_receipt(receipts: Receipts) -> None:
    """Before any answer there is nothing to acknowledge."""
    assert receipts.next_request(Phone()) is None


def test_receipt_counts_once(receipts: Receipts) -> None:
    """An answer taken by the next request does not arrive a second time."""
    phone = Phone(delivered=True)
    receipts.sent(phone, seen(1))
    receipts.next_request(phone)

    assert receipts.arrived() == []
    assert receipts.next_request(phone) is None


def test_acknowledged_bytes_are_a_receipt(receipts: Receipts) -> None:
    """What the phone's TCP has acknowledged has arrived; the rest is waited for."""
    far, near = Phone(), Phone(delivered=True)
    receipts.sent(far, seen(1))
    receipts.sent(near, seen(2))

    assert [seen(2)] == receipts.arrived()
    assert len(receipts) == 1

    far.delivered = True

    assert [seen(1)] == receipts.arrived()
    assert len(receipts) == 0


@pytest.mark.parametrize(
    ("cleanly", "delivered", "expected"),
    [(True, True, [seen(1)]), (True, False, []), (False, True, []), (False, False, [])],
)
def test_end_of_a_connection_decides(
    receipts: Receipts, expected: list[Seen], *, cleanly: bool, delivered: bool
) -> None:
    """Only a clean end with all bytes acknowledged is a receipt; otherwise it is told again."""
    phone = Phone(delivered=delivered)
    receipts.sent(phone, seen(1))
    receipts.closed(phone, cleanly=cleanly)

    assert expected == receipts.arrived()
    assert len(receipts) == 0


def test_end_without_an_answer_is_nothing(receipts: Receipts) -> None:
    """A connection that was not told anything leaves nothing."""
    receipts.closed(Phone(delivered=True), cleanly=True)

    assert receipts.arrived() == []


def test_newer_answer_replaces_the_older(receipts: Receipts) -> None:
    """One answer at most is on its way on a connection."""
    phone = Phone(delivered=True)
    receipts.sent(phone, seen(1))
    receipts.sent(phone, seen(2))

    assert [seen(2)] == receipts.arrived()


def test_kept_receipt_is_taken_once(receipts: Receipts) -> None:
    """A receipt that was kept for later comes with the next arrivals, and not again."""
    receipts.keep(seen(1))

    assert [[seen(1)], []] == [receipts.arrived(looks=False) for _ in range(2)]


def test_receipts_of_a_device_are_merged(receipts: Receipts) -> None:
    """Of one folder's marks the latest stays, of several folders each one, in one record."""
    device = Device("anna", "D1")
    for marks in ((("INBOX", "1.e1"), ("5", "4.e1")), (("Tasks", "9.e1"),), (("INBOX", "2.e1"),)):
        receipts.keep(Seen(device, marks))

    expected = (("INBOX", "2.e1"), ("5", "4.e1"), ("Tasks", "9.e1"))
    assert [Seen(device, expected)] == receipts.arrived()


def test_acknowledged_answer_is_merged_with_the_receipts_before(receipts: Receipts) -> None:
    """An answer whose bytes have arrived since counts as the latest of its device."""
    receipts.keep(seen(1))
    receipts.sent(Phone(delivered=True), seen(2))

    assert [seen(2)] == receipts.arrived()


def test_devices_are_not_mixed(receipts: Receipts) -> None:
    """Each device's receipts are its own, oldest device first, also after a newer receipt."""
    for device, number in (("D1", 1), ("D2", 2), ("D1", 3)):
        receipts.keep(seen(number, device))

    assert [seen(3, "D1"), seen(2, "D2")] == receipts.arrived()


def test_nobody_is_looked_at_unless_asked_for(receipts: Receipts) -> None:
    """Whether bytes have arrived costs a call each, which is not made at every turn."""
    phone = Phone(delivered=True)
    receipts.sent(phone, seen(1))

    assert receipts.arrived(looks=False) == []
    assert [seen(1)] == receipts.arrived()


def test_arrivals_come_in_portions(receipts: Receipts) -> None:
    """What is beyond the limit of one call comes with the next, in order."""
    for number in range(5):
        receipts.sent(Phone(delivered=True), seen(number, f"D{number}"))

    portions = [receipts.arrived(limit=2) for _ in range(4)]

    numbers = [[int(one.device.id[1:]) for one in portion] for portion in portions]
    assert numbers == [[0, 1], [2, 3], [4], []]
