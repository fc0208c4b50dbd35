from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from pushgw.accounts import AccessDenied, Door, DoorLimits, FailureDelays
from pushgw.users_file import UsersFile, remove

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HERE = "192.0.2.1"


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


ANNA = basic("DOMAIN\\Anna", "secret")
WRONG = basic("anna", "wrong")


class CountedUsers(UsersFile):
    """The users file, with a count of the passwords that were verified."""

    verified = 0

    def check(self, name: str, password: str) -> bool:
        self.verified += 1
        return super().check(name, password)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    users = {"anna": "secret", "bert": "hidden"}
    lines = [f"{name}:{CHEAP.hash(password)}\n" for name, password in users.items()]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def users(file: Path) -> CountedUsers:
    return CountedUsers(file)


@pytest.fixture
async def make_door(users: CountedUsers) -> AsyncIterator[Callable[..., Door]]:
    doors: list[Door] = []

    def make(first: float = 0.0, **limits: float) -> Door:
        doors.append(Door(users, DoorLimits(**limits), FailureDelays(first=first)))  # type: ignore[arg-type] # the numbers are right
        return doors[-1]

    yield make
    for door in doors:
        door.close()


async def denied(door: Door, authorization: str | None, address: str = HERE) -> AccessDenied:
    with pytest.raises(AccessDenied) as caught:
        await door.admit(authorization, address, 0.0)
    return caught.value


async def busy_until(is_reached: Callable[[], bool]) -> None:
    for _ in range(5000):
        if is_reached():
            return
        await asyncio.sleep(0.001)
    pytest.fail("not reached within 5 s")


def test_delays_double_up_to_the_most() -> None:
    """The first failure costs nothing, each further one twice as much, up to half a minute."""
    delays = FailureDelays()

    waits = [delays.failed("anna", HERE, float(now)) for now in range(11)]

    assert [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0] == waits


def test_an_address_counts_over_all_logins() -> None:
    """Guessing at many names from one address is delayed like guessing at one."""
    delays = FailureDelays()

    waits = [delays.failed(name, HERE, 0.0) for name in ("anna", "bert", "carl")]

    assert [0.0, 0.25, 0.5] == waits


def test_a_login_counts_over_all_addresses() -> None:
    """Guessing at one name from many addresses is delayed like guessing from one."""
    delays = FailureDelays()

    waits = [delays.failed("anna", f"192.0.2.{host}", 0.0) for host in range(3)]

    assert [0.0, 0.25, 0.5] == waits


def test_a_failure_without_a_name_counts_for_the_address() -> None:
    """A header nobody can read counts for where it came from."""
    delays = FailureDelays()
    delays.failed(None, HERE, 0.0)

    assert delays.failed("anna", HERE, 0.0) == 0.25


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", 0.25),
        ("2001:db8::1", "2001:db8:0:1::1", 0.0),
        ("::ffff:192.0.2.1", "192.0.2.1", 0.25),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", 0.0),
        ("unix", "unix", 0.25),
    ],
)
def test_addresses_of_one_customer_count_together(first: str, second: str, expected: float) -> None:
    """An IPv6 /64 is one address; IPv4 written as IPv6 is IPv4."""
    delays = FailureDelays()
    delays.failed("anna", first, 0.0)

    assert expected == delays.failed("bert", second, 0.0)


def test_failures_are_forgotten() -> None:
    """A count ends a quarter of an hour after its last failure."""
    delays = FailureDelays()
    delays.failed("anna", HERE, 0.0)
    delays.failed("anna", HERE, 800.0)

    assert delays.failed("anna", HERE, 1699.0) == 0.5
    assert delays.failed("anna", HERE, 1699.0 + 900.0) == 0.0


def test_a_success_clears_the_login_only() -> None:
    """After a success the login's failures are forgotten, the address's are not."""
    delays = FailureDelays()
    delays.failed("anna", HERE, 0.0)

    delays.succeeded("anna")
    delays.succeeded("anna")

    assert delays.failed("anna", "192.0.2.2", 0.0) == 0.0
    assert delays.failed("bert", HERE, 0.0) == 0.25


def test_an_address_is_suspect_until_its_failures_are_forgotten() -> None:
    """An address has failed from its first failure until that is forgotten."""
    delays = FailureDelays()
    delays.failed("anna", HERE, 0.0)

    assert delays.has_failed(HERE, 899.0)
    assert not delays.has_failed(HERE, 900.0)
    assert not delays.has_failed("192.0.2.2", 0.0)


