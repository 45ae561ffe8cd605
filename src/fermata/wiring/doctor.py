"""Gathers what `fermata doctor` judges: the machine and the settings, the store, and what stands behind the site."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from fermata.domain.doctor import examine
from fermata.domain.doctor_facts import HeldLease, Kept, Machine, Reached, SecretFile, StoreLook
from fermata.domain.reasons import Reason
from fermata.domain.secrets import is_ref
from fermata.execution.ownership import is_gone, name_owner, name_part
from fermata.formats.access import read_access
from fermata.formats.certificates import read_tls
from fermata.formats.checkpoints import SUFFIX
from fermata.formats.faults import BadInput
from fermata.formats.metrics import read_metrics
from fermata.server.callers import SECRET_BYTES_MIN
from fermata.services import doctor
from fermata.settings import Settings, is_loopback
from fermata.sim.clock import SystemClock
from fermata.store.database import Database
from fermata.store.leases import Lease
from fermata.wiring import machine
from fermata.wiring.named_secrets import find_missing
from fermata.wiring.site import open_site, say_gap

BACKUPS = "*.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Where copies are kept; None: nobody said where. How old the newest may be."""

    backups: Path | None = None
    checkpoints: Path | None = None
    allowed: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What is wrong, and what could not be looked at, in sentences."""

    findings: tuple[Reason, ...]
    notes: tuple[str, ...]


def examine_all(url: str, settings: Settings, copies: Copies, *, now: datetime) -> Examined:
    """A look at everything, which changes nothing. Raises BadInput where a file that was named cannot be read."""
    store, held = doctor.look(url, now=now)
    if store.facts is not None:
        store = replace(store, facts=replace(store.facts, leases=tuple(_name(lease) for lease in held)))
    looked = _look_at_machine(url, store, settings, copies)
    notes = tuple(_list_notes(store, settings, copies, looked))
    return Examined(findings=examine(looked, store, now), notes=notes)


def _name(lease: Lease) -> HeldLease:
    what = name_part(lease.run, lease.window)
    return HeldLease(owner=name_owner(lease.owner), what=what, until=lease.until, is_gone=is_gone(lease.owner))


def _look_at_machine(url: str, store: StoreLook, settings: Settings, copies: Copies) -> Machine:
    folder = Path(store.file).absolute().parent if store.file else Path.cwd()
    kept = [path for path in (copies.backups,) if path is not None and path.is_dir()]
    tls_key = settings.tls_key or settings.tls_cert
    return Machine(
        disks=tuple(machine.look_at_disk(place) for place in (folder, *kept) if place.is_dir()),
        clock_is_kept=machine.is_clock_kept(),
        secrets=_look_at_secrets(settings),
        missing=find_missing(settings),
        writable=_modes(store),
        host=settings.host,
        is_loopback=is_loopback(settings.host),
        tls=read_tls(settings.tls_cert, tls_key) if settings.tls_cert is not None and tls_key is not None else None,
        has_proxy=_has_proxy(settings.access),
        public_url=machine.ask_url(settings.public_url) if settings.public_url else None,
        mail=machine.ask_mail(settings.smtp_host, settings.smtp_port) if settings.smtp_host else None,
        backups=_newest(copies.backups, BACKUPS, copies.allowed),
        checkpoints=_newest(copies.checkpoints, f"*{SUFFIX}", copies.allowed),
        metrics=_try_metrics(settings.metrics),
        has_site=settings.site is not None,
        adapters=_probe(settings.site, url if store.facts is not None else None),
    )


def _has_proxy(access: Path | None) -> bool:
    """Whether somebody in front ends TLS, as `serve` asks it. Raises BadInput."""
    return access is not None and bool(read_access(access).proxy.networks)


def _newest(folder: Path | None, pattern: str, allowed: timedelta) -> Kept | None:
    return None if folder is None else machine.find_newest(folder, pattern, allowed)


def _look_at_secrets(settings: Settings) -> tuple[SecretFile, ...]:
    found: list[SecretFile] = []
    if settings.node_secret and not is_ref(settings.node_secret):
        found.append(machine.look_at_secret("the secret of nodes' keys", Path(settings.node_secret), SECRET_BYTES_MIN))
    key = settings.tls_key or settings.tls_cert
    if key is not None:
        found.append(machine.look_at_secret("the server's key", key))
    if settings.channel_secrets is not None:
        found += machine.look_at_secrets("a channel's secret", settings.channel_secrets)
    return tuple(found)


def _modes(store: StoreLook) -> tuple[tuple[str, int], ...]:
    path = Path(store.file)
    return ((store.file, path.stat().st_mode & 0o777),) if store.file and path.is_file() else ()


def _try_metrics(path: Path | None) -> Reached | None:
    if path is None:
        return None
    try:
        read_metrics(path)
    except BadInput as bad:
        return Reached(place=str(path), why=bad.faults[0].sentence)
    except OSError as error:
        return Reached(place=str(path), why=str(error.strerror))
    return Reached(place=str(path))


def _probe(site: Path | None, url: str | None) -> tuple[Reached, ...]:
    """As `fermata adapters doctor` does; `url` None: no store says what has to be served. Raises BadInput."""
    if site is None:
        return ()
    with open_site(site, SystemClock()) as opened, ExitStack() as stack:
        database = None
        if url is not None:
            database = stack.enter_context(closing(Database(url)))
            opened.attach(database)
        found = [Reached(place=f"Adapter {each.adapter}", why=each.wrong) for each in opened.probe()]
        gaps = opened.find_gaps(database) if database is not None else ()
        return (*found, *(Reached(place="The site's file", why=say_gap(gap)) for gap in gaps))


def _list_notes(store: StoreLook, settings: Settings, copies: Copies, looked: Machine) -> Iterator[str]:
    """What nobody looked at, and what would have it looked at."""
    unseen = (
        (store.facts is None, "What is in the store."),
        (looked.clock_is_kept is None, "Whether somebody keeps this machine's clock: its kernel does not tell."),
        (copies.backups is None, "Backups: name their folder with --backups."),
        (copies.checkpoints is None, "Checkpoints of the journal: name their folder with --checkpoints."),
        (settings.site is None, "Adapters: name the site's file by FERMATA_SITE."),
        (not settings.public_url, "Whether subscribers reach this server: FERMATA_PUBLIC_URL is not set."),
        (not settings.smtp_host, "Mail: FERMATA_SMTP_HOST is not set."),
        (looked.tls is None, "TLS: no certificate is named."),
    )
    yield from (sentence for is_so, sentence in unseen if is_so)
