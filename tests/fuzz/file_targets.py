"""One target for each reader of files in `formats`."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from pyarrow import parquet
from tests.formats import conftest as small
from tests.formats import test_psplib, test_qualification, test_sources, test_subscriptions
from tests.formats.test_fuzz import APPROVALS, PIECES, WORKLOADS
from tests.formats.test_observed import SUBJECT, WHOLE
from tests.fuzz.target import Target, of_file, of_text
from tests.unit.planning.replanning import PARENT

from fermata.domain.checkpoints import SCHEMA as CHECKPOINT
from fermata.domain.checkpoints import Checkpoint
from fermata.domain.intents import Intent
from fermata.formats.access import read_access
from fermata.formats.approvals import read_approvals
from fermata.formats.brake import BrakeFile
from fermata.formats.campaign import read_campaign
from fermata.formats.catalogue import read_added
from fermata.formats.certificates import read_tls
from fermata.formats.changed_inputs import parse_changes
from fermata.formats.checkpoints import read_checkpoints
from fermata.formats.fleet import read_fleet
from fermata.formats.metrics import read_metrics
from fermata.formats.observed import read_observed
from fermata.formats.plans import plan_to_bytes, read_plan
from fermata.formats.policy import read_policy
from fermata.formats.psplib import read_best_known, read_projects
from fermata.formats.qualification import read_qualification
from fermata.formats.scenario import read_scenario
from fermata.formats.secrets import read_secrets
from fermata.formats.site import read_settings_file, read_site
from fermata.formats.sources import read_sources
from fermata.formats.standing import read_outages
from fermata.formats.subscriptions import read_subscriptions
from fermata.formats.updates import read_updates
from fermata.formats.workloads import read_workloads
from fermata.wiring import kinds

ROOT = Path(__file__).parents[2]
WORDS = tuple(piece.encode() for piece in PIECES)
BRAKE = json.dumps({"schema": "fermata.brake/1", "actor": "a", "why": "b", "at": "2026-01-01T00:00:00+00:00"})
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))  # the same each time, of nobody
KEY = SIGNER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
SIGNED = Checkpoint(seq=3, head="ab" * 32, at=datetime(2026, 1, 1, tzinfo=UTC))
POINT = {
    "schema": CHECKPOINT,
    "seq": SIGNED.seq,
    "head": SIGNED.head,
    "at": SIGNED.at.isoformat(),
    "signature": base64.b64encode(SIGNER.sign(SIGNED.signed)).decode(),
}
METRICS = """\
prometheus: {url: "http://127.0.0.1:9090", token_file: prometheus.token}
metrics:
  - {name: power, query: sum by (node) (x), series: x, label: node, above: 9.5, below: 0, stale_after_seconds: 180}
"""
SITE = """\
bridge: "https://meet.example/{cluster}"
adapters:
  - id: boxes
    kind: redfish
    settings:
      user: someone
      password_file: secrets/box
      models: {gpu: {components: {bmc_fw: {inventory: [BMC]}}, boot_minutes: 15}}
      nodes: {alpha-n0: {address: "https://127.0.0.1:1", model: gpu}}
      calls_at_once: 3
    serves: [{ports: [firmware], clusters: [alpha], components: [bmc_fw]}, {ports: [power], nodes: ["alpha-*"]}]
  - {id: people, kind: subscribers}
"""
OUTSIDE = """\
sources: []
requests:
- {id: east, url: "https://k8s.example", asks: [node_maintenance], token_file: a, ca_file: b, every_minutes: 3}
"""
ACCESS = """\
oidc: {issuer: "https://idp.example", client_id: fermata, audience: api, scopes: [openid], groups_claim: roles}
grants:
  - {group: acme-leads, role: approver, customer: acme}
  - {user: ada@example.com, role: conductor}
  - {client: bot, role: automation, cluster: c-1}
break_glass: [{user: ada@example.com, role: operator}]
nodes:
  token:
    issuer: "https://k8s.example"
    audience: fermata
    claim: [kubernetes.io, node, name]
    subjects: ["system:serviceaccount:a:b"]
