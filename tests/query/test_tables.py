"""What the rows say: statuses, tenancy, configurations; and how values reach JSON."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.query import world
from tests.query.conftest import BOUNDS

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId, OrderId, RequestId
from fermata.domain.node_states import UnitState
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_states import RequestState
from fermata.domain.run_states import WindowState
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import RequestOrder, Target, TargetLevel
from fermata.query.answers import Answer, Question
from fermata.query.duck import Duck
from fermata.query.events import ApplyStatus, EventStatus, apply_status, list_events
from fermata.query.facts import Facts, only_customers
from fermata.query.tables import build_tables
from fermata.query.values import kind_of, to_json

STATUS = {
    None: EventStatus.SCHEDULED,
    WindowState.PLANNED: EventStatus.SCHEDULED,
    WindowState.WAITING: EventStatus.SCHEDULED,
    WindowState.MISSED: EventStatus.CANCELED,
    WindowState.SKIPPED: EventStatus.CANCELED,
    WindowState.CANCELLED: EventStatus.CANCELED,
}
OF_UNIT = {
    UnitState.PENDING: (EventStatus.SCHEDULED, ApplyStatus.PENDING),
    UnitState.FAILED: (EventStatus.STARTED, ApplyStatus.RETRY_LATER),
    UnitState.RETURNED: (EventStatus.COMPLETED, ApplyStatus.COMPLETED),
    UnitState.KEPT_OUT: (EventStatus.COMPLETED, ApplyStatus.COMPLETED),
    UnitState.LEFT_OUT: (EventStatus.CANCELED, ApplyStatus.CANCELLED),
    UnitState.PROVEN: (EventStatus.STARTED, ApplyStatus.COMPLETED),
}


@pytest.mark.parametrize(("state", "status"), STATUS.items())
def test_a_window_that_is_not_open_decides_for_all_its_nodes(state: WindowState | None, status: EventStatus) -> None:
    windows = [world.planned("w", "alpha", ("alpha-n0", "alpha-n1"), world.START, state)]
    assert {event.status for event in list_events(windows, ())} == {status}


@pytest.mark.parametrize("window", [WindowState.OPEN, WindowState.CLOSED])
@pytest.mark.parametrize("state", UnitState)
def test_in_an_open_window_each_node_stands_where_its_work_stands(state: UnitState, window: WindowState) -> None:
    work = world.unit("alpha-n0", state)
    windows = [world.planned("w-open", "alpha", ("alpha-n0", "alpha-n1"), world.START, window)]
    expected = OF_UNIT.get(state, (EventStatus.STARTED, ApplyStatus.IN_PROGRESS))
    one, left_out = list_events(windows, [work])
    assert (one.status, apply_status(work)) == expected
    assert left_out.status is EventStatus.CANCELED


def test_a_unit_on_the_tail_list_waits_for_later() -> None:
    assert apply_status(world.unit("alpha-n0", UnitState.APPLYING, in_tail=True)) is ApplyStatus.RETRY_LATER
    assert apply_status(world.unit("alpha-n0", UnitState.RETURNED, in_tail=True)) is ApplyStatus.COMPLETED


def test_a_customer_sees_nothing_of_the_others(facts: Facts) -> None:
    mine = only_customers(facts, [CustomerId("lumen")])
    texts = [str(table.to_pydict()) for table in build_tables(mine).tables.values()]
    for foreign in ("meridian", "beta", "sc-2", "uksouth", "w-next", "w-missed"):
        assert [text for text in texts if foreign in text] == []
    assert answer(mine, "resources | where type == 'fermata/nodes' | count") == [[3]]
    assert answer(mine, "maintenanceresources | summarize count() by subscriptionId | count") == [[1]]


def test_nobody_sees_nothing(facts: Facts) -> None:
    empty = only_customers(facts, [])
    for table in ("resources", "maintenanceresources", "pendingupdates"):
        assert answer(empty, f"{table} | count") == [[0]]


def test_a_shared_supercomputer_has_a_request_for_each_of_its_customers(facts: Facts) -> None:
    shared = replace(facts.clusters["beta"], supercomputer=facts.clusters["alpha"].supercomputer)
    both = replace(facts, clusters={**facts.clusters, "beta": shared})
    (requests,) = [r for r in both.requests if r.supercomputer == "sc-1"]
    told = replace(both, requests=[replace(requests, customers=(CustomerId("lumen"), CustomerId("meridian")))])
    query = "maintenanceresources | where type == 'fermata/requests' | distinct subscriptionId | count"
    assert answer(told, query) == [[2]]
    assert answer(only_customers(told, ["meridian"]), query) == [[1]]


def test_without_a_catalogue_nothing_is_pending_and_the_fleet_is_there(facts: Facts) -> None:
    bare = replace(facts, catalogue=None, policy=None, requests=(), windows=(), work=())
    assert answer(
        bare, "resources | where type == 'fermata/nodes' | summarize sum(tolong(properties.pendingUpdates))"
    ) == [[0]]
    assert answer(bare, "maintenanceresources | count") == [[0]]


def test_a_freeze_is_a_configuration_assigned_to_what_it_closes(ask: Callable[..., Answer]) -> None:
    (row,) = ask(
        "maintenanceresources | where name == 'freeze-f1' and type endswith 'configurationassignments'"
        " | project tostring(properties.resourceId)"
    ).rows
    assert row[0].endswith("/supercomputers/sc-1/clusters/alpha/racks/alpha-r1")
    (row,) = ask(
        "maintenanceresources | where name == 'freeze-f1' and type endswith 'maintenanceconfigurations'"
        " | project properties.maintenanceWindow"
    ).rows
    window = {"startDateTime": "2026-01-09 00:00", "expirationDateTime": "2026-01-14 00:00", "timeZone": "UTC"}
    assert row[0] == window


def test_the_same_facts_give_the_same_bytes(facts: Facts, tmp_path: Path) -> None:
    again = world.facts(tmp_path)
    assert build_tables(again).to_bytes() == build_tables(facts).to_bytes()


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        (2**63, "long", str(2**63)),
        (float("nan"), "real", None),
        (float("inf"), "real", None),
        (timedelta(days=-1, microseconds=5), "timespan", "-23:59:59.9999950"),
        (timedelta(days=400, hours=1), "timespan", "400.01:00:00"),
        (datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=UTC), "datetime", "2026-01-02T03:04:05.000060Z"),
        (date(2026, 1, 2), "datetime", "2026-01-02T00:00:00Z"),
        (Decimal("1.50"), "decimal", "1.50"),
        (b"\x01", "string", "01"),
        ('{"a": [1]}', "dynamic", {"a": [1]}),
        ('{"a": [1]}', "string", '{"a": [1]}'),
        (["a", '{"b":1}', "[not json", None, 2.5], "dynamic", ["a", {"b": 1}, "[not json", None, 2.5]),
    ],
)
def test_values_as_json_has_them(value: Any, kind: str, written: Any) -> None:
    assert to_json(value, kind) == written


def test_types_that_nobody_named_are_text_or_documents() -> None:
    assert [kind_of(name) for name in ("DECIMAL(18,3)", "JSON[]", "STRUCT(a INTEGER)", "ENUM('a')")] == [
        "decimal", "dynamic", "dynamic", "string",
    ]  # fmt: skip


def answer(facts: Facts, text: str) -> list[list[Any]]:
    found = Duck(build_tables(facts).tables, BOUNDS).ask(Question(text=text, now=world.NOW, limit=100), 20)
    return [list(row) for row in found.rows]


def test_a_work_order_stands_in_the_request_of_those_who_are_asked(facts: Facts) -> None:
    (request,) = [r for r in facts.requests if r.supercomputer == "sc-1"]
    shown = RequestOrder(
        id=OrderId("wo_1"),
        target=Target(level=TargetLevel.NODE, name="alpha-n0"),
        cause="a fan",
        impact=Impact.REBOOTFUL,
        criticality=Criticality.REGULAR,
        due_at=world.START,
        wanted_at=None,
        nodes=(NodeId("alpha-n0"),),
        customers=request.customers,
    )
    asked = replace(request, id=RequestId("req_sc-1_repair"), kind=RequestKind.REPAIR, items=(), orders=(shown,))
    query = (
        "maintenanceresources | where type == 'fermata/requests' and name == 'req_sc-1_repair'"
        " | project status = tostring(properties.status), asks = tostring(properties.requestType),"
        " cause = tostring(properties.workOrders[0].cause)"
    )
    assert answer(replace(facts, requests=[asked]), query) == [["Pending", "repair", "a fan"]]
    elsewhere = replace(asked, customers=(CustomerId("meridian"),))
    assert answer(replace(facts, requests=[elsewhere]), query) == []


def test_a_request_tells_the_state_that_it_was_last_seen_in(facts: Facts) -> None:
    (request,) = [r for r in facts.requests if r.supercomputer == "sc-1"]
    query = (
        f"maintenanceresources | where type == 'fermata/requests' and name == '{request.id}'"
        " | project tostring(properties.status), tostring(properties.state), tostring(properties.stateSince)"
    )
    overdue = replace(facts, states={request.id: (RequestState.OVERDUE, world.START)})
    assert answer(overdue, query) == [["Pending", "overdue", arm.iso(world.START)]]
    assert answer(replace(facts, states={}), query) == [["Pending", "", ""]]
