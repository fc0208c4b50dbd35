from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from heartbeat.deadlines import Deadlines


def test_item_fires_in_its_slot():
    """An item is not due before its slot begins and is due when it does."""
    wheel = Deadlines(now=100.0)
    wheel.arm("a", 107.9)

    assert wheel.due(106.99, 10) == []
    assert wheel.due(107.0, 10) == ["a"]


def test_item_fires_once():
    """What has fired does not fire again."""
    wheel = Deadlines(now=0.0)
    wheel.arm("a", 1.0)
    wheel.due(1.0, 10)

    assert wheel.due(2.0, 10) == []


def test_disarmed_item_does_not_fire():
    """An item that was taken back is never due."""
    wheel = Deadlines(now=0.0)
    wheel.arm("a", 5.0)
    wheel.arm("b", 5.0)
    wheel.disarm("a", 5.0)

    assert wheel.due(9.0, 10) == ["b"]


def test_disarming_the_last_item_frees_its_slot():
    """Nothing is kept for a slot in which nothing is due any more."""
    wheel = Deadlines(now=0.0)
    wheel.arm("a", 5.0)
    wheel.disarm("a", 5.0)
    wheel.disarm("a", 5.0)

    assert len(wheel) == 0


def test_overdue_item_fires_at_the_next_call():
    """An item armed for the past is due at once."""
    wheel = Deadlines(now=50.0)
    wheel.arm("late", 3.0)

    assert wheel.due(50.0, 10) == ["late"]


def test_overdue_item_can_be_disarmed():
    """An item armed for the past is found again by the time it was armed with."""
    wheel = Deadlines(now=50.0)
    wheel.arm("late", 3.0)
    wheel.disarm("late", 3.0)

    assert wheel.due(50.0, 10) == []


def test_limit_bounds_one_call():
    """A cohort comes out in portions, nobody is forgotten."""
    wheel = Deadlines(now=0.0)
    for number in range(5):
        wheel.arm(number, 1.5)
    wheel.arm(5, 2.5)

    portions = [wheel.due(9.0, 2) for _ in range(4)]

    assert [len(portion) for portion in portions] == [2, 2, 2, 0]
    assert set(range(6)) == {item for portion in portions for item in portion}


def test_item_armed_in_the_current_slot_is_due():
    """The slot of the present stays open for items that are armed into it."""
    wheel = Deadlines(now=10.0)
    wheel.due(10.4, 10)
    wheel.arm("a", 10.6)

    assert wheel.due(10.7, 10) == ["a"]


def test_resolution_is_the_length_of_a_slot():
    """With a resolution of a quarter of a second an item fires less than that too early."""
    wheel = Deadlines(now=100.0, resolution=0.25)
    wheel.arm("a", 107.9)

    assert wheel.due(107.74, 10) == []
    assert wheel.due(107.75, 10) == ["a"]


def test_disarming_finds_the_slot_at_any_resolution():
    """An item is found again by the time it was armed with."""
    wheel = Deadlines(now=100.0, resolution=0.25)
    wheel.arm("a", 107.9)
    wheel.disarm("a", 107.9)

    assert len(wheel) == 0


class AgainstAModel(RuleBasedStateMachine):
    """The wheel against a plain dictionary of due times."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.wheel = Deadlines(now=self.now)
        self.armed = {}
        self.next_item = 0

    @rule(ahead=st.floats(-5, 4000))
    def arm(self, ahead):
        self.armed[self.next_item] = self.now + ahead
        self.wheel.arm(self.next_item, self.now + ahead)
        self.next_item += 1

    @rule(choice=st.integers(0, 10**6))
    def disarm(self, choice):
        if self.armed:
            item = sorted(self.armed)[choice % len(self.armed)]
            self.wheel.disarm(item, self.armed.pop(item))

    @rule(step=st.floats(0, 3000), limit=st.integers(1, 4))
    def advance(self, step, limit):
        self.now += step
        while taken := self.wheel.due(self.now, limit):
            assert len(taken) <= limit
            for item in taken:
                assert self.armed.pop(item) < int(self.now) + 1
        assert all(at >= int(self.now) + 1 for at in self.armed.values())

    @invariant()
    def counts_agree(self):
        assert len(self.armed) == len(self.wheel)


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
