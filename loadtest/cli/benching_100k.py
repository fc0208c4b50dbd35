"""``loadtest bench-100k``."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from loadtest import limits
from loadtest.benching import hundred_rows, hundred_thousand, report
from loadtest.benching.hundred_rows import DEVICES, Size
from loadtest.benching.hundred_thousand import Findings
from loadtest.cli import options
from loadtest.cli.telling import fail, perform, refuse, say
from loadtest.limits import Host
from loadtest.targets import LOOPBACK_SOURCES
from loadtest.wording import tally

System = Mapping[str, float | str]

NAME: Final = "bench-100k"
_CHANGES: Final = 100
"""One phone of so many has a change in a second."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(NAME)(run)


def run(
    *,
    devices: Annotated[int, typer.Option(help="Phones held at the gateway.")] = DEVICES,
    rate: Annotated[
        float | None, typer.Option(help="Changes a second, if not one for each 100 phones.")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where the figures and their plot go.")
    ] = Path("bench/results"),
) -> None:
    """Measure the gateway with 100,000 phones, and restart it; status 1 if phones were missing."""
    try:
        size = Size(devices=devices, rate=devices / _CHANGES if rate is None else rate)
    except ValueError as error:
        refuse(error)
    host = limits.read_host()
    _check(size, host)
    system = _system(host)
    found = perform(hundred_thousand.perform(size, typer.echo))
    raise typer.Exit(0 if _finish(size, found, system, out) else 1)


def _check(size: Size, host: Host) -> None:
    """End where this host has too little for the phones; say what may spoil the figures."""
    needs = limits.needs(
        size.devices,
        cores=host.cores,
        sources=len(LOOPBACK_SOURCES),
        processes=size.processes,
    )
    shortages = limits.judge(needs, host)
    fatal = [str(one) for one in shortages if one.is_fatal]
    if fatal:
        fail("\n".join(fatal))
    for one in shortages:
        typer.echo(f"warning: {one}")


def _finish(size: Size, found: Findings, system: System, out: Path) -> bool:
    """Tell what was found and write it; return whether all phones were there."""
    console, rows = Console(**options.terminal()), hundred_rows.rows(size)
    console.print(report.table(f"{size.devices:,} phones", rows, [found.measured]))
    missing = list(hundred_rows.missed(size, found.measured))
    extra = {"size": asdict(size), "system": system, "errors": found.errors, "missing": missing}
    paths = report.write(out, NAME, rows, [found.measured], extra)
    for line in (
        *(f"errors, {phase}: {tally(kinds)}" for phase, kinds in found.errors.items()),
        *missing,
        ", ".join(f"{name} {one}" for name, one in {**report.environment(), **system}.items()),
        *(f"wrote {path}" for path in paths),
    ):
        say(console, line)
    return not missing


def _system(host: Host) -> System:
    """Return limits of the system that matter with so many connections, and who else works here."""
    found = {
        "net.core.somaxconn": host.somaxconn,
        "net.ipv4.tcp_max_syn_backlog": host.syn_backlog,
        "net.netfilter.nf_conntrack_max": host.conntrack_max,
        "fs.file-max": host.files_max,
        "open files of a process": host.files_hard,
        "ports of an address": host.port_count,
        "load average before": round(os.getloadavg()[0], 2),
    }
    return {name: "unknown" if one is None else one for name, one in found.items()}
