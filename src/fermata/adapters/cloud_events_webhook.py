"""Webhooks in CloudEvents: consent by OPTIONS as the CloudEvents webhook specification has it, then POST."""

from collections.abc import Mapping, Sequence

from fermata.adapters.outbound import NotAllowed, NotReached, Outbound, Reply
from fermata.adapters.signing import Signer
from fermata.adapters.vault import NO_VAULT, Vault
from fermata.adapters.webhook_posts import post_all
from fermata.domain.deliveries import Outcome
from fermata.domain.ids import StepKey
from fermata.domain.subscriptions import ByHand, ChannelKind, Consented, Greeting, NoConsent, Subscription
from fermata.ports import Clock, Parcel

KIND = ChannelKind.CLOUD_EVENTS
ANY = "*"


class CloudEventsWebhook:
    """`target`: `url`, `rate` (sends a minute to ask for), `max_events` of one post, `secret` that signs. `origin` is
    our DNS name.
    """

    def __init__(self, outbound: Outbound, clock: Clock, origin: str, vault: Vault = NO_VAULT) -> None:
        self._outbound, self._clock, self._origin, self._signer = outbound, clock, origin, Signer(vault)

    def find_fault(self, subscription: Subscription) -> str | None:
        """Why its address is never called."""
        fault = self._outbound.find_fault(str(subscription.target.get("url", "")))
        return fault or self._signer.find_fault(subscription)

    def greet(self, subscription: Subscription, address: str | None) -> Greeting:
        """Consent is the header that names our origin; a status says nothing."""
        headers = {"WebHook-Request-Origin": self._origin}
        rate = subscription.target.get("rate")
        if rate is not None:
            headers["WebHook-Request-Rate"] = str(rate)
        if address is not None:
            headers["WebHook-Request-Callback"] = address
        try:
            reply = self._outbound.call("OPTIONS", str(subscription.target["url"]), headers)
        except NotAllowed as refused:
            return NoConsent(why=str(refused))
        except NotReached as silent:
            return NoConsent(why=str(silent), again=True)
        return self._judge(reply, None if rate is None else int(rate), may_come_later=address is not None)

    def send(self, subscription: Subscription, parcels: Sequence[Parcel]) -> Mapping[StepKey, Outcome]:
        """Posts the events of each; what fails in the middle is posted again from the start, under the same ids."""
        return {parcel.key: self._send(subscription, parcel) for parcel in parcels}

    def _send(self, subscription: Subscription, parcel: Parcel) -> Outcome:
        headers = {"Content-Type": f"{parcel.content_type}; charset=utf-8", "WebHook-Request-Origin": self._origin}
        return post_all(self._outbound, self._signer, subscription, parcel, headers, self._clock.now())

    def _judge(self, reply: Reply, asked: int | None, *, may_come_later: bool) -> Greeting:
        allowed = [origin.strip().lower() for origin in reply.headers.get("webhook-allowed-origin", "").split(",")]
        if self._origin.lower() in allowed or ANY in allowed:
            return Consented(rate=_rate(reply.headers.get("webhook-allowed-rate"), asked))
        if allowed == [""] and may_come_later and 200 <= reply.status < 300:
            return ByHand()
        why = f"its answer ({reply.status}) does not allow origin {self._origin} (WebHook-Allowed-Origin)"
        return NoConsent(why=why, again=reply.status >= 500)


def _rate(allowed: str | None, asked: int | None) -> int | None:
    """What the other side allows; where it says nothing that can be understood, no more than was asked for."""
    if allowed is None or not allowed.strip().isdecimal():
        return None if allowed is not None and allowed.strip() == ANY else asked
    return max(1, int(allowed))
