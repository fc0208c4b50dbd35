"""Makes very many phones known to a gateway without a FolderSync of each.

One phone makes its FolderSync. What the gateway keeps of it in Valkey is then copied, as it is,
under the names of all others. So nothing is known here of what is kept, but that it is found under
keys with the names of mailbox and device in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import aiohttp

from loadtest.benching.load_process import LoadError
from notifier.line import Line
from pushgw.wbxml import element, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtest.profiles.users import Users
    from loadtest.targets import Target

BATCH: Final = 5_000
"""Phones in one round trip."""
_PAGE: Final = "FolderHierarchy"
_FIRST: Final = encode(element(_PAGE, "FolderSync", element(_PAGE, "SyncKey", "0")))


async def acquaint(target: Target, redis_url: str, users: Users, phones: int) -> None:
    """Let the first device of so many users be known as after its FolderSync.

    Args:
        target: The gateway; it asks for no password.
        redis_url: The Valkey that it writes to.
        users: Their names.
        phones: How many users.

    Raises:
        LoadError: If the FolderSync fails, or leaves nothing behind.
        redis.RedisError: If Valkey is not there.
    """
    numbers = range(users.first, users.first + phones)
    await _synchronise(target, users, numbers[0])
    line = Line(redis_url)
    try:
        await _copy(line, users, numbers)
    finally:
        await line.aclose()


async def _synchronise(target: Target, users: Users, number: int) -> None:
    user, device = quote(users.login(number), safe=""), users.device_id(number, 1)
    query = f"Cmd=FolderSync&User={user}&DeviceId={device}&DeviceType=Phone"
    url = f"{target.url}?{query}"
    try:
        async with (
            aiohttp.ClientSession(headers={"MS-ASProtocolVersion": "14.1"}) as session,
            session.post(url, data=_FIRST, raise_for_status=True) as answer,
        ):
            await answer.read()
    except (aiohttp.ClientError, OSError) as error:
        raise LoadError(f"the FolderSync of the first phone failed: {error}") from None


async def _copy(line: Line, users: Users, numbers: Sequence[int]) -> None:
    name = users.login(numbers[0]).lower()
    (keys,) = await line.exchange([("KEYS", f"*{{{name}}}*")])
    if not keys:
        raise LoadError(f"the gateway kept nothing of its phone: no key with {{{name}}}")
    values = await line.exchange([("DUMP", key) for key in keys])
    for first in range(1, len(numbers), BATCH):
        await line.exchange(
            [
                ("RESTORE", _renamed(key, users, numbers[0], number), 0, value)
                for number in numbers[first : first + BATCH]
                for key, value in zip(keys, values, strict=True)
            ]
        )


def _renamed(key: bytes, users: Users, old: int, new: int) -> bytes:
    names: Iterable[tuple[str, str]] = (
        (f"{{{users.login(old).lower()}}}", f"{{{users.login(new).lower()}}}"),
        (f":{users.device_id(old, 1).upper()}", f":{users.device_id(new, 1).upper()}"),
    )
    for before, after in names:
        key = key.replace(before.encode(), after.encode())
    return key
