"""A population of list schedules that is bred: two orders are crossed, the child is scheduled, justified and kept if it
is no worse than one of those that it may replace.
"""

from collections.abc import Sequence

from fermata.planning.rcpsp.dice import Dice
from fermata.planning.rcpsp.listing import Listing, justify, place_all

BIASES = (1, 2, 4)  # how strongly a sample follows the longest tail; one bias alone makes schedules too much alike
MOVED_SHARE = 0.02  # of the tasks of a child, moved a little; more loses what the parents had
MOVED_MAX = 5  # places
RIVALS = 5  # of which a child replaces the longest: few keep the population varied
STALE_MAX = 3_000  # children in a row that shorten nothing: by then all members are alike, and a new start pays
SCHEDULES_EACH = 3  # one of the order, two of its justification


class Population:
    """Schedules as finish times, sampled first and bred after; the same seed gives the same ones."""

    def __init__(self, listing: Listing, seed: int) -> None:
        self._listing = listing
        self._dice = Dice(seed)
        self._members: list[tuple[int, list[int]]] = []
        self.best: list[int] = []  # finish times of the shortest so far
        self.makespan = 0  # of that one; 0 before the first
        self._stale = 0

    def sample(self) -> None:
        """One more member: an order sampled by the longest tail, with a bias for regret."""
        self._members.append(self._sampled())

    def welcome(self, finishes: Sequence[int]) -> None:
        """Takes in a schedule that was found elsewhere, in place of the longest."""
        justified = justify(self._listing, finishes)
        longest = max(range(len(self._members)), key=lambda index: self._members[index][0])
        self._members[longest] = self._note(justified)

    def breed(self) -> None:
        """One child of two members, each the shorter of two drawn; a population grown stale is sampled anew first."""
        self._stale += 1
        if self._stale > STALE_MAX:
            self._refresh()
        first, second = self._draw_parent(), self._draw_parent()
        if first is second:
            return
        makespan, finishes = self._schedule(self._cross(self._order(first), self._order(second)))
        rivals = self._dice.several(RIVALS, len(self._members))
        longest = max(rivals, key=lambda index: self._members[index][0])
        is_twin = any(makespan == other and finishes == its for other, its in self._members)
        if makespan <= self._members[longest][0] and not is_twin:
            self._members[longest] = (makespan, finishes)

    def _refresh(self) -> None:
        """Samples anew in place of all members; the best found so far is remembered, and takes no part."""
        self._stale = 0
        for place in range(len(self._members)):
            self._members[place] = self._sampled()

    def _draw_parent(self) -> list[int]:
        one, two = (self._members[self._dice.below(len(self._members))] for _ in range(2))
        return one[1] if one[0] <= two[0] else two[1]

    def _sampled(self) -> tuple[int, list[int]]:
        bias = BIASES[self._dice.below(len(BIASES))]
        return self._schedule(sample_order(self._listing, self._dice, bias))

    def _schedule(self, order: Sequence[int]) -> tuple[int, list[int]]:
        return self._note(justify(self._listing, place_all(self._listing.forward, order)))

    def _note(self, finishes: list[int]) -> tuple[int, list[int]]:
        makespan = max(finishes)
        if not self.best or makespan < self.makespan:
            self.best, self.makespan, self._stale = finishes, makespan, 0
        return makespan, finishes

    def _order(self, finishes: Sequence[int]) -> list[int]:
        starts = self._listing.starts(finishes)
        return sorted(range(len(starts)), key=lambda index: (starts[index], finishes[index], index))

    def _cross(self, first: Sequence[int], second: Sequence[int]) -> list[int]:
        """The first parent's order, but for a stretch of a quarter to three quarters in the order of the second."""
        count = len(first)
        begin = self._dice.below(count)
        end = min(count, begin + count // 4 + self._dice.below(count // 2 + 1))
        child = list(first[:begin])
        taken = set(child)
        middle = [index for index in second if index not in taken][: end - begin]
        child += middle
        taken.update(middle)
        child += [index for index in first if index not in taken]
        return self._move_some(child)

    def _move_some(self, order: list[int]) -> list[int]:
        """A few tasks a few places later, never beyond what waits for them."""
        moves = sum(self._dice.share() < MOVED_SHARE for _ in order)
        for _ in range(moves):
            place = self._dice.below(len(order))
            last = min(len(order) - 1, place + 1 + self._dice.below(MOVED_MAX))
            task = order[place]
            while place < last and order[place + 1] not in self._listing.successors[task]:
                order[place] = order[place + 1]
                place += 1
            order[place] = task
        return order


def sample_order(listing: Listing, dice: Dice, bias: int) -> list[int]:
    """An order in which the next task is drawn among the ready ones, the likelier the longer its tail.

    The weight is (regret + 1) ** bias, as in Drexl (1991); regret is how much longer than the shortest tail.
    """
    tails, successors = listing.tails, listing.successors
    waits = [len(those) for those in listing.forward.before]
    ready = [index for index, count in enumerate(waits) if not count]
    order: list[int] = []
    while ready:
        least = min(tails[index] for index in ready)
        chosen = ready.pop(dice.weighted([(tails[index] - least + 1) ** bias for index in ready]))
        order.append(chosen)
        for successor in successors[chosen]:
            waits[successor] -= 1
            if not waits[successor]:
                ready.append(successor)
    return order
