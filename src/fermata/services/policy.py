"""Trying a policy: what would happen to an update on a node at a time, by the store or by files alone; reading the
stored one, and putting another in its place once it is clear what that changes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fermata.domain.hashing import content_sha256
from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.policy import Policy, Scope
from fermata.domain.policy_effects import Effect, PolicyEffects, find_effects
from fermata.domain.policy_trial import Outcome, Trial, try_policy
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scopes import Scopes
from fermata.formats.policy_written import policy_document
from fermata.services.approvers import judge_scope
from fermata.services.errors import Refusal, nearest, refuse_all, refusing_unknown
from fermata.services.inventory import ImportSet, import_in
from fermata.services.request_record import read_inputs_in
from fermata.services.requests import Inputs, read_inputs
from fermata.store import inventory
from fermata.store.database import Connection, Database

EXAMPLES_MAX = 50  # of which it is told what would happen on one node; the rulings themselves are all told


def try_update(source: Database | Inputs, node: str, update: str, *, at: datetime) -> Trial:
    """Does nothing. `at` is aware UTC. Raises Refusal for a node or an update that nobody knows."""
    inputs = read_inputs(source) if isinstance(source, Database) else source
    known, updates = inputs.fleet.nodes, inputs.catalogue.updates
    if node not in known:
        raise Refusal(reason(Code.SCOPE_UNKNOWN, level="node", name=node, nearest=nearest(node, known)))
    if update not in updates:
        raise Refusal(reason(Code.NO_SUCH_UPDATE, update=update, nearest=nearest(update, updates)))
    found = try_policy(
        inputs.fleet,
        inputs.policy,
        inputs.ledger,
        node=known[NodeId(node)],
        update=updates[UpdateId(update)],
        at=at,
    )
    grounded = [f.grounded[found.node] for f in inputs.flights if f.update == update and found.node in f.grounded]
    return replace(found, outcome=Outcome.BLOCKED, why=tuple(grounded), next_at=None) if grounded else found


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """The stored policy: as it was imported or put, with the freezes that it states itself. `document` has the keys of
    `policy.yaml`; `sha256` is of its content.
    """

    sha256: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What would happen to an update on one node now, before and after."""

    before: Trial
    after: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPreview:
    """What another policy would change. `examples`: of the first EXAMPLES_MAX rulings on updates, on their nodes."""

    sha256: str
    before_sha256: str
    effects: PolicyEffects
    examples: tuple[Example, ...] = ()

    @property
    def changes(self) -> bool:
        """False when the same policy is stored already."""
        return self.sha256 != self.before_sha256


def show_policy(db: Database) -> PolicyView:
    """The stored policy. Raises Refusal before one was imported."""
    with refusing_unknown(), db.read() as conn:
        stated = inventory.load_stated_policy(conn)
    return PolicyView(sha256=content_sha256(stated), document=policy_document(stated))


def preview_policy(db: Database, wanted: Policy, *, now: datetime) -> PolicyPreview:
    """What `wanted` would change in the place of the stored policy. Nothing is done. Raises Refusal with every reason
    for which it would not be taken.
    """
    with refusing_unknown(), db.read() as conn:
        return _judge(conn, wanted, now)


def replace_policy(
    db: Database,
    wanted: Policy,
    *,
    now: datetime,
    actor: str,
    why: str = "",
    check: Callable[[str], None] = lambda _sha256: None,
) -> PolicyPreview:
    """Puts `wanted` in the place of the stored policy, all of it, and says what that changed. `check` hears the stored
    one's sha256 and raises for another than was looked at. Freezes added by hand stay, as with an import.

    Raises Refusal with every reason: a scope that the fleet does not have, or that is not the customer's alone.
    """
    with refusing_unknown(), db.begin() as conn:
        found = _judge(conn, wanted, now, check)
        import_in(conn, ImportSet(policy=wanted), now=now, actor=actor, why=why)
        return found


def refuse_other(seen: str | None) -> Callable[[str], None]:
    """A `check` that refuses when the stored policy is not the one of the sha256 that was looked at; None: any."""

    def check(sha256: str) -> None:
        if seen is not None and seen != sha256:
            raise Refusal(reason(Code.POLICY_CHANGED, current=sha256, seen=seen))

    return check


def _judge(
    conn: Connection, wanted: Policy, now: datetime, check: Callable[[str], None] = lambda _sha256: None
) -> PolicyPreview:
    before = inventory.load_stated_policy(conn)
    sha256 = content_sha256(before)
    check(sha256)
    inputs = read_inputs_in(conn, now)
    refuse_all(dict.fromkeys(_why_not(Scopes(fleet=inputs.fleet), before, wanted)))
    effects = find_effects(inputs.fleet, inputs.basis.pending, inputs.orders.values(), before, wanted)
    after = replace(
        wanted, freezes=inputs.policy.freezes, exemptions=inputs.policy.exemptions, notified=inputs.policy.notified
    )
    shown = [effect for effect in effects.rulings if effect.update is not None][:EXAMPLES_MAX]
    return PolicyPreview(
        sha256=content_sha256(wanted),
        before_sha256=sha256,
        effects=effects,
        examples=tuple(_try_both(inputs, after, effect, now) for effect in shown),
    )


def _try_both(inputs: Inputs, after: Policy, effect: Effect, now: datetime) -> Example:
    """As `try_update`, by both policies. Freezes are those in force: what the policies state of them is told apart."""
    assert effect.update is not None
    node, update = inputs.fleet.nodes[effect.example], inputs.catalogue.updates[effect.update]
    before, then = (
        try_policy(inputs.fleet, policy, inputs.ledger, node=node, update=update, at=now)
        for policy in (inputs.policy, after)
    )
    return Example(before=before, after=then)


def _why_not(scopes: Scopes, before: Policy, wanted: Policy) -> Iterator[Reason]:
    """What is said of a part of the fleet must be of one that is there, and the customer's. What the policy said before
    may stay: the fleet has changed since.
    """
    known = {(name, rule) for name, customer in before.customers.items() for rule in customer.rules}
    said = [(name, rule) for name, customer in wanted.customers.items() for rule in customer.rules]
    for name, rule in said:
        if rule.scope is not None and (name, rule) not in known:
            yours = reason(Code.RULE_NOT_YOURS, rule=rule.id, scope=rule.scope, customer=name)
            yield from _judge_scope(scopes, rule.scope, is_yours=name in scopes.customers(rule.scope), otherwise=yours)
    for freeze in wanted.freezes:
        if freeze not in before.freezes:
            is_yours = scopes.customers(freeze.scope) == (freeze.customer,)
            yours = reason(Code.FREEZE_NOT_YOURS, scope=freeze.scope, customer=freeze.customer)
            yield from _judge_scope(scopes, freeze.scope, is_yours=is_yours, otherwise=yours)


def _judge_scope(scopes: Scopes, scope: Scope, *, is_yours: bool, otherwise: Reason) -> Iterator[Reason]:
    wrong = judge_scope(scopes, scope)
    if wrong is not None or not is_yours:
        yield wrong or otherwise
