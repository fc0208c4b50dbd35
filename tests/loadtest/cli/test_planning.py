"""``loadtest plan``."""

from __future__ import annotations

import itertools
import json
import sys

import pytest

from loadtest.capacity import documents, model

PING = "POST /Microsoft-Server-ActiveSync?Cmd=Ping&User=u{n}&DeviceId=d{n}&DeviceType=x HTTP/1.1"
LINE = f'127.0.0.1 - - [12/Oct/2026:10:00:{{n:02}} +0200] "{PING}" 200 13 "-" "x" 480.0\n'
ASKED = (
    *("--users", "80000", "--devices-per-user", "1.3", "--heartbeat", "900"),
    *("--changes-per-hour", "12", "--tls", "proxy", "--spare", "1", "--price", "3000"),
)
PREDICTED = "predicted and measured (promise: within 15 %)"


def row(output: str, name: str) -> list[str]:
    """Return the cells of a table's row."""
    rows = ([cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines())
    return next(cells for cells in rows if cells[:1] == [name])


def titles(output: str) -> list[str]:
    """Return the lines above tables."""
    lines = output.splitlines()
    return [lines[n - 1].strip() for n, line in enumerate(lines) if line.startswith(("┏", "┌"))]


def test_a_plan_has_all_figures(invoke) -> None:
    """A plan tells phones, nodes, memory, files, ports, Redis, bandwidth, time and cost."""
    found = invoke("plan", *ASKED)
    names = (
        *("nodes", "workers per node", "memory per node", "files per process"),
        *("source ports per node", "redis memory", "redis messages", "bandwidth in"),
        *("bandwidth out", "reconnect time", "cost"),
    )

    assert (0, "") == (found.exit_code, found.stderr)
    assert "104,000 phones" == row(found.stdout, "held phones")[1]
    assert all(len(row(found.stdout, name)) == 4 for name in names)


def test_what_is_given_counts(invoke, tmp_path) -> None:
    """Every option about demand and nodes changes the demand that is planned for."""
    options = {
        "--users": "2k",
        "--devices-per-user": "2",
        "--heartbeat": "8m",
        "--changes-per-hour": "3",
        "--peak-factor": "5",
        "--tls": "gateway",
        "--spare": "2",
        "--price": "10",
        "--cores": "8",
        "--memory": "0.5",
    }
    path = tmp_path / "plan.json"
    found = invoke("plan", *itertools.chain(*options.items()), "--json", str(path))
    written = json.loads(path.read_text())["demand"]

    expected = {
        "users": 2000,
        "devices_per_user": 2.0,
        "heartbeat": 480.0,
        "changes_per_hour": 3.0,
        "peak_factor": 5.0,
        "tls": "gateway",
        "spare": 2,
        "price": 10.0,
        "cores_per_node": 8,
        "memory_per_node": 1 << 29,
    }
    assert 0 == found.exit_code
    assert expected == {name: written[name] for name in expected}


@pytest.fixture
def files(tmp_path):
    return tmp_path / "plan.json", tmp_path / "plan.html"


def test_a_plan_is_written(invoke, files) -> None:
    """A plan is written as JSON and as a page, and the last lines tell where."""
    as_json, as_html = files
    found = invoke("plan", *ASKED, "--json", str(as_json), "--html", str(as_html))

    assert 0 == found.exit_code
    assert [f"wrote {as_json}", f"wrote {as_html}"] == found.stdout.splitlines()[-2:]
    assert 80_000 == json.loads(as_json.read_text())["demand"]["users"]
    page = as_html.read_text()
    assert page.lower().startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], []),
        (["--growth"], ["growth"]),
        (["--sources"], ["measured", PREDICTED]),
        (["--growth", "--sources"], ["growth", "measured", PREDICTED]),
    ],
)
def test_more_is_shown_where_it_is_asked_for(invoke, options, expected) -> None:
    """The growth up to ten million phones and the measurements are tables of their own."""
    found = invoke("plan", "--users", "1000", *options)

    assert expected == titles(found.stdout)[1:]
    assert ("10,000,000" in found.stdout) == ("--growth" in options)


def test_how_well_costs_predict_is_shown(invoke, tmp_path) -> None:
    """Costs that were measured on a host are taken, and shown with how well they predict."""
    document = json.loads(model.to_json(model.reference()))
    document["costs"]["phone_bytes_plain"]["value"] = document["costs"]["phone_bytes_plain"]["high"]
    document["validation"] = [
        {"what": "memory", "predicted": 101.0, "measured": 100.0, "unit": "bytes"}
    ]
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(document))
    found = invoke("plan", "--users", "1000", "--sources", "--costs", str(path))

    assert (0, "") == (found.exit_code, found.stderr)
    assert "memory" == row(found.stdout, "memory")[0]
    assert "+1.0 %" == row(found.stdout, "memory")[3]


def test_the_case_study_stands_beside_ours(invoke) -> None:
    """The case study shows each region with its servers of 2012, and no plan beside it."""
    found = invoke("plan", "--case-study")

    assert (0, "") == (found.exit_code, found.stderr)
    assert ["", "Redmond", "Dublin", "Singapore", "all"] == [
        cell.strip() for cell in found.stdout.splitlines()[2].split("┃")[1:-1]
    ]
    assert ["servers then", "41", "14", "12", "67"] == row(found.stdout, "servers then")
    assert 1 == len(titles(found.stdout))


