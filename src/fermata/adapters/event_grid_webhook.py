"""Webhooks in Event Grid's schema: the validation event first, then arrays of events."""

from collections.abc import Mapping, Sequence

import orjson

from fermata.adapters.outbound import NotAllowed, NotReached, Outbound
from fermata.adapters.signing import Signer
from fermata.adapters.vault import NO_VAULT, NoSecret, Vault
from fermata.adapters.webhook_posts import post_all
from fermata.domain.deliveries import Outcome
from fermata.domain.ids import StepKey
from fermata.domain.subscriptions import ByHand, ChannelKind, Consented, Greeting, NoConsent, Subscription
from fermata.ports import Clock, Parcel

KIND = ChannelKind.EVENT_GRID
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"


class EventGridWebhook:
    """`target`: `url`, `max_events` of one post, and `secret` that signs."""

    def __init__(self, outbound: Outbound, clock: Clock, vault: Vault = NO_VAULT) -> None:
        self._outbound, self._clock, self._signer = outbound, clock, Signer(vault)

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why its address is never called."""
        fault = self._outbound.find_fault(str(subscription.target.get("url", "")))
        return fault or self._signer.find_fault(subscription)

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
        body, headers = orjson.dumps([event]), _headers(subscription, "SubscriptionValidation", attempt=1)
        try:
            signed = self._signer.sign(subscription, "validation", self._clock.now(), body)
            reply = self._outbound.call("POST", str(subscription.target["url"]), {**headers, **signed}, body)
        except NotAllowed as refused:
            return NoConsent(why=str(refused))
        except (NotReached, NoSecret) as silent:
            return NoConsent(why=str(silent), again=True)
        if reply.status == 200:
            return Consented() if _echo(reply.body) == subscription.code else ByHand()
        return NoConsent(why=f"it answered the validation with {reply.status}", again=reply.status >= 500)

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """Posts the arrays of each; what fails in the middle is posted again from the start, under the same ids."""
        return {parcel.key: self._send(subscription, parcel) for parcel in parcels}

    def _send(self, subscription: Subscription, parcel: Parcel) -> Outcome:
        headers = _headers(subscription, "Notification", attempt=parcel.attempt)
        return post_all(self._outbound, self._signer, subscription, parcel, headers, self._clock.now())


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