def test_counts_are_bounded() -> None:
    """When all counts are taken, the one that has been quiet longest is forgotten."""
    delays = FailureDelays(capacity=3)
    for host in (1, 2, 3, 1, 4):
        delays.failed(None, f"192.0.2.{host}", 0.0)

    assert len(delays) == 3
    assert delays.failed(None, "192.0.2.1", 0.0) == 0.5
    assert delays.failed(None, "192.0.2.2", 0.0) == 0.0


def test_failures_without_end_stay_within_the_most() -> None:
    """The delay of the thousandth failure is still a number of seconds within the bound."""
    delays = FailureDelays()

    waits = [delays.failed(None, HERE, 0.0) for _ in range(2000)]

    assert waits[-1] == 30.0


async def test_a_right_password_gets_in(make_door: Callable[..., Door]) -> None:
    """A right password gives the login name."""
    assert await make_door().admit(ANNA, HERE, 0.0) == "anna"


async def test_an_admitted_header_is_known(make_door: Callable[..., Door]) -> None:
    """A header that got in is known at once, and its login is one shared string."""
    door = make_door()
    assert door.known(ANNA, 0.0) is None

    login = await door.admit(ANNA, HERE, 0.0)

    assert login is door.known(ANNA, 1.0)


async def test_another_header_of_the_same_user_is_not_known(
    make_door: Callable[..., Door],
) -> None:
    """Only the exact header is known."""
    door = make_door()
    await door.admit(ANNA, HERE, 0.0)

    assert door.known(basic("anna", "secret"), 1.0) is None


async def test_a_verdict_ends(make_door: Callable[..., Door], users: CountedUsers) -> None:
    """After its time a header is verified again."""
    door = make_door(cache_seconds=300.0)
    await door.admit(ANNA, HERE, 0.0)

    assert door.known(ANNA, 299.0) == "anna"
    assert door.known(ANNA, 300.0) is None
    await door.admit(ANNA, HERE, 300.0)
    assert users.verified == 2


async def test_verdicts_are_bounded(make_door: Callable[..., Door]) -> None:
    """When the cache is full the verdict that was not used longest goes."""
    door = make_door(cached_logins=2)
    others = [basic("Anna", "secret"), basic("ANNA", "secret")]
    await door.admit(ANNA, HERE, 0.0)
    await door.admit(others[0], HERE, 0.0)
    door.known(ANNA, 0.0)

    await door.admit(others[1], HERE, 0.0)

    assert [None, "anna", "anna"] == [door.known(one, 0.0) for one in (others[0], others[1], ANNA)]


async def test_a_change_of_the_file_ends_all_verdicts(
    make_door: Callable[..., Door], file: Path
) -> None:
    """Within a second of a change of the users file nobody is known any more."""
    door = make_door()
    await door.admit(ANNA, HERE, 0.0)
    remove(file, "anna")

    assert door.known(ANNA, 1.0) is None
    assert (await denied(door, ANNA)).metric_label == "wrong"


async def test_a_verdict_of_an_earlier_file_is_not_remembered(
    make_door: Callable[..., Door], file: Path
) -> None:
    """A password that was verified while the file changed is verified again next time."""
    door = make_door()
    admitting = asyncio.create_task(door.admit(ANNA, HERE, 0.0))
    await asyncio.sleep(0)
    remove(file, "bert")
    assert door.known(ANNA, 1.0) is None

    await admitting

    assert door.known(ANNA, 1.0) is None


async def test_the_same_header_is_verified_once(
    make_door: Callable[..., Door], users: CountedUsers
) -> None:
    """Clients that come with the same header at the same time share one verification."""
    door = make_door()

    logins = await asyncio.gather(*(door.admit(ANNA, HERE, 0.0) for _ in range(10)))

    assert ["anna"] * 10 == logins
    assert users.verified == 1


async def test_a_client_that_hangs_up_takes_nothing_from_the_others(
    make_door: Callable[..., Door], users: CountedUsers
) -> None:
    """A verification that several clients wait for outlives the first of them."""
    door = make_door()
    first = asyncio.create_task(door.admit(ANNA, HERE, 0.0))
    second = asyncio.create_task(door.admit(ANNA, HERE, 0.0))
    await asyncio.sleep(0)
    first.cancel()

    assert await second == "anna"
    assert users.verified == 1


async def test_a_header_that_is_known_is_not_verified_again(
    make_door: Callable[..., Door], users: CountedUsers
) -> None:
    """A header that got in meanwhile is admitted by its verdict."""
    door = make_door()
    await door.admit(ANNA, HERE, 0.0)

    assert await door.admit(ANNA, HERE, 1.0) == "anna"
    assert users.verified == 1


