"""Event Grid's system topics and event subscriptions in Resource Manager, for its management clients.

Modelled on api-version 2025-02-15; the topic type of scheduled events is a preview there. See docs/notices.md.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from fermata.domain.deliveries import ATTEMPTS_MAX, LIVES
from fermata.domain.subscriptions import ChannelKind, EventShape
from fermata.formats.cluster_events import CLUSTER_EVENT_TYPE
from fermata.formats.health_events import ANNOTATION_TYPE, AVAILABILITY_TYPE
from fermata.formats.notice_events import SCHEDULED_EVENT_TYPE
from fermata.server.context import Context, context_of
from fermata.server.doors.routing import AnyCaseRoute
from fermata.server.metering import run_in_threadpool
from fermata.services import system_topics
from fermata.services.errors import Refusal
from fermata.services.system_topics import EventSubscription, TopicPath, TopicRefused, Wanted

GROUP = "/subscriptions/{subscription}/resourceGroups/{group}"
TOPICS = "/providers/Microsoft.EventGrid/systemTopics"
TOPIC = GROUP + TOPICS + "/{topic}"
EVENT_SUBSCRIPTIONS = TOPIC + "/eventSubscriptions"
EVENT_SUBSCRIPTION = EVENT_SUBSCRIPTIONS + "/{name}"
TOPIC_KIND = "Microsoft.EventGrid/systemTopics"
NAME = r"^[A-Za-z0-9-]{3,64}$"
STATUS = {"SubscriptionNotFound": 404, "ResourceGroupNotFound": 404, "ResourceNotFound": 404}
EVENTS_MAX, KILOBYTES_MAX = 5_000, 1_024
TYPES = {
    EventShape.SCHEDULED_EVENTS: (SCHEDULED_EVENT_TYPE,),
    EventShape.HEALTH_RESOURCES: (AVAILABILITY_TYPE, ANNOTATION_TYPE),
    EventShape.CLUSTER_EVENTS: (CLUSTER_EVENT_TYPE,),
}
MINUTES = int(LIVES / timedelta(minutes=1))


class Model(BaseModel):
    """Members in camel case; what we do not know is refused rather than passed over: a filter that is not heeded would
    send more than was asked for.
    """

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class TopicProperties(Model):
    """What the topic is of."""

    source: str
    topic_type: str
    provisioning_state: str | None = None
    metric_resource_id: str | None = None


class TopicBody(Model):
    """A topic as it is ordered."""

    location: str = "global"
    properties: TopicProperties
    tags: dict[str, str] | None = None
    id: str | None = None
    name: str | None = None
    type: str | None = None


class HookProperties(Model):
    """Where events go. The size of a batch is a wish: none is greater than a post may be."""

    endpoint_url: str
    endpoint_base_url: str | None = None
    max_events_per_batch: Annotated[int, Field(ge=1, le=EVENTS_MAX)] = 1
    preferred_batch_size_in_kilobytes: Annotated[int, Field(ge=1, le=KILOBYTES_MAX)] = 64


class Destination(Model):
    """Webhooks alone."""

    endpoint_type: Literal["WebHook"]
    properties: HookProperties


class Filter(Model):
    """Which events."""

    subject_begins_with: str = ""
    subject_ends_with: str = ""
    included_event_types: list[str] | None = None
    is_subject_case_sensitive: bool = False
    enable_advanced_filtering_on_arrays: bool | None = None
    advanced_filters: Annotated[list[Any] | None, Field(max_length=0)] = None


class RetryPolicy(Model):
    """How long a delivery is tried."""

    max_delivery_attempts: Annotated[int, Field(ge=1, le=ATTEMPTS_MAX)] = ATTEMPTS_MAX
    event_time_to_live_in_minutes: Annotated[int, Field(ge=1, le=MINUTES)] = MINUTES


class EventSubscriptionProperties(Model):
    """An event subscription as it is ordered."""

    destination: Destination
    filter: Filter = Filter()
    event_delivery_schema: Literal["EventGridSchema", "CloudEventSchemaV1_0"] = "EventGridSchema"
    retry_policy: RetryPolicy = RetryPolicy()
    labels: list[str] | None = None
    topic: str | None = None
    provisioning_state: str | None = None


class EventSubscriptionChange(Model):
    """What of an event subscription is to change."""

    destination: Destination | None = None
    filter: Filter | None = None
    event_delivery_schema: Literal["EventGridSchema", "CloudEventSchemaV1_0"] | None = None
    retry_policy: RetryPolicy | None = None
    labels: list[str] | None = None


class EventSubscriptionBody(Model):
    """The same in its envelope."""

    properties: EventSubscriptionProperties
    id: str | None = None
    name: str | None = None
    type: str | None = None


Handler = Callable[[Request, Context, bytes], Response]


def _route(path: str, handler: Handler, method: str) -> AnyCaseRoute:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            return await run_in_threadpool(handler, request, context_of(request), body)
        except TopicRefused as refused:
            return _error(STATUS.get(refused.code, 400), refused.code, str(refused))
        except Refusal as refused:
            return _error(HTTPStatus.BAD_REQUEST, refused.reason.code, refused.reason.sentence)
        except ValidationError as error:
            found = error.errors()[0]
            where = ".".join(str(part) for part in found["loc"])
            return _error(HTTPStatus.BAD_REQUEST, "InvalidRequest", f"{where}: {found['msg']}")

    return AnyCaseRoute(path, endpoint, method=method)


def put_topic(request: Request, given: Context, body: bytes) -> Response:
    """Adds or replaces a topic."""
    path, asked = _path(request), TopicBody.model_validate_json(body)
    source, kind = asked.properties.source, asked.properties.topic_type
    if kind.lower() not in system_topics.TOPIC_TYPES:
        offered = " and ".join(system_topics.TOPIC_TYPES)
        raise TopicRefused("InvalidRequest", f"Topic type {kind} is not offered: {offered} are.")
    if source.lower() != f"/subscriptions/{path.subscription}".lower():
        raise TopicRefused("InvalidRequest", f"The source is /subscriptions/{path.subscription}, not {source}.")
    kept = {"source": source, "topicType": kind, "tags": asked.tags}
    is_new = system_topics.put_topic(given.db, path, kept)
    return _reply(HTTPStatus.CREATED if is_new else HTTPStatus.OK, _topic(path, kept))


def get_topic(request: Request, given: Context, _body: bytes) -> Response:
    """One topic."""
    path = _path(request)
    return _reply(HTTPStatus.OK, _topic(path, system_topics.find_topic(given.db, path)))


def get_topics(request: Request, given: Context, _body: bytes) -> Response:
    """Those of a subscription, or of a group."""
    found = system_topics.list_topics(given.db, request.path_params["subscription"], request.path_params.get("group"))
    return _reply(HTTPStatus.OK, {"value": [_topic(path, body) for path, body in found]})


def delete_topic(request: Request, given: Context, _body: bytes) -> Response:
    """With all its event subscriptions."""
    gone = system_topics.delete_topic(given.db, _path(request), now=given.now())
    return Response(status_code=HTTPStatus.OK if gone else HTTPStatus.NO_CONTENT)


def put_event_subscription(request: Request, given: Context, body: bytes) -> Response:
    """Adds or replaces one; its webhook is asked for consent, and it counts as created when it agreed."""
    return _put(request, given, EventSubscriptionBody.model_validate_json(body).properties)


def patch_event_subscription(request: Request, given: Context, body: bytes) -> Response:
    """The same with what is named changed; the rest stays."""
    changed = EventSubscriptionChange.model_validate_json(body).model_dump(by_alias=True, exclude_none=True)
    asked = EventSubscriptionProperties.model_validate({**_find(request, given).properties, **changed})
    return _put(request, given, asked)


def _put(request: Request, given: Context, asked: EventSubscriptionProperties) -> Response:
    shape = system_topics.shape_of(system_topics.find_topic(given.db, _path(request)))
    found = system_topics.put_event_subscription(
        given.db,
        _path(request),
        _wanted(_name(request.path_params["name"]), asked, shape),
        now=given.now(),
        new_id=given.new_id,
        channels=given.channels,
    )
    return _reply(HTTPStatus.CREATED, _event_subscription(found))


def get_event_subscription(request: Request, given: Context, _body: bytes) -> Response:
    """One of them, and how it stands."""
    return _reply(HTTPStatus.OK, _event_subscription(_find(request, given)))


def get_event_subscriptions(request: Request, given: Context, _body: bytes) -> Response:
    """All of a topic."""
    found = system_topics.list_event_subscriptions(given.db, _path(request))
    return _reply(HTTPStatus.OK, {"value": [_event_subscription(each) for each in found]})


def delete_event_subscription(request: Request, given: Context, _body: bytes) -> Response:
    """It hears nothing any more."""
    name = request.path_params["name"]
    gone = system_topics.delete_event_subscription(given.db, _path(request), name, now=given.now())
    return Response(status_code=HTTPStatus.OK if gone else HTTPStatus.NO_CONTENT)


def post_full_url(request: Request, given: Context, _body: bytes) -> Response:
    """The address with what may be secret in it."""
    url = _find(request, given).properties["destination"]["properties"]["endpointUrl"]
    return _reply(HTTPStatus.OK, {"endpointUrl": url})


def _wanted(name: str, asked: EventSubscriptionProperties, shape: EventShape) -> Wanted:
    types = _types(asked.filter.included_event_types, shape)
    hook = asked.destination.properties
    is_cloud = asked.event_delivery_schema == "CloudEventSchemaV1_0"
    target: dict[str, Any] = {"url": hook.endpoint_url, "max_events": hook.max_events_per_batch}
    target |= {"subject_begins": asked.filter.subject_begins_with, "subject_ends": asked.filter.subject_ends_with}
    target["subject_case"] = asked.filter.is_subject_case_sensitive
    if types:
        target["event_types"] = types
    return Wanted(
        name=name,
        channel=ChannelKind.CLOUD_EVENTS if is_cloud else ChannelKind.EVENT_GRID,
        target=target,
        attempts_max=asked.retry_policy.max_delivery_attempts,
        lives=timedelta(minutes=asked.retry_policy.event_time_to_live_in_minutes),
        properties=asked.model_dump(by_alias=True, exclude={"topic", "provisioning_state"}, exclude_none=True),
    )


def _types(asked: list[str] | None, shape: EventShape) -> list[str]:
    """Those of the topic's types that are wanted; none where all are. Raises TopicRefused when it has none of them."""
    has = TYPES[shape]
    named = {each.lower() for each in asked or ["all"]}
    found = [name for name in has if "all" in named or name.lower() in named]
    if not found:
        raise TopicRefused("InvalidRequest", f"This topic has events of type {' and '.join(has)} alone.")
    return [] if len(found) == len(has) else found


