"""The wall: every node once, coloured by what is known of it, and never fresher than it says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.doors import world
from tests.formats.conftest import Small

from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.ids import ClusterId, NodeId, RackId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState
from fermata.domain.scheduled_events import Leads
from fermata.formats.scenario import read_scenario
from fermata.services import inventory, wall, wall_views
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.node_views import view_node
from fermata.services.wall import WallDesk
from fermata.services.wall_views import Asked, Shade, Wall
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


@pytest.mark.parametrize(
    ("updates", "label"),
    [
        (0, "nothing pending"),
        (1, "1 update"),
        (2, "2 or 3"),
        (3, "2 or 3"),
        (4, "4 to 7"),
        (7, "4 to 7"),
        (8, "8 to 15"),
        (15, "8 to 15"),
        (16, "16 or more"),
        (400, "16 or more"),
    ],
)
def test_so_many_updates_have_one_colour(updates: int, label: str) -> None:
    assert wall_views.COUNTS[wall_views.count_index(updates)][1].label == label


def many(db: Database, versions: Sequence[str]) -> None:
    """Alpha has a node for each of these versions of its NIC, in racks that its names do not follow."""
    fleet = stored(db)
    one = fleet.nodes[NodeId("alpha-n0")]
    nodes = {
        node.name: node
        for number, version in enumerate(versions)
        if (
            node := replace(
                one,
                name=NodeId(f"alpha-m{number:02}"),
                rack=RackId(f"alpha-r{9 - number % 3}"),
                scalable_unit=f"alpha-su{number % 2}",
                versions={"nic_fw": version} if version else {},
            )
        )
    }
    others = {name: node for name, node in fleet.nodes.items() if node.cluster != one.cluster}
    inventory.import_fleet(db, replace(fleet, nodes={**others, **nodes}), now=world.NOW, actor="tests")


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (8, [f"1.{number}" for number in range(8)]),
        (9, [*(f"1.{number}" for number in range(7)), "2 others"]),
        (12, [*(f"1.{number}" for number in range(7)), "5 others"]),
    ],
)
def test_the_versions_that_most_report_have_a_colour_of_their_own(
    imported: Database, kinds: int, told: list[str]
) -> None:
    versions = [f"1.{kind}" for kind in range(kinds) for _ in range(kinds - kind)]
    many(imported, [*reversed(versions), ""])
    found = desk(imported).look(Asked(shade=Shade.VERSION, component="nic_fw", cluster=ClusterId("alpha")))
    assert found is not None
    assert [mark.label for mark in found.marks] == [*told, "unknown"]
    counts = [kinds - kind for kind in range(kinds)]
    named = kinds if kinds <= 8 else 7
    assert list(found.totals) == [*counts[:named], *([sum(counts[named:])] if kinds > 8 else []), 1]
    cells = dict(
        zip(desk(imported).names(ClusterId("alpha"))[1][ClusterId("alpha")], found.clusters[0].cells, strict=True)
    )
    assert found.marks[cells["alpha-m00"]].label == told[-1]
    assert found.marks[cells[f"alpha-m{len(versions) - 1:02}"]].label == "1.0"


def test_of_versions_that_as_many_report_the_names_decide(imported: Database) -> None:
    many(imported, ["1.9", "1.1", "1.5"])
    found = desk(imported).look(Asked(shade=Shade.VERSION, component="nic_fw", cluster=ClusterId("alpha")))
    assert found is not None
    assert [mark.label for mark in found.marks] == ["1.1", "1.5", "1.9", "unknown"]


def test_nodes_stand_by_scalable_unit_rack_and_name_and_clusters_by_name(imported: Database) -> None:
    many(imported, ["1.0"] * 12)
    found = desk(imported).look(Asked())
    assert found is not None
    names = [one.name for one in found.clusters]
    assert names == sorted(names)
    nodes = stored(imported).nodes
    shown = [nodes[NodeId(name)] for name in desk(imported).names(None)[1][ClusterId("alpha")]]
    assert shown == sorted(shown, key=lambda node: (node.scalable_unit, node.rack, node.name))
    assert [node.name for node in shown] != sorted(node.name for node in shown)
    (alpha,) = (one for one in found.clusters if one.name == "alpha")
    assert alpha.racks == tuple((f"alpha-r{rack}", 2) for _ in range(2) for rack in (7, 8, 9))


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


def test_of_too_many_nodes_work_is_counted_too_and_consent_asks_for_a_cluster(
    imported: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(imported)
    world.conduct(imported, WindowState.OPEN, {"alpha-n0": UnitState.APPLYING}, planned=world.window())
    every = {shade: desk(imported).look(Asked(shade=shade)) for shade in (Shade.STATE, Shade.VERSION)}
    monkeypatch.setattr(wall, "CELLS_MAX", 2)
    for shade, cells in every.items():
        counted = desk(imported).look(Asked(shade=shade))
        assert cells is not None
        assert counted is not None
        assert (counted.marks, counted.totals) == (cells.marks, cells.totals)
        assert [one.counts for one in counted.clusters] == [one.counts for one in cells.clusters]
    for shade in (Shade.PENDING, Shade.CONSENT):
        asking = desk(imported).look(Asked(shade=shade))
        assert asking is not None
        assert not asking.is_painted
        assert asking.nodes == len(stored(imported).nodes)


def test_the_wall_says_of_each_node_what_its_own_page_says(imported: Database) -> None:
    """It reads columns, the page of a node reads the picture of the doors."""
    world.publish(imported)
    units = {"alpha-n0": UnitState.RETURNED, "alpha-n1": UnitState.VERIFYING}
    world.conduct(imported, WindowState.OPEN, units, planned=world.window())
    with imported.begin() as conn:
        rows.record_node_states(conn, {NodeId("alpha-n2"): NodeState.OUT_OF_SERVICE})
    picture = MaintenanceDesk(imported, Leads()).look()
    shown = of_alpha(imported)
    assert shown == {name: wall.mark_state(picture, picture.fleet.nodes[NodeId(name)]).label for name in shown}
    assert len(set(shown.values())) == 3


def test_a_glance_shows_nodes_at_once_and_counts_once_they_are_known(
    imported: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = desk(imported)
    with monkeypatch.context() as patched:
        patched.delattr(MaintenanceDesk, "look")  # whoever looks at all that doors answer from waits
        states, consents = made.glance(Asked()), made.glance(Asked(shade=Shade.CONSENT))
    whole = made.look(Asked(shade=Shade.CONSENT))
    assert states is not None
    assert consents is not None
    assert whole is not None
    assert states.is_painted
    assert not consents.is_painted
    assert consents.totals == ()
    assert [(one.name, one.racks) for one in consents.clusters] == [(one.name, one.racks) for one in whole.clusters]
    assert consents.shape == whole.shape
    assert made.glance(Asked(shade=Shade.CONSENT)) is whole


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
