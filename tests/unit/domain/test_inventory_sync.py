"""What a report makes of the fleet: whose units are, what is kept, what is not taken in."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.constraints import world as w

from fermata.domain.fleet import DeviceScope, Fleet, Node, NodeState
from fermata.domain.fleet_diff import Difference
from fermata.domain.ids import ClusterId, DeviceId, NodeId, RackId, SourceId
from fermata.domain.inventory_reports import NotTaken, Report, add_report
from fermata.domain.inventory_sync import InWork, Proposal, Said, Stored, propose
from fermata.domain.reasons import Code, reason

S1, S2 = SourceId("s1"), SourceId("s2")
EMPTY = Fleet(clusters={}, nodes={}, devices={})
ALPHA, BETA = w.cluster("alpha"), w.cluster("beta")
N0, N1, N2 = (w.node("alpha", index, 2) for index in range(3))
TOR = w.device("tor", "alpha", DeviceScope.RACK, "alpha-r0", "4.9")
NOBODY = InWork()


def fleet(*nodes: Node, devices: tuple[Any, ...] = ()) -> Fleet:
    return Fleet(
        clusters={c.name: c for c in (ALPHA, BETA)},
        nodes={n.name: n for n in nodes},
        devices={d.name: d for d in devices},
    )


def owned(held: Fleet, source: SourceId = S1, said: Mapping[NodeId, Said] | None = None) -> Stored:
    return Stored(
        fleet=held,
        clusters=dict.fromkeys(held.clusters, source),
        nodes=dict.fromkeys(held.nodes, source),
        devices=dict.fromkeys(held.devices, source),
        node_said=said or {},
    )


def report(*nodes: Node, source: SourceId = S1, **more: Any) -> Report:
    given: dict[str, Any] = {"clusters": {c.name: c for c in (ALPHA, BETA)}, **more}
    return Report(source=source, observed_at=w.NOW, nodes={n.name: n for n in nodes}, **given)


def take(stored: Stored, said: Report, *, live: bool = True, in_work: InWork = NOBODY) -> Proposal:
    return propose(stored, said, live=live, in_work=in_work)


def what(done: Proposal) -> list[tuple[str, str]]:
    return [(change.difference.value, change.name) for change in done.diff.changes]


def why(done: Proposal) -> list[tuple[str, Code]]:
    return [(left.unit, left.reason.code) for left in done.not_taken]


def test_a_first_report_is_the_fleet() -> None:
    done = take(Stored(fleet=EMPTY), report(N0, N1, devices={TOR.name: TOR}))
    assert done.fleet == fleet(N0, N1, devices=(TOR,))
    assert (done.nodes, done.devices, done.clusters) == ({N0.name, N1.name}, {TOR.name}, {"alpha", "beta"})


def test_the_same_again_changes_nothing() -> None:
    assert take(owned(fleet(N0, N1)), report(N0, N1)).diff.changes == ()


def test_added_gone_moved_and_changed_are_told_apart() -> None:
    moved, other = replace(N1, rack=RackId("alpha-r7")), replace(N2, workload="chat")
    done = take(owned(fleet(N0, N1, N2)), report(moved, other, w.node("alpha", 9, 2)))
    assert what(done) == [
        (Difference.GONE, "alpha-n00"), (Difference.MOVED, "alpha-n01"), (Difference.CHANGED, "alpha-n02"),
        (Difference.ADDED, "alpha-n09"),
    ]  # fmt: skip


def test_what_belongs_to_another_source_or_to_nobody_is_not_gone() -> None:
    held = replace(owned(fleet(N0, N1, N2)), nodes={N0.name: S1, N1.name: S2})
    assert what(take(held, report())) == [("gone", N0.name)]


def test_only_one_source_may_say_where_a_node_is() -> None:
    done = take(owned(fleet(N0), S2), report(replace(N0, rack=RackId("elsewhere"))))
    assert (what(done), why(done)) == ([], [(N0.name, Code.SOURCE_CONFLICT)])


def test_what_was_imported_by_hand_becomes_its_first_source_s() -> None:
    done = take(Stored(fleet=fleet(N0)), report(N0))
    assert (what(done), done.nodes) == ([], {N0.name})


def test_a_node_that_is_there_but_cannot_be_read_stays_as_it_was() -> None:
    left = NotTaken(kind="node", unit=N0.name, reason=reason(Code.SOURCE_NAMES_TWICE, source="s1", unit="n", times=2))
    done = take(owned(fleet(N0, N1)), report(N1, not_taken=(left,)))
    assert (what(done), done.nodes) == ([], {N0.name, N1.name})


def test_a_cluster_of_which_nobody_stated_the_customer_takes_no_nodes() -> None:
    stray = replace(N0, cluster=ClusterId("delta"))
    done = take(Stored(fleet=fleet(N1)), report(stray, N1))
    assert why(done) == [(N0.name, Code.CLUSTER_UNSTATED)]
    assert sorted(done.fleet.nodes) == [N1.name]


def test_a_cluster_without_anything_goes_with_the_last_of_it() -> None:
    done = take(owned(fleet(N0)), report(clusters={}))
    assert what(done) == [("gone", "alpha"), ("gone", "beta"), ("gone", N0.name)]


def test_a_partial_report_takes_away_only_what_it_names() -> None:
    done = take(owned(fleet(N0, N1)), report(N2, complete=False, gone_nodes=frozenset({N0.name}), clusters={}))
    assert what(done) == [("gone", N0.name), ("added", N2.name)]


def test_a_device_goes_with_the_last_node_behind_it() -> None:
    held = owned(fleet(N0, N1, N2, devices=(TOR,)))
    done = take(replace(held, devices={}), report(N2))
    assert what(done) == [("gone", N0.name), ("gone", N1.name), ("gone", TOR.name)]


def test_a_node_may_not_stand_where_a_device_of_another_cluster_serves() -> None:
    stranger = replace(w.node("beta", 0, 2), rack=RackId("alpha-r0"))
    done = take(owned(fleet(N0, devices=(TOR,))), report(N0, stranger, devices={TOR.name: TOR}))
    assert (what(done), why(done)) == ([], [(stranger.name, Code.PLACE_OF_OTHERS)])


def test_a_device_needs_nodes_behind_it_all_of_its_own_cluster() -> None:
    alone = replace(TOR, name=DeviceId("x"), scope_id="alpha-r9")
    foreign = replace(TOR, name=DeviceId("y"), cluster=ClusterId("beta"))
    done = take(Stored(fleet=fleet(N0)), report(N0, devices={d.name: d for d in (alone, foreign)}))
    assert [unit for unit, code in why(done) if code is Code.DEVICE_BEHIND] == ["x", "y"]
    assert done.fleet.devices == {}


def test_what_a_live_source_does_not_know_keeps_its_value() -> None:
    known = replace(N0, versions={"nic_fw": "2.0", "bmc": "7"}, gpus=8)
    said = replace(N0, versions={"nic_fw": "", "host_os": "1.1"}, gpus=None)
    done = take(owned(fleet(known)), report(said))
    assert done.fleet.nodes[N0.name].versions == {"nic_fw": "2.0", "bmc": "7", "host_os": "1.1"}
    assert done.fleet.nodes[N0.name].gpus == 8


def test_a_live_source_is_believed_over_what_was_recorded() -> None:
    proven = replace(N0, versions={**N0.versions, "nic_fw": "2.0"})
    done = take(owned(fleet(proven)), report(N0))
    assert done.fleet.nodes[N0.name].versions["nic_fw"] == "1.0"


def test_a_record_that_says_the_old_does_not_undo_what_was_proven() -> None:
    proven = replace(N0, versions={**N0.versions, "nic_fw": "2.0"}, state=NodeState.OUT_OF_SERVICE)
    word = {N0.name: Said(versions=N0.versions, state=N0.state)}
    assert take(owned(fleet(proven), said=word), report(N0), live=False).diff.changes == ()


def test_a_record_is_heard_when_it_says_something_else() -> None:
    proven = replace(N0, versions={**N0.versions, "nic_fw": "2.0"}, state=NodeState.OUT_OF_SERVICE)
    word = {N0.name: Said(versions=N0.versions, state=NodeState.OUT_OF_SERVICE)}
    said = replace(N0, versions={**N0.versions, "nic_fw": "3.0"})
    done = take(owned(fleet(proven), said=word), report(said), live=False)
    after = done.fleet.nodes[N0.name]
    assert (after.versions["nic_fw"], after.state) == ("3.0", NodeState.IN_SERVICE)
    assert done.node_said[N0.name] == Said(versions=said.versions, state=said.state)


def test_of_a_node_in_work_the_conductor_knows_best() -> None:
    working = replace(N0, versions={**N0.versions, "nic_fw": "2.0"}, state=NodeState.OUT_OF_SERVICE)
    done = take(owned(fleet(working)), report(replace(N0, workload="chat")), in_work=InWork(nodes=frozenset({N0.name})))
    assert done.fleet.nodes[N0.name] == replace(working, workload="chat")


def test_a_later_part_adds_to_what_was_said_before() -> None:
    first = report(N0, N1, complete=False, gone_nodes=frozenset({N2.name}))
    moved = replace(N0, rack=RackId("alpha-r9"))
    later = report(moved, N2, complete=False, gone_nodes=frozenset({N1.name}))
    both = add_report(first, replace(later, observed_at=w.NOW + timedelta(hours=1)))
    assert (both.nodes, both.gone_nodes) == ({N0.name: moved, N2.name: N2}, {N1.name})
    assert (both.complete, both.observed_at) == (False, w.NOW + timedelta(hours=1))
    assert add_report(first, report(N2)) == report(N2)
