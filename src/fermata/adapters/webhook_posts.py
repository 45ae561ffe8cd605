"""The posts of one parcel to a webhook, one after the other, each signed."""

from collections.abc import Mapping
from datetime import datetime

from fermata.adapters.outbound import Outbound, deliver
from fermata.adapters.signing import Signer
from fermata.adapters.vault import NoSecret
from fermata.domain.deliveries import NotNow, Outcome, Taken
from fermata.domain.subscriptions import Subscription
from fermata.ports import Parcel


def post_all(
    outbound: Outbound,
    signer: Signer,
    to: Subscription,
    parcel: Parcel,
    headers: Mapping[str, str],
    now: datetime,
) -> Outcome:
    """Until one of them is not taken. Without the secret that signs, nothing is posted: it is tried again later."""
    notice = str(parcel.key).rpartition("/")[2]
    for number, body in enumerate(parcel.posts):
        try:
            signed = signer.sign(to, f"{notice}_{number}", now, body)
        except NoSecret as missing:
            return NotNow(why=str(missing))
        outcome = deliver(outbound, str(to.target["url"]), {**headers, **signed}, body, now)
        if not isinstance(outcome, Taken):
            return outcome
    return Taken()
