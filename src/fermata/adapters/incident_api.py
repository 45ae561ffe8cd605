"""Announcements as incidents of an on-call service that speaks PagerDuty's Events API v2."""

from collections.abc import Mapping, Sequence

import orjson

from fermata.adapters.outbound import NotAllowed, NotReached, Outbound, Reply, judge_reply
from fermata.adapters.vault import REFUSING, NoSecret, Vault
from fermata.domain.announcements import Incident, Phase
from fermata.domain.deliveries import NotNow, Outcome, Rejected, Taken
from fermata.domain.ids import StepKey
from fermata.domain.subscriptions import ChannelKind, Consented, Greeting, Subscription
from fermata.ports import Clock, Parcel

KIND = ChannelKind.INCIDENT_API
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
SUMMARY_MAX = 1024  # of a summary, as documented
ACTIONS = {
    Phase.OPENED: "trigger",
    Phase.UPDATED: "trigger",  # under the key of an open incident it is one line more of its log
    Phase.ACKNOWLEDGED: "acknowledge",
    Phase.CLOSED: "resolve",
}


class IncidentApi:
    """`target`: `secret`, the name of the routing key in the vault, and `url` where it is not PagerDuty's own.

    The dedup_key follows from the announcement's key: whatever is told twice is one incident, and what was opened is
    what is closed. There is no way to read an event back, so the proof is the service's own word on that key.
    """

    def __init__(self, outbound: Outbound, clock: Clock, vault: Vault) -> None:
        self._outbound, self._clock, self._vault = outbound, clock, vault

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why no event can go there."""
        url = _url(subscription)
        try:
            self._vault.read(url, str(subscription.target.get("secret", "")))
        except NoSecret as missing:
            return str(missing)
        return self._outbound.find_fault(url)

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        """A routing key is its owner's word."""
        return Consented()

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """An event each."""
        url, secret = _url(subscription), str(subscription.target.get("secret", ""))
        try:
            routing_key = self._vault.read(url, secret)
        except NoSecret as missing:
            return {parcel.key: NotNow(why=str(missing)) for parcel in parcels}
        return {parcel.key: self._send(url, secret, routing_key, parcel) for parcel in parcels}

    def _send(self, url: str, secret: str, routing_key: str, parcel: Parcel) -> Outcome:
        for event in _events(parcel):
            body = orjson.dumps({"routing_key": routing_key, **event})
            try:
                reply = self._outbound.call("POST", url, {"Content-Type": "application/json"}, body)
            except NotAllowed as refused:
                return Rejected(why=str(refused))
            except NotReached as silent:
                return NotNow(why=str(silent))
            if reply.status in REFUSING:
                self._vault.forget(url, secret)
            outcome = judge_reply(reply, self._clock.now())
            if isinstance(outcome, Taken) and not _confirms(reply, str(event["dedup_key"])):
                return NotNow(why=f"it answered {reply.status} without a word on our dedup_key: nothing proves it")
            if not isinstance(outcome, Taken):
                return outcome
        return Taken()


def _events(parcel: Parcel) -> tuple[dict[str, object], ...]:
    """What is no announcement, a test, is opened and closed at once."""
    if parcel.incident is not None:
        return (_event(parcel.incident, parcel),)
    key = f"fermata:{parcel.key}"
    payload = {"summary": parcel.title[:SUMMARY_MAX], "source": "fermata", "severity": "info"}
    return (
        {"event_action": "trigger", "dedup_key": key, "payload": payload, "client": "Fermata"},
        {"event_action": "resolve", "dedup_key": key},
    )


def _event(incident: Incident, parcel: Parcel) -> dict[str, object]:
    action = ACTIONS[incident.phase]
    event: dict[str, object] = {"event_action": action, "dedup_key": f"fermata:{incident.key}"}
    if action != "trigger":
        return event
    payload = {
        "summary": incident.subject[:SUMMARY_MAX],
        "source": incident.source,
        "severity": incident.severity,
        "timestamp": f"{incident.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "component": ", ".join(incident.clusters),
        "class": "maintenance",
        "custom_details": {"text": incident.text, "notice": str(parcel.key).rpartition("/")[2]},
    }
    return {**event, "payload": payload, "client": "Fermata"}


def _confirms(reply: Reply, key: str) -> bool:
    try:
        said = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and said.get("status") == "success" and said.get("dedup_key") == key


def _url(subscription: Subscription) -> str:
    return str(subscription.target.get("url") or PAGERDUTY)
