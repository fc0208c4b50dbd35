"""Whatever happens in whatever order, nobody who waits, or may wait on, has missed a change."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from structlog.testing import capture_logs

from heartbeat.interval import Bounds
from notifier.bus import Bus, BusConfig
from notifier.ledger import Ledger
from pushgw.brake import Brake
from pushgw.devices import Device, Devices, newer_ping
from pushgw.eas.ping import CACHED, PingRequest
from pushgw.hub import Hub
from pushgw.opening import PAUSE, Opener
from pushgw.receipts import Receipts
from pushgw.session import HEARTBEAT, Answer, Limits, PingSession
from tests.pushgw.resting_model import FOLDER_OF, INBOX, PROJECTS, Loop, Phone, Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushgw.waiting import Waiting

LIMITS = Limits(Bounds(low=60, high=3540, default=480), max_folders=2)
PING = PingRequest(600, (INBOX, PROJECTS))
DEVICES = (Device("anna", "D1"), Device("anna", "D2"))
VERBS = (
    *("ping", "ping silently", "ping too early", "ping on a new connection"),
    *("end", "hang up", "break off", "turn to an older connection"),
    *("record INBOX", "record Projects", "record silently", "record hierarchy"),
    *("ping elsewhere", "announce"),
    *("do", "answer", "do", "answer", "lose commands"),
    *("subscribe", "tell", "subscribe", "tell", "give up"),
    *("lose subscriptions", "notice", "reconnect"),
    *("save", "crash", "wait", "tick"),
)
TROUBLES = (
    "crash",
    "lose commands",
    "lose subscriptions",
    "ping elsewhere",
    "hang up",
    "break off",
)
"""Some of them are left out of each run: they end what others might show."""
STEPS = st.lists(
    st.tuples(st.sampled_from(VERBS), st.sampled_from(DEVICES)), min_size=1, max_size=8
)


class Gateway(RuleBasedStateMachine):
    """One worker: opener, hub, bus and their parts; phones, and a Redis that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = contextlib.ExitStack()
        self.logs = self.ends.enter_context(capture_logs())
        self.loop = Loop()
        self.redis = Redis()
        self.receipts = Receipts()
        clock = self.loop.time
        self.opener = Opener(
            devices=Devices(self.redis, "w1"),
            ledger=Ledger(self.redis),
            receipts=self.receipts,
            limits=LIMITS,
            clock=clock,
        )
        # Subscriptions are given up whenever the bus has anything to say.
        self.bus = Bus("redis://localhost", self.opener, config=BusConfig(linger=0.0))
        self.hub = Hub(self.bus, self.receipts, Brake(), clock)
        self.opener.serve(self.hub)
        self.task = self.loop.create_task(self.opener.run())
        self.spared: set[str] = set()
        self.phones: dict[Device, list[Phone]] = {one: [] for one in DEVICES}
        """Open connections, the newest last."""
        self.unannounced: list[tuple[Device, int]] = []
        """Pings that another worker took and has told nobody of yet."""
        self.elsewhere: Counter[Device] = Counter()
        """Numbers of the newest Pings that another worker took."""
        self.recorded: Counter[str] = Counter()
        """Changes so far, by the phone's folder id."""
        self.covered: dict[Device, Counter[str]] = {one: Counter() for one in DEVICES}
        """How many of them each phone was told of."""

    @initialize(spared=st.sets(st.sampled_from(TROUBLES)))
    def begin(self, spared: set[str]) -> None:
        self.spared = spared
        for device in DEVICES:
            self.redis.synchronise(device)
            self.do("ping", device)
        self.redis.save()
        self.settle()

    def run(self, act: Callable[[], object]) -> None:
        """Do something, and let everything follow that needs neither time nor Redis."""

        async def turn() -> None:
            act()
            for _ in range(8):
                await asyncio.sleep(0)
                self.loop.now += 0.0005

        self.loop.run_until_complete(turn())

    # What happens.

    @rule(steps=STEPS)
    def happen(self, steps: Sequence[tuple[str, Device]]) -> None:
        for verb, device in steps:
            self.do(verb, device)

    @rule(devices=st.sampled_from((DEVICES[:1], DEVICES)), steps=STEPS, is_slow=st.booleans())
    def happen_between_two_pings(
        self, devices: Sequence[Device], steps: Sequence[tuple[str, Device]], *, is_slow: bool
    ) -> None:
        for device in devices:
            self.do("ping", device)
        self.settle()
        for device in devices:
            self.do("end", device)
        self.happen(steps)
        for device in devices:
            if is_slow:
                self.settle()
            self.do("ping", device)

    def do(self, verb: str, device: Device) -> None:
        act, _, rest = verb.partition(" ")
        if verb in self.spared:
            return
        if verb == "ping elsewhere":
            self.elsewhere[device] = self.redis.ping_elsewhere(device)
            self.unannounced.append((device, self.elsewhere[device]))
        elif act == "ping":
            self.ping(device, rest)
        elif act == "record":
            self.record(rest)
        elif act in {"hang", "break", "turn"}:
            self.leave(device, act)
        elif verb == "end":
            for waiting in self.hub._waiters.of_device(device.mailbox, device.id):
                if isinstance(waiting.state, PingSession):
                    self.run(partial(self.hub.finish, waiting, HEARTBEAT))
        else:
            self.run(self.acts[verb])

    @property
    def acts(self) -> dict[str, Callable[[], object]]:
        redis, bus = self.redis, self.bus
        return {
            "announce": self.announce,
            "do": redis.do_call,
            "answer": redis.answer_call,
            "lose commands": redis.lose_calls,
            "subscribe": redis.do_subscription,
            "tell": lambda: redis.tell(2),
            "give up": self.give_up,
            "lose subscriptions": redis.lose_ear,
            "notice": lambda: redis.ear or bus._disconnect(),
            "reconnect": self.reconnect,
            "save": redis.save,
            "crash": redis.crash,
            "wait": self.wait,
            "tick": lambda: self.opener.tick(self.loop.time()),
        }

    def ping(self, device: Device, how: str) -> None:
        """Let a Ping come; too early means that the one before still waits."""
        phones = self.phones[device]
        if not phones or how == "on a new connection":
            phones.append(Phone(device, self.recorded))
        phone = phones[-1]

        def arrive() -> None:
            if phone.waiting is not None:
                self.hub.interrupt(phone.waiting)
            self.read(phone)
            request = CACHED if how == "silently" else PING
            self.opener.begin(phone, device, request, self.loop.time())

        if phone.waiting is None or how == "too early":
            self.run(arrive)

    def read(self, phone: Phone) -> None:
        """Let the phone have what it was told, and do what it must."""
        for response, recorded in phone.unread:
            for folder in response.folders:
                covered = self.covered[phone.device]
                covered[folder] = max(covered[folder], recorded[folder])
            if response.status == 7:
                self.redis.synchronise(phone.device)
        phone.unread.clear()

    def leave(self, device: Device, how: str) -> None:
        """Let a phone turn from its newest connection, which it may keep for later."""
        if not self.phones[device]:
            return
        phone = self.phones[device].pop()
        if how == "turn":
            self.phones[device].insert(0, phone)
        else:
            self.run(partial(self.end, phone, is_read=how == "hang"))

    def end(self, phone: Phone, *, is_read: bool) -> None:
        """Do what a connection does when it ends."""
        if is_read:
            self.read(phone)
        self.receipts.closed(phone, cleanly=is_read)
        if phone.waiting is not None:
            self.hub.abandon(phone.waiting)
        if phone.rested is not None:
            self.hub.forget_rest(phone.rested)

    def record(self, what: str) -> None:
        field = {"hierarchy": "", "silently": "INBOX"}.get(what, what)
        self.redis.record("anna", field, is_told=what != "silently")
        if field in FOLDER_OF:
            self.recorded[FOLDER_OF[field]] += 1

    def announce(self) -> None:
        while self.unannounced:
            device, generation = self.unannounced.pop(0)
            self.redis.publish(device.mailbox, newer_ping(device.id, generation))

    def reconnect(self) -> None:
        if self.redis.ear is None:
            self.bus._disconnect()
            self.redis.connect(self.bus)

    def give_up(self) -> None:
        """Have what nobody waits for unsubscribed, and that done before anything else."""
        self.bus._flush()
        while self.redis.do_subscription():
            pass

    def wait(self) -> None:
        self.loop.now += PAUSE

    # What must hold.

    @invariant()
    def rests_are_kept_in_order(self) -> None:
        for rested in self.hub._resting:
            assert (rested, None) == (rested.phone.rested, rested.phone.waiting)
        assert len(list(self.hub._resting)) == len(self.hub._resting)

    @invariant()
    def nothing_of_ours_fails(self) -> None:
        assert [] == [one for one in self.logs if one["log_level"] == "error"]

    @rule()
    def settle(self) -> None:
        """Let everything happen that is on its way; then nobody has missed anything."""
        for _ in range(200):
            self.work_off()
            if self.is_quiet:
                break
        else:
            pytest.fail("something goes on for ever")
        for waiting in (*self.hub._waiters, *self.hub._resting):
            self.check(waiting)

    def work_off(self) -> None:
        self.run(self.reconnect)
        while self.redis.do_subscription():
            pass
        self.announce()
        self.run(lambda: self.redis.tell(1000))
        while self.redis.do_call():
            self.run(self.redis.answer_call)
        self.run(self.redis.answer_call)
        for waiting in list(self.hub._waiters):
            if isinstance(waiting.state, Answer):  # the brake lets go
                self.hub.finish(waiting, waiting.state)
        self.run(self.wait)

    @property
    def is_quiet(self) -> bool:
        ear, opener = self.redis.ear, self.opener
        on_the_way = (self.redis.calls, self.unannounced, opener._pings, opener._mailboxes)
        return (
            ear is not None
            and not (ear.asked or ear.out or any(on_the_way))
            and all(isinstance(one.state, PingSession) for one in self.hub._waiters)
        )

    def check(self, waiting: Waiting) -> None:
        session = waiting.state
        assert isinstance(session, PingSession)
        ledger = self.redis.numbers(waiting.mailbox, session.watch.fields)
        assert (ledger, self.redis.shown_epoch) == (session._cursors, session._epoch)
        # Another worker's message may be lost as well, and numbers be given a second time: then an
        # older Ping waits beside the newer one.
        if not self.redis.losses:
            assert waiting.generation >= self.elsewhere[waiting.whose]
            mine = (waiting.mailbox, waiting.device)
            tables = (self.hub._waiters, self.hub._resting)
            assert [waiting] == [one for table in tables for one in table.of_device(*mine)]

    def teardown(self) -> None:
        try:
            if self.redis.saved:
                self.come_to_rest()
        finally:
            self.task.cancel()
            self.loop.run_until_complete(asyncio.gather(self.task, return_exceptions=True))
            self.loop.close()
            self.ends.close()

    def come_to_rest(self) -> None:
        """Have all phones ping until each of them waits; then each was told of everything."""
        for _ in range(30):
            self.settle()
            idle = [one for one in DEVICES if not self.waits(one)]
            if not idle:
                break
            for device in idle:
                self.do("ping", device)
        else:
            pytest.fail("a phone is told the same for ever")
        for device in DEVICES:
            assert self.recorded == self.covered[device]

    def waits(self, device: Device) -> bool:
        return bool(self.phones[device]) and self.phones[device][-1].waiting is not None


TestGateway = Gateway.TestCase
TestGateway.settings = settings(max_examples=400, stateful_step_count=15, deadline=None)
