"""What a word of consent may say of nodes: those that go with others, and those that try a flight. Pure."""

from collections.abc import Iterable, Mapping

from fermata.domain.ids import UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.policy import ConsentEntry, Policy, Scope, ScopeLevel
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scopes import Scopes
from fermata.domain.updates import Stage, Update


def judge_companions(scopes: Scopes, scope: Scope, other: Scope) -> Reason | None:
    """Why nodes of `scope` cannot go together with those of `other`, which the fleet has, or None."""
    clusters = scopes.clusters(scope)
    if len(clusters) == 1 and scopes.clusters(other) == clusters:
        return None
    return reason(Code.COMPANIONS_ELSEWHERE, scope=scope, other=other, cluster=f"cluster {clusters[0]}")


def judge_flight(
    scopes: Scopes,
    policy: Policy,
    updates: Mapping[UpdateId, Update],
    ledger: Iterable[ConsentEntry],
    wanted: ConsentEntry,
) -> Reason | None:
    """Why the flight of an approval that is wanted is not for its nodes, or None: a supercomputer tries one at a time,
    where its customers' policies try flights, and on no more nodes than they say.
    """
    flight = wanted.flight
    assert flight is not None, "asked about flights only"
    known = tuple(ledger)
    decisions = Decisions(scopes.fleet, known)
    other = _find_other(scopes, decisions, updates, known, wanted)
    if other is not None:
        return reason(Code.FLIGHT_OTHER, update=flight, other=other)
    supercomputer = scopes.supercomputers(wanted.scope)[0]
    everywhere = scopes.nodes(Scope(level=ScopeLevel.SUPERCOMPUTER, name=supercomputer))
    flying = {node.name: node for node in everywhere if decisions.is_approved(node, flight)}
    flying |= {node.name: node for node in scopes.nodes(wanted.scope)}
    for customer in scopes.customers(wanted.scope):
        holder = policy.customers.get(customer)
        roles = holder.flighting.allowed_roles if holder is not None else frozenset[str]()
        most = holder.flighting.max_nodes if holder is not None else 0
        mine = [node for node in flying.values() if scopes.fleet.clusters[node.cluster].customer == customer]
        wrong = sorted(node.name for node in mine if node.role not in roles)
        if wrong or len(mine) > most:
            return reason(
                Code.FLIGHT_TOO_WIDE,
                customer=customer,
                most=most,
                roles=" or ".join(sorted(roles)) or "none",
                update=flight,
                nodes=len(mine),
                example=wrong[0] if wrong else min(node.name for node in mine),
            )
    return None


def _find_other(
    scopes: Scopes,
    decisions: Decisions,
    updates: Mapping[UpdateId, Update],
    ledger: Iterable[ConsentEntry],
    wanted: ConsentEntry,
) -> UpdateId | None:
    """Another flight that is approved on that supercomputer and was not promoted yet."""
    for entry in ledger:
        name = entry.flight
        if name is None or name == wanted.flight or entry.request != wanted.request:
            continue
        update = updates.get(name)
        is_flying = update is not None and update.stage is Stage.FLIGHT_READY
        if is_flying and any(decisions.is_approved(node, name) is entry for node in scopes.nodes(entry.scope)):
            return name
    return None
