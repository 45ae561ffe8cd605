"""Notices, and who hears them."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, status
from pydantic import Field

from fermata.domain.deliveries import ATTEMPTS_MAX, LIVES, DeliveryState
from fermata.domain.ids import CustomerId, SubscriptionId, SupercomputerId, TeamId
from fermata.domain.notices import NoticeKind
from fermata.domain.subscriptions import ChannelKind, EventShape, SubscriptionOrder
from fermata.formats.subscriptions import EVENTS_MAX, LIVES_MINUTES_MAX, RATE_MAX
from fermata.server.api.bodies import NAME_MAX, Body, Name, Text
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import notices, subscriptions

NAMES_MAX = 200
NOTICES_MAX = 500
SUBSCRIPTIONS_MAX = 500
URL_MAX = 2_000

router = open_noun("notices")

Names = Annotated[frozenset[Name], Field(max_length=NAMES_MAX, strict=False)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class TargetBody(Body):
    """What the channel needs. `url`: of a webhook, or of a chat room in Apprise's notation. `to`: mail addresses, and
    with `calendar` a maintenance note goes along, from `provider`. `topic` and `key`: of a pull. `rate`: sends a minute
    to ask CloudEvents for. `max_events`: of one post. `secret`: the name of what an incident API or a status page is
    signed in to with, or of what signs for a webhook; `page` and `components`: of a status page.
    """

    url: Annotated[str, Field(max_length=URL_MAX)] | None = None
    to: Annotated[list[Name], Field(max_length=NAMES_MAX)] | None = None
    topic: Slug | None = None
    key: Annotated[str, Field(min_length=subscriptions.KEY_LENGTH_MIN, max_length=NAME_MAX)] | None = None
    rate: Annotated[int, Field(ge=1, le=RATE_MAX)] | None = None
    max_events: Annotated[int, Field(ge=1, le=EVENTS_MAX)] | None = None
    calendar: bool | None = None
    provider: Name | None = None
    secret: Slug | None = None
    page: Slug | None = None
    components: Annotated[list[Name], Field(max_length=NAMES_MAX)] | None = None

    def to_target(self) -> dict[str, Any]:
        """What was said of it."""
        return self.model_dump(exclude_none=True)


class SubscriptionBody(Body):
    """Who hears what. Empty sets do not restrict; without `customers` it is the operator's own."""

    id: Slug
    channel: Annotated[ChannelKind, Field(strict=False)]
    target: TargetBody
    customers: Names = frozenset()
    supercomputers: Names = frozenset()
    teams: Names = frozenset()
    kinds: Annotated[frozenset[Annotated[NoticeKind, Field(strict=False)]], Field(strict=False)] = frozenset()
    shape: Annotated[EventShape, Field(strict=False)] = EventShape.NOTICES
    attempts_max: Annotated[int, Field(ge=1, le=ATTEMPTS_MAX)] = ATTEMPTS_MAX
    lives_minutes: Annotated[int, Field(ge=1, le=LIVES_MINUTES_MAX)] = int(LIVES / timedelta(minutes=1))

    def to_order(self) -> SubscriptionOrder:
        """As the service has it."""
        return SubscriptionOrder(
            id=SubscriptionId(self.id),
            channel=self.channel,
            target=self.target.to_target(),
            customers=frozenset(CustomerId(name) for name in self.customers),
            supercomputers=frozenset(SupercomputerId(name) for name in self.supercomputers),
            teams=frozenset(TeamId(name) for name in self.teams),
            kinds=self.kinds,
            shape=self.shape,
            attempts_max=self.attempts_max,
            lives=timedelta(minutes=self.lives_minutes),
        )


class SubscriptionsBody(Body):
    """All of them or none."""

    actor: Name
    subscriptions: Annotated[list[SubscriptionBody], Field(min_length=1, max_length=SUBSCRIPTIONS_MAX)]


class ActorBody(Body):
    """Who asks, and why."""

    actor: Name
    why: Text = ""


class ReplayBody(ActorBody):
    """`subscription` null: every one that the notice went to."""

    subscription: Slug | None = None


