"""What is wrong with a machine, its settings and its store: pure, over facts that were gathered. The order is that in
which a person would mend it: what stops everything comes first.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from fermata.domain.doctor_codes import DoctorCode as D
from fermata.domain.doctor_facts import Disk, HeldLease, Kept, Machine, SecretFile, StoreFacts, StoreLook, TlsFiles
from fermata.domain.reasons import Reason, reason

NETWORKED = frozenset(
    (
        "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone",
        "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs",
    )
)  # fmt: skip
FREE_SHARE_MIN, FREE_BYTES_MIN = 0.05, 1 << 30  # a January's store grows by less than a GiB
CLOCK_OFF_MAX = timedelta(seconds=2)  # a lease is 10 s: with 2 s off, two workers still agree whose it is
CERTIFICATE_LEFT_MIN = timedelta(days=21)  # who renews by itself does so 30 days before
JOURNAL_LINES_MAX = 10_000_000  # verified in minutes; more has to be asked for
OTHERS_READ, OTHERS_WRITE = 0o077, 0o022
DAY = timedelta(days=1)


def examine(machine: Machine, store: StoreLook, now: datetime) -> tuple[Reason, ...]:
    """Everything that is wrong; empty when nothing is."""
    found = [*_look_at_store(store), *_look_at_place(machine, store)]
    if store.facts is not None:
        found += _look_inside(store.facts, machine, now)
    found += [*_look_at_secrets(machine), *_look_at_server(machine, now), *_look_at_copies(machine, now)]
    return tuple(found)


def _look_at_store(store: StoreLook) -> Iterator[Reason]:
    if store.why:
        yield reason(D.STORE_UNREACHABLE, store=store.place, why=store.why)
    elif store.found != store.known:
        yield reason(D.STORE_NOT_OF_RELEASE, found=store.found or "none", known=store.known)


def _look_at_place(machine: Machine, store: StoreLook) -> Iterator[Reason]:
    for disk in machine.disks:
        if store.file and disk is machine.disks[0] and disk.kind in NETWORKED:
            yield reason(D.STORE_ON_NETWORK, store=store.file, kind=disk.kind)
        if _is_nearly_full(disk):
            free, total = _size(disk.free_bytes), _size(disk.total_bytes)
            yield reason(D.DISK_NEARLY_FULL, folder=disk.folder, free=free, total=total)
    for path, mode in machine.writable:
        if mode & OTHERS_WRITE:
            yield reason(D.STORE_WRITABLE, path=path, mode=f"{mode & 0o777:o}")
    if machine.clock_is_kept is False:
        yield reason(D.CLOCK_FREE)


def _look_inside(store: StoreFacts, machine: Machine, now: datetime) -> Iterator[Reason]:
    yield from _look_at_database(store)
    yield from _look_at_policy(store)
    is_conducted = machine.has_site or any(_lasts(lease, now) for lease in store.leases)  # by a worker elsewhere
    for each in store.in_force:
        if not is_conducted:
            yield reason(D.NOBODY_CONDUCTS, plan=each.plan, campaign=each.campaign)
        if each.needs_metrics and machine.metrics is None:
            yield reason(D.METRICS_MISSING, campaign=each.campaign)
    yield from _look_at_work(store, now)


def _look_at_work(store: StoreFacts, now: datetime) -> Iterator[Reason]:
    """What stands still."""
    if store.brake is not None:
        yield reason(D.BRAKE_LEFT_ON, told=store.brake.told)
    for lease in store.leases:
        if not _lasts(lease, now):
            at = f"{lease.until:%Y-%m-%d %H:%MZ}"
            yield reason(D.LEASE_OF_NOBODY, owner=lease.owner, what=lease.what, until=at)
    for word in store.sources:
        if word.is_stale(now):
            at = f"{word.observed_at:%Y-%m-%d %H:%MZ}" if word.observed_at else "no time yet"
            limit = f"{word.limit // timedelta(minutes=1):,} min"
            yield reason(D.SOURCE_SILENT, source=word.source, at=at, limit=limit)


def _lasts(lease: HeldLease, now: datetime) -> bool:
    """Whether somebody is at work under it, as far as can be known here."""
    return not lease.is_gone and now < lease.until


def _look_at_database(store: StoreFacts) -> Iterator[Reason]:
    owners = {lease.owner for lease in store.leases if not lease.is_gone}
    if store.is_sqlite and len(owners) > 1:
        yield reason(D.STORE_SHARED, workers=len(owners))
    if store.clock_ahead is not None and abs(store.clock_ahead) > CLOCK_OFF_MAX:
        way = "behind" if store.clock_ahead > timedelta() else "ahead of"
        seconds = f"{abs(store.clock_ahead).total_seconds():,.0f}"
        yield reason(D.CLOCK_OFF, seconds=seconds, way=way)
    if store.unguarded:
        yield reason(D.JOURNAL_UNGUARDED, role=store.role, tables=", ".join(store.unguarded))
    journal = store.journal
    if journal.broken is not None:
        yield reason(D.JOURNAL_BROKEN, why=journal.broken.sentence)
    if journal.lines > JOURNAL_LINES_MAX and journal.begins is not None:
        yield reason(D.JOURNAL_GROWS, lines=f"{journal.lines:,}", at=f"{journal.begins:%Y-%m-%d}")


def _look_at_policy(store: StoreFacts) -> Iterator[Reason]:
    for customer in store.unapproved:
        yield reason(D.NOBODY_APPROVES, customer=customer)
    for customer, nodes in store.unruled:
        yield reason(D.CUSTOMER_UNRULED, customer=customer, nodes=f"{nodes:,} node{'' if nodes == 1 else 's'}")
    for zone, what in store.zones:
        yield reason(D.ZONE_UNKNOWN, zone=zone, what=what)


def _look_at_secrets(machine: Machine) -> Iterator[Reason]:
    for secret in machine.secrets:
        yield from _look_at_secret(secret)
    yield from machine.missing


def _look_at_secret(secret: SecretFile) -> Iterator[Reason]:
    if secret.why:
        yield reason(D.SECRET_UNUSABLE, path=secret.path, what=secret.what, why=secret.why)
        return
    if secret.mode & OTHERS_READ:
        yield reason(D.SECRET_READABLE, path=secret.path, what=secret.what, mode=f"{secret.mode & 0o777:o}")
    if secret.size_bytes < secret.least_bytes:
        yield reason(D.SECRET_SHORT, path=secret.path, bytes=secret.size_bytes, least=secret.least_bytes)


def _look_at_server(machine: Machine, now: datetime) -> Iterator[Reason]:
    if not machine.is_loopback and machine.tls is None and not machine.has_proxy:
        yield reason(D.LISTENS_IN_CLEAR, host=machine.host)
    if machine.tls is not None:
        yield from _look_at_tls(machine.tls, machine, now)
    url = machine.public_url
    if url is not None and not url.place.lower().startswith("https://"):
        yield reason(D.PUBLIC_URL_IN_CLEAR, url=url.place)
    yield from _look_at_others(machine)


def _look_at_others(machine: Machine) -> Iterator[Reason]:
    """Who gives no answer."""
    if machine.public_url is not None and machine.public_url.why:
        yield reason(D.PUBLIC_URL_UNREACHABLE, url=machine.public_url.place, why=machine.public_url.why)
    if machine.mail is not None and machine.mail.why:
        yield reason(D.MAIL_UNREACHABLE, host=machine.mail.place, why=machine.mail.why)
    if machine.metrics is not None and machine.metrics.why:
        yield reason(D.METRICS_UNUSABLE, path=machine.metrics.place, why=machine.metrics.why)
    for adapter in machine.adapters:
        if adapter.why:
            yield reason(D.ADAPTER_UNWELL, adapter=adapter.place, why=adapter.why)


def _look_at_tls(tls: TlsFiles, machine: Machine, now: datetime) -> Iterator[Reason]:
    found = tls.found
    if found is None:
        yield reason(D.CERTIFICATE_UNUSABLE, files=" and ".join(dict.fromkeys((tls.file, tls.key))), why=tls.why)
        return
    if not found.is_of_key:
        yield reason(D.CERTIFICATE_OF_OTHER_KEY, file=tls.file, key=tls.key)
    left = found.end - now
    if now < found.start:
        yield reason(D.CERTIFICATE_NOT_YET, file=tls.file, at=f"{found.start:%Y-%m-%d %H:%MZ}")
    elif left <= timedelta():
        yield reason(D.CERTIFICATE_OVER, file=tls.file, at=f"{found.end:%Y-%m-%d %H:%MZ}")
    elif left < CERTIFICATE_LEFT_MIN:
        yield reason(D.CERTIFICATE_ENDS, file=tls.file, at=f"{found.end:%Y-%m-%d %H:%MZ}", days=left // DAY)
    host = host_of(machine.public_url.place) if machine.public_url is not None else ""
    if host and not any(_is_named(host, name) for name in found.names):
        yield reason(D.CERTIFICATE_OF_OTHER_NAME, file=tls.file, names=", ".join(found.names) or "no name", host=host)


def host_of(url: str) -> str:
    """The host of a URL, "" where there is none."""
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()
    return authority[1:].partition("]")[0] if authority.startswith("[") else authority.partition(":")[0]


def _is_named(host: str, name: str) -> bool:
    """As RFC 6125 has it: a star is one whole label, the first."""
    name = name.lower()
    return host == name or (name.startswith("*.") and "." in host and host.partition(".")[2] == name[2:])


def _look_at_copies(machine: Machine, now: datetime) -> Iterator[Reason]:
    for code, kept, noun in (
        (D.BACKUP_OLD, machine.backups, "backup"),
        (D.CHECKPOINT_OLD, machine.checkpoints, "checkpoint"),
    ):
        if kept is not None and _is_old(kept, now):
            newest = f"no {noun}" if kept.newest is None else f"a {noun} of {kept.newest:%Y-%m-%d %H:%MZ}"
            yield reason(code, folder=kept.folder, newest=newest, days=f"{kept.allowed / DAY:g}")


def _is_old(kept: Kept, now: datetime) -> bool:
    return kept.newest is None or now - kept.newest > kept.allowed


def _is_nearly_full(disk: Disk) -> bool:
    return disk.free_bytes < FREE_BYTES_MIN or disk.free_bytes < disk.total_bytes * FREE_SHARE_MIN


def _size(size_bytes: int) -> str:
    gib = size_bytes / (1 << 30)
    return f"{gib:,.0f} GiB" if gib >= 10 else f"{gib:.1f} GiB"
