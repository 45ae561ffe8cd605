"""Reads subscriptions to notices from a file: a YAML list, one entry a subscription."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from fermata.domain.deliveries import ATTEMPTS_MAX, LIVES
from fermata.domain.ids import CustomerId, SubscriptionId, SupercomputerId, TeamId
from fermata.domain.notices import NoticeKind
from fermata.domain.subscriptions import ChannelKind, EventShape, SubscriptionOrder
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document, Fields, check_choice, check_unique
from fermata.formats.yamltext import read_yaml

ROOT_KEYS = ("subscriptions",)
REQUIRED = ("id", "channel", "target")
OPTIONAL = ("customers", "supercomputers", "teams", "kinds", "shape", "attempts_max", "lives_minutes")
TARGET_KEYS = ("url", "to", "topic", "key", "rate", "max_events", "calendar", "provider")
RATE_MAX, EVENTS_MAX = 100_000, 5_000
LIVES_MINUTES_MAX = 7 * 24 * 60


def read_subscriptions(path: Path) -> tuple[SubscriptionOrder, ...]:
    """Reads the file `path`. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    root = read_yaml(path, document.log)
    top = Fields(document, root, required=ROOT_KEYS)
    entries = [Fields(document, spot, required=REQUIRED, optional=OPTIONAL) for spot in top.items("subscriptions")]
    check_unique((entry.spot("id") for entry in entries), document.log, "Subscription")
    rows = tuple(_row(entry) for entry in entries)
    raise_faults([document.log])
    return rows


def _row(entry: Fields) -> SubscriptionOrder:
    log = entry.document.log
    kinds = [check_choice(spot, log, [kind.value for kind in NoticeKind]) for spot in entry.items("kinds")]
    minutes = entry.integer("lives_minutes", least=1, most=LIVES_MINUTES_MAX) if entry.has("lives_minutes") else None
    return SubscriptionOrder(
        id=SubscriptionId(entry.name("id")),
        channel=entry.choice("channel", ChannelKind),
        target=_target(entry.fields("target", optional=TARGET_KEYS)),
        customers=frozenset(CustomerId(name) for name in entry.names("customers")),
        supercomputers=frozenset(SupercomputerId(name) for name in entry.names("supercomputers")),
        teams=frozenset(TeamId(name) for name in entry.names("teams")),
        kinds=frozenset(NoticeKind(kind) for kind in kinds if kind in set(NoticeKind)),
        shape=entry.choice("shape", EventShape) if entry.has("shape") else EventShape.NOTICES,
        attempts_max=entry.integer("attempts_max", least=1, most=ATTEMPTS_MAX)
        if entry.has("attempts_max")
        else ATTEMPTS_MAX,
        lives=LIVES if minutes is None else timedelta(minutes=minutes),
    )


def _target(fields: Fields) -> Mapping[str, Any]:
    found: dict[str, Any] = {key: fields.text(key) for key in ("url", "topic", "key", "provider") if fields.has(key)}
    if fields.has("to"):
        found["to"] = list(fields.listed_names("to"))
    if fields.has("rate"):
        found["rate"] = fields.integer("rate", least=1, most=RATE_MAX)
    if fields.has("max_events"):
        found["max_events"] = fields.integer("max_events", least=1, most=EVENTS_MAX)
    if fields.has("calendar"):
        found["calendar"] = fields.flag("calendar")
    return found
