"""Inventory that keeps itself: applied in one transaction with journal and requests, or held for a person."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import update
from tests.constraints import world as w
from tests.services.sources import (
    HOUR,
    LATER,
    RECORDS,
    S1,
    SCENARIO,
    Keeper,
    Said,
    having,
    sources,
    without,
)
from tests.services.work import RUN, WINDOW, start_work

from fermata.domain.consent import consent_gaps
from fermata.domain.ids import ClusterId, CustomerId, NodeId, RackId, SourceId
from fermata.domain.inventory_holds import HoldState
from fermata.domain.node_states import UnitState
from fermata.domain.pending import find_pending
from fermata.domain.policy import PolicyRule, Scope, ScopeLevel, Stance, Verdict
from fermata.domain.reasons import Code, Reason
from fermata.domain.run_states import WindowState
from fermata.formats.faults import BadInput, Fault
from fermata.ports import Refused, TryLater
from fermata.services.consent import Order, decide
from fermata.services.errors import Refusal
from fermata.services.inventory import import_fleet, import_policy
from fermata.services.inventory_changes import SyncOutcome
from fermata.services.inventory_held import accept_held, drop_held, list_held
from fermata.services.inventory_sources import diff_source, forget_source, list_sources, sync_due, sync_source
from fermata.services.policy import try_update
from fermata.services.requests import read_inputs
from fermata.store import consent, inventory, journal, runs, unit_ops
from fermata.store.database import Database

FLEET = SCENARIO.fleet
LOST = without(FLEET, "beta-n00", "beta-n01")
NEW = replace(w.node("alpha", 0, 3), name=NodeId("alpha-n90"), rack=RackId("alpha-r0"))


def test_a_first_sync_brings_the_fleet_its_journal_and_the_requests(db: Database) -> None:
    keeper = Keeper(db)
    done = keeper.sync()
    assert (done.outcome, done.counts["node"]["added"]) == (SyncOutcome.APPLIED, len(FLEET.nodes))
    assert keeper.fleet.nodes == FLEET.nodes
    assert keeper.fleet.devices == FLEET.devices
    assert ("inventory.synced", "source:s1") in keeper.events
    assert ("node.added", "node:alpha-n00") in keeper.events
    assert "req_sc-alpha_deployment" in done.requests


def test_the_same_again_changes_and_journals_nothing(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    before = keeper.events
    done = keeper.sync(at=LATER)
    assert (done.outcome, done.requests) == (SyncOutcome.UNCHANGED, ())
    assert keeper.events == before
    (line,) = list_sources(db, keeper.sources, now=LATER)
    assert (line.observed_at, line.due_at, line.nodes) == (LATER, LATER + timedelta(minutes=15), len(FLEET.nodes))


def test_a_move_is_journalled_as_one_with_both_places(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    moved = replace(FLEET.nodes[NodeId("beta-n00")], rack=RackId("beta-r1"))
    keeper.sync(having(FLEET, moved), at=LATER)
    with db.read() as conn:
        line = journal.read(conn, subject="node:beta-n00")[-1]
    assert (line.event, line.why) == ("node.moved", "source s1")
    assert line.data == {"rack": {"before": "beta-r0", "after": "beta-r1"}}


def test_what_a_sync_would_do_is_told_and_not_done(db: Database) -> None:
    keeper = Keeper(db)
    told = diff_source(db, keeper.sources, S1, now=w.NOW)
    assert (told.outcome, told.counts["node"]["added"]) == (SyncOutcome.APPLIED, len(FLEET.nodes))
    assert keeper.fleet.nodes == {}
    assert list_sources(db, keeper.sources, now=w.NOW)[0].observed_at is None
    keeper.sync()
    keeper.said.fleet = LOST
    assert diff_source(db, keeper.sources, S1, now=LATER).outcome is SyncOutcome.HELD
    assert list_held(db) == ()


def test_a_sudden_loss_is_held_once_and_accepted_with_a_reason(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    held = keeper.sync(LOST, at=LATER)
    assert (held.outcome, [why.code for why in held.reasons]) == (SyncOutcome.HELD, [Code.INVENTORY_LOSS])
    assert keeper.fleet.nodes == FLEET.nodes
    assert keeper.sync(at=LATER + HOUR).hold == held.hold == "hold_1"
    (view,) = list_held(db)
    assert (view.observed_at, [change.what for change in view.changes]) == (LATER + HOUR, ["gone", "gone", "gone"])
    with pytest.raises(Refusal) as refused:
        accept_held(db, view.id, now=LATER, actor="operator-2", why=" ")
    assert refused.value.reason.code is Code.HOLD_WITHOUT_REASON
    done = accept_held(db, view.id, now=LATER + 2 * HOUR, actor="operator-2", why="two racks sold")
    assert done.outcome is SyncOutcome.APPLIED
    assert keeper.fleet.nodes == LOST.nodes
    assert list_held(db) == ()
    (over,) = list_held(db, over=True)
    assert (over.state, over.decided_by, over.why) == (HoldState.ACCEPTED, "operator-2", "two racks sold")
    with db.read() as conn:
        line = journal.read(conn, subject="source:s1")[-1]
    assert (line.event, line.actor, line.why) == ("inventory.accepted", "operator-2", "two racks sold")
    with pytest.raises(Refusal) as again:
        accept_held(db, view.id, now=LATER, actor="operator-2", why="again")
    assert again.value.reason.code is Code.HOLD_DECIDED


def test_what_was_dropped_is_not_asked_again_until_the_source_says_something_else(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    held = keeper.sync(LOST, at=LATER).hold
    assert held is not None
    drop_held(db, held, now=LATER, actor="operator-2", why="the controller was reinstalled")
    told = keeper.sync(at=LATER + HOUR)
    assert (told.outcome, [why.code for why in told.reasons]) == (SyncOutcome.DROPPED, [Code.INVENTORY_DROPPED])
    assert (list_held(db), keeper.fleet.nodes) == ((), FLEET.nodes)
    assert keeper.sync(without(LOST, "beta-n02"), at=LATER + 2 * HOUR).hold == "hold_2"


def test_a_source_that_comes_back_to_its_senses_ends_its_hold(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    keeper.sync(LOST, at=LATER)
    assert keeper.sync(FLEET, at=LATER + HOUR).outcome is SyncOutcome.UNCHANGED
    assert [view.state for view in list_held(db, over=True)] == [HoldState.SUPERSEDED]


def test_small_losses_in_a_row_are_a_sudden_one(db: Database) -> None:
    keeper = Keeper(db)
    many = having(FLEET, *(replace(w.node("alpha", 0, 3), name=NodeId(f"x{index:02}")) for index in range(77)))
    keeper.sync(many)
    assert keeper.sync(without(many, *(f"x{i:02}" for i in range(3))), at=LATER).outcome is SyncOutcome.APPLIED
    fewer = without(many, *(f"x{i:02}" for i in range(6)))
    assert keeper.sync(fewer, at=LATER + HOUR).outcome is SyncOutcome.HELD
    assert keeper.sync(fewer, at=LATER + 25 * HOUR).outcome is SyncOutcome.APPLIED


def test_what_was_held_is_not_applied_to_a_fleet_that_is_another(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    held = keeper.sync(LOST, at=LATER).hold
    assert held is not None
    import_fleet(db, without(FLEET, "beta-n00"), now=LATER, actor="operator-1")
    with pytest.raises(Refusal) as refused:
        accept_held(db, held, now=LATER, actor="operator-2", why="sold")
    assert refused.value.reason.code is Code.HOLD_CHANGED
    assert NodeId("beta-n01") in keeper.fleet.nodes


def test_nodes_in_work_are_held_and_not_taken_away_before_it_is_over(db: Database) -> None:
    many = having(FLEET, *(replace(w.node("omega", 0, 3), name=NodeId(f"x{index:02}")) for index in range(77)))
    keeper = Keeper(db)
    keeper.sync(many)
    with db.begin() as conn:
        start_work(conn, "alpha-n00")
    held = keeper.sync(without(many, "alpha-n00"), at=LATER)
    assert [why.code for why in held.reasons] == [Code.INVENTORY_IN_WORK]
    assert held.hold is not None
    with pytest.raises(Refusal) as refused:
        accept_held(db, held.hold, now=LATER, actor="operator-2", why="it burnt")
    assert refused.value.reason.code is Code.NODES_HELD
    assert NodeId("alpha-n00") in keeper.fleet.nodes


@pytest.mark.parametrize(
    "failure",
    [
        TryLater(timedelta(minutes=1), "it does not answer"),
        Refused("403"),
        BadInput((Fault(file="nodes.csv", line=3, column=None, sentence="Bad."),), 1),
    ],
)
def test_a_source_that_fails_deletes_nothing_and_grows_stale(db: Database, failure: Exception) -> None:
    keeper = Keeper(db)
    keeper.sync()
    keeper.said.failure = failure
    failed = keeper.sync(at=LATER)
    assert (failed.outcome, failed.reasons[0].code) == (SyncOutcome.FAILED, Code.SOURCE_FAILED)
    assert keeper.fleet.nodes == FLEET.nodes
    (line,) = list_sources(db, keeper.sources, now=LATER)
    assert (line.observed_at, line.stale) == (w.NOW, None)
    keeper.sync(at=LATER + HOUR)
    (old,) = list_sources(db, keeper.sources, now=LATER + HOUR)
    assert old.stale is not None
    assert old.stale.code is Code.INVENTORY_STALE
    assert [event for event, _ in keeper.events].count("inventory.failed") == 1
    keeper.said.failure = None
    assert keeper.sync(at=LATER + 2 * HOUR).outcome is SyncOutcome.UNCHANGED
    assert keeper.events[-1] == ("inventory.recovered", "source:s1")


def test_a_report_older_than_what_is_known_or_from_tomorrow_is_refused(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync(at=LATER)
    with pytest.raises(Refusal) as old:
        keeper.sync(at=w.NOW)
    assert old.value.reason.code is Code.REPORT_OUTDATED


def test_a_due_source_is_asked_and_no_other(db: Database) -> None:
    keeper = Keeper(db)
    for minutes in (0, 5, 14, 15, 31):
        sync_due(db, keeper.sources, now=w.NOW + timedelta(minutes=minutes), new_id=keeper.new_id)
    assert keeper.said.asked == [w.NOW + timedelta(minutes=minutes) for minutes in (0, 15, 31)]


def test_one_source_that_fails_keeps_no_other_from_being_heard(db: Database) -> None:
    keeper = Keeper(db)
    ill = Said(FLEET, source=SourceId("a-first"), failure=Refused("no"))
    both = sources(ill, keeper.said)
    assert [s.outcome for s in sync_due(db, both, now=w.NOW, new_id=keeper.new_id)] == [
        SyncOutcome.FAILED,
        SyncOutcome.APPLIED,
    ]


def test_a_fault_of_ours_in_one_source_is_its_failure_and_no_end_of_the_round(db: Database) -> None:
    keeper = Keeper(db)
    ill = Said(FLEET, source=SourceId("a-first"), failure=KeyError("metadata"))
    both = sources(ill, keeper.said)
    done = sync_due(db, both, now=w.NOW, new_id=keeper.new_id)
    assert [each.outcome for each in done] == [SyncOutcome.FAILED, SyncOutcome.APPLIED]
    assert list_sources(db, both, now=w.NOW)[0].failure == "KeyError: 'metadata'"


def test_nodes_that_are_done_stay_while_their_window_is_open(db: Database) -> None:
    many = having(FLEET, *(replace(w.node("omega", 0, 3), name=NodeId(f"x{index:02}")) for index in range(77)))
    keeper = Keeper(db)
    keeper.sync(many)
    with db.begin() as conn:
        start_work(conn, "alpha-n00")
        (op,) = unit_ops.ops_of_window(conn, RUN, WINDOW)
        done = replace(op, state=UnitState.RETURNED, finished_at=w.NOW, version=op.version + 1)
        unit_ops.save_ops(conn, [(op.version, done)])
    gone = without(many, "alpha-n00")
    with db.begin() as conn:
        (window,) = runs.load_windows(conn, RUN)
        runs.save_window(conn, replace(window, state=WindowState.OPEN))
    assert [why.code for why in keeper.sync(gone, at=LATER).reasons] == [Code.INVENTORY_IN_WORK]
    with db.begin() as conn:
        (window,) = runs.load_windows(conn, RUN)
        runs.save_window(conn, replace(window, state=WindowState.CLOSED))
    assert keeper.sync(gone, at=LATER + HOUR).outcome is SyncOutcome.APPLIED


def test_a_sync_and_its_requests_are_one_transaction(db: Database) -> None:
    """Requests cannot be worked out, since the policy on record cannot be read: then nothing was synced either."""
    keeper = Keeper(db)
    with db.begin() as conn:
        conn.execute(update(inventory.document).where(inventory.document.c.kind == "policy").values(body="{}"))
    with pytest.raises(ValidationError):
        keeper.sync()
    assert keeper.fleet.nodes == {}
    assert [event for event, _ in keeper.events if event.startswith(("node.", "inventory."))] == []


def test_an_unknown_source_is_refused_with_the_nearest(db: Database) -> None:
    with pytest.raises(Refusal, match="nearest is s1") as refused:
        sync_source(db, Keeper(db).sources, SourceId("s11"), now=w.NOW, actor="a", new_id=str)
    assert refused.value.reason.code is Code.SOURCE_UNKNOWN


def test_records_that_say_the_old_do_not_undo_what_the_conductor_proved(db: Database) -> None:
    keeper = Keeper(db, reach=RECORDS)
    keeper.sync()
    with db.begin() as conn:
        inventory.record_versions(conn, {NodeId("alpha-n00"): {"nic_fw": "2.0"}})
    assert keeper.sync(at=LATER).outcome is SyncOutcome.UNCHANGED
    assert keeper.fleet.nodes[NodeId("alpha-n00")].versions["nic_fw"] == "2.0"
    keeper.sync(w.with_versions(FLEET, "alpha-n00", nic_fw="3.0"), at=LATER + HOUR)
    assert keeper.fleet.nodes[NodeId("alpha-n00")].versions["nic_fw"] == "3.0"


def test_a_source_no_more_in_the_settings_is_forgotten_and_its_nodes_stay(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    with pytest.raises(Refusal) as refused:
        forget_source(db, keeper.sources, S1, now=LATER, actor="operator-1", why="")
    assert refused.value.reason.code is Code.SOURCE_IN_USE
    gone = sources()
    (line,) = list_sources(db, gone, now=w.NOW + 9 * HOUR)
    assert (line.configured, line.stale is not None) == (False, True)
    assert forget_source(db, gone, S1, now=LATER, actor="operator-1", why="moved").nodes == len(FLEET.nodes)
    assert list_sources(db, gone, now=w.NOW + 9 * HOUR) == ()
    assert keeper.fleet.nodes == FLEET.nodes


def test_gpus_outlive_an_import_of_files_which_do_not_say_them(db: Database) -> None:
    keeper = Keeper(db)
    counted = replace(FLEET.nodes[NodeId("alpha-n00")], gpus=8)
    keeper.sync(having(FLEET, counted))
    import_fleet(db, FLEET, now=LATER, actor="operator-1")
    assert keeper.fleet.nodes[NodeId("alpha-n00")].gpus == 8


def test_a_new_node_is_under_the_approval_of_its_supercomputer(db: Database) -> None:
    """Nobody does anything for it: what was said of the supercomputer holds for what joins it."""
    keeper = Keeper(db)
    keeper.sync()
    scope = Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-alpha")
    decide(db, [Order(scope=scope, verdict=Verdict.APPROVED)], now=w.NOW, new_id=keeper.new_id)
    done = keeper.sync(having(FLEET, NEW), at=LATER)
    assert done.requests == ("req_sc-alpha_deployment",)
    gaps = missing(db)
    assert NEW.name in keeper.fleet.nodes
    assert [name for name in gaps if name.startswith("alpha")] == []
    assert [name for name in gaps if name.startswith("beta")] != []


def test_a_new_node_is_under_the_policy_of_its_supercomputer(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    rule = PolicyRule(
        id="all-of-alpha", stance=Stance.ALLOW, scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-alpha")
    )
    lumen = replace(w.customer(), rules=(rule,))
    import_policy(db, replace(SCENARIO.policy, customers={lumen.id: lumen}), now=w.NOW, actor="operator-1")
    keeper.sync(having(FLEET, NEW), at=LATER)
    trial = try_update(db, NEW.name, "nic", at=LATER)
    assert (trial.rule, trial.stance) == ("all-of-alpha", Stance.ALLOW)
    assert NEW.name not in missing(db)


def missing(db: Database) -> Mapping[NodeId, Reason]:
    """Nodes whose consent is missing."""
    read = read_inputs(db)
    return consent_gaps(read.fleet, read.policy, find_pending(read.fleet, read.catalogue), read.ledger)


def test_who_accepts_that_nodes_change_hands_ends_what_was_said_of_them(db: Database) -> None:
    keeper = Keeper(db)
    keeper.sync()
    scope = Scope(level=ScopeLevel.CLUSTER, name="alpha")
    decide(db, [Order(scope=scope, verdict=Verdict.APPROVED)], now=w.NOW, new_id=keeper.new_id)
    sold = replace(FLEET.clusters[ClusterId("alpha")], customer=CustomerId("meridian"))
    held = keeper.sync(replace(FLEET, clusters={**FLEET.clusters, sold.name: sold}), at=LATER)
    assert [why.code for why in held.reasons] == [Code.INVENTORY_CUSTOMER]
    assert held.hold is not None
    accept_held(db, held.hold, now=LATER + HOUR, actor="operator-2", why="sold")
    with db.read() as conn:
        _, *ended = consent.load_ledger(conn)
    alpha = {node.name for node in FLEET.nodes_by_cluster[sold.name]}
    assert {(entry.scope.name, entry.verdict, entry.actor) for entry in ended} == {
        (name, Verdict.WITHDRAWN, "operator-2") for name in alpha
    }
