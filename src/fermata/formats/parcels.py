"""Notices made ready for a channel: what each subscription is sent, decided by its channel, shape and options."""

from fermata.domain.announcements import incident_of
from fermata.domain.ids import StepKey
from fermata.domain.notices import Notice
from fermata.domain.subscriptions import ChannelKind, Subscription
from fermata.formats.event_envelopes import Event, cloud_event_bodies, event_grid_bodies
from fermata.formats.maintnote import PROVIDER, maintnote_to_bytes
from fermata.formats.notice_events import events_of
from fermata.formats.notice_words import say_notice
from fermata.ports import Parcel

EVENT_GRID_TYPE = "application/json"
CLOUD_EVENT_TYPE = "application/cloudevents+json"
CLOUD_EVENTS_TYPE = "application/cloudevents-batch+json"
EVENTS_MAX = 100  # of one post in Event Grid's schema, where the subscription does not say


def pack(subscription: Subscription, notice: Notice, *, attempt: int, sender: str) -> Parcel:
    """The parcel of one delivery. `sender` is the mail address that stands as a calendar's organizer."""
    words = say_notice(notice)
    posts: tuple[bytes, ...] = ()
    content_type, calendar = "", None
    match subscription.channel:
        case ChannelKind.EVENT_GRID:
            events = _wanted(subscription, notice)
            events_max = int(subscription.target.get("max_events", EVENTS_MAX))
            posts, content_type = event_grid_bodies(events, events_max), EVENT_GRID_TYPE
        case ChannelKind.CLOUD_EVENTS:
            events = _wanted(subscription, notice)
            events_max = int(subscription.target.get("max_events", 1))
            posts = cloud_event_bodies(events, events_max)
            content_type = CLOUD_EVENT_TYPE if events_max == 1 else CLOUD_EVENTS_TYPE
        case ChannelKind.MAIL if subscription.target.get("calendar"):
            provider = str(subscription.target.get("provider", PROVIDER))
            calendar = maintnote_to_bytes(notice, organizer=sender, provider=provider)
        case _:
            pass
    return Parcel(
        key=StepKey(f"{subscription.id}/{notice.id}"),
        thread=notice.thread,
        attempt=attempt,
        title=words.title,
        text=words.text,
        posts=posts,
        content_type=content_type,
        calendar=calendar,
        incident=incident_of(notice),
    )


def _wanted(subscription: Subscription, notice: Notice) -> list[Event]:
    """The events of the types that the subscription wants, all if it names none, whose subject begins and ends as it
    wants it; case counts only where it says so.
    """
    target = subscription.target
    begins, ends = str(target.get("subject_begins", "")), str(target.get("subject_ends", ""))
    types = frozenset(str(name).lower() for name in target.get("event_types", ()))
    fold = str if target.get("subject_case") else str.lower
    events = events_of(notice, subscription.shape)
    return [
        event
        for event in events
        if (not types or event.type.lower() in types)
        and fold(event.subject).startswith(fold(begins))
        and fold(event.subject).endswith(fold(ends))
    ]
