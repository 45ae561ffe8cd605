"""A customer's recurring windows and which parts of its fleet may be worked on in them, changed one at a time.

The rest of the policy stays as it was imported; the next import of a policy replaces these changes too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fermata.domain.hashing import content_sha256
from fermata.domain.ids import CustomerId
from fermata.domain.policy import Customer, Policy, PolicyRule, Scope, Stance
from fermata.domain.reasons import Code, reason
from fermata.domain.recurrence import RecurringWindow
from fermata.services.approvers import find_approver
from fermata.services.errors import Refusal, refusing_unknown
from fermata.services.requests import refresh_in
from fermata.store import inventory, journal
from fermata.store.database import Connection, Database

Change = Callable[[Customer], Customer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A rule that lets work on `scope` through in one window: `name` is the rule's id."""

    name: str
    window: str
    scope: Scope


def list_assignments(customer: Customer) -> tuple[Assignment, ...]:
    """Every rule that names a scope and windows, one for each window; of several, the first has the rule's name."""
    return tuple(
        Assignment(name=rule.id if number == 0 else f"{rule.id}-{window}", window=window, scope=rule.scope)
        for rule in customer.rules
        if rule.stance is Stance.ALLOW_IN_WINDOWS and rule.scope is not None
        for number, window in enumerate(rule.windows or tuple(window.id for window in customer.windows))
    )


def put_window(db: Database, customer: CustomerId, window: RecurringWindow, *, now: datetime) -> bool:
    """Adds the window, or puts it in the place of the one of that id; True when it is new. Raises Refusal."""

    def change(before: Customer) -> Customer:
        kept = [other for other in before.windows if other.id != window.id]
        return replace(before, windows=tuple(sorted([*kept, window], key=lambda each: each.id)))

    before = _change(db, customer, change, now=now, why=f"maintenance configuration {window.id} was put")
    return all(other.id != window.id for other in before.windows)


def remove_window(db: Database, customer: CustomerId, name: str, *, now: datetime) -> bool:
    """False when there was none. Raises Refusal while a rule names it."""

    def change(before: Customer) -> Customer:
        using = [rule.id for rule in before.rules if rule.stance is Stance.ALLOW_IN_WINDOWS and name in rule.windows]
        if not using and len(before.windows) == 1:  # rules that name no window mean all there are
            using = [rule.id for rule in before.rules if rule.stance is Stance.ALLOW_IN_WINDOWS and not rule.windows]
        if using and any(window.id == name for window in before.windows):
            raise Refusal(reason(Code.WINDOW_IN_USE, window=name, rules=", ".join(using)))
        return replace(before, windows=tuple(window for window in before.windows if window.id != name))

    before = _change(db, customer, change, now=now, why=f"maintenance configuration {name} was deleted")
    return any(window.id == name for window in before.windows)


def put_assignment(db: Database, customer: CustomerId, wanted: Assignment, *, now: datetime) -> bool:
    """Lets work on the scope through in the window, without an approval; True when the assignment is new. Raises
    Refusal when another rule says something else of the same scope, or has that name.
    """
    rule = PolicyRule(id=wanted.name, stance=Stance.ALLOW_IN_WINDOWS, scope=wanted.scope, windows=(wanted.window,))

    def change(before: Customer) -> Customer:
        if all(window.id != wanted.window for window in before.windows):
            raise Refusal(reason(Code.WINDOW_UNKNOWN, customer=customer, window=wanted.window))
        others = [other for other in before.rules if other.id != rule.id or other.scope != rule.scope]
        clash = next((other for other in others if other.id == rule.id or other.contradicts(rule)), None)
        if clash is not None:
            raise Refusal(reason(Code.RULE_CONTRADICTS, rule=rule.id, scope=wanted.scope, other=clash.id))
        return replace(before, rules=(*others, rule))

    before = _change(db, customer, change, now=now, why=f"configuration {wanted.window} was assigned to {wanted.scope}")
    return all(other.id != rule.id for other in before.rules)


def remove_assignment(db: Database, customer: CustomerId, name: str, scope: Scope, *, now: datetime) -> bool:
    """False when there was none."""

    def fits(rule: PolicyRule) -> bool:
        return rule.id == name and rule.scope == scope and rule.stance is Stance.ALLOW_IN_WINDOWS

    def change(before: Customer) -> Customer:
        return replace(before, rules=tuple(rule for rule in before.rules if not fits(rule)))

    before = _change(db, customer, change, now=now, why=f"assignment {name} of {scope} was deleted")
    return any(fits(rule) for rule in before.rules)


def _change(db: Database, name: CustomerId, change: Change, *, now: datetime, why: str) -> Customer:
    """What the customer's policy was before. The first of its approvers speaks where nobody signs in."""
    with refusing_unknown(), db.begin() as conn:
        policy = inventory.load_stated_policy(conn)
        actor = find_approver(policy, [name], None)
        if not isinstance(actor, str):
            raise Refusal(actor)
        before = policy.customers[name]
        changed = replace(policy, customers={**policy.customers, name: change(before)})
        if inventory.save_policy(conn, changed):
            _record(conn, changed, name, now=now, actor=actor, why=why)
            refresh_in(conn, now=now, why=why)
        return before


def _record(conn: Connection, policy: Policy, customer: CustomerId, *, now: datetime, actor: str, why: str) -> None:
    data: dict[str, Any] = {"customer": customer, "sha256": content_sha256(policy)}
    entry = journal.Entry(at=now, actor=actor, event="policy.changed", subject="policy", why=why, data=data)
    journal.append(conn, entry)


def find_window(windows: Sequence[RecurringWindow], name: str) -> RecurringWindow | None:
    """By id, whatever its case."""
    return next((window for window in windows if window.id.lower() == name.lower()), None)
