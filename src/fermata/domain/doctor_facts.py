"""What `fermata doctor` knows of a machine, its settings and its store. Gathered by `wiring`, judged by `doctor`."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.freshness import LastWord
from fermata.domain.intents import Intent
from fermata.domain.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Where a folder lies. `kind`: of file system, as the kernel calls it, "" if it does not tell."""

    folder: str
    kind: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """A file with a secret. `why`: why it cannot be read, else "". `least_bytes`: how long it has to be, 0: any."""

    what: str
    path: str
    mode: int = 0o600
    size_bytes: int = 0
    least_bytes: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is in a certificate; `names` are those it is valid for."""

    names: tuple[str, ...]
    start: datetime
    end: datetime
    is_of_key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Certificate and key of the server. `why`: why they cannot be read, else ""."""

    file: str
    key: str
    found: Certificate | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A place that was asked. `why`: why it gave no answer, "" when it gave one."""

    place: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The newest of the copies in a folder, None when there is none, and how old it may be."""

    folder: str
    newest: datetime | None
    allowed: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the machine and the settings say. None: was not asked for, or cannot be known here."""

    disks: tuple[Disk, ...] = ()
    clock_is_kept: bool | None = None
    secrets: tuple[SecretFile, ...] = ()
    missing: tuple[Reason, ...] = ()  # secrets by their names that cannot be read
    writable: tuple[tuple[str, int], ...] = ()  # files of the store, with their modes
    host: str = "127.0.0.1"
    is_loopback: bool = True
    tls: TlsFiles | None = None
    has_proxy: bool = False  # in front, which ends TLS
    public_url: Reached | None = None
    mail: Reached | None = None
    backups: Kept | None = None
    checkpoints: Kept | None = None
    metrics: Reached | None = None
    has_site: bool = False
    adapters: tuple[Reached, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """A lease on a run, or on a window of it. `is_gone`: its owner is known to have ended."""

    owner: str
    what: str
    until: datetime
    is_gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A campaign whose plan is in force and not over."""

    campaign: str
    plan: str
    needs_metrics: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFacts:
    """How long the journal is, when it begins (None: it has no line), and what is wrong with its last lines."""

    lines: int = 0
    begins: datetime | None = None
    broken: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """What the store says. `clock_ahead`: how far the database's clock is ahead of ours, None of one on this machine.

    `unguarded`: append-only tables that the role may write to otherwise. `unruled`: customers without a policy, with
    how many nodes. `zones`: unknown ones, each with what names it.
    """

    is_sqlite: bool = True
    clock_ahead: timedelta | None = None
    role: str = ""
    unguarded: tuple[str, ...] = ()
    unapproved: tuple[str, ...] = ()
    unruled: tuple[tuple[str, int], ...] = ()
    zones: tuple[tuple[str, str], ...] = ()
    in_force: tuple[InForce, ...] = ()
    brake: Intent | None = None
    leases: tuple[HeldLease, ...] = ()
    journal: JournalFacts = JournalFacts()
    sources: tuple[LastWord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLook:
    """A look at the store at `place`. Without `facts`: `why` it could not be read, or its schema (`found`) is not the
    one of this release (`known`).
    """

    place: str
    file: str = ""
    known: str = ""
    found: str = ""
    why: str = ""
    facts: StoreFacts | None = None