trusted_proxy: {addresses: [10.0.0.5, 192.0.2.0/24]}
session: {idle_minutes: 30, hours: 8}
"""
SETTINGS = """\
user: someone
password_file: secrets/box
models: {gpu: {components: {bmc_fw: {inventory: [BMC]}}, boot_minutes: 15}}
nodes: {alpha-n0: {address: "https://127.0.0.1:1", model: gpu}}
"""
APPROVED = """\
verdict,level,name,actor,reason,at
approve,cluster,alpha,someone,yes,2026-01-02T21:00:00Z
withdraw,rack,beta-r0,someone,,
"""
OUTAGE = {"day": "2026-03-01", "nodes": ["n0", "n1"], "updates": ["nic"], "forced_by": "nic", "due": "2026-03-09"}
STANDING = {
    "cluster": "alpha",
    "outages": [OUTAGE],
    "without_outage": [],
    "troubles": [],
    "node_outages": 2,
    "node_outages_bound": 2,
    "one_per_update": {},
}
OUTAGES = {
    "schema": "fermata.standing/1",
    "made_at": "2026-01-01T00:00:00Z",
    "first_day": "2026-01-01",
    "last_day": "2026-12-31",
    "totals": {},
    "supercomputers": [{"supercomputer": "one", "clusters": [STANDING]}],
}
INPUT_SEED = 16 * 1024  # of a plan that is longer


def golden(*names: str) -> tuple[bytes, ...]:
    """Files that stories begin with."""
    return tuple((ROOT / "tests" / "golden" / name).read_bytes() for name in names)


def _folder_of(name: str) -> Callable[[bytes], object]:
    """A fleet in which one file is those bytes, the others as they should be."""

    def run(data: bytes) -> object:
        with TemporaryDirectory(prefix="fermata-fuzz-") as folder:
            made = small.Small(Path(folder))
            if name.endswith((".jsonl", ".parquet")):
                made.path("fleet/nodes.csv").unlink()
            made.write(f"fleet/{name}", data)
            return read_fleet(Path(folder, "fleet"))

    return run


def _scenario_with(name: str) -> Callable[[bytes], object]:
    """What files say of each other is judged, too."""

    def run(data: bytes) -> object:
        with TemporaryDirectory(prefix="fermata-fuzz-") as folder:
            made = small.Small(Path(folder))
            made.write(name, data)
            return read_scenario(Path(folder))

    return run


def _workload_map(data: bytes) -> object:
    with TemporaryDirectory(prefix="fermata-fuzz-") as folder:
        Path(folder, "workloads.yaml").write_bytes(data)
        Path(folder, "workloads.csv").write_text(WORKLOADS["workloads.csv"])
        return read_workloads(Path(folder, "workloads.yaml"))


def _read_brake(path: Path) -> Intent:
    """A file that cannot be read is a brake that is on: whoever reads it never fails."""
    word = BrakeFile(path).read()
    assert word is not None, "the file is there"
    return word


def _read_point(path: Path) -> object:
    key = path.with_name("key.pem")
    key.write_text(KEY)
    return read_checkpoints([path], key)


def _read_key(path: Path) -> object:
    point = path.with_name("one.checkpoint.json")
    point.write_text(json.dumps(POINT))
    return read_checkpoints([point], path)


def _read_tls(path: Path) -> object:
    """A certificate, or what is wrong with it: nothing is raised. What has no armour gets one, so that more is read."""
    data = path.read_bytes()
    if not data.startswith(b"-----"):
        path.write_bytes(armour(base64.standard_b64encode(data)))
    key = path.with_name("key.pem")
    key.write_bytes(SIGNER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return read_tls(path, key)


def armour(coded: bytes) -> bytes:
    """As a file of PEM has it."""
    return b"-----BEGIN CERTIFICATE-----\n" + coded + b"\n-----END CERTIFICATE-----\n"


def _certificate() -> bytes:
    """DER of one that is signed by its own key, with names."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fermata.example")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(SIGNER.public_key())
    made = made.serial_number(1).not_valid_before(SIGNED.at).not_valid_after(SIGNED.at + timedelta(days=9))
    names = x509.SubjectAlternativeName([x509.DNSName("fermata.example"), x509.IPAddress(ip_address("127.0.0.1"))])
    return made.add_extension(names, critical=False).sign(SIGNER, None).public_bytes(Encoding.DER)


def _as_jsonl(text: str) -> bytes:
    header, *rows = [line.split(",") for line in text.splitlines()]
    return "\n".join(json.dumps(dict(zip(header, row, strict=True))) for row in rows).encode()


def _as_parquet(text: str, compression: str) -> bytes:
    header, *rows = [line.split(",") for line in text.splitlines()]
    table = pa.table({name: [row[at] for row in rows] for at, name in enumerate(header)})
    file = io.BytesIO()
    parquet.write_table(table, file, compression=compression)
    return file.getvalue()


@cache
def _kinds() -> kinds.KindBook:
    return kinds.list_kinds()


def _read_site(path: Path) -> object:
    book = _kinds()
    return read_site(path, book.kinds, unusable={name: kind.why for name, kind in book.unusable.items()})


SECRETS = """\
vault:
  url: https://vault.example:8200
  namespace: ops
  approle: {role_id: 0f1c, secret_id: "credential:vault-secret-id", mount: approle}
commands:
  bmc: {run: [/usr/local/bin/get-secret, bmc]}
  k8s: {run: [/usr/bin/aws, eks], key: status.token, pass_on: [AWS_PROFILE], answer_seconds: 20}
channels:
  ops.lumen.example: {signing: "vault:kv/channels/lumen#signing"}
kept_seconds: 60
"""