def _find(request: Request, given: Context) -> EventSubscription:
    return system_topics.find_event_subscription(given.db, _path(request), request.path_params["name"])


def _path(request: Request) -> TopicPath:
    path = request.path_params
    return TopicPath(subscription=path["subscription"], group=path["group"], topic=_name(path["topic"]))


class _Named(BaseModel):
    name: Annotated[str, Field(pattern=NAME)]


def _name(text: str) -> str:
    return _Named(name=text).name


def _topic(path: TopicPath, body: Mapping[str, Any]) -> dict[str, Any]:
    properties = {"source": body["source"], "topicType": body["topicType"], "provisioningState": "Succeeded"}
    return {
        "id": path.id,
        "name": path.topic,
        "type": TOPIC_KIND,
        "location": "global",
        "tags": body.get("tags"),
        "properties": properties,
    }


def _event_subscription(found: EventSubscription) -> dict[str, Any]:
    destination = found.properties["destination"]
    hook = {name: value for name, value in destination["properties"].items() if name != "endpointUrl"}
    hook["endpointBaseUrl"] = destination["properties"]["endpointUrl"].partition("?")[0]
    return {
        "id": f"{found.path.id}/eventSubscriptions/{found.name}",
        "name": found.name,
        "type": f"{TOPIC_KIND}/eventSubscriptions",
        "properties": {
            **found.properties,
            "destination": {**destination, "properties": hook},
            "topic": found.path.id,
            "provisioningState": system_topics.standing_word(found.view.state),
        },
    }


def _error(status: int, code: str, sentence: str) -> Response:
    return _reply(status, {"error": {"code": code, "message": sentence}})


def _reply(status: int, body: Any) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), status_code=status, media_type="application/json", headers=headers)


ROUTES = (
    _route(TOPIC, put_topic, "PUT"),
    _route(TOPIC, get_topic, "GET"),
    _route(TOPIC, delete_topic, "DELETE"),
    _route("/subscriptions/{subscription}" + TOPICS, get_topics, "GET"),
    _route(GROUP + TOPICS, get_topics, "GET"),
    _route(EVENT_SUBSCRIPTION, put_event_subscription, "PUT"),
    _route(EVENT_SUBSCRIPTION, patch_event_subscription, "PATCH"),
    _route(EVENT_SUBSCRIPTION, get_event_subscription, "GET"),
    _route(EVENT_SUBSCRIPTION, delete_event_subscription, "DELETE"),
    _route(EVENT_SUBSCRIPTIONS, get_event_subscriptions, "GET"),
    _route(EVENT_SUBSCRIPTION + "/getFullUrl", post_full_url, "POST"),
)
