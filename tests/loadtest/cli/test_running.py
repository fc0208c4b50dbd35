"""``loadtest run``, from wrong orders to a whole run with everything real."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import socket
import tempfile
from time import monotonic, sleep
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from loadtest import process
from loadtest.cli import running
from tests.loadtest.samples import result

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

MISTAKES = """
devices = 10
duration = "3x"
phonez = 3

[[phones]]
kind = "fixd"
"""
HOT = """
devices = 10
duration = "1s"
changes.folders = { Calendar = 1.0 }

[[phones]]
kind = "fixed"
"""
MANY = ("--devices", "1M", "--source", "127.0.0.1")
"""More phones than one source address has ports for."""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["smokee"], "found the profile 'smokee', did you mean 'smoke'? (allowed: idle-100k, "),
        (["./nowhere.toml"], "./nowhere.toml: No such file or directory, allowed a readable TOML"),
        (["smoke", "--duration", "5q"], "--duration: found '5q' with the unknown unit 'q', the "),
        (["smoke", "--target", "http://192.0.2.1"], "--target: found '192.0.2.1', only loopback"),
        (["smoke", "--publisher", "rediss"], "--publisher: found publisher 'rediss', did you mean"),
        (["smoke", "--publish-to", "imap://x"], "--publish-to: found 'imap://x', publisher http"),
        (["smoke", "--source", "127.0.1.0/33"], "--source: found '127.0.1.0/33'"),
        (["smoke", "--source", "192.0.2.1"], "--source: found 192.0.2.1, "),
        (["smoke", "--assert", "missed=0"], "--assert: 'missed=0', character 7: found '='; allow"),
        (["smoke", "--lender", "127.0.0.1:1"], "--lender: found without --secret-file"),
        (["smoke", "--lender", "a:1", "--secret-file", "/nowhere"], "--secret-file /nowhere: "),
        (["smoke", "--serve", "--out", "/proc/x"], "--out /proc/x: cannot be written: "),
        (["smoke", "--serve", "--out", "/dev/null"], "--out /dev/null: not a directory"),
        (["smoke", "--password-file", "/nowhere"], "--password-file: found /nowhere, no such"),
        (["smoke", *MANY], "missing ports: "),
        (["smoke", "--devices", "100k", "--processes", "2"], "missing phones of a process: 50,000"),
    ],
)
def test_a_wrong_order_is_refused(refused, arguments, text) -> None:
    """A mistake ends with status 2 and what is allowed, before any process is started."""
    assert refused("run", *arguments)[0].startswith(text)


def test_all_mistakes_of_a_file_are_told(refused, tmp_path) -> None:
    """Each mistake of a profile's file has a line with the file, the key and the nearest name."""
    path = tmp_path / "wrong.toml"
    path.write_text(MISTAKES)
    lines = refused("run", str(path))

    assert [
        f"{path}: duration: found '3x' with the unknown unit 'x', the nearest is 's'",
        f"{path}: phonez: found an unknown key, did you mean 'phones'? (allowed",
        f"{path}: phones[1].kind: found 'fixd', did you mean 'fixed'? (allowed",
    ] == [without_choices(line) for line in lines]


def without_choices(line: str) -> str:
    return line.partition("; allowed")[0].partition(": name,")[0].partition(": fixed,")[0]


def test_folders_that_no_publisher_changes_are_refused(refused, tmp_path) -> None:
    """A profile whose folders cannot be changed the way that was asked for is refused."""
    path = tmp_path / "calendars.toml"
    path.write_text(HOT)

    expected = (
        "--publisher: imap cannot change Calendar, which are all folders that the profile changes"
    )
    assert [expected] == refused("run", str(path), "--publisher", "imap")


def test_folders_that_a_publisher_cannot_change_are_left_out(invoke) -> None:
    """Changes of folders that a publisher cannot change are made in the others, which is said."""
    where = ("--target", "http://127.0.0.1", "--publisher", "lmtp", "--dry-run")
    found = invoke("run", "steady", *where)

    assert 0 == found.exit_code
    assert "note: lmtp cannot change " in found.stdout
    assert ": the changes are made in INBOX\n" in found.stdout


