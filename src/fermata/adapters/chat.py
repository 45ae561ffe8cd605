"""Notices into chat rooms, through Apprise, which speaks to every room that has a URL in its notation."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import apprise

from fermata.adapters.chat_reach import judged_by
from fermata.adapters.outbound import TIMEOUT, NotAllowed, NotReached, Outbound
from fermata.domain.deliveries import NotNow, Outcome, Rejected, Taken
from fermata.domain.harmless import unmark
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
        room = _open(url)
        if room is None:
            return f"Apprise cannot make out a room of {scheme} from its URL"
        if not room.verify_certificate:
            return "its URL turns off that the certificate of the chat is checked (verify)"
        host = _host(url, room)
        return self._outbound.find_fault(f"https://{host}") if host else None

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        """A room's URL is its owner's word."""
        return Consented()

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """In this order; after one that failed, the rest waits with it."""
        url = str(subscription.target["url"])
        room = _open(url)
        fault = self.find_fault(subscription)
        if room is None or fault is not None:
            return {parcel.key: Rejected(why=fault or "Apprise makes no room of it") for parcel in parcels}
        return {parcel.key: self._say(room, parcel) for parcel in parcels}

    def _say(self, room: apprise.NotifyBase, parcel: Parcel) -> Outcome:
        text, title = unmark(parcel.text), unmark(parcel.title)
        try:
            with judged_by(self._outbound) as dog:
                took = room.notify(body=text, title=title, body_format=apprise.NotifyFormat.TEXT)
        except NotAllowed as refused:
            return Rejected(why=str(refused))
        except NotReached as silent:
            return NotNow(why=str(silent))
        return Taken() if took and dog.left else NotNow(why="the chat did not take it")


def _open(url: str) -> apprise.NotifyBase | None:
    """The room, which follows no redirect and waits no longer than a webhook may take, whatever its URL says."""
    room = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if not isinstance(room, apprise.NotifyBase):
        return None
    room.redirects = False
    room.socket_read_timeout = room.socket_connect_timeout = TIMEOUT / timedelta(seconds=1)
    return room


def _host(url: str, room: apprise.NotifyBase) -> str:
    """Empty where the kind of room decides it, whatever stands in the URL's place of a host."""
    found = getattr(room, "host", None) if urlsplit(url).scheme.lower() in HOSTED else None
    return found if isinstance(found, str) else ""
