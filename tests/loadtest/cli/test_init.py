"""The command ``loadtest`` as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loadtest import cli

COMMANDS = (
    *("run", "find", "compare", "profiles", "lend", "measure", "plan", "bench", "selftest"),
)


def test_alone_it_prints_its_help(call) -> None:
    """Without a command, all of them are listed."""
    found = call()

    assert 2 == found.returncode
    assert all(f"│ {name} " in found.stdout + found.stderr for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_help(invoke, name) -> None:
    """The help of a command says how it is used, and fits into 80 columns."""
    found = invoke(name, "--help", env={"COLUMNS": "80"})

    assert 0 == found.exit_code
    assert f"loadtest {name}" in found.stdout or f"root {name}" in found.stdout
    assert 80 >= max(map(len, found.stdout.splitlines()))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["run"], "PROFILE|FILE"), (["rum"], "run"), (["run", "--nope"], "--no")],
)
def test_a_wrong_command_is_refused(invoke, arguments, text) -> None:
    """What is missing or unknown ends with status 2 and a hint."""
    found = invoke(*arguments)

    assert (2, "") == (found.exit_code, found.stdout)
    assert text in found.stderr


def test_the_program_is_the_command(monkeypatch, capsys) -> None:
    """The program ends with the status of the command that was called."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/loadtest", "profiles"])
    with pytest.raises(SystemExit) as raised:
        cli.main()

    assert 0 == raised.value.code
    assert "smoke" in capsys.readouterr().out


def test_no_command_needs_what_only_reports_need() -> None:
    """The command can be loaded where the libraries that draw and fill in pages are missing."""
    libraries = ("jinja2", "markupsafe", "matplotlib")
    code = f"import sys; sys.modules |= dict.fromkeys({libraries}); import loadtest.cli"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
