"""The catalogue's life in the store: registered, judged, promoted, taken back; and what runs prove of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.formats.conftest import Small
from tests.server import world

from fermata.domain.ids import ClusterId, DeviceId, FreezeId, NodeId, PlanId, RequestId, SupercomputerId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.qualification import Result, Ring
from fermata.domain.reasons import Code
from fermata.services import inventory, requests, together, updates
from fermata.services.errors import Refusal
from fermata.services.import_files import ImportKind, place_of, read_import
from fermata.store import inventory as inventory_store
from fermata.store import journal, plans, unit_ops
from fermata.store.database import Database

NOW = datetime(2026, 1, 7, 22, tzinfo=UTC)
FLIGHT = UpdateId("host-os-2026.2-rc")
HOST_OS, NIC, LEAF = UpdateId("host-os-2026.1"), UpdateId("nic-28.43"), UpdateId("leaf-31.2016")
RULES = "rules: [{id: default, needs: [{ring: lab, signal: boot, nodes: 4}]}]\n"


@pytest.fixture
def small(db: Database, tmp_path: Path) -> Small:
    small = Small(tmp_path)
    read = read_import(ImportKind.SCENARIO, place_of(ImportKind.SCENARIO, small.folder))
    inventory.import_set(db, read, now=NOW, actor="operator")
    return small


def state_rules(db: Database, small: Small) -> None:
    updates.save_rules(db, small.write("qualification.yaml", RULES), now=NOW, actor="owner")


def say(db: Database, *names: UpdateId, nodes: int = 4, failed: bool = False) -> None:
    order = updates.SignalOrder(
        updates=frozenset(names),
        ring=Ring.LAB,
        name="boot",
        result=Result.FAILED if failed else Result.PASSED,
        nodes=nodes,
    )
    updates.record_signal(db, order, now=NOW, actor="lab", new_id=lambda p: f"{p}_{names}_{nodes}_{failed}")


def due(db: Database) -> set[str]:
    return {line.update for line in requests.list_pending(db, PendingFilter()).lines if line.standing == "due"}


def codes(error: pytest.ExceptionInfo[Refusal]) -> list[Code]:
    return [why.code for why in error.value.reasons]


def test_promotion_needs_a_rule_then_its_signals_and_makes_the_update_pending(db: Database, small: Small) -> None:
    with pytest.raises(Refusal) as refused:
        updates.promote_update(db, FLIGHT, now=NOW, actor="owner")
    assert codes(refused) == [Code.QUALIFICATION_UNSTATED]
    state_rules(db, small)
    say(db, FLIGHT, nodes=3)
    with pytest.raises(Refusal) as refused:
        updates.promote_update(db, FLIGHT, now=NOW, actor="owner")
    assert codes(refused) == [Code.SIGNAL_MISSING]
    say(db, FLIGHT, nodes=1)
    assert FLIGHT not in due(db)
    done = updates.promote_update(db, FLIGHT, now=NOW, actor="owner", why="soaked")
    assert (done.updates, bool(done.requests)) == ((FLIGHT,), True)
    assert FLIGHT in due(db)
    with pytest.raises(Refusal) as refused:
        updates.promote_update(db, FLIGHT, now=NOW, actor="owner")
    assert codes(refused) == [Code.STAGE_ALREADY]
    updates.demote_update(db, FLIGHT, now=NOW, actor="owner", why="flaps")
    assert FLIGHT not in due(db)
    with db.read() as conn:
        events = [e.event for e in journal.read(conn) if e.subject == f"update:{FLIGHT}"]
    assert events == ["signal.passed", "signal.passed", "update.promoted", "update.demoted"]


def test_a_file_cannot_smuggle_in_what_was_not_qualified(db: Database, small: Small) -> None:
    text = small.text("updates.yaml").replace("flight_ready", "production_ready")
    with pytest.raises(Refusal) as refused:
        updates.register_updates(db, small.write("new.yaml", text), now=NOW, actor="owner")
    assert codes(refused) == [Code.QUALIFICATION_UNSTATED]
    assert FLIGHT not in due(db)


def test_registering_what_is_on_record_changes_nothing(db: Database, small: Small) -> None:
    done = updates.register_updates(db, small.path("updates.yaml"), now=NOW, actor="owner")
    assert done == updates.CatalogueChanged(updates=(), requests=())


def test_a_first_catalogue_may_be_registered(db: Database, tmp_path: Path) -> None:
    small = Small(tmp_path)
    state_rules(db, small)
    text = small.text("updates.yaml").replace("production_ready", "flight_ready")
    done = updates.register_updates(db, small.write("new.yaml", text), now=NOW, actor="owner")
    assert NIC in done.updates
    assert {view.update.id for view in updates.list_updates(db)} == set(done.updates)


def test_an_update_that_others_name_is_not_withdrawn(db: Database, small: Small) -> None:
    views = [view.update for view in updates.list_updates(db)]
    named = next(other for update in views for other in (*update.after, *update.conflicts_with))
    with pytest.raises(Refusal) as refused:
        updates.withdraw_update(db, named, now=NOW, actor="owner", why="bad")
    assert codes(refused) == [Code.UPDATE_NEEDED]
    updates.withdraw_update(db, FLIGHT, now=NOW, actor="owner", why="bad")
    with pytest.raises(Refusal) as refused:
        updates.show_update(db, FLIGHT)
    assert codes(refused) == [Code.NO_SUCH_UPDATE]


@pytest.mark.parametrize("at", [NOW + timedelta(seconds=1)])
def test_a_signal_is_of_known_updates_and_of_the_past(db: Database, small: Small, at: datetime) -> None:
    order = updates.SignalOrder(
        updates=frozenset({UpdateId("nic-28.44")}), ring=Ring.LAB, name="boot", result=Result.PASSED, nodes=1
    )
    with pytest.raises(Refusal) as refused:
        updates.record_signal(db, order, now=NOW, actor="lab", new_id=str)
    assert codes(refused) == [Code.NO_SUCH_UPDATE]
    with pytest.raises(Refusal) as refused:
        updates.record_signal(db, replace(order, updates=frozenset({NIC}), at=at), now=NOW, actor="lab", new_id=str)
    assert codes(refused) == [Code.SIGNAL_IN_FUTURE]


def conduct(db: Database, nodes: tuple[str, ...], *, failing: int = 0) -> PlanId:
    """A run that brought two updates to nodes of alpha; the first `failing` of them are stopped."""
    size = world.Size(days=1, windows_per_day=1, nodes=len(nodes), tail=0)
    world.save_campaign(db, size)
    made = world.plan(size)
    window = replace(
        made.windows[0], cluster=ClusterId("alpha"), updates=(HOST_OS, NIC), nodes=tuple(map(NodeId, nodes))
    )
    made = replace(made, windows=(window,))
    with db.begin() as conn:
        plans.save_plan(conn, made, world.OPENING)
    world.save_run(db, size, made, now=NOW)
    with db.begin() as conn:
        ops = unit_ops.ops_of_window(conn, world.RUN, window.id)
        moved = []
        for rank, op in enumerate(ops):
            state = UnitState.FAILED if rank < failing else UnitState.RETURNED
            moved.append((op.version, replace(op, state=state, active=0b11, finished_at=NOW, version=op.version + 1)))
        unit_ops.save_ops(conn, moved)
    return made.id


def test_what_a_run_brought_together_is_known_from_then_on(db: Database, small: Small) -> None:
    before = together.list_combinations(db, supercomputer=SupercomputerId("sc-1"))
    assert all(one.is_new for one in before)
    conduct(db, ("alpha-n0", "alpha-n1"), failing=1)
    with db.begin() as conn:  # the leaf switch needs nothing any more, so that exactly this set is pending
        inventory_store.record_device_versions(conn, {DeviceId("alpha-su0-leaf"): "31.2016"})
    (found,) = [one for one in together.list_combinations(db) if set(one.updates) == {HOST_OS, NIC}]
    assert (found.ran_nodes, found.failed_nodes, found.places, found.untested) == (1, 1, ("alpha",), ())


def test_a_plan_is_judged_by_what_its_windows_bring(db: Database, small: Small) -> None:
    plan = conduct(db, ("alpha-n0", "alpha-n1"))
    (found,) = together.list_combinations(db, plan=plan)
    assert (set(found.updates), found.nodes) == ({HOST_OS, NIC}, 2)
    with pytest.raises(Refusal) as refused:
        together.list_combinations(db, plan=PlanId("plan_none"))
    assert codes(refused) == [Code.PLAN_UNKNOWN]


def test_an_update_that_a_run_brings_to_nodes_stays(db: Database, small: Small) -> None:
    conduct(db, ("alpha-n0", "alpha-n1"))
    with pytest.raises(Refusal) as refused:
        updates.demote_update(db, HOST_OS, now=NOW, actor="owner", why="flaps")
    assert codes(refused) == [Code.UPDATE_IN_USE]


def test_signals_of_several_updates_are_known_together(db: Database, small: Small) -> None:
    say(db, HOST_OS, LEAF)
    known = {frozenset(one.updates): one for one in together.list_combinations(db)}
    assert known[frozenset({HOST_OS, LEAF})].places == ("lab",)


def test_piles_are_of_freezes_that_have_begun(db: Database, small: Small) -> None:
    assert together.list_piles(db, now=NOW) == ()
    (pile,) = together.list_piles(db, now=NOW + timedelta(days=3))
    assert pile.freeze.id == "f1"
    (named,) = together.list_piles(db, now=NOW, freeze=FreezeId("f1"))
    assert named.freeze == pile.freeze
    with pytest.raises(Refusal) as refused:
        together.list_piles(db, now=NOW, freeze=FreezeId("f9"))
    assert codes(refused) == [Code.FREEZE_UNKNOWN]


def test_a_request_says_which_of_its_sets_never_ran_together(db: Database, small: Small) -> None:
    view = requests.show_request(db, RequestId("req_sc-2_deployment"), now=NOW)
    assert [why.code for why in view.risks] == [Code.NEVER_TOGETHER]
    say(db, HOST_OS, LEAF)
    assert requests.show_request(db, RequestId("req_sc-2_deployment"), now=NOW).risks == ()
