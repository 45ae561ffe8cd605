"""Large campaigns first look for a plan with the fewest windows alone: each cluster in the ways that take the fewest of
them. A plan of those with its first two terms at their floors has no better one beside it, and every plan as good has
those windows too. Other ways, and most of the windows that could be laid out, are then not needed.
"""

from collections.abc import Sequence
from dataclasses import replace

from fermata.domain.campaign import FewestWindows, FinishByDeadline
from fermata.planning.floors import find_floor, find_homeless
from fermata.planning.outline import Outline
from fermata.planning.problem import Problem, Spot, find_spots
from fermata.planning.terms import term_of

ALL_WAYS_MOST = 200  # works, of which all ways are laid out in a second or two: nothing is gained by leaving any out
FIRST_TERMS = 2  # those that have to be at their floors


def may_do_with_fewest(outline: Outline) -> bool:
    """True for a large campaign that wants to be in time, and few windows, before anything else."""
    inputs = outline.inputs
    first = {type(preference) for preference in inputs.campaign.preferences[:FIRST_TERMS]}
    spares = inputs.max_breach is not None  # room kept free may ask for more windows
    return len(outline.works) > ALL_WAYS_MOST and first == {FinishByDeadline, FewestWindows} and not spares


def compile_fewest(outline: Outline) -> Problem:
    """The problem in which each cluster takes the fewest windows, as laid out; a cluster that comes late or nowhere so,
    were it alone, may take any of its ways.
    """
    problem = outline.compile_fewest()
    wanting = _find_wanting(problem, find_spots(problem))
    return outline.compile_fewest(wanting) if wanting else problem


def _find_wanting(problem: Problem, spots: Sequence[Spot]) -> frozenset[int]:
    """The clusters, by place in `ways_of`, that their ways leave without a home, or late."""
    late = term_of(problem, FinishByDeadline())
    cluster_of = {way: number for number, ways in enumerate(problem.ways_of) for way in ways}
    own: dict[int, list[Spot]] = {}
    for spot in spots:
        own.setdefault(cluster_of[spot.way], []).append(spot)
    homeless = find_homeless(problem, spots)
    alone = {number: replace(problem, ways_of=(problem.ways_of[number],)) for number in own}
    return frozenset(homeless) | {number for number, one in alone.items() if find_floor(one, own[number], late)}
