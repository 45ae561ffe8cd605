"""What a webhook is owed and owes, tried against a real server and read by real clients."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from azure.core.messaging import CloudEvent as AzureCloudEvent
from azure.eventgrid import EventGridEvent, SystemEventNames
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from tests.conformance.notice import CLOCK, LOCAL, NOTICE, NOW, send, subscription
from tests.conformance.receivers import Answer, Receiver, make_certificate, receiving
from tests.conftest import free_port
from tests.npm import clients
from tests.services.notice_world import StillClock

from fermata.adapters import outbound
from fermata.adapters.cloud_events_webhook import CloudEventsWebhook
from fermata.adapters.event_grid_webhook import EventGridWebhook
from fermata.adapters.outbound import Outbound
from fermata.domain.deliveries import Gone, NotNow, Outcome, Rejected, Taken
from fermata.domain.notices import NoticeKind
from fermata.domain.subscriptions import (
    ByHand,
    ChannelKind,
    Consented,
    EventShape,
    NoConsent,
)
from fermata.ports import Channel

HOUR = timedelta(hours=1)
HOOKS: dict[ChannelKind, Channel] = {
    ChannelKind.EVENT_GRID: EventGridWebhook(LOCAL, CLOCK),
    ChannelKind.CLOUD_EVENTS: CloudEventsWebhook(LOCAL, CLOCK, "fermata.example"),
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.mark.parametrize("kind", HOOKS)
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        *((Answer(status), Taken()) for status in (200, 201, 202, 204)),
        *((Answer(status), Rejected(why=f"it answered {status}")) for status in (400, 401, 403, 413, 415)),
        (Answer(410), Gone(why="it answered 410")),
        (Answer(500), NotNow(why="it answered 500")),
        (Answer(404), NotNow(why="it answered 404")),
        (Answer(429, {"Retry-After": "120"}), NotNow(why="it answered 429", after=timedelta(minutes=2))),
        (
            Answer(503, {"Retry-After": "Mon, 05 Jan 2026 12:30:00 GMT"}),
            NotNow(why="it answered 503", after=timedelta(minutes=30)),
        ),
        (Answer(429, {"Retry-After": "soon"}), NotNow(why="it answered 429")),
        (Answer(429, {"Retry-After": "9" * 5000}), NotNow(why="it answered 429", after=24 * HOUR)),
        (
            Answer(302, {"Location": "http://127.0.0.1:1/"}),
            NotNow(why="it answered 302: redirects are not followed"),
        ),
    ],
)
def test_what_a_webhook_answers_says_what_becomes_of_the_delivery(
    receiver: Receiver, kind: ChannelKind, answer: Answer, outcome: Outcome
) -> None:
    receiver.answers = [answer]
    assert send(HOOKS[kind], subscription(kind, receiver.url)) == outcome
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("kind", HOOKS)
def test_nobody_there_is_tried_again(kind: ChannelKind) -> None:
    to = subscription(kind, f"http://127.0.0.1:{free_port()}/hook?code=secret")
    outcome = send(HOOKS[kind], to)
    assert isinstance(outcome, NotNow)
    assert "secret" not in outcome.why
    greeting = HOOKS[kind].greet(to, None)
    assert isinstance(greeting, NoConsent)
    assert greeting.again


@pytest.mark.parametrize("kind", HOOKS)
@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/hook",
        "https://localhost/hook",
        "https://127.0.0.1/hook",
        "https://127.8.9.1/hook",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/hook",
        "https://0.0.0.0/hook",
        "https://224.0.0.1/hook",
        "https://user:word@receiver.example/hook",
        "ftp://receiver.example/hook",
        "https:///hook",
        "https://receiver.example:x/hook",
        "",
    ],
)
def test_addresses_of_this_machine_or_without_tls_are_never_called(kind: ChannelKind, url: str) -> None:
    clock = StillClock(NOW)
    strict = Outbound(timeout=timedelta(seconds=2))
    channels: dict[ChannelKind, Channel] = {
        ChannelKind.EVENT_GRID: EventGridWebhook(strict, clock),
        ChannelKind.CLOUD_EVENTS: CloudEventsWebhook(strict, clock, "fermata.example"),
    }
    to = subscription(kind, url)
    assert channels[kind].find_fault(to) is not None
    assert isinstance(send(channels[kind], to), Rejected)
    assert channels[kind].greet(to, None) == NoConsent(why=channels[kind].find_fault(to) or "")


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "2130706433", "127.1", "0x7f000001"])
def test_a_name_is_judged_by_the_address_it_has(name: str) -> None:
    with pytest.raises(outbound.NotAllowed):
        Outbound().look_up(name, 443)
    assert Outbound(allow_local=True).look_up(name, 443) in {"127.0.0.1", "::1"}


def test_tls_is_checked_against_the_name_though_the_address_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    outbound._trust.cache_clear()  # noqa: SLF001 - what is trusted is read once a process
    try:
        with receiving(certificate) as receiver:
            good = receiver.url.replace("127.0.0.1", "localhost")
            to = subscription(ChannelKind.CLOUD_EVENTS, good)
            assert send(HOOKS[ChannelKind.CLOUD_EVENTS], to) == Taken()
            assert receiver.posts[0].headers["host"].startswith("localhost:")
            wrong = subscription(ChannelKind.CLOUD_EVENTS, receiver.url)
            assert isinstance(send(HOOKS[ChannelKind.CLOUD_EVENTS], wrong), NotNow)
            assert len(receiver.posts) == 1
    finally:
        outbound._trust.cache_clear()  # noqa: SLF001


def test_event_grids_handshake_is_the_validation_event(receiver: Receiver) -> None:
    hook = HOOKS[ChannelKind.EVENT_GRID]
    to = subscription(ChannelKind.EVENT_GRID, receiver.url)
    assert hook.greet(to, "https://fermata.example/notices/consent/hook-1?code=code_7") == Consented()
    (asked,) = receiver.got
    assert (asked.method, asked.headers["aeg-event-type"]) == ("POST", "SubscriptionValidation")
    event = EventGridEvent.from_json(orjson.dumps(orjson.loads(asked.body)[0]).decode())
    assert event.event_type == "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert event.data == {
        "validationCode": "code_7",
        "validationUrl": "https://fermata.example/notices/consent/hook-1?code=code_7",
    }


@pytest.mark.parametrize(
    ("answer", "greeting"),
    [
        (Answer(200), ByHand()),
        (Answer(200, body=b"<html>"), ByHand()),
        (Answer(200, body=b'{"validationResponse": "code_8"}'), ByHand()),
        (Answer(200, body=b'["code_7"]'), ByHand()),
        (Answer(202, body=b'{"validationResponse": "code_7"}'), NoConsent(why="it answered the validation with 202")),
        (Answer(500), NoConsent(why="it answered the validation with 500", again=True)),
    ],
)
def test_event_grids_handshake_needs_the_code_in_a_200(receiver: Receiver, answer: Answer, greeting: Any) -> None:
    receiver.consents, receiver.answers = False, [answer]
    hook = HOOKS[ChannelKind.EVENT_GRID]
    assert hook.greet(subscription(ChannelKind.EVENT_GRID, receiver.url), None) == greeting


@pytest.mark.parametrize(
    ("headers", "greeting"),
    [
        ({"WebHook-Allowed-Origin": "fermata.example", "WebHook-Allowed-Rate": "60"}, Consented(rate=60)),
        ({"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}, Consented()),
        ({"WebHook-Allowed-Origin": "other.example, FERMATA.example"}, Consented(rate=120)),
        ({"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "0"}, Consented(rate=1)),
        ({}, None),
        ({"WebHook-Allowed-Origin": "other.example"}, None),
    ],
)
def test_cloud_events_handshake_is_the_header_and_no_status(
    receiver: Receiver, headers: dict[str, str], greeting: Any
) -> None:
    receiver.consents, receiver.answers = False, [Answer(200, headers)]
    to = subscription(ChannelKind.CLOUD_EVENTS, target={"url": receiver.url, "rate": 120})
    found = HOOKS[ChannelKind.CLOUD_EVENTS].greet(to, None)
    assert found == greeting if greeting else isinstance(found, NoConsent)
    (asked,) = receiver.got
    assert asked.method == "OPTIONS"
    assert asked.headers["webhook-request-origin"] == "fermata.example"
    assert asked.headers["webhook-request-rate"] == "120"


def test_cloud_events_consent_may_come_later_where_there_is_an_address(receiver: Receiver) -> None:
    receiver.consents = False
    to = subscription(ChannelKind.CLOUD_EVENTS, receiver.url)
    assert HOOKS[ChannelKind.CLOUD_EVENTS].greet(to, "https://fermata.example/x") == ByHand()
    assert receiver.got[0].headers["webhook-request-callback"] == "https://fermata.example/x"
    receiver.answers = [Answer(405)]
    assert isinstance(HOOKS[ChannelKind.CLOUD_EVENTS].greet(to, "https://fermata.example/x"), NoConsent)


def test_a_cloud_event_is_one_to_the_sdk(receiver: Receiver) -> None:
    to = subscription(ChannelKind.CLOUD_EVENTS, receiver.url)
    send(HOOKS[ChannelKind.CLOUD_EVENTS], to)
    (post,) = receiver.posts
    event = from_http_event(HTTPMessage(headers=dict(post.headers), body=post.body))
    assert (event.get_id(), event.get_type(), event.get_time()) == ("ntc_0000000012", "fermata.plan.published", NOW)
    assert event.get_subject() == "sc1/plan/plan_1"
    assert event.get_extension("sequence") == f"{12:020}"
    data: Any = event.get_data()
    assert data["windows"][0]["nodes"] == ["alpha-n1", "alpha-n2", "alpha-n3"]
    assert post.headers["webhook-request-origin"] == "fermata.example"
    assert AzureCloudEvent.from_json(post.body.decode()).id == "ntc_0000000012"


@pytest.mark.slow
def test_cloud_events_are_what_the_client_from_npm_reads(receiver: Receiver) -> None:
    send(HOOKS[ChannelKind.CLOUD_EVENTS], subscription(ChannelKind.CLOUD_EVENTS, receiver.url))
    (post,) = receiver.posts
    (event,) = clients.ask("cloudevents.mjs", said={"headers": dict(post.headers), "body": post.body.decode()})
    assert (event["id"], event["type"]) == ("ntc_0000000012", "fermata.plan.published")
    assert event["subject"] == "sc1/plan/plan_1"
    assert event["data"]["windows"][0]["nodes"] == ["alpha-n1", "alpha-n2", "alpha-n3"]


def test_scheduled_events_are_what_azures_parsers_read(receiver: Receiver) -> None:
    target = {"url": receiver.url, "max_events": 3, "name": "maintenance"}
    to = subscription(ChannelKind.EVENT_GRID, target=target, shape=EventShape.SCHEDULED_EVENTS)
    send(HOOKS[ChannelKind.EVENT_GRID], to)
    first, second = receiver.posts
    assert first.headers["aeg-event-type"] == "Notification"
    assert (first.headers["aeg-subscription-name"], first.headers["aeg-delivery-count"]) == ("MAINTENANCE", "0")
    events = [EventGridEvent.from_json(orjson.dumps(each).decode()) for each in orjson.loads(first.body)]
    assert (len(events), len(orjson.loads(second.body))) == (3, 1)
    event = events[0]
    assert event.event_type == "Microsoft.ResourceNotifications.MaintenanceResources.ScheduledEventEmitted"
    resource = event.data["resourceInfo"]
    assert resource["id"] == event.subject
    assert event.subject.endswith(f"/scheduledevents/{resource['name']}")
    assert resource["properties"] == {
        "EventId": resource["name"],
        "EventType": "Reboot",
        "ResourceType": "VirtualMachine",
        "Resources": ["alpha-n1"],
        "EventStatus": "Scheduled",
        "NotBefore": "Fri, 09 Jan 2026 19:00:00 GMT",
        "Description": "Planned maintenance, window w1 of alpha",
        "EventSource": "Platform",
        "DurationInSeconds": 4 * 3600,
        "ScheduledEventApiVersion": "2020-07-01",
    }
    (left,) = orjson.loads(second.body)
    assert left["data"]["resourceInfo"]["properties"]["EventStatus"] == "Canceled"
    send(HOOKS[ChannelKind.EVENT_GRID], to)
    assert [post.body for post in receiver.posts[2:]] == [first.body, second.body], "the same ids again"


ANNOTATED = SystemEventNames.ResourceNotificationsHealthResourcesAnnotatedEventName
AVAILABILITY = SystemEventNames.ResourceNotificationsHealthResourcesAvailabilityStatusChangedEventName
OPENED = {
    "window": "w1",
    "cluster": "alpha",
    "start": "2026-01-09T19:00:00+00:00",
    "end": "2026-01-09T23:00:00+00:00",
    "reboots_per_node": 1,
    "nodes": ["alpha-n1", "alpha-n2"],
    "left_out": [{"code": "FROZEN", "nodes": ["alpha-n2"]}],
}
REBOOTS, REBOOTED = "VirtualMachineRebootInitiatedForPlannedMaintenance", "VirtualMachinePlannedRebootSucceeded"
FREEZES, FROZE = "VirtualMachinePlannedFreezeStarted", "VirtualMachinePlannedFreezeSucceeded"
ONE = OPENED | {"nodes": ["alpha-n1"]}


def health(receiver: Receiver, kind: NoticeKind, facts: dict[str, Any], **target: Any) -> list[EventGridEvent]:
    """What a webhook of that shape is posted of a notice, as Azure's parser reads it."""
    to = subscription(ChannelKind.EVENT_GRID, target={"url": receiver.url, **target}, shape=EventShape.HEALTH_RESOURCES)
    send(HOOKS[ChannelKind.EVENT_GRID], to, replace(NOTICE, kind=kind, facts=facts))
    bodies = [each for post in receiver.posts for each in orjson.loads(post.body)]
    return [EventGridEvent.from_json(orjson.dumps(each).decode()) for each in bodies]