@pytest.mark.parametrize("option", ["--processes", "--nodes"])
def test_numbers_below_one_are_refused(invoke, option) -> None:
    """Less than one process or gateway ends with status 2, and the option's name."""
    found = invoke("run", "smoke", option, "0")

    assert 2 == found.exit_code
    assert option in found.stderr


def test_a_dry_run_tells_what_a_run_needs(invoke) -> None:
    """A dry run prints connections, sources, ports, processes, files, memory and duration."""
    found = invoke("run", "smoke", "--devices", "15000", "--duration", "10s", "--dry-run")
    rows = [row.strip("│ ").split("│") for row in found.stdout.splitlines() if row[:1] == "│"]
    told = {name.strip(): need.strip() for name, need, *_ in rows}

    names = ["connections", "source addresses", "ports per source and target", "processes"]
    names += ["open files per process", "memory", "duration", "changes"]
    assert (0, "", names) == (found.exit_code, found.stderr, list(told))
    assert ("15,000", "40", "375") == tuple(told[name] for name in names[:3])
    assert ("10 s", "500") == (told["duration"], told["changes"])


@pytest.mark.parametrize(("force", "status"), [([], 2), (["--force"], 0)])
def test_a_dry_run_tells_what_is_missing(invoke, force, status) -> None:
    """What this host has too little of is told in a whole line; forced, it is no error."""
    found = invoke("run", "smoke", *MANY, "--dry-run", *force)

    assert status == found.exit_code
    assert any(
        line.startswith("missing ports: ") and line.endswith(": --source with 40 addresses")
        for line in found.stdout.splitlines()
    )


def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def test_a_gateway_that_is_not_there_is_an_error(call) -> None:
    """Without a gateway, a run ends with status 1 and one line."""
    url = closed()
    found = call("run", "smoke", "--admin", url)

    expected = f"error: no server answers on {url}: connection refused\n"
    assert (1, "", expected) == (found.returncode, found.stdout, found.stderr)


def test_a_forced_run_begins(call) -> None:
    """Forced, a run begins although something is missing, which is said all the same."""
    url = closed()
    found = call("run", "smoke", *MANY, "--processes", "1", "--target", url, "--force")

    assert 1 == found.returncode
    assert found.stderr.startswith(f"error: no server answers on {url}/Microsoft-Server-ActiveSync")
    assert {"missing phones of a process", "missing ports", "missing open files"} >= {
        line.partition(":")[0] for line in found.stdout.splitlines() if line.startswith("missing")
    }
    assert "missing ports: " in found.stdout


