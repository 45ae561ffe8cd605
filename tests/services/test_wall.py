"""The wall: every node once, coloured by what is known of it, and never fresher than it says."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.doors import world
from tests.formats.conftest import Small

from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState
from fermata.domain.scheduled_events import Leads
from fermata.formats.scenario import read_scenario
from fermata.services import inventory, wall
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.node_views import view_node
from fermata.services.wall import Asked, Shade, Wall, WallDesk
from fermata.store import inventory as rows
from fermata.store import journal, plans
from fermata.store.database import Database

pytestmark = pytest.mark.databases("sqlite")


class Hand:
    """Seconds that a test counts."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def imported(db: Database, tmp_path: Path) -> Database:
    read = read_scenario(Small(tmp_path).folder)
    given = inventory.ImportSet(
        fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=world.campaign()
    )
    inventory.import_set(db, given, now=world.NOW, actor="tests")
    return db


def desk(db: Database, hand: Hand | None = None) -> WallDesk:
    return WallDesk(MaintenanceDesk(db, Leads(), fresh_seconds=0), monotonic=hand or Hand())


def stored(db: Database) -> Fleet:
    with db.read() as conn:
        return rows.load_fleet(conn)


def labels(found: Wall | None, names: tuple[str, ...]) -> dict[str, str]:
    """What each node's cell says, for the nodes of that cluster in their order."""
    assert found is not None
    (one,) = found.clusters
    return {name: found.marks[cell].label for name, cell in zip(names, one.cells, strict=True)}


def of_alpha(db: Database, shade: Shade = Shade.STATE, component: str | None = None) -> dict[str, str]:
    made = desk(db)
    asked = Asked(shade=shade, component=component, cluster=ClusterId("alpha"))
    return labels(made.look(asked), made.names(ClusterId("alpha"))[1][ClusterId("alpha")])


def test_every_node_is_on_the_wall_once_in_its_rack_and_counted(imported: Database) -> None:
    fleet, made = stored(imported), desk(imported)
    found, (shape, names) = made.look(Asked()), made.names(None)
    assert found is not None
    assert found.shape == shape
    assert [one.name for one in found.clusters] == sorted({node.cluster for node in fleet.nodes.values()})
    assert sorted(name for of in names.values() for name in of) == sorted(fleet.nodes)
    for one in found.clusters:
        racks = [(rack, count) for rack, count in one.racks]
        standing = [fleet.nodes[NodeId(name)].rack for name in names[one.name]]
        assert standing == [rack for rack, count in racks for _ in range(count)]
        assert sum(one.counts) == one.nodes == len(one.cells)
    assert sum(found.totals) == len(fleet.nodes)


@pytest.mark.parametrize(
    ("unit", "label"),
    [
        (UnitState.PENDING, "in service"),
        (UnitState.LOCKED, "draining"),
        (UnitState.DRAINING, "draining"),
        (UnitState.DRAINED, "draining"),
        (UnitState.APPLYING, "being updated"),
        (UnitState.REBOOTING, "being updated"),
        (UnitState.RESETTING, "being updated"),
        (UnitState.RECOVERING, "being updated"),
        (UnitState.VERIFYING, "being verified"),
        (UnitState.PROVEN, "being verified"),
        (UnitState.RETURNED, "returned, proven"),
        (UnitState.FAILED, "not back"),
        (UnitState.IN_REPAIR, "not back"),
        (UnitState.LEFT_OUT, "in service"),
        (UnitState.KEPT_OUT, "in service"),
        (UnitState.GONE, "in service"),
    ],
)
def test_a_node_is_shown_where_its_window_has_it(imported: Database, unit: UnitState, label: str) -> None:
    world.publish(imported)
    world.conduct(imported, WindowState.OPEN, {"alpha-n0": unit}, planned=world.window())
    assert of_alpha(imported)["alpha-n0"] == label


def test_a_node_that_went_back_and_was_scaled_in_again_is_out(imported: Database) -> None:
    """Returned is what the window says; whether it serves is what the inventory says."""
    world.publish(imported)
    world.conduct(imported, WindowState.OPEN, {"alpha-n0": UnitState.RETURNED}, planned=world.window())
    with imported.begin() as conn:
        rows.record_node_states(conn, {NodeId("alpha-n0"): NodeState.OUT_OF_SERVICE})
    assert of_alpha(imported)["alpha-n0"] == "out of service"


def test_pending_work_is_counted_with_that_of_the_devices_it_hangs_on(imported: Database) -> None:
    picture = MaintenanceDesk(imported, Leads()).look()
    for name, label in of_alpha(imported, Shade.PENDING).items():
        due = len(picture.settled.updates_of(picture.fleet.nodes[NodeId(name)]))
        assert label == {0: "nothing pending", 1: "1 update", 2: "2 or 3", 3: "2 or 3"}.get(due, "4 to 7")