def test_the_case_study_takes_habits(invoke) -> None:
    """What the study does not tell may be said, and a plan of one's own stands below it."""
    usual = invoke("plan", "--case-study").stdout
    other = invoke("plan", "--case-study", "--spare", "3", "--users", "10").stdout

    assert "2 (1 spare)" == row(usual, "nodes before")[1]
    assert "4 (3 spare)" == row(other, "nodes before")[1]
    assert 2 == len(titles(other))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "access.log"
    lines = [LINE.format(n=n) for n in range(10)]
    path.write_text("".join([*lines[:5], "an [/odd] line\n", *lines[5:]]))
    return str(path)


def test_a_log_is_the_demand(invoke, log) -> None:
    """A log tells users, devices and Pings, and what its EAS server needs before and after."""
    found = invoke("plan", "--from-log", log)

    assert (0, "") == (found.exit_code, found.stderr)
    assert "10, 10" == row(found.stdout, "users, devices")[1]
    assert "Ping 10" == row(found.stdout, "requests")[1]
    assert ["held Pings", "10", "0"] == row(found.stdout, "held Pings")[:3]
    assert "10 phones" == row(found.stdout, "held phones")[1]


def test_a_line_that_cannot_be_parsed_is_shown(invoke, log) -> None:
    """Lines that cannot be parsed are counted, and the first ones shown as they are."""
    output = invoke("plan", "--from-log", log).stdout

    assert "1" == row(output, "lines not parsed")[1]
    assert "found no log format that is known: an [/odd] line" == row(output, "")[1]


def test_several_logs_are_one(invoke, log, tmp_path) -> None:
    """What one log does not tell, another one does; what is said is known better."""
    other = tmp_path / "other.log"
    other.write_text(LINE.format(n=10))
    found = invoke("plan", "--from-log", log, "--from-log", str(other), "--devices-per-user", "2")

    assert "11, 11" == row(found.stdout, "users, devices")[1]
    assert "22 phones" == row(found.stdout, "held phones")[1]


def test_a_log_without_phones_is_refused(refused, tmp_path) -> None:
    """A log that tells of no phone is refused, with the lines that could not be parsed."""
    path = tmp_path / "other.log"
    path.write_text("one\ntwo\nthree\nfour\n")

    assert [
        "--from-log: found no device in the log, allowed one or more",
        "--from-log: lines not parsed: 4, the first ones are",
        *(
            f"--from-log: found no log format that is known: {line}"
            for line in ("one", "two", "three")
        ),
    ] == refused("plan", "--from-log", str(path))


def test_an_empty_log_is_refused(refused, tmp_path) -> None:
    """A log without lines is refused in one line."""
    path = tmp_path / "empty.log"
    path.write_text("")

    expected = ["--from-log: found no device in the log, allowed one or more"]
    assert expected == refused("plan", "--from-log", str(path))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "found neither --users, nor --from-log, nor --case-study; allowed is one"),
        (["--price", "5"], "found neither --users, nor --from-log, nor --case-study"),
        (["--users", "0"], "--users: found 0, allowed 1 to "),
        (["--users", "5q"], "--users: found '5q' with the unknown unit 'q', the nearest is 'k'"),
        (["--users", "5", "--heartbeat", "3x"], "--heartbeat: found '3x' with the unknown unit"),
        (["--users", "5", "--heartbeat", "1s"], "--heartbeat: found 1, allowed 60 to 3,540"),
        (["--users", "5", "--devices-per-user", "nan"], "--devices-per-user: found nan, allowed "),
        (["--users", "5", "--spare", "-1"], "--spare: found -1, allowed 0 to 1,000"),
        (["--users", "5", "--price", "inf"], "--price: found inf, allowed 0 to "),
        (["--users", "5", "--cores", "0"], "--cores: found 0, allowed 1 to 1,024"),
        (["--users", "5", "--memory", "0.1"], "--memory: found 0.1, allowed 0.25 to 1,048,576"),
        (["--users", "5", "--memory", "inf"], "--memory: found inf, allowed "),
        (["--users", "5", "--costs", "/nowhere"], "--costs: /nowhere: no such file or directory"),
        (["--users", "5", "--json", "/nowhere/x"], "--json: /nowhere/x: no such file or directory"),
        (["--users", "5", "--html", "/"], "--html: /: is a directory"),
        (["--from-log", "/nowhere"], "--from-log: /nowhere: "),
        (["--from-log", "/"], "--from-log: /: "),
        (
            ["--case-study", "--devices-per-user", "2", "--cores", "4"],
            "--devices-per-user, --cores: found with --case-study alone, whose own figures are",
        ),
    ],
)
def test_a_wrong_demand_is_refused(refused, arguments, text) -> None:
    """What makes no sense ends with status 2 and one line that names the option."""
    (line,) = refused("plan", *arguments)

    assert line.startswith(text)


@pytest.mark.parametrize("content", [b"hello", b"{}", b"\xff"])
def test_a_file_without_costs_is_refused(refused, tmp_path, content) -> None:
    """A file that holds no costs is refused with its name."""
    path = tmp_path / "costs.json"
    path.write_bytes(content)
    (line,) = refused("plan", "--users", "5", "--costs", str(path))

    assert line.startswith(f"--costs: {path}: ")


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_a_page_needs_libraries(refused, monkeypatch, tmp_path, library) -> None:
    """A page without the libraries that it needs is refused with the name of what is missing."""
    documents._templates.cache_clear()
    monkeypatch.setitem(sys.modules, library, None)
    (line,) = refused("plan", "--users", "5", "--html", str(tmp_path / "plan.html"))

    assert f"--html: a page needs {library}, which is missing" == line


def test_an_unknown_place_of_tls_is_refused(invoke) -> None:
    """TLS ends in one of three places, which are named."""
    found = invoke("plan", "--users", "5", "--tls", "nowhere")

    assert 2 == found.exit_code
    assert all(place in found.stderr for place in ("proxy", "gateway", "none"))