@router.get("/subscriptions")
def get_subscriptions(given: Given) -> list[subscriptions.SubscriptionView]:
    """Who hears what, by id; of targets nothing that is a secret."""
    return list(subscriptions.list_subscriptions(given.db))


@router.post("/subscriptions", status_code=status.HTTP_201_CREATED)
def post_subscriptions(given: Given, body: SubscriptionsBody) -> list[subscriptions.SubscriptionView]:
    """Adds subscriptions, all or none; one that stands already and says the same is left as it is. Webhooks are asked
    for their consent first.
    """
    orders = [each.to_order() for each in body.subscriptions]
    added = subscriptions.add_subscriptions(
        given.db, orders, now=given.now(), actor=body.actor, new_id=given.new_id, channels=given.channels
    )
    return list(added)


@router.get("/subscriptions/{subscription_id}")
def get_subscription(given: Given, subscription_id: str) -> subscriptions.SubscriptionView:
    """One of them."""
    return subscriptions.show_subscription(given.db, SubscriptionId(subscription_id))


@router.delete("/subscriptions/{subscription_id}")
def delete_subscription(
    given: Given,
    subscription_id: str,
    actor: Annotated[str, Query(min_length=1, max_length=NAME_MAX)],
    why: Annotated[str, Query(max_length=2_000)] = "",
) -> subscriptions.SubscriptionView:
    """Removes one; what was on its way to it is dropped."""
    name = SubscriptionId(subscription_id)
    return subscriptions.remove_subscription(given.db, name, now=given.now(), actor=actor, why=why)


@router.post("/subscriptions/{subscription_id}/validate")
def post_validation(given: Given, subscription_id: str, body: ActorBody) -> subscriptions.SubscriptionView:
    """Begins the handshake anew; nothing is sent before it ends well."""
    name = SubscriptionId(subscription_id)
    return subscriptions.validate_subscription(given.db, name, now=given.now(), actor=body.actor, new_id=given.new_id)


@router.post("/subscriptions/{subscription_id}/test", status_code=status.HTTP_202_ACCEPTED)
def post_test(given: Given, subscription_id: str, body: ActorBody) -> notices.NoticeView:
    """Sends a notice that tells of nothing."""
    name = SubscriptionId(subscription_id)
    sent = subscriptions.test_subscription(given.db, name, now=given.now(), actor=body.actor)
    return notices.show_notice(given.db, sent.id)


@router.get("/notices")
def get_notices(
    given: Given,
    customer: Annotated[frozenset[str], Query(max_length=NAMES_MAX)] = frozenset(),
    state: Annotated[frozenset[DeliveryState], Query()] = frozenset(),
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=NOTICES_MAX)] = 50,
) -> notices.NoticePage:
    """What was told, the newest first, and how far it came; of these customers, with a delivery in such a state."""
    customers = frozenset(CustomerId(name) for name in customer)
    return notices.list_notices(given.db, customers=customers, states=state, before=before, limit=limit)


@router.get("/notices/{notice_id}")
def get_notice(given: Given, notice_id: str) -> notices.NoticeView:
    """One notice, in full."""
    return notices.show_notice(given.db, notice_id)


@router.post("/notices/{notice_id}/replay", status_code=status.HTTP_202_ACCEPTED)
def post_replay(given: Given, notice_id: str, body: ReplayBody) -> notices.NoticeView:
    """Sends a notice again whose delivery is dead or done."""
    to = SubscriptionId(body.subscription) if body.subscription else None
    return notices.replay_notice(given.db, notice_id, now=given.now(), actor=body.actor, to=to, why=body.why)


@router.post("/notices/{notice_id}/dismiss")
def post_dismiss(given: Given, notice_id: str, body: ReplayBody) -> notices.NoticeView:
    """Gives up the deliveries of a notice that are dead; that its customer was not told stays as it is."""
    to = SubscriptionId(body.subscription) if body.subscription else None
    return notices.dismiss_notice(given.db, notice_id, now=given.now(), actor=body.actor, to=to, why=body.why)
