"""The posts of one parcel to a webhook, one after the other, each signed."""

import time
from collections.abc import Mapping
from datetime import datetime

from fermata.adapters.outbound import Outbound, deliver
from fermata.adapters.signing import Signer
from fermata.adapters.vault import NoSecret
from fermata.domain.deliveries import NotNow, Outcome, Taken
from fermata.domain.subscriptions import Subscription
from fermata.ports import Parcel

POSTS_SECONDS = 180.0  # for the posts of one parcel: with the last one's own time it ends before its lease does


def post_all(
    outbound: Outbound,
    signer: Signer,
    to: Subscription,
    parcel: Parcel,
    headers: Mapping[str, str],
    now: datetime,
) -> Outcome:
    """Until one of them is not taken, or they take too long. Without the secret that signs, nothing is posted: it is
    tried again later.
    """
    notice, began = str(parcel.key).rpartition("/")[2], time.monotonic()
    for number, body in enumerate(parcel.posts):
        if time.monotonic() - began > POSTS_SECONDS:
            return NotNow(why=f"it took {number} of {len(parcel.posts)} posts in {POSTS_SECONDS:.0f} s, and no more")
        try:
            signed = signer.sign(to, f"{notice}_{number}", now, body)
        except NoSecret as missing:
            return NotNow(why=str(missing))
        outcome = deliver(outbound, str(to.target["url"]), {**headers, **signed}, body, now)
        if not isinstance(outcome, Taken):
            return outcome
    return Taken()
