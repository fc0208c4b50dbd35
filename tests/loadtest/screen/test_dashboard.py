"""The screen that tells how a run goes."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console, ConsoleDimensions

from loadtest.figures import Latency
from loadtest.result import Gateway, Mark, Moment
from loadtest.screen import dashboard
from loadtest.screen.dashboard import Plan
from loadtest.screen.history import History
from tests.loadtest import samples

PLAN = Plan("steady", devices=1000, duration=200.0)
SOME = Latency(count=9, p50=0.001, p90=0.002, p99=0.004, p999=0.25, max=12.3)
NOW = samples.moment(
    at=100.0,
    states={"held": 700, "preparing": 40, "connecting": 30, "waiting": 20, "stopped": 10},
    counts={"published": 500, "expected": 1000, "received": 990, "late": 4, "answers": 1200},
    rate_target=50.0,
    published_per_second=49.5,
    recent={"notify": replace(SOME, p50=0.003)},
    total={"notify": SOME, "heartbeat_early": SOME, "lag": SOME},
    cpu=0.45,
    processes=2,
    generator_bytes=800 * 2048,
    gateway=Gateway(memory_bytes=50 << 20, cpu_seconds=10.0, held=700),
)
ALL = dict.fromkeys(dashboard.LATENCIES, SOME)


def history(*moments: Moment, marks: tuple[Mark, ...] = ()) -> History:
    found = History()
    for moment in moments:
        found.add(moment)
    found.marks.extend(marks)
    return found


def lines(run: History, width: int = 80, height: int = 24, plan: Plan = PLAN) -> list[str]:
    console = Console(file=StringIO(), width=width)
    console.print(dashboard.draw(plan, run, ConsoleDimensions(width, height)))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def row(label: str, *moments: Moment, width: int = 120) -> str:
    found = [line for line in lines(history(*moments), width) if line.startswith(f" {label}")]
    return found[0].removeprefix(f" {label}").strip() if found else ""


def test_the_title_tells_how_far_the_run_is() -> None:
    """The first line has the profile, a bar, the time of the planned time, and the phase."""
    title = lines(history(NOW))[0]

    expected = [" steady  1,000 phones  ━", "━  1:40 of 3:20  running"]
    assert [] == [one for one in expected if one not in title]


@pytest.mark.parametrize("duration", [0.0, 50.0], ids=["unknown", "over"])
def test_a_run_may_take_longer_than_planned(duration: float) -> None:
    """A run beyond its planned time fills its line and no more."""
    assert 79 == len(lines(history(NOW), plan=replace(PLAN, duration=duration))[0])


def test_the_bar_shows_phones_in_proportion() -> None:
    """Phones that have begun are blocks, those to come are shaded."""
    bar = row("phones", NOW, width=114)

    assert (81, 20) == (bar.count("█"), bar.count("░"))


def test_each_state_has_its_colour() -> None:
    """The bar has held phones green and stopped ones red, in as many cells as they are."""
    console = Console(file=StringIO(), width=114, force_terminal=True, color_system="standard")
    console.print(dashboard.draw(PLAN, history(NOW), ConsoleDimensions(114, 24)))

    assert isinstance(console.file, StringIO)
    expected = [f"\x1b[32m{'█' * 71}", f"\x1b[31m{'█'}\x1b"]
    assert [] == [one for one in expected if one not in console.file.getvalue()]


def test_states_without_a_phone_are_left_out() -> None:
    """Only what there is is counted, but the held phones always are."""
    found = lines(history(replace(NOW, states={"waiting": 1000})))

    assert "■ held 0   ■ waiting 1,000" in [line.strip() for line in found]


def test_rates_stand_beside_their_target() -> None:
    """What is published a second is shown with what the profile asks for."""
    before = replace(NOW, at=98.0, counts={"answers": 1000})

    expected = "published 49.5/s of 50/s   answers 100/s   connects 0/s"
    assert expected == row("rates", before, NOW)


def test_latency_is_shown_of_now_and_of_the_whole_run() -> None:
    """A histogram has a row of ten figures, from the last interval and from all of them."""
    values = "3 2 4 250 12.3s 1 2 4 250 12.3s"

    assert values.split() == row("notify", NOW).split()


def test_an_interval_without_data_has_dashes() -> None:
    """What was recorded before but not in the last interval is not shown as zero."""
    assert ["-"] * 5 == row("notify", replace(NOW, recent={})).split()[:5]


def test_histograms_without_data_have_no_row() -> None:
    """A run that never reconnected has no row of reconnects."""
    assert "" == row("reconnect", NOW)


def test_a_curve_shows_the_last_minute() -> None:
    """The p99 of each interval is a column, its peak stands at the end."""
    slow = replace(NOW, recent={"notify": replace(SOME, p99=0.4)})

    found = [line for line in lines(history(NOW, slow, NOW), height=19) if "notify p99" in line]
    assert ["▁█▁ 400 ms"] == [line[12:].strip() for line in found]


def test_a_tall_terminal_has_a_tall_curve() -> None:
    """Where there are lines to spare the curve takes five, with the ends of its scale."""
    found = lines(history(NOW), height=40)

    begin = next(index for index, line in enumerate(found) if "notify p99" in line)
    assert ["40 ms", "▁ 4 ms"] == [found[begin + row][12:].strip() for row in (0, 4)]


def test_no_answers_have_no_curve() -> None:
    """Before the first answer there is nothing to draw."""
    assert "" == row("notify p99", replace(NOW, recent={}))


def test_the_account_shows_what_is_open() -> None:
    """Expected answers that have not come are open; what should be none is shown all the same."""
    expected = (
        "published 500   expected 1,000   received 990   open 10   late 4   missed 0   "
        "duplicate 0   spurious 0"
    )

    assert expected == row("changes", NOW)


def test_heartbeats_show_the_worst() -> None:
    """The earliest and the latest heartbeat are shown, and how many were cut short."""
    now = replace(NOW, counts={"cut_short": 3})

    assert "early at most 12.3 s   late at most 0 ms   cut short 3" == row("heartbeats", now)


def test_no_errors_are_said() -> None:
    """Without a failure the line of errors says none."""
    assert "none" == row("errors", NOW)


def test_the_largest_errors_are_named() -> None:
    """Six kinds of errors are named, the others are counted together."""
    now = replace(NOW, errors={kind: ord(kind) for kind in "abcdefgh"})

    expected = "h 104   g 103   f 102   e 101   d 100   c 99   others 195"
    assert expected == row("errors", now)


def test_the_generator_shows_its_own_load() -> None:
    """Lag, CPU, processes and memory of the generator are shown."""
    expected = "lag p99 4 ms   CPU 95 %   processes 2   memory 1.56 MB"

    assert expected == row("generator", replace(NOW, cpu=0.95))


def test_memory_that_was_not_read_is_left_out() -> None:
    """A generator on another host has no memory to show."""
    assert "processes 2" == row("generator", replace(NOW, generator_bytes=0))[-11:]


def test_the_gateway_shows_what_a_phone_costs() -> None:
    """Memory, cores, held phones and memory of each held phone are shown."""
    empty = Gateway(memory_bytes=(50 << 20) - 600 * 2048, cpu_seconds=8.0, held=100)

    expected = "memory 50 MB   CPU 0.2 cores   held 700   per phone 2 KB"
    assert expected == row("gateway", replace(NOW, at=90.0, gateway=empty), NOW)


def test_a_gateway_that_tells_nothing_is_not_made_up() -> None:
    """What cannot be read is not available."""
    expected = "memory n/a   CPU n/a   held n/a   per phone n/a"

    assert expected == row("gateway", replace(NOW, gateway=Gateway()))


def test_marks_close_the_screen() -> None:
    """What was done to the run stands at the bottom, with its time."""
    marks = (Mark(62.0, "the ramp is over"), Mark(90.5, "kill: 20 % [of all]"))

    found = lines(history(NOW, marks=marks))[-2:]
    expected = [" 1:02       the ramp is over", " 1:30       kill: 20 % [of all]"]
    assert expected == [line.rstrip() for line in found]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("height", [2, 10, 24, 60])
def test_the_screen_fits_the_terminal(width: int, height: int) -> None:
    """No line is wrapped, and one line of the terminal stays free for the cursor."""
    full = replace(NOW, recent=ALL, total=ALL, errors={f"http {code}": 9 for code in range(9)})

    found = lines(history(*[full] * 70, marks=(Mark(1.0, "long " * 60),) * 5), width, height)
    assert (True, True) == (len(found) < height, max(map(len, found)) <= width)


def test_the_less_important_goes_first() -> None:
    """On a low terminal the account stays and the bar, the curve and other rows go."""
    found = "\n".join(lines(history(replace(NOW, total=ALL)), height=9))

    gone = ("█", "reconnect", "notify p99", "heartbeats")
    assert ("changes" in found, []) == (True, [one for one in gone if one in found])
