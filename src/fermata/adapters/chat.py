"""Notices into chat rooms, through Apprise, which speaks to every room that has a URL in its notation."""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import apprise

from fermata.adapters.outbound import NotAllowed, NotReached, Outbound
from fermata.domain.deliveries import NotNow, Outcome, Rejected, Taken
from fermata.domain.ids import StepKey
from fermata.domain.subscriptions import ChannelKind, Consented, Greeting, Subscription
from fermata.ports import Parcel

KIND = ChannelKind.CHAT
HOSTED = frozenset({"matrix", "matrixs", "mmost", "mmosts", "rocket", "rockets"})  # their URL names a machine
ROOMS = HOSTED | frozenset(
    {"discord", "gchat", "msteams", "pagerduty", "slack", "tgram", "webex", "workflows", "zulip"}
)
PLAIN = frozenset({"matrix", "mmost", "rocket"})  # without TLS


class Chat:
    """`target`: `url`, in Apprise's notation, of a room. What acts on this machine instead is not in ROOMS."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs the URLs it calls, which are secrets

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why there is no such room."""
        url = str(subscription.target.get("url", ""))
        scheme = urlsplit(url).scheme.lower()
        if scheme not in ROOMS:
            return f"{scheme or 'nothing'} is no kind of chat room that is known here: {', '.join(sorted(ROOMS))}"
        if scheme in PLAIN and not self._outbound.allow_local:
            return f"{scheme}:// is not encrypted: use {scheme}s://"
        room = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if not isinstance(room, apprise.NotifyBase):
            return f"Apprise cannot make out a room of {scheme} from its URL"
        host = _host(url, room)
        return self._outbound.find_fault(f"https://{host}") if host else None

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        """A room's URL is its owner's word."""
        return Consented()

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """In this order; after one that failed, the rest waits with it."""
        url = str(subscription.target["url"])
        room = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if not isinstance(room, apprise.NotifyBase):
            return {parcel.key: Rejected(why="Apprise cannot make out a room from its URL") for parcel in parcels}
        try:
            if _host(url, room):
                self._outbound.look_up(_host(url, room), 443)
        except NotAllowed as refused:
            return {parcel.key: Rejected(why=str(refused)) for parcel in parcels}
        except NotReached as silent:
            return {parcel.key: NotNow(why=str(silent)) for parcel in parcels}
        outcomes: dict[StepKey, Outcome] = {}
        for parcel in parcels:
            took = room.notify(body=parcel.text, title=parcel.title, body_format=apprise.NotifyFormat.TEXT)
            outcomes[parcel.key] = Taken() if took else NotNow(why="the chat did not take it")
        return outcomes


def _host(url: str, room: apprise.NotifyBase) -> str:
    """Empty where the kind of room decides it, whatever stands in the URL's place of a host."""
    found = getattr(room, "host", None) if urlsplit(url).scheme.lower() in HOSTED else None
    return found if isinstance(found, str) else ""
