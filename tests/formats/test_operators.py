"""Settings of those who are asked what operators outside want: the key `requests` of the file of sources."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from fermata.domain.ids import SourceId
from fermata.domain.secrets import ref_of_file
from fermata.domain.sources import AskKind, Operators
from fermata.formats.faults import BadInput
from fermata.formats.sources import read_sources

PAGE = Path(__file__).parents[2] / "docs" / "requests.md"
GOOD = "sources: []\nrequests:\n- {id: east, url: 'https://k8s.example', asks: [node_maintenance]}\n"


def read(folder: Path, text: str) -> str:
    path = folder / "sources.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as bad:
        read_sources(path)
    return "\n".join(str(fault) for fault in bad.value.faults)


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path / "sources.yaml"
    path.write_text(example)
    assert read_sources(path).requests == {
        "east": Operators(
            id=SourceId("east"),
            url="https://k8s.example:6443",
            asks=frozenset({AskKind.NODE_MAINTENANCE}),
            every=timedelta(minutes=1),
            requestor="maintenance.fermata.io",
            token=ref_of_file(tmp_path / "tokens/k8s-east"),
        )
    }


def test_a_short_entry_takes_what_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(GOOD)
    (found,) = read_sources(path).requests.values()
    assert (found.every, found.requestor, found.token) == (timedelta(minutes=1), "maintenance.fermata.io", None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("node_maintenance", "node_maintenence", 'Did you mean "node_maintenance"?'),
        ("[node_maintenance]", "[]", "asks names nothing"),
        (", asks: [node_maintenance]", "", 'Key "asks" is missing'),
        ("https:", "ftp:", "is no URL of a server"),
        ("id: east", "id: east, every_minutes: 90", "a whole number from 1"),
        ("id: east", "id: east, nodes: {}", 'Key "nodes" is unknown'),
        ("sources: []", "sources: [{id: east, kind: push}]", 'Source "east" stands already'),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    told = read(tmp_path, GOOD.replace(old, new, 1))
    assert said in told
    assert re.search(r"sources\.yaml:\d+:\d+", told)
