"""What "better" means to the solver: each term as a quantity of the model to be made least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from fermata.planning import cp_model
from fermata.planning.problem import Spot
from fermata.planning.terms import SHARE_SCALE, CostTerm, OrderTerm, SpreadTerm, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One spot that may be taken and the variable that says whether it is."""

    spot: Spot
    taken: cp_model.IntVar


def add_term(model: cp_model.CpModel, choices: Sequence[Choice], term: Term) -> cp_model.LinearExprT:
    """The quantity that `term` wants least, with the variables it needs added to `model`."""
    match term:
        case CostTerm(cost=cost):
            return cp_model.LinearExpr.weighted_sum([c.taken for c in choices], [cost(c.spot) for c in choices])
        case OrderTerm():
            return _add_wrong_pairs(model, choices, term)
        case SpreadTerm():
            return _add_spread(model, choices, term)
        case _:
            assert_never(term)


def _add_wrong_pairs(model: cp_model.CpModel, choices: Sequence[Choice], term: OrderTerm) -> cp_model.LinearExprT:
    """Over all instants and pairs of classes: windows of the later class that start then, times those of the earlier
    class that start after it.
    """
    at: dict[tuple[int, tuple[int, int]], list[cp_model.IntVar]] = {}
    for choice in choices:
        key = (term.ranks[choice.spot.way], (choice.spot.day, choice.spot.start))
        at.setdefault(key, []).append(choice.taken)
    instants = sorted({instant for _, instant in at}, reverse=True)
    pairs: list[cp_model.IntVar] = []
    for earlier in range(term.classes):
        for later in range(earlier + 1, term.classes):
            following: list[cp_model.IntVar] = []
            for instant in instants:
                starting = at.get((later, instant), [])
                if starting and following:
                    pairs.append(add_product(model, starting, following))
                following.extend(at.get((earlier, instant), []))
    return cp_model.LinearExpr.sum(pairs)


def add_product(
    model: cp_model.CpModel, left: Sequence[cp_model.IntVar], right: Sequence[cp_model.IntVar]
) -> cp_model.IntVar:
    """How many are taken on the left, times how many on the right."""
    a = model.new_int_var(0, len(left), "")
    b = model.new_int_var(0, len(right), "")
    product = model.new_int_var(0, len(left) * len(right), "")
    model.add(a == cp_model.LinearExpr.sum(list(left)))
    model.add(b == cp_model.LinearExpr.sum(list(right)))
    model.add_multiplication_equality(product, [a, b])
    return product


def _add_spread(model: cp_model.CpModel, choices: Sequence[Choice], term: SpreadTerm) -> cp_model.LinearExprT:
    shares: dict[tuple[str, int], list[tuple[cp_model.IntVar, int]]] = {}
    for choice in choices:
        place, weight = term.weights.get((choice.spot.way, choice.spot.group), ("", 0))
        if weight:
            shares.setdefault((place, choice.spot.day), []).append((choice.taken, weight))
    everywhere = len(term.places) * term.days
    largest = model.new_int_var(0, 2 * SHARE_SCALE, "")
    smallest = model.new_int_var(0, 2 * SHARE_SCALE if len(shares) == everywhere else 0, "")
    for terms in shares.values():
        share = cp_model.LinearExpr.weighted_sum([taken for taken, _ in terms], [weight for _, weight in terms])
        model.add(share <= largest)
        model.add(smallest <= share)
    return largest - smallest
