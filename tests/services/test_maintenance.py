"""The picture that doors answer from, on both databases: read again when, and only when, something changed; approvals
that arrive while a request changes cover nothing that their giver has not seen.
"""

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from tests.doors import world
from tests.formats.conftest import Small

from fermata.domain.ids import CustomerId, NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.recurrence import RecurringWindow
from fermata.domain.run_states import WindowState
from fermata.domain.scheduled_events import Leads, tell
from fermata.formats.scenario import read_scenario
from fermata.services import inventory
from fermata.services.errors import Refusal
from fermata.services.event_approvals import Hearing, UnknownEvents, acknowledge_events, start_node_events
from fermata.services.figures import Measure, count_figures
from fermata.services.maintenance import MaintenanceDesk, Picture
from fermata.services.policy_windows import Assignment, put_assignment, put_window, remove_window
from fermata.store import inventory as inventory_rows
from fermata.store.database import Database

NODE = NodeId("alpha-n1")
LUMEN = CustomerId("lumen")


@pytest.fixture
def imported(db: Database, tmp_path: Path) -> Database:
    read = read_scenario(Small(tmp_path).folder)
    given = inventory.ImportSet(
        fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=world.campaign()
    )
    inventory.import_set(db, given, now=world.NOW, actor="tests")
    return db


@pytest.fixture
def desk(imported: Database) -> MaintenanceDesk:
    return MaintenanceDesk(imported, Leads(), fresh_seconds=0)


def hearing(db: Database, desk: MaintenanceDesk) -> Hearing:
    numbers = count()
    return Hearing(db=db, desk=desk, now=world.NOW, new_id=lambda prefix: f"{prefix}_h{next(numbers)}", why="asked")


def statuses(picture: Picture) -> list[str]:
    return [event.status for event in tell(picture.outlook(NODE), world.NOW, Leads()).events]


def test_before_anything_is_imported_there_is_nothing(db: Database) -> None:
    picture = MaintenanceDesk(db, Leads()).look()
    assert (picture.fleet.nodes, picture.events) == ({}, {})
    assert count_figures(picture, world.NOW).clusters == []


def test_the_picture_is_read_again_when_and_only_when_something_changed(
    imported: Database, desk: MaintenanceDesk
) -> None:
    first = desk.look()
    assert desk.look() is first
    assert statuses(first) == ["Scheduled"]
    world.approve(imported, ScopeLevel.CLUSTER, "alpha")
    assert statuses(desk.look()) == []
    world.publish(imported)
    assert statuses(desk.look()) == ["Scheduled"]
    world.conduct(imported, WindowState.OPEN, {NODE: UnitState.DRAINING}, planned=world.window())
    opened = desk.look()
    assert statuses(opened) == ["Started"]
    world.move(imported, NODE, UnitState.RETURNED)
    moved = desk.look()
    assert statuses(moved) == []
    assert moved.settled is opened.settled, "what only the conductor moved is all that was read"
    assert desk.look() is moved


def test_a_desk_that_is_fresh_looks_at_nothing(imported: Database) -> None:
    now = 100.0
    desk = MaintenanceDesk(imported, Leads(), fresh_seconds=1, monotonic=lambda: now)
    first = desk.look()
    world.approve(imported, ScopeLevel.CLUSTER, "alpha")
    assert desk.look() is first
    assert desk.look(again=True) is not first
    now = 101.5
    assert desk.fresh is None


class Racing(MaintenanceDesk):
    """A desk on which, just after it was looked at, the catalogue changes once."""

    changes = 1

    def look(self, *, again: bool = False) -> Picture:
        picture = super().look(again=again)
        if self.changes:
            self.changes -= 1
            with self._db.read() as conn:
                before = inventory_rows.load_catalogue(conn)
            old = before.updates[UpdateId("host-os-2026.1")]
            new = replace(old, id=UpdateId("host-os-2026.9"), to_version="2026.9.0")
            changed = replace(before, updates={**before.updates, new.id: new})
            inventory.import_updates(self._db, changed, now=world.NOW, actor="tests")
        return picture


def test_an_approval_covers_nothing_that_came_while_it_was_given(imported: Database) -> None:
    event = tell(MaintenanceDesk(imported, Leads()).look().outlook(NODE), world.NOW, Leads()).events[0]
    desk = Racing(imported, Leads(), fresh_seconds=0)
    with pytest.raises(UnknownEvents):
        start_node_events(hearing(imported, desk), NODE, [event.id])
    assert world.ledger(imported) == ()
    desk.changes = 0
    (now_asked,) = tell(desk.look().outlook(NODE), world.NOW, Leads()).events
    assert now_asked.id != event.id
    start_node_events(hearing(imported, desk), NODE, [now_asked.id])
    assert {UpdateId("host-os-2026.9")} <= world.ledger(imported)[0].updates


def test_many_events_are_acknowledged_in_one_go_and_unknown_ones_told(
    imported: Database, desk: MaintenanceDesk
) -> None:
    picture = desk.look()
    ids = [event.id for name in picture.fleet.nodes for event in tell(picture.outlook(name), world.NOW, Leads()).events]
    found = acknowledge_events(hearing(imported, desk), [*ids, "x"], lambda seen: seen.fleet.nodes.keys())
    assert {name: told.is_known for name, told in found.items()} == {**dict.fromkeys(ids, True), "x": False}
    assert all(told.refused is None for told in found.values())
    assert sorted(world.said(imported)) == [f"approved node {name}" for name in world.ALPHA]
    counts = count_figures(desk.look(), world.NOW).clusters[0][1]
    assert (counts[Measure.APPROVED], counts[Measure.OVERDUE]) == (3, 0)


def test_windows_and_assignments_change_the_policy_and_contradictions_are_refused(imported: Database) -> None:
    window = RecurringWindow(
        id="nightly", start=world.NOW.replace(tzinfo=None), duration=world.HOURS, zone="Europe/London"
    )
    scope = Scope(level=ScopeLevel.CLUSTER, name="alpha")
    assert put_window(imported, LUMEN, window, now=world.NOW) is True
    assert put_window(imported, LUMEN, window, now=world.NOW) is False
    assert put_assignment(imported, LUMEN, Assignment(name="a", window="nightly", scope=scope), now=world.NOW) is True
    refused = [
        (Code.RULE_CONTRADICTS, lambda: put_window_and_assign(imported, window, scope)),
        (Code.WINDOW_IN_USE, lambda: remove_window(imported, LUMEN, "nightly", now=world.NOW)),
        (
            Code.WINDOW_UNKNOWN,
            lambda: put_assignment(imported, LUMEN, Assignment(name="b", window="gone", scope=scope), now=world.NOW),
        ),
        (Code.APPROVER_UNKNOWN, lambda: put_window(imported, CustomerId("meridian"), window, now=world.NOW)),
    ]
    for code, call in refused:
        with pytest.raises(Refusal) as told:
            call()
        assert told.value.reason.code is code
    with imported.read() as conn:
        customer = inventory_rows.load_policy(conn).customers[LUMEN]
    assert ([w.id for w in customer.windows], [r.id for r in customer.rules]) == (["nightly", "other"], ["a"])


def put_window_and_assign(db: Database, window: RecurringWindow, scope: Scope) -> bool:
    """Another window for the same scope, under another name."""
    put_window(db, LUMEN, replace(window, id="other"), now=world.NOW)
    return put_assignment(db, LUMEN, Assignment(name="b", window="other", scope=scope), now=world.NOW)
