"""Work orders at the doors: what people want to do by hand is told to the nodes it concerns like updates are, from the
question to the end, and a yes through any door is the same word in the same ledger.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.maintenance import MaintenanceManagementClient
from tests.doors import world
from tests.doors.conftest import Doors
from tests.doors.test_arm import Token

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId, OrderId, RequestId
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.request_kinds import RequestKind
from fermata.domain.updates import Criticality
from fermata.domain.work_orders import OrderWord, Target, TargetLevel, Word
from fermata.services.order_words import WordOrder, decide_orders
from fermata.services.work_orders import NewOrder, cancel_order, complete_order, open_orders, start_order
from fermata.store import journal, work_orders
from fermata.store.database import Database

NODE = "alpha-n1"
DAY = timedelta(days=1)
EVENTS = "http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01"
REPAIR = RequestId("req_sc-1_repair")
GROUP = f"/subscriptions/{arm.subscription_id(CustomerId('lumen'))}/resourceGroups/sc-1/providers"
SCHEDULED = f"{GROUP}/Microsoft.Compute/virtualMachines/{NODE}/providers/Microsoft.Maintenance/scheduledevents"
APPLY = f"{SCHEDULED.removesuffix('/scheduledevents')}/applyUpdates"
TREE = f"{GROUP}/Microsoft.SupercomputerInfrastructure/supercomputers/sc-1"
APPROVED = {"properties": {"state": "Approved"}}
VERSION = "?api-version=2023-04-01"
INSTANCE = f"/compute/v1/projects/lumen/zones/westus3-dc1/instances/{NODE}"
_numbers = count(1)


def ask(method: str, url: str, **given: Any) -> httpx.Response:
    """A busy machine takes its time."""
    return httpx.request(method, url, timeout=60, **given)


def mint(prefix: str) -> str:
    return f"{prefix}_t{next(_numbers)}"


def opened(
    db: Database, kind: RequestKind = RequestKind.REPAIR, level: TargetLevel = TargetLevel.NODE, name: str = NODE,
    *, criticality: Criticality = Criticality.CRITICAL_LIVESITE, wanted_at: datetime | None = None,
) -> OrderId:  # fmt: skip
    """A critical one, unless it is said, so that it is due in two days, and its customer is asked at once."""
    order = NewOrder(
        kind=kind,
        target=Target(level=level, name=name),
        cause="NIC 3 flaps",
        criticality=criticality,
        wanted_at=wanted_at,
    )
    (found,) = open_orders(db, [order], now=world.NOW, actor="operator-1", new_id=mint)
    return found.order.id


def say(db: Database, word: Word, request: RequestId = REPAIR) -> None:
    until = world.NOW + DAY if word is Word.DECLINED else None
    decide_orders(db, request, [WordOrder(word=word, scope=None, until=until)], now=world.NOW, new_id=mint)


def words(db: Database) -> tuple[OrderWord, ...]:
    with db.read() as conn:
        return work_orders.load_words(conn)


def event_id(order: OrderId, node: str = NODE) -> str:
    return arm.order_event_id(order, NodeId(node))


def told(doors: Doors, order: OrderId, node: str = NODE) -> dict[str, Any] | None:
    """The order's event inside the node, beside what is told there of updates."""
    answer = doors.inside(node, Metadata="true").get(EVENTS)
    found = [event for event in answer.json()["Events"] if event["EventId"] == event_id(order, node)]
    return found[0] if found else None


def test_an_order_is_told_from_the_question_to_its_end(doors: Doors) -> None:
    order = opened(doors.db)
    asked = told(doors, order)
    assert asked is not None
    assert (asked["EventType"], asked["EventStatus"], asked["DurationInSeconds"]) == ("Reboot", "Scheduled", -1)
    assert asked["NotBefore"] == arm.rfc1123(world.NOW + 2 * DAY)
    assert asked["Description"] == f"Approval wanted: repair of node {NODE}, order {order}: NIC 3 flaps"
    assert told(doors, order, "alpha-n0") is None, "no other node is concerned"
    say(doors.db, Word.APPROVED)
    assert told(doors, order) is None, "it may begin at any time, and is told once it does"
    start_order(doors.db, order, now=world.NOW, actor="operator-1", drained=True)
    started = told(doors, order)
    assert started is not None
    assert (started["EventStatus"], started["NotBefore"]) == ("Started", "")
    complete_order(doors.db, order, now=world.NOW, actor="operator-1")
    assert told(doors, order) is None


