"""The price of a limit: what a little more room under it would buy, term by term, by planning again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.plans import ObjectiveTerm, Plan
from fermata.planning.inputs import Planned, PlanningInput, PlanningOutcome
from fermata.planning.limits import count_nodes, describe_limit, limit_capacity
from fermata.planning.loosen import raise_limit
from fermata.planning.scope import Scope, find_scope

SHARES = (0.01, 0.10)  # beside one node: what is asked for in a talk about a cap


class Worth(StrEnum):
    """What more room buys, in the plan found with it. The last two are proven: the limit never fills at all, or the
    bounds of the new plan say that none is better than the one there is.
    """

    BUYS = "buys"
    NOTHING_FOUND = "nothing_found"
    NOTHING = "nothing"
    SLACK = "slack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """`extra` nodes more under limit number `limit`; `objective` of the plan with them, None when there was no need to
    plan again.
    """

    limit: int
    name: str
    capacity: int
    extra: int
    sentence: str
    worth: Worth
    objective: tuple[ObjectiveTerm, ...] | None


Solve = Callable[[PlanningInput, str], PlanningOutcome]


def list_priced(inputs: PlanningInput) -> tuple[int, ...]:
    """The limits that have a price: those that count nodes."""
    return tuple(n for n, limit in enumerate(inputs.campaign.limits) if limit.what is LimitKind.NODES_OUT)


def price_limits(inputs: PlanningInput, plan: Plan, numbers: Sequence[int], solve: Solve) -> tuple[Price, ...]:
    """Of each limit in `numbers`, which count nodes: room for one node more, for 1 % and for 10 %. `plan` is that of
    the inputs; `solve` plans others and is told in words which. More room allows all that less does, so where the
    largest step buys nothing, smaller ones are not tried.
    """
    scope = find_scope(inputs)
    prices: list[Price] = []
    for number in numbers:
        limit = inputs.campaign.limits[number]
        capacity = limit_capacity(limit, scope.clusters, inputs.fleet)
        is_slack = _is_slack(inputs, limit, capacity, scope)
        worth = Worth.SLACK if is_slack else None
        found: list[Price] = []
        for extra in sorted({1, *(ceil(share * capacity) for share in SHARES)}, reverse=True):
            loosened, sentence = raise_limit(inputs, scope.clusters, number, extra)
            objective = None
            if worth is None or worth is Worth.BUYS:
                outcome = solve(loosened, sentence)
                objective = outcome.plan.objective if isinstance(outcome, Planned) else None
                worth = _judge(plan.objective, objective)
            name = f"limits[{number}] {describe_limit(limit)}"
            found.append(
                Price(
                    limit=number,
                    name=name,
                    capacity=capacity,
                    extra=extra,
                    sentence=sentence,
                    worth=worth,
                    objective=objective,
                )
            )
        prices.extend(reversed(found))
    return tuple(prices)


def _is_slack(inputs: PlanningInput, limit: Limit, capacity: int, scope: Scope) -> bool:
    """True when it would not fill if all its nodes went at once, with all that do not come back still out."""
    most = sum(count_nodes(limit, work.nodes, work.cluster) for work in scope.works)
    fallout = inputs.campaign.fallout
    return most + ceil(most * fallout.fraction * max(1.0, fallout.mean_days_to_repair)) <= capacity


def _judge(now: Sequence[ObjectiveTerm], then: Sequence[ObjectiveTerm] | None) -> Worth:
    """By the first term that differs; a worse one only says that the search was not lucky."""
    for a, b in zip(now, then or (), strict=False):
        if b.value < a.value:
            return Worth.BUYS
        if b.value > a.value or b.bound < a.value:  # a better value is not ruled out
            return Worth.NOTHING_FOUND
    return Worth.NOTHING if then else Worth.NOTHING_FOUND