@pytest.mark.parametrize(
    ("authorization", "label"),
    [
        (None, "missing"),
        ("", "missing"),
        ("Basic !", "malformed"),
        ("Bearer x", "malformed"),
        (WRONG, "wrong"),
        (basic("carl", "secret"), "wrong"),
    ],
)
async def test_a_refusal_says_why(
    make_door: Callable[..., Door], authorization: str | None, label: str
) -> None:
    """Whoever does not get in is asked for credentials, and counted by the reason."""
    error = await denied(make_door(), authorization)

    assert (401, label, None) == (error.http_status, error.metric_label, error.retry_after)


async def test_a_request_without_credentials_is_no_failure(make_door: Callable[..., Door]) -> None:
    """The first question of a client that sends no password delays nobody."""
    door = make_door(first=60.0)

    for _ in range(5):
        await denied(door, None)

    assert (await denied(door, WRONG)).metric_label == "wrong"


async def test_a_refusal_waits_its_delay(make_door: Callable[..., Door]) -> None:
    """The second wrong password is refused after the delay."""
    door = make_door(first=0.03)
    loop = asyncio.get_running_loop()
    await denied(door, WRONG)

    started = loop.time()
    await denied(door, WRONG)

    assert loop.time() - started >= 0.03


async def test_a_right_password_never_waits(make_door: Callable[..., Door]) -> None:
    """Failures of the same login and address do not delay the right password, which clears them."""
    door = make_door(first=60.0)
    await denied(door, WRONG)

    async with asyncio.timeout(5):
        assert await door.admit(ANNA, HERE, 0.0) == "anna"
        assert (await denied(door, WRONG, "192.0.2.2")).metric_label == "wrong"


async def test_refusals_that_wait_are_bounded(
    make_door: Callable[..., Door], users: CountedUsers
) -> None:
    """When no further refusal can wait, a failing address is sent away without a verification."""
    door = make_door(first=60.0, delayed_refusals=1)
    await denied(door, WRONG)
    waiting = asyncio.create_task(door.admit(WRONG, HERE, 0.0))
    await busy_until(lambda: door._delayed == 1)
    verified = users.verified

    error = await denied(door, ANNA)

    assert (503, "busy", 30) == (error.http_status, error.metric_label, error.retry_after)
    assert verified == users.verified
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await door.admit(ANNA, HERE, 0.0) == "anna"


async def test_a_crowd_does_not_keep_out_other_addresses(make_door: Callable[..., Door]) -> None:
    """An address that never failed gets in while no further refusal can wait."""
    door = make_door(first=60.0, delayed_refusals=0)
    await denied(door, WRONG)

    assert await door.admit(ANNA, "192.0.2.2", 0.0) == "anna"


async def test_a_refusal_that_cannot_wait_is_sent_away(make_door: Callable[..., Door]) -> None:
    """A login that failed elsewhere is refused with 503 when its delay cannot be kept."""
    door = make_door(first=60.0, delayed_refusals=0)
    await denied(door, WRONG)

    assert (await denied(door, WRONG, "192.0.2.2")).http_status == 503


async def test_verifications_that_wait_are_bounded(make_door: Callable[..., Door]) -> None:
    """When the queue of verifications is full, one more is sent away for half a minute."""
    door = make_door(waiting_logins=1)
    first = asyncio.create_task(door.admit(ANNA, HERE, 0.0))
    await asyncio.sleep(0)

    error = await denied(door, basic("bert", "hidden"))

    assert (503, 30) == (error.http_status, error.retry_after)
    assert await first == "anna"
    assert await door.admit(basic("bert", "hidden"), HERE, 0.0) == "bert"


@pytest.fixture
def usual(file: Path) -> None:
    file.write_text(f"anna:{PasswordHasher(2, 19_456, 1).hash('secret')}\n", encoding="utf-8")


async def test_the_loop_runs_while_passwords_are_verified(
    usual: None, make_door: Callable[..., Door]
) -> None:
    """A verification of the usual cost does not hold up the event loop."""
    door = make_door()
    turns = 0
    admitting = asyncio.create_task(door.admit(ANNA, HERE, 0.0))

    while not admitting.done():
        await asyncio.sleep(0.001)
        turns += 1

    assert turns > 5
    assert await admitting == "anna"


async def test_a_closed_door_cancels_who_waits(
    users: CountedUsers, make_door: Callable[..., Door]
) -> None:
    """Closing gives up the verifications that have not begun."""
    door = make_door(threads=1)
    tasks = [
        asyncio.create_task(door.admit(basic("anna", str(one)), HERE, 0.0)) for one in range(200)
    ]
    await asyncio.sleep(0)

    door.close()

    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(one, asyncio.CancelledError) for one in results)
