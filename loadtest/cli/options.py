"""Options that several commands share, and what they come to."""

import math
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, TypeVar

import typer

from loadtest import limits, targets
from loadtest.cli.telling import reason
from loadtest.generators import lender as lenders
from loadtest.generators.lender import Address
from loadtest.judging import threshold
from loadtest.phones.connecting import tls_context
from loadtest.profiles import reading as profiles
from loadtest.profiles import units
from loadtest.profiles.profile import Profile
from loadtest.profiles.users import Users
from loadtest.publishers import PUBLISHERS, parse_address
from loadtest.running import Place

Found = TypeVar("Found")
Amount = TypeVar("Amount")

GATEWAY: Final = "http://127.0.0.1:8800"
ADMIN: Final = "http://127.0.0.1:8801"
PIPED_COLUMNS: Final = 160
"""Width of tables that no terminal shows: all of a row is worth more there than a short line."""
_SECRET: Final = re.compile(r"(?<=://)\S*@")
"""Login and password within a URL."""


class OptionError(ValueError):
    """An option that is wrong, or that does not go with another; the text begins with its name."""


AllowTargets = Annotated[
    list[str],
    typer.Option(
        "--allow-target", metavar="HOST", help="A host beside this one to put load on; repeatable."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The options that say what is loaded, and from where."""

    panel: ClassVar[str] = "Servers"

    serve: Annotated[
        bool, typer.Option("--serve", help="Start a Valkey and a gateway, and end them.")
    ] = False
    nodes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Gateways to start with --serve.")
    ] = 1
    target: Annotated[
        list[str],
        typer.Option(
            metavar="URL", help=f"The EAS server, if not {GATEWAY}; repeatable.", show_default=False
        ),
    ] = field(default_factory=list)
    allow_target: AllowTargets = field(default_factory=list)
    source: Annotated[
        str | None,
        typer.Option(
            metavar="RANGE", help="Addresses that phones come from, such as 127.0.1.0/24."
        ),
    ] = None
    admin: Annotated[
        list[str],
        typer.Option(
            metavar="URL",
            help=f"The gateway's admin listener, for its figures; {ADMIN} if there is no "
            "--target; repeatable.",
        ),
    ] = field(default_factory=list)
    publisher: Annotated[
        str | None,
        typer.Option(
            metavar="KIND", help=f"How changes are made: {', '.join(PUBLISHERS)}; http if not said."
        ),
    ] = None
    publish_to: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where changes are made, if not in the usual place of that kind."
        ),
    ] = None
    tls_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates to trust, PEM.")
    ] = None
    insecure: Annotated[bool, typer.Option("--insecure", help="Accept any certificate.")] = False
    restart: Annotated[
        list[str],
        typer.Option(
            metavar="COMMAND", help="Restarts one server, where a profile does so; repeatable."
        ),
    ] = field(default_factory=list)

    def place(self) -> Place:
        """Check them.

        Raises:
            ValueError: If one of them is wrong.
        """
        self._check_serve()
        found = read(
            "--target",
            self.target or [GATEWAY],
            partial(targets.parse_targets, allowed=self.allow_target),
        )
        for url in self.admin:
            read("--admin", url, partial(targets.parse_target, allowed=self.allow_target))
        if self.tls_ca is not None:
            tls_context(authority=str(self.tls_ca), is_checked=True)
        kind, url = self._publisher(found)
        return Place(
            targets=found,
            sources=self._sources(found),
            allowed=tuple(self.allow_target),
            publisher=kind,
            publisher_url=url,
            tls_ca=str(self.tls_ca) if self.tls_ca else None,
            insecure=self.insecure,
            admins=self._admins(),
        )

    def _check_serve(self) -> None:
        others = {
            "--target": self.target,
            "--admin": self.admin,
            "--publisher": self.publisher,
            "--publish-to": self.publish_to,
            "--tls-ca": self.tls_ca,
            "--insecure": self.insecure,
            "--restart": self.restart,
        }
        found = ", ".join(name for name, value in others.items() if value)
        if self.serve and found:
            raise OptionError(f"{found}: found with --serve, which starts servers of its own")
        if self.nodes > 1 and not self.serve:
            raise OptionError(f"--nodes: found {self.nodes} without --serve, which starts them")

    def _admins(self) -> tuple[str, ...]:
        return tuple(self.admin or ([] if self.target else [ADMIN]))

    def _publisher(self, found: Sequence[targets.Target]) -> tuple[str, str]:
        admins = self._admins()
        is_told = self.publisher or self.publish_to or admins
        far = [one.host for one in found if not targets.permits(one.host)]
        if far and not is_told:
            raise OptionError(
                f"--publisher: found none, allowed are {', '.join(PUBLISHERS)}: how are changes "
                f"made on {far[0]}?"
            )
        kind = self.publisher or "http"
        read("--publisher", kind, parse_address)
        url = self.publish_to or (admins[0] if kind == "http" and admins else "")
        read("--publish-to", url, partial(parse_address, kind, allowed=self.allow_target))
        return kind, url

    def _sources(self, found: Sequence[targets.Target]) -> tuple[str, ...]:
        if self.source is not None:
            return read("--source", self.source, targets.parse_source)
        return targets.default_sources(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """The options that say how much."""

    panel: ClassVar[str] = "Load"

    name: Annotated[
        str,
        typer.Argument(
            metavar="PROFILE|FILE", help="A preset (loadtest profiles), or a TOML file."
        ),
    ]
    devices: Annotated[
        str | None, typer.Option(metavar="N", help="Phones, such as 15000 or 100k.")
    ] = None
    duration: Annotated[
        str | None, typer.Option(metavar="T", help="Length, such as 30s, 10m or 1h.")
    ] = None
    rate: Annotated[
        str | None, typer.Option(metavar="R", help="Changes, such as 200 or 200/s, 90/m or 12/h.")
    ] = None
    seed: Annotated[int | None, typer.Option(metavar="S", help="Equal seeds give equal loads.")] = (
        None
    )
    user_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Logins of the phones' users, such as 'user{n}'."),
    ] = None
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The password that all these users have.")
    ] = None
    syncs: Annotated[
        bool, typer.Option("--syncs", help="All phones Sync, which most EAS servers insist on.")
    ] = False

    def profile(self, asserts: Sequence[str] = ()) -> Profile:
        """Read the profile, and put the options in.

        Args:
            asserts: Thresholds beside those of the profile.

        Raises:
            ValueError: If one of them is wrong.
        """
        found = profiles.find(self.name).resized(
            devices=read_if_given("--devices", self.devices, units.parse_count),
            duration=read_if_given("--duration", self.duration, units.parse_duration),
            rate=read_if_given("--rate", self.rate, units.parse_rate),
            seed=self.seed,
        )
        for text in found.asserts:
            read(f"{self.name}: asserts", text, threshold.parse)
        for text in asserts:
            read("--assert", text, threshold.parse)
        groups = tuple(replace(one, syncs=one.syncs or self.syncs) for one in found.groups)
        return replace(
            found, asserts=(*found.asserts, *asserts), users=self._users(found), groups=groups
        )

    def _users(self, found: Profile) -> Users:
        users = found.users
        if self.user_name is not None:
            users = replace(users, name=self.user_name)
        if self.password_file is not None:
            password = read("--password-file", self.password_file, _password)
            users = replace(users, password=password)
        return users


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The options that say which processes make the load."""

    panel: ClassVar[str] = "Generators"

    processes: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Processes on this host; one per core and per 19,000 phones."
        ),
    ] = None
    lender: Annotated[
        list[str],
        typer.Option(
            metavar="HOST:PORT", help="A generator host (loadtest lend) that helps; repeatable."
        ),
    ] = field(default_factory=list)
    secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Secret shared with lenders.")
    ] = None

    def needs(self, profile: Profile, place: Place) -> limits.Needs:
        """Work out what the hosts of all generators have to give: this one, if there is no other.

        Args:
            profile: What shall be done.
            place: Where.
        """
        host = limits.read_host()
        return limits.needs(
            profile.devices,
            cores=host.cores,
            sources=len(place.sources),
            targets=len(place.targets),
            processes=None if self.lender else self.processes,
            max_phones=host.max_phones,
            tls=any(target.is_tls for target in place.targets),
            duration=profile.duration,
            changes=round(profile.changes.rate * profile.duration),
        )

    def shares(self, processes: int) -> tuple[int, int]:
        """Divide generator processes.

        Args:
            processes: How many are needed in all.

        Returns:
            Those of this host, and those of each lender, of which each lends one at least.
        """
        if not self.lender:
            return processes, 0
        here = self.processes or 0
        return here, max(1, math.ceil((processes - here) / len(self.lender)))

    def lent(self) -> tuple[list[Address], bytes]:
        """Read the addresses of the lenders, and the secret.

        Raises:
            ValueError: If one of them is wrong, or the secret is missing.
        """
        addresses = [read("--lender", text, lenders.parse_address) for text in self.lender]
        if addresses and self.secret_file is None:
            raise OptionError("--lender: found without --secret-file, which the lenders ask for")
        return addresses, lenders.read_secret(self.secret_file) if self.secret_file else b""


def read(option: str, found: Found, parse: Callable[[Found], Amount]) -> Amount:
    """Read what an option was given.

    Raises:
        OptionError: If it is wrong; the text begins with the option.
    """
    try:
        return parse(found)
    except ValueError as error:
        raise OptionError(f"{option}: {error}") from None


def read_if_given(
    option: str, text: str | None, parse: Callable[[object], Amount]
) -> Amount | None:
    """Read what an option was given, if it was.

    Raises:
        OptionError: As ``read``.
    """
    return None if text is None else read(option, text, parse)


def _password(path: Path) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise OptionError(f"found {path}, {reason(error)}") from None
    except UnicodeDecodeError:
        raise OptionError(f"found {path}, which is not UTF-8") from None


def command_line() -> str:
    """Return the command as typed, without logins in URLs: reports are passed on."""
    return shlex.join(["loadtest", *(_SECRET.sub("***@", one) for one in sys.argv[1:])])


def terminal() -> dict[str, Any]:
    """Return what a console should know: what goes into a pipe is not cut to 80 columns."""
    if sys.stdout.isatty():
        return {}
    return {"width": shutil.get_terminal_size((PIPED_COLUMNS, 24)).columns}
