"""What `fermata doctor` finds: each thing that can be wrong, alone, and nothing where all is right."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fermata.domain.doctor import CERTIFICATE_LEFT_MIN, CLOCK_OFF_MAX, JOURNAL_LINES_MAX, examine, host_of
from fermata.domain.doctor_codes import DoctorCode as D
from fermata.domain.doctor_facts import (
    Certificate,
    Disk,
    HeldLease,
    InForce,
    JournalFacts,
    Kept,
    Machine,
    Reached,
    SecretFile,
    StoreFacts,
    StoreLook,
    TlsFiles,
)
from fermata.domain.freshness import LastWord
from fermata.domain.ids import SourceId
from fermata.domain.intents import EVERYWHERE, Intent, ScopeKind
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import Desired

NOW = datetime(2026, 1, 9, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GIB = 1 << 30
DISK = Disk(folder="/srv", kind="ext4", free_bytes=400 * GIB, total_bytes=1_000 * GIB)
CERTIFICATE = Certificate(names=("fermata.example",), start=NOW - DAY, end=NOW + 80 * DAY, is_of_key=True)
TLS = TlsFiles(file="cert.pem", key="key.pem", found=CERTIFICATE)
SECRET = SecretFile(what="a secret", path="/etc/s", mode=0o600, size_bytes=48, least_bytes=32)
LEASE = HeldLease(owner="process 7 on a", what="the lead of run_1", until=NOW + timedelta(seconds=9), is_gone=False)
MACHINE = Machine(
    disks=(DISK,),
    clock_is_kept=True,
    secrets=(SECRET,),
    writable=(("/srv/fermata.db", 0o644),),
    host="192.0.2.7",
    is_loopback=False,
    tls=TLS,
    public_url=Reached(place="https://fermata.example/"),
    mail=Reached(place="mail:25"),
    backups=Kept(folder="/backups", newest=NOW - HOUR, allowed=DAY),
    checkpoints=Kept(folder="/points", newest=NOW - HOUR, allowed=DAY),
    metrics=Reached(place="metrics.yaml"),
    has_site=True,
    adapters=(Reached(place="slurm"),),
)
STORE = StoreFacts(
    is_sqlite=False,
    clock_ahead=timedelta(milliseconds=3),
    role="fermata_app",
    in_force=(InForce(campaign="jan", plan="plan_1", needs_metrics=True),),
    leases=(LEASE, replace(LEASE, owner="process 9 on b", what="window w1 of run_1")),
    journal=JournalFacts(lines=JOURNAL_LINES_MAX, begins=NOW - 300 * DAY),
    sources=(LastWord(source=SourceId("slurm"), observed_at=NOW - HOUR, limit=2 * HOUR),),
)
BRAKE = Intent(kind=ScopeKind.BRAKE, scope=EVERYWHERE, desired=Desired.PAUSE, actor="ann", why="smoke", at=NOW - HOUR)
BROKEN = reason(Code.JOURNAL_LINE_CHANGED, seq=7, event="run.started", subject="run:run_1", at="2026-01-08 10:00Z")

WRONG_MACHINE: list[tuple[D, dict[str, Any]]] = [
    (D.DISK_NEARLY_FULL, {"disks": (replace(DISK, free_bytes=49 * GIB),)}),
    (D.DISK_NEARLY_FULL, {"disks": (DISK, replace(DISK, free_bytes=GIB - 1, total_bytes=2 * GIB))}),
    (D.CLOCK_FREE, {"clock_is_kept": False}),
    (D.STORE_WRITABLE, {"writable": (("/srv/fermata.db", 0o664),)}),
    (D.SECRET_READABLE, {"secrets": (replace(SECRET, mode=0o640),)}),
    (D.SECRET_UNUSABLE, {"secrets": (replace(SECRET, why="No such file"),)}),
    (D.SECRET_SHORT, {"secrets": (replace(SECRET, size_bytes=31),)}),
    (D.LISTENS_IN_CLEAR, {"tls": None}),
    (D.CERTIFICATE_UNUSABLE, {"tls": replace(TLS, found=None, why="it is none")}),
    (D.CERTIFICATE_OF_OTHER_KEY, {"tls": replace(TLS, found=replace(CERTIFICATE, is_of_key=False))}),
    (D.CERTIFICATE_NOT_YET, {"tls": replace(TLS, found=replace(CERTIFICATE, start=NOW + HOUR))}),
    (D.CERTIFICATE_OVER, {"tls": replace(TLS, found=replace(CERTIFICATE, end=NOW))}),
    (D.CERTIFICATE_ENDS, {"tls": replace(TLS, found=replace(CERTIFICATE, end=NOW + CERTIFICATE_LEFT_MIN - HOUR))}),
    (D.CERTIFICATE_OF_OTHER_NAME, {"tls": replace(TLS, found=replace(CERTIFICATE, names=("b.example",)))}),
    (D.CERTIFICATE_OF_OTHER_NAME, {"tls": replace(TLS, found=replace(CERTIFICATE, names=("*.fermata.example",)))}),
    (D.PUBLIC_URL_IN_CLEAR, {"public_url": Reached(place="http://fermata.example/")}),
    (D.PUBLIC_URL_UNREACHABLE, {"public_url": Reached(place="https://fermata.example", why="refused")}),
    (D.MAIL_UNREACHABLE, {"mail": Reached(place="mail:25", why="refused")}),
    (D.METRICS_UNUSABLE, {"metrics": Reached(place="metrics.yaml", why="no such file")}),
    (D.METRICS_MISSING, {"metrics": None}),
    (D.ADAPTER_UNWELL, {"adapters": (Reached(place="slurm", why="it does not answer"),)}),
    (D.BACKUP_OLD, {"backups": Kept(folder="/backups", newest=None, allowed=DAY)}),
    (D.BACKUP_OLD, {"backups": Kept(folder="/backups", newest=NOW - DAY - HOUR, allowed=DAY)}),
    (D.CHECKPOINT_OLD, {"checkpoints": Kept(folder="/points", newest=NOW - DAY - HOUR, allowed=DAY)}),
]
WRONG_STORE: list[tuple[D, dict[str, Any]]] = [
    (D.STORE_SHARED, {"is_sqlite": True}),
    (D.CLOCK_OFF, {"clock_ahead": CLOCK_OFF_MAX + timedelta(seconds=1)}),
    (D.CLOCK_OFF, {"clock_ahead": -CLOCK_OFF_MAX - timedelta(seconds=1)}),
    (D.JOURNAL_UNGUARDED, {"unguarded": ("journal",)}),
    (D.JOURNAL_BROKEN, {"journal": JournalFacts(lines=9, begins=NOW - DAY, broken=BROKEN)}),
    (D.JOURNAL_GROWS, {"journal": JournalFacts(lines=JOURNAL_LINES_MAX + 1, begins=NOW - 900 * DAY)}),
    (D.NOBODY_APPROVES, {"unapproved": ("lumen",)}),
    (D.CUSTOMER_UNRULED, {"unruled": (("lumen", 1),)}),
    (D.ZONE_UNKNOWN, {"zones": (("Mars/Olympus", "cluster c0"),)}),
    (D.BRAKE_LEFT_ON, {"brake": BRAKE}),
    (D.LEASE_OF_NOBODY, {"leases": (replace(LEASE, is_gone=True),)}),
    (D.LEASE_OF_NOBODY, {"leases": (replace(LEASE, until=NOW),)}),
    (D.SOURCE_SILENT, {"sources": (LastWord(source=SourceId("slurm"), observed_at=None, limit=HOUR),)}),
]
LOOK = StoreLook(place="postgresql://db/fermata", known="0042", found="0042", facts=STORE)
WRONG_LOOK: list[tuple[D, StoreLook]] = [
    (D.STORE_UNREACHABLE, StoreLook(place="postgresql://db/fermata", why="connection refused")),
    (D.STORE_NOT_OF_RELEASE, replace(LOOK, found="0037", facts=None)),
    (D.STORE_NOT_OF_RELEASE, replace(LOOK, found="", facts=None)),
]


def codes(machine: Machine, look: StoreLook) -> list[object]:
    return [found.code for found in examine(machine, look, NOW)]


def test_a_right_set_up_has_nothing_to_mend() -> None:
    assert examine(MACHINE, LOOK, NOW) == ()
    assert examine(Machine(), replace(LOOK, facts=StoreFacts()), NOW) == ()


@pytest.mark.parametrize(("code", "wrong"), WRONG_MACHINE)
def test_what_is_wrong_with_the_machine_is_found_and_nothing_else(code: D, wrong: dict[str, Any]) -> None:
    assert codes(replace(MACHINE, **wrong), LOOK) == [code]


@pytest.mark.parametrize(("code", "wrong"), WRONG_STORE)
def test_what_is_wrong_in_the_store_is_found_and_nothing_else(code: D, wrong: dict[str, Any]) -> None:
    assert codes(MACHINE, replace(LOOK, facts=replace(STORE, **wrong))) == [code]


@pytest.mark.parametrize(("code", "look"), WRONG_LOOK)
def test_a_store_that_cannot_be_read_is_found(code: D, look: StoreLook) -> None:
    assert codes(MACHINE, look) == [code]


def test_sqlite_on_a_network_is_found_and_another_folder_there_is_fine() -> None:
    file = replace(LOOK, place="/mnt/f.db", file="/mnt/f.db", facts=replace(STORE, is_sqlite=True, leases=(LEASE,)))
    remote = replace(DISK, folder="/mnt", kind="nfs4")
    assert codes(replace(MACHINE, disks=(remote,)), file) == [D.STORE_ON_NETWORK]
    assert codes(replace(MACHINE, disks=(DISK, remote)), file) == []
    assert codes(replace(MACHINE, disks=(remote,)), LOOK) == []  # of a database that is elsewhere


def test_a_proxy_in_front_ends_tls_and_nothing_is_in_clear() -> None:
    assert codes(replace(MACHINE, tls=None, has_proxy=True), LOOK) == []


def test_without_a_site_here_somebody_conducts_as_long_as_a_worker_holds_a_lease() -> None:
    elsewhere = replace(MACHINE, has_site=False, adapters=())

    def found(*leases: HeldLease) -> list[object]:
        return codes(elsewhere, replace(LOOK, facts=replace(STORE, leases=leases)))

    over, gone = replace(LEASE, until=NOW), replace(LEASE, is_gone=True)
    assert found(LEASE) == []
    assert found(over, LEASE) == [D.LEASE_OF_NOBODY]
    assert found() == [D.NOBODY_CONDUCTS]
    for nobody in (over, gone):
        assert found(nobody) == [D.NOBODY_CONDUCTS, D.LEASE_OF_NOBODY]


def test_every_code_is_tried() -> None:
    tried = {code for code, _ in (*WRONG_MACHINE, *WRONG_STORE, *WRONG_LOOK)} | {D.STORE_ON_NETWORK, D.NOBODY_CONDUCTS}
    assert set(D) == tried
    assert len(tried) >= 20


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Fermata.example:8443/x", "fermata.example"),
        ("https://[2001:db8::1]:8443", "2001:db8::1"),
        ("https://user@fermata.example/", "fermata.example"),
        ("fermata.example", ""),
    ],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


def test_a_star_in_a_certificate_is_one_label() -> None:
    star = replace(MACHINE, tls=replace(TLS, found=replace(CERTIFICATE, names=("*.example",))))
    assert codes(star, LOOK) == []
    deep = replace(star, public_url=Reached(place="https://a.fermata.example"))
    assert codes(deep, LOOK) == [D.CERTIFICATE_OF_OTHER_NAME]
