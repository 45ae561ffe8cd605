"""Damaged scenarios are read or refused with faults; nothing else ever happens."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fermata.formats.faults import BadInput
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
    bad = None
    try:
        scenario = read_scenario(folder)
    except BadInput as refusal:
        bad = refusal
    if bad is None:
        assert isinstance(scenario, Scenario)
        assert input_hashes(scenario)
    else:
        assert bad.total >= len(bad.faults) > 0
        assert str(bad).encode()
        assert bad.as_json()["total"] == bad.total


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
        with pytest.raises(BadInput):
            read_scenario(small.folder)
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
