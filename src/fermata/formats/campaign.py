"""Reads `campaign.yaml`: what is serviced, when, under which limits, and what is preferred."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from fermata.domain.campaign import OPEN_CONFIDENCE, SCOPE_KEYS, Campaign, DailyWindow, Fallout, Rolling, Where
from fermata.domain.ids import CampaignId, UpdateId
from fermata.formats import campaign_phases, campaign_rules
from fermata.formats.changes import Change, ChangedFile, apply_changes
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document, Fields, check_choice, check_zone
from fermata.formats.spots import Kind, Spot
from fermata.formats.values import WEEKDAYS
from fermata.formats.where import decode_where
from fermata.formats.yamltext import read_yaml

ROOT_REQUIRED = (
    "id",
    "title",
    "scope",
    "updates",
    "timezone",
    "first_day",
    "deadline",
    "daily_window",
    "weekends",
    "big_cluster_nodes",
    "rolling",
    "limits",
    "preferences",
    "fallout",
    "return_threshold",
)
ROOT_OPTIONAL = ("planned_as_of", "extension_until", "avoid_weekdays", "open_confidence", "phases")
DAILY_WINDOW_KEYS = ("start", "back_in_service_by", "hard_stop")
ROLLING_KEYS = ("min_fraction_per_day", "max_fraction_per_day")
FALLOUT_KEYS = ("fraction", "mean_days_to_repair")
WEEKENDS = ("never", "staffed")
DAYS_MAX = 1000  # from the first day to the last of the extension: the planner looks at each of them


def read_campaign(path: Path) -> Campaign:
    """Read the file `path`. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    campaign = decode_campaign(path, document)
    raise_faults([document.log])
    assert campaign is not None, "a campaign without faults is read"
    return campaign


def decode_campaign(path: Path, document: Document, changes: Sequence[Change] = ()) -> Campaign | None:
    """The campaign, with `changes`; not to be used, or None, when the document's log has faults."""
    root = apply_changes(read_yaml(path, document.log), changes, document.log, ChangedFile.CAMPAIGN)
    return None if root is None else decode_root(document, root)


def decode_root(document: Document, root: Spot) -> Campaign:
    """As `decode_campaign`, of values at hand."""
    top = Fields(document, root, required=ROOT_REQUIRED, optional=ROOT_OPTIONAL)
    first_day, deadline, extension_until = _days(top)
    fallout = top.fields("fallout", required=FALLOUT_KEYS)
    return Campaign(
        id=CampaignId(top.name("id")),
        title=top.text("title"),
        planned_as_of=top.instant("planned_as_of") if top.has("planned_as_of") else None,
        scope=_scope(top),
        updates=_updates(top),
        timezone=check_zone(top, "timezone"),
        first_day=first_day,
        deadline=deadline,
        extension_until=extension_until,
        daily_window=_daily_window(top),
        weekends_staffed=_weekends(top),
        avoid_weekdays=_avoid_weekdays(top),
        big_cluster_nodes=top.integer("big_cluster_nodes"),
        rolling=_rolling(top),
        limits=tuple(campaign_rules.decode_limit(document, spot) for spot in top.items("limits")),
        preferences=campaign_rules.decode_preferences(document, top.items("preferences")),
        fallout=Fallout(
            fraction=fallout.number("fraction", above=None, least=0.0, most=1.0),
            mean_days_to_repair=fallout.number("mean_days_to_repair", most=365.0),
        ),
        return_threshold=top.number("return_threshold", most=1.0),
        open_confidence=_open_confidence(top),
        phases=campaign_phases.decode_phases(top),
    )


def _open_confidence(top: Fields) -> float:
    key = "open_confidence"
    return top.number(key, above=None, least=0.0, most=1.0) if top.has(key) else OPEN_CONFIDENCE


def _days(top: Fields) -> tuple[date, date, date]:
    first_day, deadline = top.day("first_day"), top.day("deadline")
    extension_until = top.day("extension_until") if top.has("extension_until") else deadline
    if top.reads("first_day", "deadline") and deadline < first_day:
        top.fault("deadline", f"The deadline lies before the first day, {first_day}.")
    if top.reads("deadline", "extension_until") and extension_until < deadline:
        top.fault("extension_until", f"The extension ends before the deadline, {deadline}.")
    if top.reads("first_day", "extension_until") and (extension_until - first_day).days > DAYS_MAX:
        top.fault("extension_until", f"More than {DAYS_MAX} days after the first day.")
    return first_day, deadline, extension_until


def _scope(top: Fields) -> Where:
    where = decode_where(top, "scope", SCOPE_KEYS)
    found = top.spot("scope")
    if found and found.kind is Kind.MAPPING and not found.keys:
        top.fault("scope", "An empty scope would mean everything: say which clusters, by any of their columns.")
    return where


def _updates(top: Fields) -> frozenset[UpdateId] | None:
    found = top.spot("updates")
    if found is None or found.kind is Kind.MAPPING:
        chosen = top.fields("updates", required=("all_production_ready",) if found else ())
        if chosen.spot("all_production_ready") and not chosen.flag("all_production_ready"):
            chosen.fault("all_production_ready", "It must be true; to take only some, list their ids under updates.")
        return None
    top.refer("update", "updates")
    names = top.names("updates")
    if found.kind is Kind.LIST and not found.items:
        top.fault("updates", "No update is listed.")
    return frozenset(UpdateId(name) for name in names)


def _daily_window(top: Fields) -> DailyWindow:
    window = top.fields("daily_window", required=DAILY_WINDOW_KEYS)
    start, back, stop = (window.clock(key) for key in DAILY_WINDOW_KEYS)
    if window.reads("start", "back_in_service_by") and back <= start:
        window.fault("back_in_service_by", f"It must be later than the start, {start:%H:%M}, on the same day.")
    if window.reads("back_in_service_by", "hard_stop") and stop < back:
        window.fault("hard_stop", f"It must not be earlier than back_in_service_by, {back:%H:%M}.")
    return DailyWindow(start=start, back_in_service_by=back, hard_stop=stop)


def _weekends(top: Fields) -> bool:
    found = top.spot("weekends")
    return found is not None and check_choice(found, top.document.log, WEEKENDS) == "staffed"


def _avoid_weekdays(top: Fields) -> tuple[int, ...]:
    days = [check_choice(spot, top.document.log, WEEKDAYS) for spot in top.items("avoid_weekdays")]
    return tuple(sorted({WEEKDAYS.index(day) for day in days}))


def _rolling(top: Fields) -> Rolling:
    rolling = top.fields("rolling", required=ROLLING_KEYS)
    least = rolling.number("min_fraction_per_day", most=1.0)
    most = rolling.number("max_fraction_per_day", most=1.0)
    if rolling.reads(*ROLLING_KEYS) and most < least:
        rolling.fault("max_fraction_per_day", f"It must not be less than min_fraction_per_day, {least:g}.")
    return Rolling(min_fraction_per_day=least, max_fraction_per_day=most)
