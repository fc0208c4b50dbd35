"""The command ``loadtest``."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from loadtest import bench, benchreport, ending, fleet, profile, report, servers, view
from loadtest.bench import Size
from loadtest.ending import EndedError
from loadtest.runner import Place, Run
from notifier.publisher import PublishError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from loadtest.fleet import Target
    from loadtest.profile import Profile
    from loadtest.report import Snapshot

    Outcome = TypeVar("Outcome")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Simulated phones for a Direct Push gateway on this machine.",
)


def main() -> None:
    """Run the command line."""
    app(prog_name="loadtest")


@app.command("run")
def run_command(  # noqa: PLR0913 - the options of a command
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="What to run: smoke.")],
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Start a Valkey and a gateway, and end them.")
    ] = False,
    devices: Annotated[int | None, typer.Option(help="Phones.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds of publishing.")] = None,
    rate: Annotated[float | None, typer.Option(help="Changes a second.")] = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds give equal loads.")] = None,
    target: Annotated[
        str, typer.Option(help="The running gateway, without --serve.")
    ] = "http://127.0.0.1:8800",
    admin: Annotated[str, typer.Option(help="Its admin listener.")] = "http://127.0.0.1:8801",
    redis: Annotated[
        str | None, typer.Option(help="Where the running gateway listens for changes.")
    ] = None,
) -> None:
    """Put a load on a gateway; exit status 1 if a change was lost."""
    try:
        load = profile.find(name).resized(devices=devices, duration=duration, rate=rate, seed=seed)
        address, admin_address = fleet.parse_target(target), fleet.parse_target(admin)
        fleet.check_files(load.devices)
    except ValueError as error:
        _refuse(str(error))
    if not serve and redis is None:
        _refuse("found neither --serve nor --redis: --redis URL says where to publish changes")
    console = Console()
    place = None if serve else Place(address, redis or "")
    end = _perform(_run(load, place, admin_address, console))
    console.print(report.final(load, end))
    for line in report.verdict(end):
        console.print(line, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if end.is_good else 1)


@app.command("bench")
def bench_command(
    *,
    devices: Annotated[int, typer.Option(help="Phones held at each server.")] = 10_000,
    rate: Annotated[float, typer.Option(help="Changes a second.")] = 200,
    seconds: Annotated[float, typer.Option(help="Length of the notify phase.")] = 20,
    out: Annotated[Path, typer.Option(help="Where the figures go, as JSON.")] = Path("bench.json"),
) -> None:
    """Measure the gateway beside the plain aiohttp handler; status 1 if phones were missing."""
    try:
        size = Size(devices, rate, seconds)
    except ValueError as error:
        _refuse(str(error))
    gateway, rival = results = _perform(bench.perform(size, typer.echo))
    Console().print(benchreport.table(gateway, rival))
    for promise in benchreport.promises(gateway, rival):
        typer.echo(str(promise))
    invalid = list(benchreport.invalid(results))
    for line in invalid:
        typer.echo(line)
    typer.echo(", ".join(f"{name} {one}" for name, one in benchreport.environment().items()))
    out.write_bytes(benchreport.document(size, results))
    typer.echo(f"wrote {out}")
    raise typer.Exit(1 if invalid else 0)


def _perform(main: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a command; what ends it before its result is said in one line."""
    try:
        return ending.run(main)
    except EndedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_status) from None
    except (servers.ServerError, PublishError, bench.LoadError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


async def _run(load: Profile, place: Place | None, admin: Target, console: Console) -> Snapshot:
    async with AsyncExitStack() as stack:
        if place is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="loadtest-"))
            place = await _serve(stack, Path(directory))
        else:
            await servers.check_ready(admin)
        run = Run(load, place, stack.enter_context(view.open_screen(console, load)))
        ending.react(lambda _: run.stop())  # from here on there is something to report
        return await run.perform()


async def _serve(stack: AsyncExitStack, directory: Path) -> Place:
    redis = await stack.enter_async_context(servers.valkey(directory))
    # Short heartbeats are part of the run: the gateway must grant them.
    settings = {"PUSHGW_SERVER__WORKERS": "2", "PUSHGW_HEARTBEAT__MIN": "5"}
    server = await stack.enter_async_context(servers.gateway(redis.url, directory, settings))
    return Place(server.target, redis.url, server.pid, server.check)


def _refuse(text: str) -> NoReturn:
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(2)
