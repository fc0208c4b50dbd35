"""What a gateway tells of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.benching import exposition
from loadtest.benching.load_process import LoadError
from loadtest.servers import parse_admin
from loadtest.targets import Target

if TYPE_CHECKING:
    from loadtest.running import Place

HELD = "pushgw_held_pings 12.0\n"


def per_worker(*held: int) -> str:
    lines = [
        f'pushgw_held_pings_per_worker{{worker="{worker}"}} {count}\n'
        for worker, count in enumerate(held)
    ]
    return HELD + "".join(lines)


@pytest.mark.parametrize(
    ("text", "balance"),
    [
        (per_worker(4, 4, 4), 1.0),
        (per_worker(6, 3, 3), 1.5),
        (per_worker(0, 12), 2.0),
        (per_worker(0, 0), None),
        (HELD, None),
    ],
)
def test_workers_are_compared(text: str, balance: float | None) -> None:
    """Balance is the fullest worker by the mean of all, and nothing where nobody tells."""
    assert balance == exposition.balance(text)


async def test_a_gateway_tells(standing: Place) -> None:
    """A running gateway tells how many Pings it holds."""
    (admin,) = standing.admins
    text = await exposition.fetch(parse_admin(admin))

    assert "\npushgw_held_pings " in text


async def test_silence_is_an_error() -> None:
    """Where nobody answers, the address is named."""
    with pytest.raises(LoadError, match=r"found no metrics at http://127.0.0.1:1/metrics: "):
        await exposition.fetch(Target("127.0.0.1", 1))
