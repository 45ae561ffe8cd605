"""Reads a customer's own rules in `policy.yaml`, and the recurring windows that they name."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from fermata.domain.fleet import Role
from fermata.domain.names import Names
from fermata.domain.policy import AfterDue, MaintenanceKind, PolicyRule, Scope, ScopeLevel, Stance
from fermata.domain.recurrence import BadRecurrence, Recurrence, RecurringWindow, parse_recurrence
from fermata.domain.scopes import FREEZE_LEVELS
from fermata.domain.updates import Criticality, Impact
from fermata.formats.faults import one_of, quote
from fermata.formats.fields import Fields, check_choice, check_unique, check_zone
from fermata.formats.spots import Kind, Spot
from fermata.formats.values import YEAR_MAX, YEAR_MIN

RULE_REQUIRED = ("id", "stance")
CONDITIONS = ("kind", "impact", "criticality", "role", "scope")
RULE_OPTIONAL = (*CONDITIONS, "windows")
WINDOW_REQUIRED = ("id", "start", "duration", "timezone")
WINDOW_OPTIONAL = ("recur_every", "expires")
RULES_MOST = 500
DURATION_LEAST, DURATION_MOST = timedelta(minutes=15), timedelta(days=7)

WALL_RULE = 'a local time such as "2026-01-03 22:00"'
DURATION_RULE = 'hours and minutes such as "06:00", from "00:15" to "168:00"'
_WALL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:00)?")
_DURATION = re.compile(r"([0-9]{1,3}):([0-5][0-9])")
_EPOCH = datetime(YEAR_MIN, 1, 1)  # noqa: DTZ001  # stands in for a wall time with a fault

_E = TypeVar("_E", bound=StrEnum)


def decode_windows(customer: Fields) -> tuple[RecurringWindow, ...]:
    """The customer's recurring windows, in the file's order."""
    document = customer.document
    found = [
        Fields(document, spot, required=WINDOW_REQUIRED, optional=WINDOW_OPTIONAL) for spot in customer.items("windows")
    ]
    check_unique((fields.spot("id") for fields in found), document.log, "Window")
    return tuple(_window(fields) for fields in found)


def decode_rules(customer: Fields, windows: Sequence[RecurringWindow]) -> tuple[PolicyRule, ...]:
    """The customer's rules, in the file's order. Two that contradict each other are a fault of the later one, and one
    that lets work through names what work.
    """
    document = customer.document
    spots = customer.items("rules")
    if len(spots) > RULES_MOST:
        customer.fault("rules", f"A customer has at most {RULES_MOST} rules, this one has {len(spots)}.")
        return ()
    before = len(document.log)
    found = [Fields(document, spot, required=RULE_REQUIRED, optional=RULE_OPTIONAL) for spot in spots]
    check_unique((fields.spot("id") for fields in found), document.log, "Rule")
    rules = tuple(_rule(fields, windows) for fields in found)
    if len(document.log) == before:  # of a rule that is not as it was meant nothing more is said
        for number, fields in enumerate(found):
            _check_condition(fields, rules[number])
            _check_contradiction(fields, rules[number], rules[:number])
    return rules


def _check_condition(fields: Fields, rule: PolicyRule) -> None:
    """Everything is let through by nobody's oversight: whoever means it writes down all kinds."""
    if rule.stance in (Stance.ALLOW, Stance.ALLOW_IN_WINDOWS) and rule.narrowness == (0, 0):
        fields.fault(
            "stance",
            f"Rule {quote(rule.id)} names no work, so it would say {rule.stance} of everything. Give it a"
            f" {one_of(CONDITIONS)}; if everything is meant, `kind: [{', '.join(MaintenanceKind)}]`.",
        )


def _check_contradiction(fields: Fields, rule: PolicyRule, earlier: Sequence[PolicyRule]) -> None:
    other = next((other for other in earlier if other.contradicts(rule)), None)
    if other is not None:
        fields.fault(
            "id",
            f"Rule {quote(rule.id)} contradicts {quote(other.id)}: both fit the same work, are equally narrow, and say"
            f" {rule.stance} and {other.stance}. Narrow one of them.",
        )


def decode_after_due(customer: Fields) -> AfterDue:
    """What becomes of unapproved work after its due date; without a word it is escalated."""
    return customer.choice("after_due", AfterDue) if customer.has("after_due") else AfterDue.ESCALATE