def test_an_order_of_a_rack_is_told_to_all_of_its_nodes_and_one_speaks_for_itself(doors: Doors) -> None:
    order = opened(doors.db, RequestKind.MOVE, TargetLevel.RACK, "alpha-r0", criticality=Criticality.REGULAR)
    assert told(doors, order, "alpha-n0") is None, "it is due in a month"
    doors.clock.at = world.NOW + 29 * DAY
    assert told(doors, order, "alpha-n0") is not None
    assert told(doors, order, "alpha-n2") is None, "it stands in another rack"
    inside = doors.inside(NODE, Metadata="true")
    assert inside.post(EVENTS, content=json.dumps({"StartRequests": [{"EventId": event_id(order)}]})).is_success
    (word,) = words(doors.db)
    assert word.scope == Scope(level=ScopeLevel.NODE, name=NODE)
    assert told(doors, order) is None
    assert told(doors, order, "alpha-n0") is not None, "its word is still missing, and the rack waits for it"


def test_a_time_that_was_wished_for_is_told_shortly_before(doors: Doors) -> None:
    wanted = world.NOW + 5 * DAY
    order = opened(doors.db, wanted_at=wanted)
    say(doors.db, Word.APPROVED)
    assert told(doors, order) is None
    doors.clock.at = wanted - timedelta(minutes=30)
    event = told(doors, order)
    assert event is not None
    assert (event["NotBefore"], event["EventStatus"]) == (arm.rfc1123(wanted), "Scheduled")
    assert not event["Description"].startswith("Approval wanted")


@pytest.mark.parametrize("no", [Word.DECLINED, Word.WITHDRAWN])
def test_a_no_is_overruled_by_no_agent_and_by_a_person(doors: Doors, no: Word) -> None:
    order = opened(doors.db)
    say(doors.db, no)
    assert told(doors, order) is None
    inside = doors.inside(NODE, Metadata="true")
    body = json.dumps({"StartRequests": [{"EventId": event_id(order)}]})
    assert inside.post(EVENTS, content=body).status_code == 400
    token = inside.get(
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=r"
    ).json()["access_token"]
    where = f"{doors.url}{SCHEDULED}/{event_id(order)}/acknowledge{VERSION}"
    assert ask("POST", where, headers={"Authorization": f"Bearer {token}"}).status_code == 404
    assert [word.word for word in words(doors.db)] == [no]
    assert ask("POST", where).is_success, "a person may think otherwise"
    assert [word.word for word in words(doors.db)] == [no, Word.APPROVED]


def test_a_no_to_an_order_keeps_no_answer_to_updates_away(doors: Doors) -> None:
    order = opened(doors.db)
    say(doors.db, Word.WITHDRAWN)
    inside = doors.inside(NODE, Metadata="true")
    (asked,) = inside.get(EVENTS).json()["Events"]
    assert inside.post(EVENTS, content=json.dumps({"StartRequests": [{"EventId": asked["EventId"]}]})).is_success
    assert world.said(doors.db) == [f"approved node {NODE}"]
    assert [word.word for word in words(doors.db)] == [Word.WITHDRAWN], "and it says nothing of the order"
    world.withdraw(doors.db, ScopeLevel.NODE, NODE)
    say(doors.db, Word.WITHDRAWN)
    assert told(doors, order) is None
    other = opened(doors.db, RequestKind.HARDWARE)
    doors.clock.at = world.NOW + DAY
    assert told(doors, other) is not None, "nor does a no to updates hide another order"


def own_api(doors: Doors, order: OrderId) -> httpx.Response:
    body = {"words": [{"word": "approved", "scope": {"level": "node", "name": NODE}, "orders": [order]}]}
    return ask("POST", f"{doors.url}/api/v1/requests/{REPAIR}/words", json=body)


def inside(doors: Doors, order: OrderId) -> httpx.Response:
    client = doors.inside(NODE, Metadata="true")
    return client.post(EVENTS, content=json.dumps({"StartRequests": [{"EventId": event_id(order)}]}))


def acknowledged(doors: Doors, order: OrderId) -> httpx.Response:
    return ask("POST", f"{doors.url}{SCHEDULED}/{event_id(order)}/acknowledge{VERSION}")


def acknowledged_in_a_list(doors: Doors, order: OrderId) -> httpx.Response:
    return ask("POST", f"{doors.url}{SCHEDULED}{VERSION}", json={"value": [event_id(order)]})


def performed(doors: Doors, order: OrderId) -> httpx.Response:
    return ask("POST", f"{doors.url}{INSTANCE}/performMaintenance")


def applied(doors: Doors, order: OrderId) -> httpx.Response:
    return ask("PUT", f"{doors.url}{APPLY}/{order.upper()}{VERSION}")