def test_a_lender_that_is_not_there_is_an_error(call, tmp_path) -> None:
    """Without a lender, a run ends with status 1 and one line."""
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef")
    address = closed().removeprefix("http://")
    found = call("run", "smoke", "--lender", address, "--secret-file", str(secret))

    assert (1, "") == (found.returncode, found.stdout)
    assert found.stderr.startswith(f"error: no lender at {address}: ")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reports of the one whole run go."""
    return tmp_path_factory.mktemp("out") / "a [new] one"


@pytest.fixture(scope="module")
def whole(call, out) -> subprocess.CompletedProcess[str]:
    """A whole run that starts Valkey and gateway itself, and keeps one promise of two."""
    return call(
        *("run", "smoke", "--serve", "--devices", "150", "--duration", "3s", "--out", str(out)),
        *("--assert", "notify.p99<5s", "--assert", "missed==0", "--assert", "notify.p99<1us"),
    )


def test_a_whole_run_loses_nothing(whole) -> None:
    """The last line of a run tells how many changes were lost."""
    assert ("lost 0", "") == (whole.stdout.splitlines()[-1], whole.stderr)


def test_a_broken_promise_fails_a_run(whole) -> None:
    """A threshold that was not met has a line of its own, and the status is 1."""
    failed = [line for line in whole.stdout.splitlines() if line.startswith("failed: ")]

    assert (1, 1) == (whole.returncode, len(failed))
    assert failed[0].startswith("failed: notify.p99<1us (notify.p99 = ")


def test_a_run_writes_its_reports(whole, out) -> None:
    """A report is written in all its forms, and the last lines tell where, brackets and all."""
    names = {"report.html", "summary.json", "series.csv", "junit.xml", "notify.hgrm"}

    assert names <= {one.name for one in out.iterdir()}
    assert f"wrote {out}/report.html" in whole.stdout.splitlines()


def test_reports_hold_the_run(whole, out) -> None:
    """The reports tell the command, the phones and the promises of the run that was made."""
    summary = json.loads((out / "summary.json").read_text())
    suites = ET.parse(out / "junit.xml")  # noqa: S314 - written a moment ago

    assert summary["command"].startswith("loadtest run smoke --serve --devices 150 ")
    assert (150, 150) == (summary["devices"], summary["most_held"])
    assert 150 == summary["counts"]["published"] == summary["counts"]["received"]
    assert ["missed==0", "notify.p99<5s", "missed==0", "notify.p99<1us"] == [
        one["expression"] for one in summary["judged"]
    ]
    assert 1 == len(list(suites.iter("failure")))


def test_a_run_that_keeps_all_promises_is_good(call, quick, where) -> None:
    """Where nothing is lost and all promises are kept, the status is 0."""
    found = call("run", quick, *where, "--assert", "notify.p99<5s", "--assert", "missed==0")

    assert (0, "lost 0", "") == (found.returncode, found.stdout.splitlines()[-1], found.stderr)


def alive(pids: set[int]) -> list[int]:
    # Not who is listed: a container may keep the dead that nobody waited for.
    return [pid for pid in pids if process.memory_bytes(pid)]


@pytest.mark.parametrize(("number", "serves"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_an_interrupted_run_reports(start, quick, where, number, serves, tmp_path) -> None:
    """A signal to the whole group ends a run with its summary and report, and nothing goes on."""
    servers = ("--serve",) if serves else where
    with start("run", quick, *servers, "--duration", "30s", "--out", str(tmp_path)) as run:
        is_held = any("phones held" in line for line in itertools.islice(run.stdout, 5))
        started = set(process.tree(run.pid)) - {run.pid}
        os.killpg(run.pid, number)
        output, errors = run.communicate(timeout=30)

    assert is_held
    assert (0, "lost 0", "") == (run.returncode, output.splitlines()[-1], errors)
    assert (tmp_path / "report.html").exists()
    assert [] == alive(started)


def test_a_killed_run_leaves_nothing(start, quick) -> None:
    """The servers and the generator processes of a run end when it is killed."""
    with (
        tempfile.TemporaryDirectory() as directory,  # it cannot remove its files either
        start("run", quick, "--serve", "--duration", "30s", TMPDIR=directory) as run,
    ):
        any("phones held" in line for line in itertools.islice(run.stdout, 5))
        started = set(process.tree(run.pid)) - {run.pid}
        run.kill()
        run.communicate(timeout=30)
        until = monotonic() + 20
        while (left := alive(started)) and monotonic() < until:
            sleep(0.05)

    assert len(started) >= 4  # Valkey, gateway, its workers, generators
    assert [] == left


def test_a_report_that_cannot_be_written_is_told(capsys, tmp_path) -> None:
    """A report that fails after the run is an error, and what was found is printed all the same."""
    taken = tmp_path / "taken"
    taken.write_text("")
    console = Console(file=io.StringIO())

    assert not running._write(result(), taken, console)
    assert ("", f"error: --out {taken}: not a directory\n") == capsys.readouterr()
    assert not console.file.getvalue()


def test_a_long_run_needs_more_room(refused, monkeypatch, tmp_path) -> None:
    """The longer a run, the more room its report has to find, which is said before it begins."""
    monkeypatch.setattr(running, "REPORT_BYTES", 1 << 50)
    (line,) = refused("run", "smoke", "--serve", "--out", str(tmp_path))

    assert line.startswith(f"--out {tmp_path}: ")
    assert " free, a report needs " in line
