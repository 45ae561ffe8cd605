"""Event Grid's doors, by its own clients: pull delivery, system topics, and consent by hand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import pytest
from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.eventgrid import EventGridConsumerClient
from azure.mgmt.eventgrid import EventGridManagementClient
from azure.mgmt.eventgrid.models import (
    EventSubscription,
    EventSubscriptionFilter,
    EventSubscriptionUpdateParameters,
    RetryPolicy,
    SystemTopic,
    WebHookEventSubscriptionDestination,
)
from fastapi import FastAPI
from tests.conformance.receivers import Receiver, receiving
from tests.server.conftest import HandClock
from tests.services.notice_world import HOUR, LUMEN, Desk, StillClock

from fermata.domain import arm
from fermata.domain.deliveries import DeliveryState
from fermata.domain.ids import SubscriptionId
from fermata.domain.notices import NoticeKind
from fermata.domain.subscriptions import ChannelKind, EventShape
from fermata.execution.delivering import PostOffice, deliver_round, keep_delivering
from fermata.formats.cluster_events import CLUSTER_EVENT_TYPE
from fermata.formats.notice_events import SCHEDULED_EVENT_TYPE
from fermata.server.app import create_app
from fermata.services import notices, subscriptions
from fermata.settings import Settings
from fermata.store import outbox
from fermata.store.database import Database
from fermata.wiring.telling import open_channels

KEY = "a-key-of-twenty-four-signs"
SOURCE = f"/subscriptions/{arm.subscription_id(LUMEN)}"
GROUP = "sc-alpha"


@pytest.fixture
def desk(db: Database, clock: HandClock) -> Desk:
    made = Desk(db, clock=StillClock(clock.at))
    made.import_all(updates=["nic"])
    return made


@pytest.fixture
def app(db: Database, clock: HandClock) -> FastAPI:
    numbers = iter(range(1, 1000))
    channels = open_channels(Settings(local_targets=True), clock)
    return create_app(db, clock, new_id=lambda prefix: f"{prefix}_{next(numbers)}", channels=channels)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@contextmanager
def delivering(db: Database, clock: HandClock) -> Iterator[None]:
    """As `fermata serve` does."""
    office = PostOffice(database=db, channels=open_channels(Settings(local_targets=True), clock), clock=clock)
    stop = threading.Event()
    thread = threading.Thread(target=keep_delivering, args=(office, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def consumer(url: str, key: str = KEY, name: str = "ops") -> EventGridConsumerClient:
    return EventGridConsumerClient(
        url, AzureKeyCredential(key), namespace_topic="maintenance", subscription=name, retry_total=0
    )


@pytest.fixture
def pulling(desk: Desk, url: str) -> Iterator[EventGridConsumerClient]:
    desk.subscribe("ops", ChannelKind.PULL, target={"topic": "maintenance", "key": KEY})
    with consumer(url) as client:
        yield client


def receive(client: EventGridConsumerClient, most: int = 10) -> list[Any]:
    return list(client.receive(max_events=most, max_wait_time=10))


def test_events_are_fetched_in_order_and_acknowledged(
    pulling: EventGridConsumerClient, desk: Desk, db: Database
) -> None:
    desk.import_all(updates=["nic", "os"])
    found = receive(pulling, most=3)
    assert [each.event.id for each in found] == ["ntc_0000000001", "ntc_0000000002", "ntc_0000000003"]
    assert [each.broker_properties.delivery_count for each in found] == [1, 1, 1]
    assert found[0].event.type == "fermata.request.opened"
    assert found[0].event.data["items"][0]["update"] == "nic"
    more = receive(pulling)
    assert [each.event.id for each in more] == ["ntc_0000000004", "ntc_0000000008"], "others wait behind held ones"
    done = pulling.acknowledge(lock_tokens=[each.broker_properties.lock_token for each in (*found, *more)])
    assert len(done.succeeded_lock_tokens) == 5
    assert [each.event.id for each in receive(pulling)] == ["ntc_0000000005", "ntc_0000000006", "ntc_0000000007"]
    with db.read() as conn:
        told = {(each.supercomputer, each.update) for each in outbox.load_notified(conn) if each.update == "os"}
    assert told == {("sc-omega", "os")}, "acknowledged is delivered, fetched is not"


def test_what_is_released_or_left_comes_again_and_what_is_rejected_does_not(
    pulling: EventGridConsumerClient, clock: HandClock, db: Database
) -> None:
    first, second, third, _fourth = (each.broker_properties.lock_token for each in receive(pulling))
    assert pulling.release(lock_tokens=[first], release_delay=10).succeeded_lock_tokens == [first]
    assert pulling.reject(lock_tokens=[second]).succeeded_lock_tokens == [second]
    assert pulling.renew_locks(lock_tokens=[third]).succeeded_lock_tokens == [third]
    clock.at += HOUR / 360
    again = receive(pulling)
    assert [(each.event.id, each.broker_properties.delivery_count) for each in again] == [("ntc_0000000001", 2)]
    clock.at += HOUR / 60
    late = pulling.acknowledge(lock_tokens=[third, "lock_never"])
    assert late.succeeded_lock_tokens == []
    assert [each.lock_token for each in late.failed_lock_tokens] == [third, "lock_never"]
    assert [each.event.id for each in receive(pulling)] == ["ntc_0000000001", "ntc_0000000003", "ntc_0000000004"]
    (line,) = notices.show_notice(db, "ntc_0000000002").deliveries
    assert (line.state, line.why) == (DeliveryState.DEAD, "the subscriber rejected it")


def test_what_is_never_acknowledged_is_dead_in_the_end(desk: Desk, url: str, clock: HandClock, db: Database) -> None:
    target = {"topic": "maintenance", "key": KEY}
    desk.subscribe("ops", ChannelKind.PULL, target=target, attempts_max=2, supercomputers=frozenset({"sc-alpha"}))
    with consumer(url) as client:
        counts = []
        for _ in range(2):
            counts += [each.broker_properties.delivery_count for each in receive(client)]
            clock.at += HOUR
        assert counts == [1, 2]
        assert list(client.receive(max_events=1, max_wait_time=10)) == []
    (line,) = notices.show_notice(db, "ntc_0000000001").deliveries
    assert line.state is DeliveryState.DEAD


@pytest.mark.parametrize(("key", "name"), [("wrong", "ops"), ("", "ops"), (KEY, "other")])
def test_a_wrong_key_and_an_unknown_name_are_told_apart_by_nobody(
    pulling: EventGridConsumerClient, url: str, key: str, name: str
) -> None:
    with consumer(url, key or "x", name) as client, pytest.raises(ClientAuthenticationError):
        client.receive(max_events=1, max_wait_time=10)
    with consumer(url, key or "x", name) as client, pytest.raises(ClientAuthenticationError):
        client.acknowledge(lock_tokens=["lock_1"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (":receive?maxEvents=0", b""),
        (":receive?maxEvents=x", b""),
        (":acknowledge", b""),
        (":acknowledge", b'{"lockTokens": []}'),
        (":release?releaseDelayInSeconds=7", b'{"lockTokens": ["a"]}'),
    ],
)
def test_what_makes_no_sense_is_a_400_in_that_worlds_words(client: httpx.Client, path: str, body: bytes) -> None:
    answer = client.post(f"/topics/maintenance/eventsubscriptions/ops{path}", content=body)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"code", "message"}


class _Token:
    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("token", 4_000_000_000)


@pytest.fixture
def manager(desk: Desk, url: str) -> Iterator[EventGridManagementClient]:
    with EventGridManagementClient(
        _Token(),
        arm.subscription_id(LUMEN),
        base_url=url,
        polling_interval=0,
        authentication_policy=SansIOHTTPPolicy(),
        retry_total=0,
    ) as client:
        yield client


def put_topic(manager: EventGridManagementClient, kind: str = "maintenanceresources") -> SystemTopic:
    topic = SystemTopic(location="global", source=SOURCE, topic_type=f"microsoft.resourcenotifications.{kind}")
    return manager.system_topics.begin_create_or_update(GROUP, "maintenance", topic).result()


def order(url: str, schema: str = "EventGridSchema", **more: Any) -> EventSubscription:
    return EventSubscription(
        destination=WebHookEventSubscriptionDestination(endpoint_url=url, max_events_per_batch=10),
        event_delivery_schema=schema,
        retry_policy=RetryPolicy(max_delivery_attempts=3, event_time_to_live_in_minutes=60),
        **more,
    )


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
def test_a_system_topics_subscription_is_made_and_hears_scheduled_events(
    manager: EventGridManagementClient, receiver: Receiver, db: Database, clock: HandClock, schema: str
) -> None:
    topic = put_topic(manager)
    assert (topic.name, topic.provisioning_state) == ("maintenance", "Succeeded")
    verbs = manager.system_topic_event_subscriptions
    with delivering(db, clock):
        made = verbs.begin_create_or_update(
            GROUP, "maintenance", "hook", order(f"{receiver.url}?code=secret", schema)
        ).result()
    assert made.provisioning_state == "Succeeded"
    assert made.destination.endpoint_base_url == receiver.url
    assert "secret" not in str(made.as_dict())
    assert verbs.get_full_url(GROUP, "maintenance", "hook").endpoint_url.endswith("?code=secret")
    assert [each.name for each in verbs.list_by_system_topic(GROUP, "maintenance")] == ["hook"]
    assert [each.name for each in manager.system_topics.list_by_subscription()] == ["maintenance"]
    assert [each.name for each in manager.system_topics.list_by_resource_group(GROUP)] == ["maintenance"]
    (view,) = subscriptions.list_subscriptions(db)
    assert (view.customers, view.attempts_max, view.lives_minutes) == ((LUMEN,), 3, 60)
    assert view.channel is (ChannelKind.EVENT_GRID if schema == "EventGridSchema" else ChannelKind.CLOUD_EVENTS)
    assert receiver.posts == [], "requests are nothing that this topic has a word for"
    verbs.begin_delete(GROUP, "maintenance", "hook").result()
    assert list(verbs.list_by_system_topic(GROUP, "maintenance")) == []
    manager.system_topics.begin_delete(GROUP, "maintenance").result()
    with pytest.raises(ResourceNotFoundError):
        manager.system_topics.get(GROUP, "maintenance")


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [(None, None), (["All"], None), (["ResourceAnnotated", "AvailabilityStatusChanged"], None)]
    + [([name], [name]) for name in ("ResourceAnnotated", "AvailabilityStatusChanged")],
)
def test_a_topic_of_health_has_two_types_of_events(
    manager: EventGridManagementClient,
    receiver: Receiver,
    db: Database,
    clock: HandClock,
    wanted: list[str] | None,
    kept: list[str] | None,
) -> None:
    before = "Microsoft.ResourceNotifications.HealthResources."
    assert put_topic(manager, "HealthResources").topic_type == "microsoft.resourcenotifications.HealthResources"
    names = wanted and [name if name == "All" else before + name for name in wanted]
    chosen = order(receiver.url, filter=EventSubscriptionFilter(included_event_types=names))
    verbs = manager.system_topic_event_subscriptions
    with delivering(db, clock):
        verbs.begin_create_or_update(GROUP, "maintenance", "hook", chosen).result()
    (view,) = subscriptions.list_subscriptions(db)
    assert (view.shape, view.target.get("event_types")) == (
        EventShape.HEALTH_RESOURCES,
        kept and [before + name for name in kept],
    )
    with pytest.raises(HttpResponseError):
        put_topic(manager)
    scheduled = EventSubscriptionFilter(included_event_types=[SCHEDULED_EVENT_TYPE])
    with pytest.raises(HttpResponseError):
        verbs.begin_create_or_update(GROUP, "maintenance", "other", order(receiver.url, filter=scheduled)).result()


def test_a_topic_of_container_services_hears_of_clusters(
    manager: EventGridManagementClient, receiver: Receiver, db: Database, clock: HandClock
) -> None:
    put_topic(manager, "ContainerServiceEventResources")
    verbs = manager.system_topic_event_subscriptions
    chosen = order(receiver.url, filter=EventSubscriptionFilter(included_event_types=[CLUSTER_EVENT_TYPE]))
    with delivering(db, clock):
        verbs.begin_create_or_update(GROUP, "maintenance", "hook", chosen).result()
    (view,) = subscriptions.list_subscriptions(db)
    assert view.shape is EventShape.CLUSTER_EVENTS


def test_a_new_order_takes_the_place_of_the_old_one(
    manager: EventGridManagementClient, receiver: Receiver, db: Database, clock: HandClock
) -> None:
    put_topic(manager)
    verbs = manager.system_topic_event_subscriptions
    with delivering(db, clock):
        for ends in ("a", "b", "b"):
            wanted = order(receiver.url, filter=EventSubscriptionFilter(subject_ends_with=ends))
            made = verbs.begin_create_or_update(GROUP, "maintenance", "hook", wanted).result()
            assert made.filter.subject_ends_with == ends
        update = EventSubscriptionUpdateParameters(labels=["night"])
        changed = verbs.begin_update(GROUP, "maintenance", "hook", update).result()
    assert (changed.labels, changed.filter.subject_ends_with) == (["night"], "b")
    (view,) = subscriptions.list_subscriptions(db)
    assert view.target["subject_ends"] == "b"
    assert len(receiver.got) == 3, "what stood already was not asked again"


def test_a_webhook_that_does_not_agree_ends_the_order(
    manager: EventGridManagementClient, receiver: Receiver, db: Database, clock: HandClock
) -> None:
    put_topic(manager)
    receiver.consents = False
    with delivering(db, clock), pytest.raises(HttpResponseError):
        manager.system_topic_event_subscriptions.begin_create_or_update(
            GROUP, "maintenance", "hook", order(receiver.url)
        ).result()


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("/subscriptions/other", "microsoft.resourcenotifications.maintenanceresources"),
        (SOURCE, "Microsoft.Storage.StorageAccounts"),
    ],
)
def test_a_topic_of_something_else_is_refused(desk: Desk, client: httpx.Client, source: str, kind: str) -> None:
    path = f"{SOURCE}/resourcegroups/{GROUP}/providers/microsoft.eventgrid/systemtopics/maintenance"
    answer = client.put(path, json={"location": "global", "properties": {"source": source, "topicType": kind}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/subscriptions/none/resourceGroups/{GROUP}", "SubscriptionNotFound"),
        (f"{SOURCE}/resourceGroups/none", "ResourceGroupNotFound"),
    ],
)
def test_a_place_that_is_nobodys_is_not_found(desk: Desk, client: httpx.Client, path: str, code: str) -> None:
    source = "/".join(path.split("/")[:3])
    body = {"properties": {"source": source, "topicType": "microsoft.resourcenotifications.maintenanceresources"}}
    answer = client.put(f"{path}/providers/Microsoft.EventGrid/systemTopics/maintenance", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)


@pytest.mark.parametrize(
    "more",
    [
        {"filter": {"advancedFilters": [{"operatorType": "NumberIn", "key": "data.x", "values": [1]}]}},
        {"filter": {"includedEventTypes": ["Microsoft.Storage.BlobCreated"]}},
        {"eventDeliverySchema": "CustomInputSchema"},
        {"deadLetterDestination": {"endpointType": "StorageBlob"}},
        {"destination": {"endpointType": "EventHub", "properties": {}}},
        {"destination": {"endpointType": "WebHook", "properties": {"endpointUrl": "https://127.0.0.1.nip/"}}, "x": 1},
    ],
)
def test_an_order_that_would_be_heeded_in_part_is_refused(
    manager: EventGridManagementClient, client: httpx.Client, db: Database, more: dict[str, Any]
) -> None:
    put_topic(manager)
    hook = {"endpointType": "WebHook", "properties": {"endpointUrl": "https://receiver.example/hook"}}
    path = f"{SOURCE}/resourceGroups/{GROUP}/providers/Microsoft.EventGrid/systemTopics/maintenance"
    answer = client.put(f"{path}/eventSubscriptions/hook", json={"properties": {"destination": hook, **more}})
    assert answer.status_code == 400
    assert subscriptions.list_subscriptions(db) == ()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_owner_of_a_webhook_agrees_at_the_address_it_was_sent(
    desk: Desk, receiver: Receiver, client: httpx.Client, clock: HandClock, method: str
) -> None:
    receiver.consents = False
    desk.subscribe("hook", ChannelKind.EVENT_GRID, target={"url": receiver.url}, kinds=frozenset({NoticeKind.TEST}))
    channels = open_channels(Settings(local_targets=True), clock)
    deliver_round(PostOffice(database=desk.db, channels=channels, clock=clock, public_url=str(client.base_url)))
    address = orjson.loads(receiver.got[0].body)[0]["data"]["validationUrl"]
    assert client.request(method, address.replace("code=", "code=x")).status_code == 404
    assert client.request(method, address, headers={"WebHook-Allowed-Rate": "30"}).status_code == 200
    view = subscriptions.show_subscription(desk.db, SubscriptionId("hook"))
    assert (view.state.value, view.rate) == ("open", 30)
    assert client.request(method, address).status_code == 404, "it is open once"
