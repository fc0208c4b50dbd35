"""``loadtest find``: what is searched, what comes out, and searches with everything real."""

from __future__ import annotations

import os
import signal
import urllib.request
from dataclasses import replace
from time import sleep

import pytest
from rich.console import Console

from loadtest import running, scrape
from loadtest.cli.finding import FAR, Aim, Steps
from loadtest.cli.options import What, Where, Who
from loadtest.cli.running import Task
from loadtest.figures import Figures
from loadtest.judging.search import SearchError
from loadtest.profiles.checks import ProfileError
from tests.loadtest.samples import result

LIMIT = "missed==0"
DOUBT = ", where the generator is the limit and not the server"
BURSTS = """
devices = 1000
duration = "10s"
changes = { rate = 10, pattern = "bursts", burst = 50 }

[[phones]]
kind = "fixed"
"""


def profile(**options: str):
    return What(**{"name": "smoke", **options}).profile()


@pytest.mark.parametrize(
    ("aim", "loads"),
    [
        (Aim(), (50.0, 50.0 * FAR)),
        (Aim(vary="devices"), (2000, 2000 * FAR)),
        (Aim(lowest="120/m", highest="8"), (2.0, 8.0)),
        (Aim(vary="devices", lowest="1k", highest="1M"), (1000, 1_000_000)),
    ],
)
def test_a_search_begins_with_the_profiles_load(aim, loads) -> None:
    """The first load is the profile's and the last one 64 times that, unless somebody says so."""
    search = aim.search(profile())
    first = search.next()
    while (load := search.next()) is not None:
        search.tell(load, kept=True)

    assert loads == (first, search.found)


def test_a_load_is_put_into_the_profile() -> None:
    """What grows are the changes or the phones, and nothing else."""
    usual = profile()

    assert replace(usual, changes=replace(usual.changes, rate=7.5)) == Aim().applied(usual, 7.5)
    assert replace(usual, devices=71) == Aim(vary="devices").applied(usual, 70.7)


def test_a_load_is_said_with_its_unit() -> None:
    """Changes are said as a rate, and phones as a whole number."""
    assert "70.7 changes/s" == Aim().say(70.7107)
    assert "1,234,567 phones" == Aim(vary="devices").say(1234567.1)


@pytest.mark.parametrize(
    ("aim", "text"),
    [
        (Aim(limit="x<1"), "--limit: 'x<1', character 1: found 'x', the nearest is "),
        (Aim(lowest="0"), "--lowest: found 0, allowed the first load that is tried"),
        (Aim(lowest="x"), "--lowest: found 'x', allowed a rate like 200"),
        (Aim(vary="devices", highest="1q"), "--highest: found '1q' with the unknown unit 'q'"),
    ],
)
def test_a_wrong_aim_is_refused(aim, text) -> None:
    """What is wrong about a search is said with the option."""
    with pytest.raises(ValueError) as raised:
        aim.search(profile())

    assert str(raised.value).startswith(text)


@pytest.mark.parametrize("aim", [Aim(highest="1"), Aim(precision=0.0)])
def test_a_search_that_makes_no_sense_is_refused(aim) -> None:
    """The last load is not below the first one, and the precision more than nothing."""
    with pytest.raises(SearchError):
        aim.search(profile())


def test_loads_have_to_fit_the_profile(tmp_path) -> None:
    """A load that the rest of the profile does not allow is refused before the search begins."""
    path = tmp_path / "bursts.toml"
    path.write_text(BURSTS)

    with pytest.raises(ProfileError, match=r"changes\.burst"):
        Aim(lowest="1").search(profile(name=str(path)))


def task(**who) -> Task:
    where = Where(source="127.0.0.1")
    return Task(profile=profile(), place=where.place(), who=Who(**who), where=where)


def steps(*outcomes: str, aim: Aim | None = None) -> Steps:
    aim = aim or Aim(limit=LIMIT, lowest="10", highest="20", precision=0.5)
    made = Steps(task(), aim, aim.search(profile()))
    for outcome in outcomes:
        enter(made, outcome)
    return made


def enter(made: Steps, outcome: str) -> list[str]:
    judged = outcome_of(is_met=outcome != "broken")
    invalid = ("too slow",) if outcome == "invalid" else ()
    load = made._search.next()
    assert load is not None
    return list(made._judge(load, replace(judged, invalid=invalid)))


def outcome_of(*, is_met: bool):
    figures = Figures()
    figures.counts["missed"] = 0 if is_met else 3
    return running.judged(result(figures=figures), [LIMIT])


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        (["broken", "broken"], "not even 10 changes/s keep missed==0"),
        (["kept", "kept"], "20 changes/s keep missed==0; more was not tried"),
        (
            ["kept", "broken", "broken", "kept"],
            "14.1 changes/s keep missed==0; 20 changes/s do not",
        ),
        (
            ["invalid", "invalid"],
            f"not even 10 changes/s keep missed==0{DOUBT}",
        ),
        (
            ["kept", "invalid", "broken", "invalid", "kept"],
            "14.1 changes/s keep missed==0; 20 changes/s do not",
        ),
        (
            ["kept", "broken", "invalid", "kept"],
            f"14.1 changes/s keep missed==0; 20 changes/s do not{DOUBT}",
        ),
    ],
)
def test_what_was_found_is_said(outcomes, found) -> None:
    """The last line tells the highest load that keeps the limit, and what was the limit above."""
    made = steps(*outcomes)

    assert made._search.next() is None
    assert found == made.found()
    assert int(found.startswith("not even")) == made.exit_status