@pytest.mark.parametrize(
    ("kind", "facts", "annotation", "states"),
    [
        (NoticeKind.WINDOW_OPENED, OPENED, REBOOTS, ("Available", "Unavailable")),
        (NoticeKind.WINDOW_OPENED, OPENED | {"reboots_per_node": 0}, FREEZES, ("Available", "Unavailable")),
        (NoticeKind.NODES_RETURNED, ONE, REBOOTED, ("Unavailable", "Available")),
        (NoticeKind.NODES_RETURNED, ONE | {"reboots_per_node": 0}, FROZE, ("Unavailable", "Available")),
        (NoticeKind.NODES_KEPT_OUT, ONE, REBOOTED, None),
        (NoticeKind.NODES_LEFT_OUT, ONE, None, ("Unavailable", "Available")),
        (NoticeKind.PLAN_PUBLISHED, dict(NOTICE.facts), None, None),
        (NoticeKind.WINDOW_MISSED, ONE, None, None),
    ],
)
def test_health_events_tell_where_an_impact_begins_and_ends(
    receiver: Receiver,
    kind: NoticeKind,
    facts: dict[str, Any],
    annotation: str | None,
    states: tuple[str, str] | None,
) -> None:
    found = health(receiver, kind, facts)
    known = {SystemEventNames(event.event_type): event for event in found}
    assert len(known) == len(found) == (annotation is not None) + (states is not None), "of one node alone"
    for event in found:
        resource = event.data["resourceInfo"]
        assert event.subject.endswith("/resourceGroups/sc1/providers/Microsoft.Compute/virtualMachines/alpha-n1")
        assert resource["id"] == f"{event.subject}/providers/{resource['type']}/{resource['name']}"
        said = resource["properties"]
        assert (said["targetResourceId"], said["occurredTime"]) == (event.subject, "2026-01-05T12:00:00Z")
        assert said["targetResourceType"] == "Microsoft.Compute/virtualMachines"
    if annotation is not None:
        said = known[ANNOTATED].data["resourceInfo"]["properties"]
        assert (said["annotationName"], said["context"], said["category"]) == (
            annotation,
            "Platform Initiated",
            "Planned",
        )
        assert said["summary"].startswith(said["reason"])
    if states is not None:
        said = known[AVAILABILITY].data["resourceInfo"]["properties"]
        assert (said["previousAvailabilityState"], said["availabilityState"]) == states


def test_a_filter_of_types_is_heeded(receiver: Receiver) -> None:
    found = health(receiver, NoticeKind.WINDOW_OPENED, OPENED, event_types=[AVAILABILITY.value.upper()])
    assert [event.event_type for event in found] == [AVAILABILITY]
    again = health(receiver, NoticeKind.WINDOW_OPENED, OPENED)
    assert [event.event_type for event in again] == [AVAILABILITY, ANNOTATED, AVAILABILITY]
    assert again[0].id == again[2].id, "the same ids again"


def test_a_filter_of_subjects_is_heeded(receiver: Receiver) -> None:
    target = {"url": receiver.url, "max_events": 10, "subject_ends": "no-such-event"}
    to = subscription(ChannelKind.EVENT_GRID, target=target, shape=EventShape.SCHEDULED_EVENTS)
    assert send(HOOKS[ChannelKind.EVENT_GRID], to) == Taken()
    assert receiver.posts == []
