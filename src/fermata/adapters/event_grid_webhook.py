"""Webhooks in Event Grid's schema: the validation event first, then arrays of events."""

from collections.abc import Mapping, Sequence

import orjson

from fermata.adapters.outbound import NotAllowed, NotReached, Outbound, deliver
from fermata.domain.deliveries import Outcome, Taken
from fermata.domain.ids import StepKey
from fermata.domain.subscriptions import ByHand, ChannelKind, Consented, Greeting, NoConsent, Subscription
from fermata.ports import Clock, Parcel

KIND = ChannelKind.EVENT_GRID
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"


class EventGridWebhook:
    """`target`: `url`, and `max_events` of one post."""

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound, self._clock = outbound, clock

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why its address is never called."""
        return self._outbound.find_fault(str(subscription.target.get("url", "")))

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        """Whoever echoes the code agrees; who merely answers 200 may do so by hand, at `address`."""
        data = {"validationCode": subscription.code, **({"validationUrl": address} if address else {})}
        event = {
            "id": subscription.code,
            "topic": f"/subscriptions/{subscription.id}",
            "subject": "",
            "data": data,
            "eventType": VALIDATION,
            "eventTime": f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%fZ}",
            "metadataVersion": "1",
            "dataVersion": "2",
        }
        try:
            headers = _headers(subscription, "SubscriptionValidation", attempt=1)
            reply = self._outbound.call("POST", str(subscription.target["url"]), headers, orjson.dumps([event]))
        except NotAllowed as refused:
            return NoConsent(why=str(refused))
        except NotReached as silent:
            return NoConsent(why=str(silent), again=True)
        if reply.status == 200:
            return Consented() if _echo(reply.body) == subscription.code else ByHand()
        return NoConsent(why=f"it answered the validation with {reply.status}", again=reply.status >= 500)

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """Posts the arrays of each; what fails in the middle is posted again from the start, under the same ids."""
        return {parcel.key: self._send(subscription, parcel) for parcel in parcels}

    def _send(self, subscription: Subscription, parcel: Parcel) -> Outcome:
        headers = _headers(subscription, "Notification", attempt=parcel.attempt)
        for body in parcel.posts:
            outcome = deliver(self._outbound, str(subscription.target["url"]), headers, body, self._clock.now())
            if not isinstance(outcome, Taken):
                return outcome
        return Taken()


def _headers(subscription: Subscription, kind: str, *, attempt: int) -> dict[str, str]:
    return {
        "Content-Type": "application/json; charset=utf-8",
        "aeg-event-type": kind,
        "aeg-subscription-name": str(subscription.target.get("name", subscription.id)).upper(),
        "aeg-delivery-count": str(attempt - 1),
        "aeg-data-version": "",
        "aeg-metadata-version": "1",
    }


def _echo(body: bytes) -> str | None:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    found = told.get("validationResponse") if isinstance(told, dict) else None
    return found if isinstance(found, str) else None
