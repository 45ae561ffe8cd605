"""The limits and preferences of `campaign.yaml`: which keys each form has, and what they mean."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fermata.domain.campaign import (
    NODE_KEYS,
    SCOPE_KEYS,
    AvoidWeekday,
    FewestWindows,
    FinishByDeadline,
    Limit,
    LimitKind,
    OrderClasses,
    Preference,
    SpreadEvenly,
    Where,
    WorkloadOrder,
)
from fermata.domain.names import Names
from fermata.formats.faults import one_of
from fermata.formats.fields import Document, Fields, check_choice, check_unique, say
from fermata.formats.spots import Kind, Spot
from fermata.formats.values import WEEKDAYS
from fermata.formats.where import decode_where

SIZE_KEYS = ("at_once", "at_once_fraction", "per_day")
LIMIT_KEYS = MappingProxyType(
    {
        LimitKind.NODES_OUT: ("at_once", "at_once_fraction", "where"),
        LimitKind.WHOLE_BIG_CLUSTERS: ("per_day", "from", "until"),
        LimitKind.CLUSTER_WINDOWS: ("at_once", "where"),
    }
)
PLAIN_PREFERENCES: Mapping[str, Preference] = MappingProxyType(
    {"finish_by_deadline": FinishByDeadline(), "fewest_windows": FewestWindows(), "workload_order": WorkloadOrder()}
)
PREFERENCE_KEYS = ("order", "spread_evenly", "over", "avoid")
FORMS = (
    "finish_by_deadline, fewest_windows, workload_order, {order: ...}, {spread_evenly: ..., over: geo}"
    " or {avoid: WEEKDAY}"
)
CLASSES = ("small research", "small applied", "big research", "big applied")


def decode_limit(document: Document, spot: Spot) -> Limit:
    """One entry of `limits`."""
    every_key = tuple(dict.fromkeys(key for keys in LIMIT_KEYS.values() for key in keys))
    fields = Fields(document, spot, required=("what",), optional=every_key)
    what = fields.choice("what", LimitKind)
    if not fields.reads("what"):
        return Limit(what=what)
    for key in every_key:
        if fields.spot(key) and key not in LIMIT_KEYS[what]:
            fields.fault(key, f"{what} has no {key}; it takes {one_of(LIMIT_KEYS[what])}.")
    sizes = [key for key in SIZE_KEYS if fields.spot(key) and key in LIMIT_KEYS[what]]
    if len(sizes) != 1:
        allowed = one_of([key for key in SIZE_KEYS if key in LIMIT_KEYS[what]])
        document.log.add(f"The limit needs exactly one of {allowed}, it has {len(sizes) or 'none'}.", fields.place)
    where_keys = SCOPE_KEYS if what is LimitKind.CLUSTER_WINDOWS else (*SCOPE_KEYS, *NODE_KEYS)
    limit = Limit(
        what=what,
        at_once=fields.integer("at_once") if fields.spot("at_once") else None,
        at_once_fraction=fields.number("at_once_fraction", most=1.0) if fields.spot("at_once_fraction") else None,
        per_day=fields.integer("per_day") if fields.spot("per_day") else None,
        where=decode_where(fields, "where", where_keys) if fields.spot("where") else Where(),
        first_day=fields.day("from") if fields.has("from") else None,
        last_day=fields.day("until") if fields.has("until") else None,
    )
    if limit.first_day and limit.last_day and fields.reads("from", "until") and limit.last_day < limit.first_day:
        fields.fault("until", f"It lies before from, {limit.first_day}.")
    return limit


def decode_preferences(document: Document, spots: Sequence[Spot]) -> tuple[Preference, ...]:
    """The entries of `preferences`, strongest first; the same one twice is refused."""
    preferences: list[Preference] = []
    for spot in spots:
        preference = _preference(document, spot)
        if preference is None:
            continue
        if preference in preferences:
            document.log.add("The same preference stands above already.", spot.place)
        preferences.append(preference)
    return tuple(preferences)


def _preference(document: Document, spot: Spot) -> Preference | None:
    if spot.kind is not Kind.MAPPING:
        known = Names((*PLAIN_PREFERENCES, *PREFERENCE_KEYS))
        if spot.raw not in PLAIN_PREFERENCES:
            document.log.add(f"{say(spot)} is no preference: {FORMS}.", spot.place, wrong=spot.raw, known=known)
        return PLAIN_PREFERENCES.get(spot.raw)
    if "order" in spot.keys:
        return _order(Fields(document, spot, required=("order",)))
    if "spread_evenly" in spot.keys:
        fields = Fields(document, spot, required=("spread_evenly", "over"))
        over = fields.spot("over")
        where = decode_where(fields, "spread_evenly", (*SCOPE_KEYS, *NODE_KEYS))
        return SpreadEvenly(where=where, over=check_choice(over, document.log, ("geo",)) if over else "geo")
    if "avoid" in spot.keys:
        fields = Fields(document, spot, required=("avoid",))
        day = fields.spot("avoid")
        return AvoidWeekday(weekday=WEEKDAYS.index(check_choice(day, document.log, WEEKDAYS) if day else WEEKDAYS[0]))
    Fields(document, spot, required=(), optional=PREFERENCE_KEYS)
    if not spot.keys:
        document.log.add("An empty preference.", spot.place)
    return None


def _order(fields: Fields) -> OrderClasses:
    spots = fields.items("order")
    log = fields.document.log
    check_unique(spots, log, "Class")
    return OrderClasses(classes=tuple(check_choice(spot, log, CLASSES) for spot in spots))