def test_each_load_is_told() -> None:
    """A run has a line with its load and figures, and one for each reason that makes it invalid."""
    made = steps()

    assert ["10 changes/s: kept (missed = 0)"] == enter(made, "kept")
    assert ["20 changes/s: broken (missed = 3)"] == enter(made, "broken")
    assert ["20 changes/s: kept (missed = 0)", "20 changes/s: invalid: too slow"] == enter(
        made, "invalid"
    )


def test_what_this_host_cannot_do_is_not_tried() -> None:
    """A load for which something is missing here counts as not kept, and is told as such."""
    aim = Aim(vary="devices", limit=LIMIT, lowest="1M", highest="2M")
    made = steps(aim=aim)
    (line,) = made.perform(Console(quiet=True))

    assert line.startswith("1,000,000 phones: not tried, missing ports: ")
    assert made.found().startswith("not even 1,000,000 phones keep missed==0, where the generator")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["smokee"], "found the profile 'smokee', did you mean 'smoke'?"),
        (["smoke", "--limit", "missed"], "--limit: 'missed', character 7: found the end; allowed"),
        (["smoke", "--lowest", "-1"], "--lowest: found '-1'"),
        (
            ["smoke", "--vary", "devices", "--lowest", "1M", "--source", "127.0.0.1"],
            "missing ports",
        ),
    ],
)
def test_a_wrong_order_is_refused(refused, arguments, text) -> None:
    """A mistake ends with status 2 and one line, before any process is started."""
    (line,) = refused("find", *arguments)

    assert line.startswith(text)


def test_a_limit_that_nothing_keeps_is_not_found(call, quick, where) -> None:
    """Where the first load breaks the limit twice, the search ends with status 1."""
    found = call("find", quick, *where, "--duration", "500ms", "--limit", "notify.p99<1us")
    *tried, last = found.stdout.splitlines()

    assert (1, "") == (found.returncode, found.stderr)
    assert ["40 changes/s: broken (notify.p99"] * 2 == [line.split(" = ")[0] for line in tried]
    assert "not even 40 changes/s keep notify.p99<1us" == last


def test_a_limit_that_is_kept_ends_with_the_highest_load(call, quick) -> None:
    """Where the last load keeps the limit, the search ends with status 0."""
    aim = ("--limit", "received>0 and missed==0", "--lowest", "30", "--highest", "30")
    found = call("find", quick, "--serve", "--duration", "500ms", "--vary", "devices", *aim)
    tried, last = found.stdout.splitlines()

    assert (0, "") == (found.returncode, found.stderr)
    assert tried.startswith("30 phones: kept (received = ")
    assert "30 phones keep received>0 and missed==0; more was not tried" == last


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        ([], "stopped before anything was found"),
        (["broken"], "stopped before anything was found"),
        (["kept"], "10 changes/s keep missed==0; stopped before the end of the search"),
    ],
)
def test_an_early_end_is_said(outcomes, found) -> None:
    """A search that was stopped tells what it had found until then."""
    assert found == steps(*outcomes).found()


def held(admin: str) -> int:
    with urllib.request.urlopen(f"{admin}/metrics") as answer:  # noqa: S310 - of this test's gateway
        return scrape.read(answer.read().decode()).held or 0


def test_a_signal_ends_the_search_and_not_only_a_run(start, quick, where) -> None:
    """A run that a signal stopped says nothing about its load, and no other one follows."""
    with start("find", quick, *where, "--duration", "30s", "--limit", "missed==0") as search:
        while held(where[-1]) < 40:
            sleep(0.05)
        os.killpg(search.pid, signal.SIGINT)
        output, errors = search.communicate(timeout=30)

    expected = (130, "stopped before anything was found\n", "")
    assert expected == (search.returncode, output, errors)


def test_a_signal_between_runs_ends_a_search(start, quick, where) -> None:
    """Between two runs a signal ends the search as well, with what was found before."""
    limit = ("--limit", "missed==0", "--highest", "1000")
    with start("find", quick, *where, "--duration", "500ms", *limit) as search:
        first = search.stdout.readline()
        os.killpg(search.pid, signal.SIGINT)
        output, _ = search.communicate(timeout=30)

    assert first.startswith("40 changes/s: kept ")
    assert 130 == search.returncode
    assert output.endswith("0 changes/s keep missed==0; stopped before the end of the search\n")


def test_a_signal_that_is_swallowed_ends_a_search_later() -> None:
    """A signal that interrupts nothing, as within a destructor, ends a search with the run."""
    made = steps()
    with pytest.raises(KeyboardInterrupt):
        made.stop()

    assert [] == list(made.perform(Console(quiet=True)))
    assert 130 == made.exit_status
