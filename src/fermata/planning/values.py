"""What chosen spots are worth by each term, in the whole units that the solver model counts too."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import assert_never

from fermata.planning.problem import Spot
from fermata.planning.terms import CostTerm, OrderTerm, SpreadTerm, Term


def value_of(spots: Sequence[Spot], term: Term) -> int:
    """The term's value for a complete choice of spots; shares in basis points."""
    match term:
        case CostTerm(cost=cost):
            return sum(cost(spot) for spot in spots)
        case OrderTerm():
            return _count_wrong_pairs(spots, term)
        case SpreadTerm():
            return _measure_spread(spots, term)
        case _:
            assert_never(term)


def _count_wrong_pairs(spots: Sequence[Spot], term: OrderTerm) -> int:
    started = [0] * term.classes  # windows of each class that start at earlier instants
    wrong = 0
    ranked = sorted((spot.day, spot.start, term.ranks[spot.way]) for spot in spots if term.ranks[spot.way] >= 0)
    for _, together in groupby(ranked, key=itemgetter(0, 1)):
        ranks = [rank for _, _, rank in together]
        wrong += sum(sum(started[rank + 1 :]) for rank in ranks)
        for rank in ranks:
            started[rank] += 1
    return wrong


def _measure_spread(spots: Sequence[Spot], term: SpreadTerm) -> int:
    shares: dict[tuple[str, int], int] = {}
    for spot in spots:
        place, weight = term.weights.get((spot.way, spot.group), ("", 0))
        if weight:
            shares[place, spot.day] = shares.get((place, spot.day), 0) + weight
    covers_all = len(shares) == len(term.places) * term.days
    return max(shares.values(), default=0) - (min(shares.values(), default=0) if covers_all else 0)
