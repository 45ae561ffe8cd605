"""Damaged scenarios are read or refused with faults; nothing else ever happens."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fermata.formats.faults import BadInput, Fault
from fermata.formats.scenario import Scenario, input_hashes, read_scenario

FILES = (
    "fleet/clusters.csv",
    "fleet/nodes.csv",
    "fleet/devices.csv",
    "updates.yaml",
    "policy.yaml",
    "campaign.yaml",
    "approvals.yaml",
    "workloads.yaml",
    "workloads.csv",
)
PIECES = (
    "", ",", "\n", "\n\n", '"', "'", ":", ": ", "- ", "[", "]", "{", "}", "*a", "&a ", "!!int ", "null", "true",
    "-1", "0", "1e9", "1_0", "0x1f", ".nan", "99999999999999999999", "10:00", "2026-01-01", "2026-13-01T00:00:00Z",
    "\t", "\r", "\0", "\ufeff", "\u2028", "²", "é", "---\n", "%YAML 9\n", "# ", "|\n", ">", "<<: ", "component.",
    "node", "alpha", " " * 50, "x" * 300, "?", "\x85", "1.²",
)  # fmt: skip
APPROVALS = """\
approvals:
  - {verdict: approve, scope: {cluster: alpha}, actor: someone, reason: yes please}
  - {verdict: withdraw, scope: {rack: beta-r0}, actor: someone, at: 2026-01-02T21:00:00Z}
"""


WORKLOADS = {
    "workloads.yaml": """\
services:
  - {id: idle, class: idle}
  - {id: training, class: research, rank: 5}
  - {id: chat, class: chat, minimum: {EU: {share: 0.5}}, may_move: true, moves_to: [idle]}
""",
    "workloads.csv": "node,service\nalpha-n0,idle\n",
}


def read_or_refuse(folder: Path) -> None:
    """What is read hangs together and reads the same again; what is refused names places that exist."""
    try:
        scenario = read_scenario(folder)
    except BadInput as bad:
        assert_told(bad, folder)
    else:
        assert_whole(scenario)
        assert input_hashes(read_scenario(folder)) == input_hashes(scenario)


def assert_told(bad: BadInput, folder: Path) -> None:
    assert bad.total >= len(bad.faults) > 0
    assert str(bad).encode()
    assert bad.as_json()["total"] == bad.total
    for fault in bad.faults:
        assert_place_exists(fault, folder)


def assert_whole(scenario: Scenario) -> None:
    """No name points at nothing."""
    fleet, known = scenario.fleet, scenario.catalogue.updates.keys()
    units = (*fleet.nodes.values(), *fleet.devices.values())
    assert {unit.cluster for unit in units} <= fleet.clusters.keys()
    assert (scenario.campaign.updates or frozenset()) <= known
    assert {before for update in scenario.catalogue.updates.values() for before in update.after} <= known
    if scenario.workloads is not None:
        assert scenario.workloads.assignments.keys() <= fleet.nodes.keys()
        assert set(scenario.workloads.assignments.values()) <= scenario.workloads.services.keys()


def assert_place_exists(fault: Fault, folder: Path) -> None:
    """A file of the folder, a line of that file, a column of some line; a sentence."""
    place = Path(fault.file)
    assert place.is_relative_to(folder)
    text = place.read_bytes().decode(errors="replace") if place.is_file() else ""
    if fault.line is not None:
        assert 1 <= fault.line <= len(text.splitlines()) + 1
    assert fault.column is None or 1 <= fault.column <= len(text) + 1
    assert len(fault.sentence) > 5


@given(data=st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_scenario_is_read_or_refused(small, data):
    small.write("approvals.yaml", APPROVALS)
    for name, text in WORKLOADS.items():
        small.write(name, text)
    originals = {name: small.text(name) for name in FILES}
    try:
        for _ in range(data.draw(st.integers(1, 5))):
            name = data.draw(st.sampled_from(FILES))
            text = small.path(name).read_bytes().decode()
            start = data.draw(st.integers(0, len(text)))
            end = start + data.draw(st.integers(0, 15))
            small.write(name, text[:start] + data.draw(st.sampled_from(PIECES)) + text[end:])
        read_or_refuse(small.folder)
    finally:
        for name, text in originals.items():
            small.write(name, text)


@given(data=st.binary(max_size=200), name=st.sampled_from(FILES))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_place_of_a_file_are_refused(small, data, name):
    small.write("approvals.yaml", APPROVALS)
    for mapped, text in WORKLOADS.items():
        small.write(mapped, text)
    original = small.text(name)
    try:
        small.write(name, data)
        with pytest.raises(BadInput) as refused:
            read_scenario(small.folder)
        assert small.path(name) in {Path(fault.file) for fault in refused.value.faults}
    finally:
        small.write(name, original)


@given(rows=st.lists(st.binary(max_size=60), max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_lines_are_read_or_refused(small, rows):
    nodes = small.path("fleet/nodes.csv")
    kept = nodes.read_text() if nodes.exists() else None
    nodes.unlink()
    try:
        small.write("fleet/nodes.jsonl", b"\n".join(rows))
        read_or_refuse(small.folder)
    finally:
        small.path("fleet/nodes.jsonl").unlink()
        small.write("fleet/nodes.csv", kept or "")