def _read_settings(path: Path) -> object:
    return read_settings_file(path, _kinds().kinds["redfish"])


def _whole_targets() -> list[Target]:
    """Of files that are read with others beside them, and of one text."""
    folders = {
        "nodes.csv": (small.NODES.encode(),),
        "clusters.csv": (small.CLUSTERS.encode(),),
        "devices.csv": (small.DEVICES.encode(),),
        "nodes.jsonl": (_as_jsonl(small.NODES),),
        "nodes.parquet": (_as_parquet(small.NODES, "none"), _as_parquet(small.NODES, "zstd")),
    }
    found = [Target(name=name, run=_folder_of(name), seeds=seeds, words=WORDS) for name, seeds in folders.items()]
    whole = {"policy.yaml": small.POLICY, "campaign.yaml": small.CAMPAIGN, "updates.yaml": small.UPDATES}
    found += [
        Target(name=f"scenario/{name}", run=_scenario_with(name), seeds=(text.encode(),), words=WORDS)
        for name, text in whole.items()
    ]
    found.append(
        Target(name="workloads.yaml", run=_workload_map, seeds=(WORKLOADS["workloads.yaml"].encode(),), words=WORDS)
    )
    found.append(
        Target(
            name="set KEY=VALUE",
            run=of_text(lambda text: parse_changes([text])),
            seeds=(b"deadline=2026-02-01", b"limits.global=3"),
            refusals=(ValueError,),
            words=WORDS,
        )
    )
    return found


def list_file_targets() -> tuple[Target, ...]:
    """In the order of their names."""
    teams = {update.owner_team: 5 for update in SUBJECT.catalogue.updates.values()}
    stored = replace(SUBJECT.catalogue, team_limits=teams)  # one that a file could say
    yaml_files = {
        "access.yaml": (read_access, (ACCESS.encode(),)),
        "approvals.yaml": (read_approvals, (APPROVALS.encode(),)),
        "campaign.yaml": (read_campaign, (small.CAMPAIGN.encode(), *golden("at-night.yaml", "rings.yaml"))),
        "metrics.yaml": (read_metrics, (METRICS.encode(),)),
        "observed.yaml": (lambda path: read_observed(path, SUBJECT), (WHOLE.encode(),)),
        "policy.yaml": (read_policy, (small.POLICY.encode(), *golden("rules.yaml"))),
        "qualification.yaml": (read_qualification, (test_qualification.RULES.encode(),)),
        "secrets.yaml": (read_secrets, (SECRETS.encode(),)),
        "settings.yaml": (_read_settings, (SETTINGS.encode(),)),
        "site.yaml": (_read_site, (SITE.encode(),)),
        "sources.yaml": (
            read_sources,
            (test_sources.GOOD.encode(), OUTSIDE.encode(), *golden("inventory/monday.yaml")),
        ),
        "subscriptions.yaml": (read_subscriptions, (test_subscriptions.GOOD.encode(),)),
        "updates.yaml": (read_updates, (small.UPDATES.encode(), *golden("updates.yaml", "kernel.yaml"))),
        "added.yaml": (lambda path: read_added(path, stored), golden("kernel.yaml", "updates.yaml")),
    }
    plan = plan_to_bytes(PARENT)
    others = {
        "approvals.csv": (read_approvals, (APPROVED.encode(),)),
        "observed.json": (lambda path: read_observed(path, SUBJECT), (b'{"parent":"plan_1","windows":[]}',)),
        "plan.json": (read_plan, (plan[:INPUT_SEED], b'{"schema":"fermata.plan/1"}')),
        "outages.json": (read_outages, (json.dumps(OUTAGES).encode(),)),
        "project.sm": (lambda path: read_projects([path]), (test_psplib.SM.encode(),)),
        "project.rcp": (lambda path: read_projects([path]), (test_psplib.RCP.encode(),)),
        "best.csv": (read_best_known, (b"file,makespan\na.rcp,5\n",)),
        "one.checkpoint.json": (_read_point, (json.dumps(POINT).encode(),)),
        "key.pem": (_read_key, (KEY.encode(),)),
        "tls.pem": (_read_tls, (_certificate(),)),
        "brake.json": (_read_brake, (BRAKE.encode(),)),
    }
    found = [
        Target(name=name, run=of_file(read, name), seeds=seeds, words=WORDS)
        for name, (read, seeds) in (yaml_files | others).items()
    ]
    found += _whole_targets()
    return tuple(sorted(found, key=lambda target: target.name))