def requested(doors: Doors, order: OrderId) -> httpx.Response:
    return ask("PATCH", f"{doors.url}{TREE}/maintenanceRequests/repair-{NODE}{VERSION}", json=APPROVED)


FROM_CLOUDS = (inside, acknowledged, acknowledged_in_a_list, performed, applied, requested)


@pytest.mark.parametrize("door", [own_api, *FROM_CLOUDS])
def test_an_approval_of_an_order_is_the_same_through_every_door(
    doors: Doors, door: Callable[[Doors, OrderId], httpx.Response]
) -> None:
    order = opened(doors.db)
    answer = door(doors, order)
    assert answer.is_success, answer.text
    (word,) = words(doors.db)
    assert (word.word, word.scope, word.orders) == (
        Word.APPROVED,
        Scope(level=ScopeLevel.NODE, name=NODE),
        frozenset({order}),
    )
    assert (word.actor, word.request, word.incarnation, word.at) == ("lumen-capacity", REPAIR, 1, world.NOW)
    with doors.db.read() as conn:
        lines = [line for line in journal.read_events(conn, ["consent.approved"]) if line.data["request"] == REPAIR]
    assert [(line.subject, line.actor, line.data["id"]) for line in lines] == [
        (f"node:{NODE}", "lumen-capacity", word.id)
    ]
    assert told(doors, order) is None
    for other in FROM_CLOUDS:
        assert other(doors, order).is_success, f"{other.__name__} says so again"
    assert words(doors.db) == (word,), "and nothing new was said"


def test_applying_all_of_a_node_approves_its_updates_and_its_orders(doors: Doors) -> None:
    order = opened(doors.db)

    def standing(name: str) -> tuple[str, list[str]]:
        told = ask("GET", f"{doors.url}{APPLY}/{name}{VERSION}").json()["properties"]
        return told["status"], [each["id"] for each in told["workOrders"]]

    assert (standing("default"), standing(order)) == (("RetryLater", [order]), ("RetryLater", [order]))
    assert ask("PUT", f"{doors.url}{APPLY}/default{VERSION}").status_code == 201
    assert (world.said(doors.db), [word.word for word in words(doors.db)]) == ([f"approved node {NODE}"], ["approved"])
    assert (standing("default"), standing(order)) == (("Pending", [order]), ("Pending", [order]))
    cancelled = ask("PUT", f"{doors.url}{APPLY}/{order}{VERSION}", json={"properties": {"status": "Cancel"}})
    assert (cancelled.status_code, [word.word for word in words(doors.db)]) == (200, ["approved", "withdrawn"])
    assert world.said(doors.db) == [f"approved node {NODE}"], "of updates nothing was taken back"
    assert (standing("default")[0], standing(order)[0]) == ("RetryLater", "RetryLater")
    cancel_order(doors.db, order, now=world.NOW, actor="operator-1")
    assert ask("GET", f"{doors.url}{APPLY}/{order}{VERSION}").status_code == 404
    assert standing("default") == ("Pending", [])


def test_an_order_that_somebody_said_no_to_is_not_applied_by_its_node(doors: Doors) -> None:
    order = opened(doors.db)
    say(doors.db, Word.DECLINED)
    now = doors.clock.now()
    claims = doors.keys.claims(NodeId(NODE), audience="x", now=now, seconds=600)
    mine = {"Authorization": f"Bearer {doors.keys.sign(claims)}"}
    for name in ("default", order):
        assert ask("PUT", f"{doors.url}{APPLY}/{name}{VERSION}", headers=mine).status_code == 403
    assert [word.word for word in words(doors.db)] == ["declined"]
    assert ask("PUT", f"{doors.url}{APPLY}/{order}{VERSION}").status_code == 201, "a person may"


@pytest.mark.parametrize("kind", [RequestKind.REPAIR, RequestKind.HARDWARE, RequestKind.DECOMMISSION, RequestKind.MOVE])
def test_each_kind_of_order_is_a_maintenance_request_of_its_supercomputer(doors: Doors, kind: RequestKind) -> None:
    order = opened(doors.db, kind)
    requests = f"{doors.url}{TREE}/maintenanceRequests"
    found = {each["name"]: each["properties"] for each in ask("GET", f"{requests}{VERSION}").json()["value"]}
    assert set(found) == {"deployment", "deployment-alpha", kind.value, f"{kind}-alpha"}
    told = found[kind]
    assert (told["state"], told["workOrders"], told["nodesAsked"]) == ("WaitingOnApproval", [order], 1)
    assert order in told["description"]
    unhealthy = [f"{TREE}/nodes/{NODE}"] if kind is RequestKind.REPAIR else []
    assert told["unhealthyResources"] == unhealthy
    other = next(other for other in RequestKind if other not in (kind, RequestKind.DEPLOYMENT))
    assert ask("PATCH", f"{requests}/{other}{VERSION}", json=APPROVED).status_code == 404
    answer = ask("PATCH", f"{requests}/{kind}{VERSION}", json=APPROVED)
    assert (answer.status_code, answer.json()["properties"]["state"]) == (200, "Approved")
    assert [(word.word, str(word.scope), word.orders) for word in words(doors.db)] == [
        (Word.APPROVED, "supercomputer sc-1", frozenset({order}))
    ]
    assert world.said(doors.db) == [], "of updates nothing was said"


