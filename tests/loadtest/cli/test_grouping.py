"""Options in groups, loadtest/cli/grouping.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner

from loadtest.cli.grouping import grouped

Shared = Annotated[list[str], typer.Option("--shared", metavar="S", help="Several times.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """With an argument, and a heading."""

    panel: ClassVar[str] = "How much"

    name: Annotated[str, typer.Argument(metavar="NAME", help="Of it.")]
    count: Annotated[int, typer.Option(min=1, help="How many.")]
    shared: Shared = field(default_factory=list)
    is_loud: Annotated[bool, typer.Option("--loud", help="Make noise.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """Without a heading, and with a field that says nothing but its type."""

    factor: float = 1.5
    noise: Annotated[
        bool, typer.Option("--noise/--silence", metavar="<noise>", rich_help_panel="Noise")
    ] = True


@pytest.fixture
def app() -> tuple[typer.Typer, list[Any]]:
    called: list[Any] = []
    made = typer.Typer(add_completion=False)

    def command(
        first: First, extra: Annotated[str, typer.Argument()] = "none", *, second: Second
    ) -> None:
        """Do it."""
        called.append((first, extra, second))

    made.command()(grouped(command))
    return made, called


def call(app: typer.Typer, *arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})


def test_fields_are_options(app) -> None:
    """The fields of all groups are options and arguments, and come back as the groups' values."""
    made, called = app
    found = call(
        made,
        *("box", "--count", "3", "--shared", "a", "--shared", "b", "--loud"),
        *("more", "--factor", "2", "--silence"),
    )

    expected = (
        First(name="box", count=3, shared=["a", "b"], is_loud=True),
        "more",
        Second(factor=2.0, noise=False),
    )
    assert (0, [expected]) == (found.exit_code, called)


def test_fields_have_their_defaults(app) -> None:
    """An option that is not given has the default of its field, a list one of its own."""
    made, called = app
    call(made, "box", "--count", "1")
    call(made, "box", "--count", "1")

    assert [(First(name="box", count=1), "none", Second())] * 2 == called
    assert called[0][0].shared is not called[1][0].shared


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--count", "1"], "NAME"),
        (["box"], "--count"),
        (["box", "--count", "0"], "--count"),
        (["box", "--count", "x"], "--count"),
        (["box", "--count", "1", "--factor", "x"], "--factor"),
    ],
)
def test_fields_keep_their_types(app, arguments, text) -> None:
    """A field without a default has to be given, and a value has to be of the field's type."""
    made, called = app
    found = call(made, *arguments)

    assert (2, []) == (found.exit_code, called)
    assert text in found.stderr


def test_the_help_has_headings(app) -> None:
    """The options of a group stand under its heading, but for one that has its own."""
    made, _ = app
    lines = call(made, "--help").stdout.splitlines()

    def under(heading: str) -> str:
        (begin,) = (n for n, line in enumerate(lines) if line.startswith(f"╭─ {heading} "))
        return "\n".join(lines[begin : lines.index(next(filter(ends, lines[begin:])), begin)])

    def ends(line: str) -> bool:
        return line.startswith("╰")

    assert all(name in under("How much") for name in ("--count", "--shared", "--loud"))
    assert "--factor" in under("Options")
    assert "--noise" in under("Noise")
    assert "NAME" in under("Arguments")
    assert any("Do it." in line for line in lines)


def test_a_flag_shows_no_type(app) -> None:
    """Where nothing can be given, the help names no type, unless the option says one."""
    made, _ = app
    lines = call(made, "--help").stdout.splitlines()

    assert "--loud Make noise." in {" ".join(line.strip("│ ").split()) for line in lines}
    assert any("<noise>" in line for line in lines)


def test_a_shared_option_stays_as_it_is(app) -> None:
    """An option that is used outside of groups as well is not put under their heading there."""
    assert Shared.__metadata__[0].rich_help_panel is None
