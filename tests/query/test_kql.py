"""Queries that people run against Azure Resource Graph, and what KQL does with our tables."""

from collections.abc import Callable
from typing import Any

import duckdb_kql
import pytest

from fermata.query.answers import Answer, FaultKind, QueryFault
from fermata.query.duck import lean

Ask = Callable[..., Answer]
EVENTS = 'maintenanceresources | where type == "microsoft.maintenance/scheduledevents"'
UPDATES = 'maintenanceresources | where type =~ "microsoft.maintenance/updates"'
REQUEST = "req_sc-1_deployment"
JOINED = (
    UPDATES + ' | extend p=parse_json(properties) | mvexpand d=p.value | where d has "notificationId" and'
    f' d.notificationId == "{REQUEST}" | extend targetResourceId=tolower(name)'
    " | join kind=inner (resources | extend targetResourceId=tolower(id)) on targetResourceId"
)
ASSIGNMENTS = "maintenanceresources | where type =~ 'microsoft.maintenance/configurationassignments'"
APPLIED = "maintenanceresources | where ['type'] == \"microsoft.maintenance/applyupdates\""
SETS = (
    "resources | where type == 'fermata/nodes' | summarize make_set(tostring(properties.role)) by location"
    " | where location == 'uksouth'"
)
LEFT_OUTER = (
    "resources | where type == 'fermata/clusters' | join kind=leftouter (pendingupdates | summarize n=count() by"
    " cluster) on $left.name == $right.cluster | project name, n | sort by name asc"
)

ANSWERED: list[tuple[str, list[list[Any]]]] = [
    ("let wanted = 'alpha'; pendingupdates | where cluster == wanted | distinct unit | count", [[4]]),
    ("where type == 'fermata/clusters' | project name | sort by name asc", [["alpha"], ["beta"]]),
    ("Resources | where type startswith 'fermata/c' | count", [[2]]),
    ("MAINTENANCERESOURCES | where type == 'fermata/requests' | project name | top 1 by name asc", [[REQUEST]]),
    ("union resources, maintenanceresources | where type == 'fermata/racks' | count", [[3]]),
    (SETS, [["uksouth", ["prod"]]]),
    (LEFT_OUTER, [["alpha", 6], ["beta", 3]]),
    ("pendingupdates | where dueAt between (datetime(2026-03-01) .. datetime(2026-03-01) + 20d) | count", [[4]]),
    (EVENTS + " | where todatetime(properties.NotBeforeUtc) > now() | count", [[1]]),
    (EVENTS + " | summarize n=count() by bin(todatetime(properties.NotBeforeUtc), 1d) | count", [[3]]),
    ("print now()", [["2026-01-07T12:00:00Z"]]),
    ("print a=1d+2h, b=dynamic({'x':[1]}), c=1.5, d=true, e=toint('x')",
     [["1.02:00:00", {"x": [1]}, 1.5, True, None]]),
    ("print x=dynamic([1,2]) | mv-expand x to typeof(long)", [[1], [2]]),
    ("print x=dynamic({'a':1,'b':2}) | mv-expand x", [[{"a": 1}], [{"b": 2}]]),
    ("print x=dynamic(null) | mv-expand x", [[None]]),
    ("print x='between (1 .. 2+3) | join' // between (1 .. 2", [["between (1 .. 2+3) | join"]]),
]  # fmt: skip


def rows(answer: Answer) -> list[Any]:
    return [list(row) for row in answer.rows]


def objects(answer: Answer) -> list[dict[str, Any]]:
    return [dict(zip([c.name for c in answer.columns], row, strict=True)) for row in answer.rows]


def test_scheduled_events_of_every_node_with_documented_properties(ask: Ask) -> None:
    found = {event["properties"]["Resources"][0]: event for event in objects(ask(EVENTS))}
    assert sorted(found) == ["alpha-n0", "alpha-n1", "alpha-n2", "beta-n0", "beta-n1"]
    event = found["beta-n0"]
    assert event["name"] == event["properties"]["EventId"]
    assert event["id"].endswith(
        f"/virtualMachines/beta-n0/providers/microsoft.maintenance/scheduledevents/{event['name']}"
    )
    assert event["properties"] | {"EventId": "", "TargetResourceId": ""} == {
        "EventId": "",
        "EventType": "Reboot",
        "ResourceType": "VirtualMachine",
        "Resources": ["beta-n0"],
        "EventStatus": "Scheduled",
        "NotBefore": "Sun, 11 Jan 2026 09:05:00 GMT",
        "NotBeforeUtc": "2026-01-11T09:05:00Z",
        "Description": "Planned maintenance of beta, window w-next",
        "EventSource": "Platform",
        "DurationInSeconds": 14400,
        "ScheduledEventApiVersion": "2020-07-01",
        "TargetResourceId": "",
        "EndUtc": "2026-01-11T13:05:00Z",
        "Cluster": "beta",
        "WindowId": "w-next",
        "PlanId": "plan_1",
        "RunId": None,
        "Updates": ["nic-28.43"],
    }