def test_the_resource_managers_client_acknowledges_orders_and_updates_in_one_list(doors: Doors) -> None:
    order = opened(doors.db, level=TargetLevel.RACK, name="alpha-r0")
    ids = [event["EventId"] for event in doors.inside(NODE, Metadata="true").get(EVENTS).json()["Events"]]
    ids.append(event_id(order, "alpha-n0"))
    with MaintenanceManagementClient(
        Token(),
        arm.subscription_id(CustomerId("lumen")),
        base_url=doors.url,
        authentication_policy=SansIOHTTPPolicy(),
        retry_total=0,
    ) as azure:
        azure.scheduled_events.acknowledge_list("sc-1", "virtualMachineScaleSets", "alpha", {"value": ids})
    assert [word.scope.name for word in words(doors.db)] == ["alpha-n0", "alpha-n1"]
    assert world.said(doors.db) == [f"approved node {NODE}"]


@pytest.mark.parametrize(
    ("kind", "reason", "code"),
    [
        (RequestKind.REPAIR, "FAILURE_INFRA", "system-reboot"),
        (RequestKind.HARDWARE, "MAINTENANCE_REASON_UNKNOWN", "system-reboot"),
        (RequestKind.MOVE, "INFRASTRUCTURE_RELOCATION", "system-reboot"),
        (RequestKind.DECOMMISSION, "MAINTENANCE_REASON_UNKNOWN", "instance-retirement"),
    ],
)
def test_google_and_amazon_tell_an_order_in_their_words(
    doors: Doors, kind: RequestKind, reason: str, code: str
) -> None:
    node = "alpha-n2"
    order = opened(doors.db, kind, name=node)
    say(doors.db, Word.APPROVED, RequestId(f"req_sc-1_{kind}"))
    start_order(doors.db, order, now=world.NOW, actor="operator-1", drained=True)
    upcoming = "http://169.254.169.254/computeMetadata/v1/instance/upcoming-maintenance"
    google = doors.inside(node, **{"Metadata-Flavor": "Google"}).get(upcoming).json()
    assert (google["maintenance_reasons"], google["maintenance_status"]) == ([reason], "ONGOING")
    outside = ask("GET", f"{doors.url}{INSTANCE.replace(NODE, node)}").json()["resourceStatus"]["upcomingMaintenance"]
    assert outside["maintenanceReasons"] == [reason]
    assert [
        (event["Code"], event["State"]) for event in amazon(doors, node, "scheduled") if order_in(event, order)
    ] == [(code, "active")]
    found = ask(
        "POST",
        doors.url,
        data={"Action": "DescribeInstanceStatus", "InstanceId.1": node},
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=lumen/20260125/x/ec2/aws4_request"},
    )
    assert f"<code>{code}</code>" in found.text


def test_amazon_remembers_how_orders_ended(doors: Doors) -> None:
    done, gone = opened(doors.db), opened(doors.db, RequestKind.HARDWARE)
    say(doors.db, Word.APPROVED)
    start_order(doors.db, done, now=world.NOW, actor="operator-1", drained=True)
    assert amazon(doors, NODE, "history") == []
    complete_order(doors.db, done, now=world.NOW, actor="operator-1")
    cancel_order(doors.db, gone, now=world.NOW, actor="operator-1")
    past = {
        event["EventId"]: (event["State"], event["Description"].split("]")[0])
        for event in amazon(doors, NODE, "history")
    }
    assert sorted(past.values()) == [("canceled", "[Canceled"), ("completed", "[Completed")]


def amazon(doors: Doors, node: str, what: str) -> list[dict[str, Any]]:
    client = doors.inside(node)
    base = "http://169.254.169.254/latest"
    token = client.put(f"{base}/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}).text
    answer = client.get(f"{base}/meta-data/events/maintenance/{what}", headers={"X-aws-ec2-metadata-token": token})
    found: list[dict[str, Any]] = answer.json()
    return found


def order_in(event: dict[str, Any], order: OrderId) -> bool:
    return order in event["Description"]
