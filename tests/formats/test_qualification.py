"""qualification.yaml, a catalogue written and read again, and updates added to one."""

from pathlib import Path

import pytest
from tests.formats.conftest import UPDATES, Small

from fermata.domain.qualification import Need, Ring
from fermata.domain.updates import Criticality, Stage
from fermata.formats.catalogue import catalogue_to_plain, read_added
from fermata.formats.faults import BadInput
from fermata.formats.qualification import read_qualification
from fermata.formats.updates import read_updates

RULES = """\
rules:
  - id: security
    criticality: [critical_security, critical_livesite]
    needs: [{ring: lab, signal: boot, nodes: 4}]
  - id: default
    owner_team: nic
    target: [node, ib_leaf]
    needs:
      - {ring: lab, signal: boot, nodes: 8}
      - {ring: canary, signal: soak, nodes: 20, same_sku: true}
"""


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path)


def test_rules_are_read_in_their_order(small: Small) -> None:
    security, default = read_qualification(small.write("qualification.yaml", RULES))
    assert security.criticalities == {Criticality.CRITICAL_SECURITY, Criticality.CRITICAL_LIVESITE}
    assert default.needs[1] == Need(ring=Ring.CANARY, signal="soak", nodes=20, same_sku=True)
    assert (default.owner_teams, default.targets) == ({"nic"}, {"node", "ib_leaf"})


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("ring: lab", "ring: labs", "it must be lab"),
        ("nodes: 4", "nodes: 0", "whole number from 1"),
        ("id: default", "id: security", "security"),
        ("same_sku: true", "same_sku: maybe", "true or false"),
        ("signal: soak, ", "", 'Key "signal" is missing'),
        ("critical_livesite", "urgent", "must be"),
    ],
)
def test_faults_say_where_and_what(small: Small, before: str, after: str, sentence: str) -> None:
    with pytest.raises(BadInput) as bad:
        read_qualification(small.write("qualification.yaml", RULES.replace(before, after, 1)))
    assert sentence in str(bad.value)


def test_a_catalogue_written_out_is_the_same_catalogue(small: Small, tmp_path: Path) -> None:
    import yaml

    catalogue = read_updates(small.path("updates.yaml"))
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(catalogue_to_plain(catalogue)))
    assert read_updates(path) == catalogue


ADDED = """\
teams: [{id: bmc, at_once: 5}]
updates:
  - id: bmc-2.1
    title: Board controller
    owner_team: bmc
    target: node
    component: bmc
    to_version: "2.1"
    applies_to: {}
    impact: impactless
    criticality: regular
    stage: flight_ready
    released_at: "2026-01-10T00:00:00Z"
    duration_minutes: {p50: 5, p90: 8}
    rollback: eligible
    after: [nic-28.43]
"""


def test_added_updates_join_those_on_record(small: Small) -> None:
    stored = read_updates(small.path("updates.yaml"))
    merged = read_added(small.write("added.yaml", ADDED), stored)
    assert merged.updates.keys() == stored.updates.keys() | {"bmc-2.1"}
    assert {name: merged.updates[name] for name in stored.updates} == stored.updates
    assert merged.team_limits == {**stored.team_limits, "bmc": 5}
    again = read_added(small.write("added.yaml", ADDED.replace("p50: 5", "p50: 6")), merged)
    assert len(again.updates) == len(merged.updates)
    assert again.updates[next(n for n in again.updates if n == "bmc-2.1")].duration_minutes.p50 == 6


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("nic-28.43", "nic-28.44", "nic-28.44"),
        ("owner_team: bmc", "owner_team: nobody", "nobody"),
        ("id: bmc-2.1", "id: nic-28.43", "A cycle"),
        ("updates:", "upgrades:", "unknown"),
        (
            'component: bmc\n    to_version: "2.1"',
            'component: nic_fw\n    to_version: "28.43"',
            "both production-ready",
        ),
    ],
)
def test_what_clashes_with_the_record_is_a_fault_of_the_added_file(
    small: Small, before: str, after: str, sentence: str
) -> None:
    stored = read_updates(small.path("updates.yaml"))
    text = ADDED.replace(before, after, 1)
    if "both" in sentence:
        text = text.replace("flight_ready", Stage.PRODUCTION_READY)
    with pytest.raises(BadInput) as bad:
        read_added(small.write("added.yaml", text), stored)
    assert sentence in str(bad.value)
    assert "added.yaml" in str(bad.value)


def test_the_file_of_a_scenario_may_be_added_to_itself(small: Small) -> None:
    stored = read_updates(small.path("updates.yaml"))
    assert read_added(small.write("added.yaml", UPDATES), stored) == stored