def test_sorted_and_projected_events_name_columns_as_kusto_does(ask: Ask) -> None:
    answer = ask(
        EVENTS + " | sort by tostring(properties.EventStatus), tostring(properties.EventId) asc"
        " | project resourceGroup, zones, properties.EventStatus, properties.NotBefore, location"
    )
    assert [column.name for column in answer.columns] == [
        "resourceGroup", "zones", "properties_EventStatus", "properties_NotBefore", "location",
    ]  # fmt: skip
    started = next(row for row in rows(answer) if row[2] == "Started")
    assert started == ["sc-1", None, "Started", "", "westus3"]


def test_events_counted_by_status(ask: Ask) -> None:
    answer = ask(EVENTS + " | summarize count() by tostring(properties.EventStatus)")
    assert dict(rows(answer)) == {"Completed": 1, "Started": 1, "Canceled": 2, "Scheduled": 1}


def test_pending_updates_unfold(ask: Ask) -> None:
    answer = ask(
        UPDATES + ' | mv-expand u = properties.value | where u.maintenanceScope in~ ("host")'
        " | project node=name, status=u.status, impact=u.impactType, seconds=u.impactDurationInSec, update=u.updateId"
    )
    ours = {(row[0].rpartition("/")[2], row[4]): row[1:4] for row in rows(answer)}
    assert ours["alpha-n0", "nic-28.43"] == ["Pending", "Restart", 2700]
    assert ours["beta-n1", "host-os-2026.1"] == ["Pending", "Restart", 2400]
    assert ("alpha-n2", "nic-28.43") in ours  # it does not say what it runs


def test_updates_join_the_resources_they_are_about(ask: Ask) -> None:
    answer = ask(JOINED + " | summarize count() by type1")
    assert dict(rows(answer)) == {"fermata/nodes": 5, "fermata/devices": 1}


def test_assignments_with_a_property_that_is_a_keyword(ask: Ask) -> None:
    answer = ask(
        ASSIGNMENTS + " | project id, name, c=tostring(properties.maintenanceConfigurationId), f=properties['filter']"
    )
    found = {row[1]: row for row in rows(answer)}
    assert found["policy-lumen"][2].endswith("/maintenanceConfigurations/policy-lumen")
    assert found["policy-lumen"][3]["locations"] == []
    assert any(name.startswith("freeze-") for name in found)


def test_applied_updates_by_scope(ask: Ask) -> None:
    assert ask(APPLIED + ' | where properties.maintenanceScope == "InGuestPatch"').total == 0
    found = {one["properties"]["resourceId"].rpartition("/")[2]: one["properties"] for one in objects(ask(APPLIED))}
    assert {name: one["status"] for name, one in found.items()} == {"alpha-n0": "Completed", "alpha-n1": "InProgress"}


@pytest.mark.parametrize(("query", "expected"), ANSWERED)
def test_kql_over_our_tables(ask: Ask, query: str, expected: list[list[Any]]) -> None:
    assert rows(ask(query)) == expected


def test_nodes_show_versions_and_how_much_is_pending(ask: Ask) -> None:
    (node,) = objects(ask("resources | where name == 'alpha-n0'"))
    assert node["type"] == "fermata/nodes"
    assert node["kind"] == "microsoft.compute/virtualmachines"
    assert node["tags"] == {"role": "test", "workload": "training"}
    assert node["properties"]["versions"] == {"host_os": "2025.10.0", "nic_fw": "28.39"}
    assert node["properties"]["pendingUpdates"] == 2


def test_pages_of_an_unsorted_answer_fit_together(ask: Ask) -> None:
    pages = [ask("resources | project id", limit=4, skip=skip, by_id=True) for skip in range(0, 20, 4)]
    ids = [row[0] for page in pages for row in page.rows]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) == pages[0].total
    assert [page.is_cut for page in pages] == [True] * (len(pages) - 1) + [False]


@pytest.mark.parametrize(
    ("query", "kind", "place"),
    [
        ("resources\n| wherre x", FaultKind.UNPARSABLE, (2, 0, "|")),
        ("where x = = 1", FaultKind.UNPARSABLE, (1, 10, "=")),
        ("resources | where sumof(id) == 1", FaultKind.UNKNOWN_FUNCTION, (1, 18, "sumof")),
        ("resources | where nosuch == 1", FaultKind.UNKNOWN_NAME, (1, 18, "nosuch")),
        ("nosuch | count", FaultKind.UNKNOWN_NAME, (None, None, "nosuch")),
        ("resources | sample 5", FaultKind.UNSUPPORTED, (1, 12, "sample")),
    ],
)
def test_faults_say_where(ask: Ask, query: str, kind: FaultKind, place: tuple[Any, ...]) -> None:
    with pytest.raises(QueryFault) as raised:
        ask(query)
    fault = raised.value.fault
    assert (fault.kind, (fault.line, fault.column, fault.token)) == (kind, place)


def test_the_translator_still_writes_what_is_made_lean() -> None:
    made = str(duckdb_kql.to_sql("T | mv-expand u = p.value | where u.a == 'x'", schema={"T": ["p"]}))
    assert "json_array" in made
    assert "json_array" not in lean(made)
    assert "->> '$.a'" in lean(made)
    assert made.count("json_extract") > lean(made).count("json_extract")


def test_a_text_that_looks_like_sql_stays_a_text(ask: Ask) -> None:
    looks = """x") ->> '$' json_extract("u", '$.a') ->> '$'"""
    assert rows(ask("print x = " + '@"' + looks.replace('"', '""') + '"')) == [[looks]]
