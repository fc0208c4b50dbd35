import asyncio
import contextlib

from heartbeat.ticker import Ticker


async def ticked(ticker, until):
    task = asyncio.ensure_future(ticker.run())
    await asyncio.wait_for(until.wait(), 3)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_ticks_at_a_full_second():
    """Callbacks run just after a full second of the loop's clock, with that time."""
    called, times = asyncio.Event(), []

    def tick(now):
        times.append(now)
        called.set()
        return False

    await ticked(Ticker(tick), called)

    assert times[0] % 1 < 0.5


async def test_ticks_at_each_period():
    """Callbacks run just after each begin of a shorter period, one after the other."""
    called, times = asyncio.Event(), []

    def tick(now):
        times.append(now)
        if len(times) == 3:
            called.set()
        return False

    await ticked(Ticker(tick, period=0.02), called)

    periods = [int(one / 0.02) for one in times]
    assert periods == sorted(set(periods))
    assert times[2] - times[0] >= 0.02


async def test_more_to_do_lets_the_loop_turn():
    """A callback with more to do is called again after others had their turn."""
    order, done, answers = [], asyncio.Event(), [True, True, False]

    def tick(now):
        order.append("tick")
        asyncio.get_running_loop().call_soon(order.append, "other")
        if len(order) > 4:
            done.set()
        return answers.pop(0) if answers else False

    await ticked(Ticker(tick), done)

    assert ["tick", "other", "tick", "other", "tick"] == order[:5]


async def test_lag_is_observed():
    """How late a tick came is reported in seconds."""
    lags, done = [], asyncio.Event()

    def observe(lag):
        lags.append(lag)
        done.set()

    await ticked(Ticker(observe_lag=observe), done)

    assert 0 <= lags[0] < 0.5
