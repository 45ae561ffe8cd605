"""The workload map: what its files may say, and every fault with its place."""

from collections.abc import Callable

import pytest
from tests.formats.conftest import Small

from fermata.domain.ids import NodeId, ServiceId
from fermata.domain.workloads import Minimum
from fermata.formats.faults import Fault
from fermata.formats.fleet import read_fleet
from fermata.formats.scenario import input_hashes, read_scenario
from fermata.formats.workloads import read_workloads

MAP = """\
services:
  - {id: idle, class: idle}
  - id: training
    class: research
  - id: api
    class: api
    minimum: {US: {nodes: 1}}
    may_move: true
  - id: batch
    class: batch
    rank: 5
    minimum: {EU: {share: 0.5}}
"""
TABLE = "node,service\nalpha-n0,idle\nbeta-n0,batch\n"

Refused = Callable[[Callable[[], object]], tuple[Fault, ...]]


@pytest.fixture
def mapped(small: Small) -> Small:
    small.write("workloads.yaml", MAP)
    small.write("workloads.csv", TABLE)
    return small


def test_a_folder_with_a_map_is_read_whole(mapped: Small) -> None:
    workloads = read_scenario(mapped.folder).workloads
    assert workloads is not None
    api = workloads.services[ServiceId("api")]
    assert (api.rank, api.minimum, api.moves_to) == (30, {"US": Minimum(nodes=1)}, ("idle", "training"))
    assert workloads.services[ServiceId("batch")].rank == 5
    assert workloads.assignments == {NodeId("alpha-n0"): "idle", NodeId("beta-n0"): "batch"}


def test_a_map_counts_among_the_inputs_and_none_leaves_them_as_they_were(mapped: Small) -> None:
    before = input_hashes(read_scenario(mapped.folder))
    mapped.path("workloads.csv").unlink()
    mapped.path("workloads.yaml").unlink()
    after = input_hashes(read_scenario(mapped.folder))
    assert before.workloads is not None
    assert after.workloads is None
    assert (before.fleet, before.campaign) == (after.fleet, after.campaign)


def test_a_node_that_is_not_listed_carries_what_its_column_says(mapped: Small) -> None:
    fleet = read_fleet(mapped.path("fleet"))
    workloads = read_workloads(mapped.path("workloads.yaml"), fleet)
    for node in fleet.nodes.values():
        listed = workloads.assignments.get(node.name)
        expected = listed or (node.workload if node.workload in workloads.services else None)
        assert workloads.service_of(node) == expected


@pytest.mark.parametrize(
    ("old", "new", "told", "suggestion"),
    [
        ("class: batch", "class: btach", None, None),
        ("rank: 5", "ranc: 5", 'Key "ranc" is unknown.', "rank"),
        ("    rank: 5\n", "", "none of idle, research, chat or api", None),
        ("id: batch", "id: api", "stands already on line", None),
        ("US: {nodes: 1}", "USA: {nodes: 1}", 'The fleet has no geo "USA".', "US"),
        ("US: {nodes: 1}", "US: {nodes: 1, share: 0.5}", "exactly one of nodes or share", None),
        ("US: {nodes: 1}", "US: {}", "exactly one of nodes or share", None),
        ("US: {nodes: 1}", "US: {nodes: 100}", "The minimum is 100 nodes, but api has", None),
        ("{share: 0.5}", "{share: 1.5}", "must be a number from 0 to 1", None),
        ("minimum: {US: {nodes: 1}}", "minimum: [US]", "must be a mapping", None),
        ("may_move: true", "may_move: true\n    moves_to: [idel]", 'no service "idel"', "idle"),
        ("may_move: true", "may_move: true\n    moves_to: [batch]", "has a minimum of its own", None),
        ("may_move: true", "may_move: true\n    moves_to: [api]", "does not move to itself", None),
        ("may_move: true", "moves_to: [idle]", "so may_move must be true", None),
        ("may_move: true", "may_move: maybe", "must be true or false", None),
        ("  - {id: idle, class: idle}\n  - id: training\n    class: research\n", "", "no service that its load", None),
        (MAP, "services: []\n", "No service is listed.", None),
        (MAP, "service: []\n", 'Key "service" is unknown.', "services"),
    ],
)
def test_each_fault_is_told(
    mapped: Small, refused: Refused, old: str, new: str, told: str | None, suggestion: str | None
) -> None:
    mapped.replace("workloads.yaml", old, new)
    if "idle" not in mapped.text("workloads.yaml") or "batch" not in mapped.text("workloads.yaml"):
        mapped.path("workloads.csv").unlink()
    if told is None:  # a class of one's own may have any name as long as it says its rank
        read_scenario(mapped.folder)
        return
    faults = refused(lambda: read_scenario(mapped.folder))
    found = [fault for fault in faults if told in fault.sentence]
    assert found, faults
    assert found[0].line is not None
    assert suggestion is None or found[0].suggestion == suggestion


@pytest.mark.parametrize(
    ("table", "told", "line"),
    [
        ("node,service\nalpha-n0,idel\n", 'Service "idel" does not exist.', 2),
        ("node,service\nalpha-n00,idle\n", 'Node "alpha-n00" does not exist.', 2),
        ("node,service\nalpha-n0,idle\nalpha-n0,idle\n", "stands already on line 2", 3),
        ("node,servce\nalpha-n0,idle\n", 'Column "servce" is unknown.', 1),
        ("node,service\nalpha-n0\n", "1 fields where the header has 2", 2),
    ],
)
def test_faults_of_the_table_are_told_with_their_line(
    mapped: Small, refused: Refused, table: str, told: str, line: int
) -> None:
    mapped.write("workloads.csv", table)
    faults = [fault for fault in refused(lambda: read_scenario(mapped.folder)) if told in fault.sentence]
    assert [fault.line for fault in faults] == [line]
    assert faults[0].file.endswith("workloads.csv")


def test_a_table_without_its_map_is_refused(mapped: Small, refused: Refused) -> None:
    mapped.path("workloads.yaml").unlink()
    assert any(fault.file.endswith("workloads.yaml") for fault in refused(lambda: read_scenario(mapped.folder)))


def test_a_service_that_no_node_carries_is_refused(mapped: Small, refused: Refused) -> None:
    mapped.write("workloads.csv", "node,service\nalpha-n0,idle\n")
    (fault,) = refused(lambda: read_scenario(mapped.folder))
    assert 'No node carries "batch"' in fault.sentence
