"""Who may speak for a scope, and whether there is such a scope: asked by consent and by freezes."""

from collections.abc import Sequence

from fermata.domain.ids import CustomerId
from fermata.domain.policy import Policy, Scope
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scopes import Scopes
from fermata.services.errors import say_nearest
from fermata.services.speaking import find_speaker


def judge_scope(scopes: Scopes, scope: Scope) -> Reason | None:
    """Why nothing can be said about `scope`, or None when the fleet holds it once."""
    if not scopes.nodes(scope):
        near = say_nearest(lambda: scopes.nearest(scope))
        return reason(Code.SCOPE_UNKNOWN, level=scope.level, name=scope.name, nearest=near)
    supercomputers = scopes.supercomputers(scope)
    if len(supercomputers) > 1:
        return reason(Code.SCOPE_AMBIGUOUS, name=scope.name, supercomputers=", ".join(supercomputers))
    return None


def find_approver(policy: Policy, customers: Sequence[CustomerId], actor: str | None) -> str | Reason:
    """`actor` when every one of `customers` lets it decide, or, for None, who is signed in, or else the first whom they
    all let; else why not.
    """
    actor = actor if actor is not None else find_speaker()
    allowed = [policy.customers[name].approvers if name in policy.customers else () for name in customers]
    spoken = [actor] if actor is not None else list(allowed[0])
    for candidate in spoken:
        if all(candidate in approvers for approvers in allowed):
            return candidate
    named = sorted({approver for approvers in allowed for approver in approvers})
    return reason(
        Code.APPROVER_UNKNOWN,
        actor=actor or "nobody",
        customer=" and ".join(customers),
        approvers=", ".join(named) or "none on record",
    )
