"""What a phone can be told to do, and what can come of it.

Rules:
    1. Values only, hashable ones: equal commands of many phones are one object, and the bytes of a
       request are built once for all of them.
    2. A folder has two names: the ``watch``, under which a mail backend publishes changes (INBOX,
       Calendar, or the folder's own name), and the ``id`` that the EAS server gave it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Watched:
    """A folder that a phone watches."""

    id: str
    """CollectionId, as the server spelled it."""
    class_: str
    """Email, Calendar, Contacts, Tasks or Notes."""
    watch: str
    """Name under which changes of it are published."""


@dataclass(frozen=True, slots=True)
class Options:
    """Ask which protocol versions the server speaks."""


@dataclass(frozen=True, slots=True)
class FolderSync:
    """Ask for the folder hierarchy."""

    key: str = "0"
    policy: str = "0"
    """Policy key, in the header X-MS-PolicyKey; of all commands below but Ping."""


@dataclass(frozen=True, slots=True)
class Provision:
    """Ask for the policy, or acknowledge it."""

    policy: str = "0"
    """Temporary key when acknowledging."""
    is_acknowledgement: bool = False
    wipes: bool = False
    """Acknowledge a remote wipe."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One folder of a Sync."""

    folder: Watched
    key: str
    """SyncKey; "0" begins."""


@dataclass(frozen=True, slots=True)
class Sync:
    """Fetch what is new in some folders."""

    collections: tuple[Collection, ...]
    """Empty sends no body: the server repeats what it cached."""
    policy: str = "0"
    wait: int = 0
    """Seconds of HeartbeatInterval that the server may hold it; 0 asks for an answer at once."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Wait for a change of the watched folders."""

    heartbeat: int
    """Seconds the phone wants to wait."""
    folders: tuple[Watched, ...]
    """At least one."""
    is_full: bool = True
    """False sends no body: the server completes it from what it cached."""
    twin: bool = False
    """Send it on a second connection as well, which is closed when that one is answered."""


@dataclass(frozen=True, slots=True)
class Half:
    """Send the first half of a request and nothing more; ends as ``Broken``."""

    whole: FolderSync | Ping


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for a while."""

    interval: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection; the next command opens another one. Its outcome is None, at once."""


@dataclass(frozen=True, slots=True)
class Move:
    """Go to another server from now on (HTTP 451).

    Its outcome is None, or ``Broken`` where this load generator may not go there.
    """

    url: str


Request = Options | FolderSync | Provision | Sync | Ping
"""Commands that are answered."""
Command = Request | Half | Wait | HangUp | Move


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a FolderSync told of."""

    id: str
    name: str
    """DisplayName."""
    type: int
    """Source: [MS-ASCMD] 2.2.3.186.3; 2 Inbox, 7 Tasks, 8 Calendar, 9 Contacts, 10 Notes."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a Sync said of one folder."""

    id: str
    status: int
    key: str
    """The next SyncKey; "" where none came."""
    added: int = 0
    """Items that are new (Add)."""
    has_more: bool = False
    subjects: tuple[str, ...] = ()
    """Subjects of the added items that have one."""


@dataclass(frozen=True, slots=True)
class Document:
    """What decides about the next step of a phone, out of an answer's WBXML."""

    root: str = ""
    """Ping, FolderSync, Sync or Provision; "" where no WBXML came."""
    status: int = 0
    """Status directly under the root; 0 where there is none."""
    folders: tuple[str, ...] = ()
    """Ping: ids of changed folders, in the answer's order."""
    heartbeat: int | None = None
    """Ping status 5: seconds the server allows. Sync status 14: its Limit."""
    max_folders: int | None = None
    """Ping status 6."""
    key: str = ""
    """FolderSync: the next SyncKey. Provision: the PolicyKey."""
    policy_status: int = 0
    """Provision: Status of the policy; 1 there is one, 2 none for this client."""
    wipe: bool = False
    """Provision: the server asks for a remote wipe."""
    hierarchy: tuple[Folder, ...] = ()
    """FolderSync: folders added."""
    collections: tuple[Synced, ...] = ()
    """Sync: what came."""


NOTHING: Final = Document()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a request."""

    http_status: int
    document: Document = NOTHING
    retry_after: float | None = None
    """Seconds the server asks to stay away."""
    location: str | None = None
    """X-MS-Location of an HTTP 451."""


@dataclass(frozen=True, slots=True)
class Broken:
    """No answer: the connection failed, or its time was over."""

    kind: str
    """What failed, for the table of errors: ``closed``, ``reset``, ``timeout``, ..."""


Outcome = Answer | Broken | None
"""None is the outcome of a Wait, a HangUp and a Move."""

Script = Generator[Command, Outcome, None]
"""The life of one phone; it ends when the phone gives up for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How the phones of one group behave; one object for all of them."""

    kind: str = "fixed"
    """Name of the scenario."""
    heartbeat: int = 480
    """Seconds of the first Ping."""
    watches: tuple[str, ...] = ("INBOX", "Calendar")
    """Folders to watch."""
    syncs: bool = False
    """Sync each folder before the first Ping and after each change; else only Ping."""
    is_terse: bool = False
    """Send Pings without a body after the first answered one."""
    known: tuple[Watched, ...] = ()
    """Folders known from before: such a phone comes back and begins with its Ping."""
    version: str = "14.1"
    user_agent: str = "Android/14-EAS-2.0"
    device_type: str = "Android"
