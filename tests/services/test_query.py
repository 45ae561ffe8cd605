"""The query desk over a store: the same as over files, fresh after every change, scoped by what is loaded."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.constraints import world as w
from tests.formats.conftest import Small, small
from tests.services.work import start_work

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId
from fermata.domain.request_kinds import RequestKind
from fermata.domain.work_orders import Target, TargetLevel, Word
from fermata.formats.scenario import read_scenario
from fermata.services import inventory, query
from fermata.services.order_words import WordOrder, decide_orders
from fermata.services.requests import Inputs
from fermata.services.work_orders import NewOrder, complete_order, open_orders, start_order
from fermata.store import inventory as inventory_rows
from fermata.store import journal
from fermata.store.database import Database

__all__ = ["small"]
NODES = "resources | where type == 'fermata/nodes' | count"
EVERYTHING = (
    "resources | project id, type, location, properties | sort by id asc",
    "maintenanceresources | project id, type, location, properties | sort by id asc",
    "pendingupdates | sort by unit asc, updateId asc",
)


@pytest.fixture
def desk(db: Database) -> Iterator[query.QueryDesk]:
    opened = query.QueryDesk.of_store(db)
    yield opened
    opened.close()


def rows(desk: query.QueryDesk, text: str, customers: frozenset[CustomerId] | None = None) -> list[list[Any]]:
    answer = desk.ask(query.Question(text=text, now=w.NOW, limit=1000), customers)
    return [list(row) for row in answer.rows]


def without_states(row: list[Any]) -> list[Any]:
    """A row but for the states that requests were seen in, which files do not remember."""
    told = ("state", "stateSince")
    return [{k: v for k, v in cell.items() if k not in told} if isinstance(cell, dict) else cell for cell in row]


def import_all(db: Database, files: Small) -> Inputs:
    read = read_scenario(files.folder)
    given = inventory.ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=read.campaign)
    inventory.import_set(db, given, now=w.NOW, actor="tests")
    return Inputs(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, ledger=())


def test_a_store_answers_as_the_files_that_were_imported(db: Database, desk: query.QueryDesk, small: Small) -> None:
    assert rows(desk, NODES) == [[0]]
    files = query.QueryDesk.of_files(import_all(db, small))
    for text in EVERYTHING:
        assert [without_states(row) for row in rows(desk, text)] == [without_states(row) for row in rows(files, text)]
        assert rows(files, text) != []
    files.close()


def test_tables_are_loaded_again_when_the_store_changed_and_only_then(
    db: Database, desk: query.QueryDesk, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_all(db, small)
    loads = []
    real = query.facts_of_store
    monkeypatch.setattr(query, "facts_of_store", lambda conn: loads.append(1) or real(conn))
    assert rows(desk, NODES) == rows(desk, NODES) == [[5]]
    assert len(loads) == 1
    with db.begin() as conn:  # as the conductor does: versions change together with the unit's row
        start_work(conn, "alpha-n0")
        inventory_rows.record_versions(conn, {NodeId("alpha-n0"): {"nic_fw": "28.43"}})
    assert rows(desk, "pendingupdates | where unit == 'alpha-n0' | project updateId") == [["host-os-2026.1"]]
    applied = "maintenanceresources | where type endswith '/applyupdates' | project properties.state, name"
    assert rows(desk, applied) == []  # the run's plan is not stored, so its windows are nobody's
    assert len(loads) == 2


def test_gpus_are_counted_where_inventory_knows_them(db: Database, desk: query.QueryDesk, small: Small) -> None:
    fleet = import_all(db, small).fleet
    known = {name: replace(node, gpus=8 if node.cluster == "alpha" else None) for name, node in fleet.nodes.items()}
    with db.begin() as conn:
        inventory_rows.save_fleet(conn, replace(fleet, nodes=known))
        journal.append(conn, journal.Entry(at=w.NOW, actor="tests", event="node.changed", subject="node:x", why=""))
    asked = "resources | where type == 'fermata/nodes' | project name, properties.gpus | sort by name asc"
    told = [["alpha-n0", 8], ["alpha-n1", 8], ["alpha-n2", 8], ["beta-n0", None], ["beta-n1", None]]
    assert rows(desk, asked) == told
    assert rows(desk, asked, frozenset({CustomerId("lumen")})) == told[:3]


def test_a_store_remembers_the_states_of_requests(db: Database, desk: query.QueryDesk, small: Small) -> None:
    import_all(db, small)
    told = "tostring(properties.state), tostring(properties.stateSince)"
    asked = f"maintenanceresources | where type == 'fermata/requests' | project {told}"
    assert rows(desk, asked) == [["pending", "2026-01-02T20:00:00Z"], ["approved", "2026-01-02T20:00:00Z"]]


def test_a_customer_gets_its_own_tables(db: Database, desk: query.QueryDesk, small: Small) -> None:
    import_all(db, small)
    lumen, meridian = CustomerId("lumen"), CustomerId("meridian")
    assert rows(desk, NODES, frozenset({lumen})) == [[3]]
    assert rows(desk, NODES, frozenset({meridian})) == [[2]]
    assert rows(desk, NODES, frozenset({lumen, meridian})) == [[5]]
    assert rows(desk, NODES, frozenset()) == [[0]]
    assert rows(desk, NODES, frozenset({lumen})) == [[3]]
    assert query.name_customers(db, ["lumen"]) == frozenset({lumen})
    assert query.name_customers(db, []) is None
    with pytest.raises(query.Refusal, match="no customer lumn; the nearest is lumen"):
        query.name_customers(db, ["lumn"])


def test_a_refused_query_has_a_reason_and_a_place(desk: query.QueryDesk) -> None:
    with pytest.raises(query.QueryRefused) as raised:
        desk.ask(query.Question(text="resources | wherre x", now=w.NOW + timedelta(days=1), limit=1))
    assert str(raised.value) == (
        "QUERY_UNREADABLE: The query cannot be read: line 1, column 11, near '|': 'wherre' is no step of a query."
    )
    assert (raised.value.fault.line, raised.value.fault.column) == (1, 10)


EVENTS_OF_ORDERS = (
    "maintenanceresources | where type == 'microsoft.maintenance/scheduledevents'"
    " | where isnotempty(tostring(properties.WorkOrder))"
    " | project tostring(properties.EventId), tostring(properties.EventStatus), tostring(properties.Answer),"
    " tostring(properties.RequestId)"
)
STANDING_OF_ORDERS = (
    "maintenanceresources | where type == 'fermata/requests' | where properties.requestType == 'repair'"
    " | mv-expand w = properties.workOrders"
    " | project tostring(w.id), tolong(w.nodesAsked), tolong(w.nodesGiven)"
)


def test_work_orders_are_events_and_requests_with_what_was_answered(
    db: Database, desk: query.QueryDesk, small: Small
) -> None:
    import_all(db, small)
    assert rows(desk, EVENTS_OF_ORDERS) == []
    new = NewOrder(kind=RequestKind.REPAIR, target=Target(level=TargetLevel.NODE, name="alpha-n0"), cause="it flaps")
    numbers = iter(range(100))
    (opened,) = open_orders(db, [new], now=w.NOW, actor="tests", new_id=lambda prefix: f"{prefix}_{next(numbers)}")
    order, request = opened.order.id, opened.request
    event = arm.order_event_id(order, NodeId("alpha-n0"))
    assert rows(desk, EVENTS_OF_ORDERS) == [[event, "Scheduled", "asked", request]]
    assert rows(desk, STANDING_OF_ORDERS) == [[order, 1, 0]]
    assert rows(desk, EVENTS_OF_ORDERS, frozenset({CustomerId("meridian")})) == [], "it is not theirs"
    word = WordOrder(word=Word.APPROVED, scope=None)
    decide_orders(db, request, [word], now=w.NOW, new_id=lambda prefix: f"{prefix}_{next(numbers)}")
    assert rows(desk, EVENTS_OF_ORDERS) == [[event, "Scheduled", "given", request]]
    assert rows(desk, STANDING_OF_ORDERS) == [[order, 0, 1]]
    start_order(db, order, now=w.NOW, actor="tests", drained=True)
    assert [row[1] for row in rows(desk, EVENTS_OF_ORDERS)] == ["Started"]
    complete_order(db, order, now=w.NOW, actor="tests")
    assert [row[1] for row in rows(desk, EVENTS_OF_ORDERS)] == ["Completed"]
