"""What "better" means to the solver: each of the campaign's preferences as a quantity of the model to be made least."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from ortools.sat.python import cp_model

from fermata.domain.campaign import (
    AvoidWeekday,
    FewestWindows,
    FinishByDeadline,
    OrderClasses,
    Preference,
    SpreadEvenly,
)
from fermata.planning.problem import Problem, Spot
from fermata.planning.values import SHARE_SCALE, calendar_days, class_of, count_where, late_node_days, spread_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One spot that may be taken and the variable that says whether it is."""

    spot: Spot
    taken: cp_model.IntVar


def add_term(
    model: cp_model.CpModel, problem: Problem, choices: Sequence[Choice], preference: Preference
) -> cp_model.LinearExprT:
    """The quantity that `preference` wants least, with the variables it needs added to `model`."""
    match preference:
        case FinishByDeadline():
            costs = [late_node_days(problem, c.spot) for c in choices]
            return cp_model.LinearExpr.weighted_sum([c.taken for c in choices], costs)
        case FewestWindows():
            return cp_model.LinearExpr.sum([c.taken for c in choices])
        case AvoidWeekday(weekday=weekday):
            avoided = {d for d, day in enumerate(problem.days) if day.date.weekday() == weekday}
            return cp_model.LinearExpr.sum([c.taken for c in choices if c.spot.day in avoided])
        case OrderClasses(classes=classes):
            return _add_wrong_pairs(model, problem, choices, classes)
        case SpreadEvenly():
            return _add_spread(model, problem, choices, preference)
        case _:
            assert_never(preference)


def _add_wrong_pairs(
    model: cp_model.CpModel, problem: Problem, choices: Sequence[Choice], classes: Sequence[str]
) -> cp_model.LinearExprT:
    """Over all instants and pairs of classes: windows of the later class that start then, times those of the earlier
    class that start after it.
    """
    at: dict[tuple[str, tuple[int, int]], list[cp_model.IntVar]] = {}
    for choice in choices:
        at.setdefault((class_of(problem, choice.spot.way), (choice.spot.day, choice.spot.start)), []).append(
            choice.taken
        )
    instants = sorted({instant for _, instant in at}, reverse=True)
    pairs: list[cp_model.IntVar] = []
    for number, earlier in enumerate(classes):
        for later in classes[number + 1 :]:
            following: list[cp_model.IntVar] = []
            for instant in instants:
                starting = at.get((later, instant), [])
                if starting and following:
                    pairs.append(_add_product(model, starting, following))
                following.extend(at.get((earlier, instant), []))
    return cp_model.LinearExpr.sum(pairs)


def _add_product(
    model: cp_model.CpModel, left: Sequence[cp_model.IntVar], right: Sequence[cp_model.IntVar]
) -> cp_model.IntVar:
    a = model.new_int_var(0, len(left), "")
    b = model.new_int_var(0, len(right), "")
    product = model.new_int_var(0, len(left) * len(right), "")
    model.add(a == cp_model.LinearExpr.sum(list(left)))
    model.add(b == cp_model.LinearExpr.sum(list(right)))
    model.add_multiplication_equality(product, [a, b])
    return product


def _add_spread(
    model: cp_model.CpModel, problem: Problem, choices: Sequence[Choice], preference: SpreadEvenly
) -> cp_model.LinearExprT:
    """Over all places and calendar days: the largest minus the smallest share of its nodes a place has out that day."""
    weights = spread_weights(problem, preference)
    shares: dict[tuple[str, int], list[tuple[cp_model.IntVar, int]]] = {}
    for choice in choices:
        place, weight = weights.get((choice.spot.way, choice.spot.group), ("", 0))
        if weight:
            shares.setdefault((place, choice.spot.day), []).append((choice.taken, weight))
    everywhere = len(count_where(problem, preference.where, preference.over)) * calendar_days(problem)
    largest = model.new_int_var(0, 2 * SHARE_SCALE, "")
    smallest = model.new_int_var(0, 2 * SHARE_SCALE if len(shares) == everywhere else 0, "")
    for terms in shares.values():
        share = cp_model.LinearExpr.weighted_sum([taken for taken, _ in terms], [weight for _, weight in terms])
        model.add(share <= largest)
        model.add(smallest <= share)
    return largest - smallest