def test_consent_is_told_by_node(imported: Database) -> None:
    picture = MaintenanceDesk(imported, Leads()).look()
    due = {name for name in world.ALPHA if picture.settled.updates_of(picture.fleet.nodes[NodeId(name)])}
    assert due, "the scenario has work there"
    asked = {name: label for name, label in of_alpha(imported, Shade.CONSENT).items() if name in due}
    assert set(asked.values()) == {"waits for an approval"}
    world.approve(imported, ScopeLevel.SUPERCOMPUTER, picture.fleet.clusters[ClusterId("alpha")].supercomputer)
    approved = of_alpha(imported, Shade.CONSENT)
    assert {approved[name] for name in due} == {"may begin"}
    name = min(due)
    world.withdraw(imported, ScopeLevel.NODE, name)
    held = of_alpha(imported, Shade.CONSENT)
    assert held[name] == "held: a no, a freeze or a policy"
    assert {held[other] for other in due - {name}} <= {"may begin", "waits for an approval"}, (
        "those behind a device wait with it"
    )


def test_the_versions_that_most_report_have_a_colour_of_their_own(imported: Database) -> None:
    fleet = stored(imported)
    many = {
        name: replace(node, versions={"nic_fw": f"1.{number // 2}"})
        for number, (name, node) in enumerate(fleet.nodes.items())
    }
    silent = min(many)
    many[silent] = replace(many[silent], versions={})
    inventory.import_fleet(imported, replace(fleet, nodes=many), now=world.NOW, actor="tests")
    found = desk(imported).look(Asked(shade=Shade.VERSION, component="nic_fw"))
    assert found is not None
    told = [mark.label for mark in found.marks]
    assert told[-1] == "unknown"
    assert found.totals[-1] == 1
    assert sum(found.totals) == len(many)
    assert len(told) <= wall.VERSIONS_MAX + 1
    distinct = {node.versions["nic_fw"] for node in many.values() if node.versions}
    if len(distinct) > wall.VERSIONS_MAX:
        assert told[-2] == f"{len(distinct) - wall.VERSIONS_MAX + 1} others"


def test_a_wall_is_kept_for_some_seconds_and_then_looked_at_again(imported: Database) -> None:
    hand = Hand()
    made = desk(imported, hand)
    before = made.look(Asked())
    fleet = stored(imported)
    left = {name: node for name, node in fleet.nodes.items() if name != "alpha-n0"}
    inventory.import_fleet(imported, replace(fleet, nodes=left), now=world.NOW, actor="tests")
    hand.at = wall.FRESH_SECONDS - 0.1
    assert made.look(Asked()) is before
    hand.at = wall.FRESH_SECONDS
    after = made.look(Asked())
    assert after is not None
    assert before is not None
    assert after.shape != before.shape
    assert sum(after.totals) == sum(before.totals) - 1


def test_too_many_nodes_are_counted_and_shown_by_cluster_alone(
    imported: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wall, "CELLS_MAX", 3)
    found = desk(imported).look(Asked())
    assert found is not None
    assert not found.is_whole
    assert not any(one.cells or one.racks for one in found.clusters)
    assert sum(found.totals) == len(stored(imported).nodes)
    assert desk(imported).look(Asked(cluster=ClusterId("nowhere"))) is None


def test_a_node_is_told_with_what_is_due_its_windows_and_its_history(imported: Database) -> None:
    made = world.publish(imported, world.with_steps())
    world.conduct(imported, WindowState.OPEN, {"alpha-n0": UnitState.FAILED}, planned=world.with_steps())
    with imported.begin() as conn:
        plans.save_snapshot(conn, made.inputs.fleet, rows.load_fleet(conn))
        for minute in range(70):
            line = journal.Entry(
                at=world.NOW + timedelta(minutes=minute), actor="conductor", event="step.begun",
                subject="node:alpha-n0", why="", data={"step": minute, "more": {"not": "told"}},
            )  # fmt: skip
            journal.append(conn, line)
    picture = MaintenanceDesk(imported, Leads()).look()
    view = view_node(imported, picture, NodeId("alpha-n0"))
    assert view is not None
    assert view.mark.label == "not back"
    assert view.due == len(picture.settled.updates_of(view.node))
    assert [(stay.window, stay.state, stay.unit) for stay in view.stays] == [
        (world.WINDOW, WindowState.OPEN, UnitState.FAILED)
    ]
    assert [row.details for row in view.history[:2]] == ["step 69", "step 68"]
    assert len(view.history) == 60
    reported = {row.component: row.reported for row in view.components if not row.device}
    assert reported.items() >= view.node.versions.items()
    assert view_node(imported, picture, NodeId("nobody")) is None