def decode_scope(fields: Fields, key: str, known: Sequence[ScopeLevel] = FREEZE_LEVELS) -> Scope:
    """`{LEVEL: NAME}` with exactly one level; the name is remembered for the check against the fleet."""
    words = [level.value for level in known]
    scope = fields.fields(key, optional=words)
    levels = [level for level in known if scope.spot(level.value)]
    found = fields.spot(key)
    if len(levels) == 1:
        scope.refer(levels[0].value, levels[0].value)
        return Scope(level=levels[0], name=scope.name(levels[0].value))
    if found and found.kind is Kind.MAPPING and len(found.keys) == len(levels):
        fields.fault(key, f"A scope has exactly one of {one_of(words)}, this one has {len(levels) or 'none'}.")
    return Scope(level=ScopeLevel.NODE, name="")


def _rule(fields: Fields, windows: Sequence[RecurringWindow]) -> PolicyRule:
    stance = fields.choice("stance", Stance)
    named = fields.names("windows")
    known = [window.id for window in windows]
    for name in named:
        if name not in known:
            fields.fault("windows", f"The customer has no window {quote(name)}.", wrong=name, known=Names(known))
    if named and stance is not Stance.ALLOW_IN_WINDOWS and fields.reads("stance"):
        fields.fault("windows", f"Only {Stance.ALLOW_IN_WINDOWS} names windows, {stance} does not.")
    if stance is Stance.ALLOW_IN_WINDOWS and not known and fields.reads("stance"):
        fields.fault("stance", f"{stance} needs windows, and the customer has none: add `windows` to it.")
    return PolicyRule(
        id=fields.name("id"),
        stance=stance,
        kinds=_choices(fields, "kind", MaintenanceKind),
        impacts=_choices(fields, "impact", Impact),
        criticalities=_choices(fields, "criticality", Criticality),
        roles=_choices(fields, "role", Role),
        scope=decode_scope(fields, "scope") if fields.has("scope") else None,
        windows=named,
    )


def _choices(fields: Fields, key: str, choices: type[_E]) -> frozenset[_E]:
    """One value or a list of them; none means all."""
    found = fields.spot(key)
    if found is None or found.kind is Kind.NOTHING:
        return frozenset()
    spots: tuple[Spot, ...] = found.items if found.kind is Kind.LIST else (found,)
    check_unique(spots, fields.document.log, "Value")
    allowed = [str(value) for value in choices]
    return frozenset(choices(check_choice(spot, fields.document.log, allowed)) for spot in spots)


def _window(fields: Fields) -> RecurringWindow:
    start = _wall(fields, "start")
    expires = _wall(fields, "expires") if fields.has("expires") else None
    if expires is not None and expires <= start and fields.reads("start", "expires"):
        fields.fault("expires", "The window expires before it has started.")
    return RecurringWindow(
        id=fields.name("id"),
        start=start,
        duration=_duration(fields),
        zone=check_zone(fields, "timezone"),
        recurrence=_recurrence(fields) if fields.has("recur_every") else None,
        expires=expires,
    )


def _wall(fields: Fields, key: str) -> datetime:
    raw = fields.text(key)
    try:
        wall = datetime.fromisoformat(raw) if _WALL.fullmatch(raw) else None
    except ValueError:
        wall = None
    if wall is None or not YEAR_MIN <= wall.year <= YEAR_MAX:
        if raw or fields.reads(key):
            fields.fault(key, f"{key} is {quote(raw)}; it must be {WALL_RULE}, of the window's timezone.")
        return _EPOCH
    return wall


def _duration(fields: Fields) -> timedelta:
    raw = fields.text("duration")
    found = _DURATION.fullmatch(raw)
    length = timedelta(hours=int(found[1]), minutes=int(found[2])) if found else timedelta(0)
    if not DURATION_LEAST <= length <= DURATION_MOST:
        if raw or fields.reads("duration"):
            fields.fault("duration", f"duration is {quote(raw)}; it must be {DURATION_RULE}.")
        return DURATION_LEAST
    return length


def _recurrence(fields: Fields) -> Recurrence | None:
    words = fields.text("recur_every")
    try:
        return parse_recurrence(words)
    except BadRecurrence as bad:
        if fields.reads("recur_every"):
            fields.fault("recur_every", f"recur_every is {quote(words)}: {bad}.")
        return None
