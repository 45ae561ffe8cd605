"""Settings of sources: the example of the documentation is read, and every fault is told with its place."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from fermata.domain.ids import ClusterId, SourceId
from fermata.domain.secrets import ref_of_file
from fermata.domain.sources import Files, Kubernetes, NetBox, Push, Rule, Slurm
from fermata.formats.faults import BadInput
from fermata.formats.sources import read_sources

PAGE = Path(__file__).parents[2] / "docs" / "inventory.md"
CLUSTER = (
    "{cluster: a, supercomputer: s, customer: c, region: r, geo: US, timezone: Europe/Paris, datacenter: d, sku: H100,"
    " division: applied, rolling_allowed: true, single_placement_group: false}"
)
NODES = "{cluster: a, rack: '{rack}', fault_domain: f, scalable_unit: u, role: prod, workload: w}"
GOOD = f"clusters:\n- {CLUSTER}\nsources:\n- {{id: one, kind: slurm, nodes: {NODES}}}\n"


def read(folder: Path, text: str) -> str:
    path = folder / "sources.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as bad:
        read_sources(path)
    return str(bad.value)


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path / "sources.yaml"
    path.write_text(example)
    book = read_sources(path)
    assert {name: type(source.reach) for name, source in book.sources.items()} == {
        "slurm-west": Slurm, "k8s-east": Kubernetes, "netbox": NetBox, "lab": Files, "factory": Push,
    }  # fmt: skip
    slurm = book.sources[SourceId("slurm-west")]
    assert slurm.nodes is not None
    assert slurm.nodes.columns["rack"] == Rule(text="{features}", match="(?:^|,)rack-([^,]+)")
    assert slurm.nodes.columns["state"] == Rule(text="{state}")
    assert slurm.nodes.only == (
        Rule(text="{sort}", match="^node$"), Rule(text="{partitions}", match=r"\bgpu\b"),
    )  # fmt: skip
    kubernetes = book.sources[SourceId("k8s-east")].reach
    assert isinstance(kubernetes, Kubernetes)
    assert kubernetes.token == ref_of_file(tmp_path / "tokens/k8s-east")
    assert book.sources[SourceId("lab")].stale_after == timedelta(hours=2)
    assert book.clusters[ClusterId("west-1")].customer == "lumen"


def test_a_short_file_takes_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(GOOD)
    (source,) = read_sources(path).sources.values()
    assert (source.every, source.stale_after, source.reach) == (
        timedelta(minutes=15), timedelta(hours=1), Slurm(scontrol="scontrol"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: slurm", "kind: slrm", 'it must be files, slurm, kubernetes, netbox or push. Did you mean "slurm"?'),
        ("kind: slurm", "kind: kubernetes", 'Key "url" is missing'),
        ("kind: slurm", "kind: netbox, url: 'ftp://x'", "is no URL of a server"),
        ("kind: slurm", "kind: netbox, url: 'http://me:pw@x'", "is no URL of a server"),
        ("kind: slurm", "kind: netbox, url: 'http://['", "is no URL of a server"),
        ("kind: slurm", "kind: netbox, url: 'http://x', query: all", "it must be a mapping of texts to texts"),
        ("kind: slurm", "kind: push", 'Key "nodes" is unknown'),
        ("kind: slurm", "kind: slurm, every_minutes: 0", "a whole number from 1"),
        ("kind: slurm", "kind: slurm, every_minutes: 60, stale_after_minutes: 30", "would be stale between"),
        ("kind: slurm", "kind: slurm, url: 'http://x'", 'Key "url" is unknown'),
        ("rack: '{rack}', ", "", 'Key "rack" is missing'),
        ("rack: '{rack}'", "rak: '{rack}'", 'Key "rak" is unknown. Did you mean "rack"?'),
        ("rack: '{rack}'", "rack: '{rack'", "is no text of a rule"),
        ("rack: '{rack}'", "rack: ''", "is no text of a rule"),
        ("rack: '{rack}'", "rack: 7", "it must be"),
        ("rack: '{rack}'", "rack: {match: x}", 'Key "text" is missing'),
        ("rack: '{rack}'", "rack: {text: '{a}', match: '('}", "is no regular expression"),
        ("rack: '{rack}'", "rack: {text: '{a}', match: '(a)(b)'}", "more than one group"),
        ("rack: '{rack}'", "rack: {text: '{a}', values: x}", "it must be a mapping of texts to texts"),
        ("workload: w}", "workload: w, components: x}", "a mapping of components to rules"),
        ("timezone: Europe/Paris", "timezone: Europe/Pariss", 'Did you mean "Europe/Paris"?'),
        ("sources:", "sources:\n- {id: one, kind: push}", 'Source "one" stands already'),
        (f"- {CLUSTER}", f"- {CLUSTER}\n- {CLUSTER}", 'Cluster "a" stands already'),
        ("division: applied", "division: other", "it must be research or applied"),
        (", customer: c", "", 'Key "customer" is missing'),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    told = read(tmp_path, GOOD.replace(old, new, 1))
    assert said in told
    assert re.search(r"sources\.yaml:\d+:\d+", told)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("customer: c, ", "").replace("role: prod", "rolle: prod").replace("'{rack}'", "'{'")
    assert len(read(tmp_path, text).splitlines()) == 3


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises((BadInput, OSError)):
        read_sources(tmp_path / "nowhere.yaml")
