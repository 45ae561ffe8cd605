"""One notice, and subscriptions it may go to, for the tests of channels."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.services.notice_world import StillClock

from fermata.adapters.outbound import Outbound
from fermata.domain.deliveries import Outcome
from fermata.domain.ids import CustomerId, SubscriptionId, SupercomputerId
from fermata.domain.notices import Notice, NoticeKind
from fermata.domain.subscriptions import ChannelKind, Subscription
from fermata.formats.parcels import pack
from fermata.ports import Channel, Parcel

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LOCAL = Outbound(allow_local=True, timeout=timedelta(seconds=5))
CLOCK = StillClock(NOW)
NOTICE = Notice(
    seq=12,
    at=NOW,
    kind=NoticeKind.PLAN_PUBLISHED,
    customer=CustomerId("lumen"),
    supercomputer=SupercomputerId("sc1"),
    subject="plan:plan_1",
    actor="operator-1",
    why="",
    facts={
        "plan": "plan_1",
        "parent": None,
        "campaign": "january",
        "windows": [
            {
                "window": "w1",
                "change": "added",
                "cluster": "alpha",
                "start": "2026-01-09T19:00:00+00:00",
                "end": "2026-01-09T23:00:00+00:00",
                "nodes": ["alpha-n1", "alpha-n2", "alpha-n3"],
                "left": ["alpha-n9"],
                "updates": ["nic"],
                "reboots_per_node": 1,
            }
        ],
    },
)


def subscription(channel: ChannelKind, url: str = "", **said: Any) -> Subscription:
    target = said.pop("target", {"url": url})
    made = Subscription(
        id=SubscriptionId("hook-1"),
        channel=channel,
        target=target,
        code="code_7",
        created_at=NOW,
        created_by="operator-1",
    )
    return replace(made, **said)


def parcel(to: Subscription, attempt: int = 1, notice: Notice = NOTICE) -> Parcel:
    return pack(to, notice, attempt=attempt, sender="noc@operator.example")


def send(channel: Channel, to: Subscription, notice: Notice = NOTICE) -> Outcome:
    (outcome,) = channel.send(to, [parcel(to, notice=notice)]).values()
    return outcome
