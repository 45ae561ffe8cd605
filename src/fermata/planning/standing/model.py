"""The solver model of one cluster: which item is done on which day, so that nodes are out as seldom as can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from fermata.domain.ids import NodeId, UpdateId
from fermata.planning import cp_model
from fermata.planning.standing.calendar import days_of
from fermata.planning.standing.items import Item

EFFORT = 4.0  # deterministic time for one cluster: 20 items take hundredths of it, 40 seldom more
WORKERS = 4  # threads of the interleaved search: any fixed number, for the result depends on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """The day of each item that is done; one that is missing is covered by a newer one. `bound`: of node outages."""

    days: Mapping[UpdateId, date]
    bound: int


def choose_days(
    items: Sequence[Item],
    days: Sequence[date],
    *,
    pinned: Mapping[UpdateId, date],
    joins: Mapping[date, frozenset[NodeId]],
    room_minutes: float | None,
    seed: int,
) -> Solved | None:
    """The days with the fewest node outages, then the fewest outages; None when no choice keeps every date.

    `pinned` items stay where they were published. `joins`: what else may be done on a published day must take only the
    nodes that were told.
    """
    model = _Model(items, days, joins)
    model.keep_order()
    for update, day in pinned.items():
        model.pin(update, day)
    if room_minutes is not None:
        model.keep_room(room_minutes)
    return model.solve(seed)


class _Model:
    """`runs`: per item and day on which it may run, whether it does."""

    def __init__(self, items: Sequence[Item], days: Sequence[date], joins: Mapping[date, frozenset[NodeId]]) -> None:
        self._cp = cp_model.CpModel()
        self._items = {item.update: item for item in items}
        self._days = days
        self.runs: dict[UpdateId, dict[date, cp_model.IntVar]] = {}
        for item in items:
            allowed = [d for d in days_of(item, days) if d not in joins or joins[d].issuperset(item.takes)]
            self.runs[item.update] = {day: self._cp.new_bool_var(f"{item.update}/{day}") for day in allowed}
        for item in items:
            self._cp.add_at_most_one(self.runs[item.update].values())
            self._cp.add_at_least_one([*self.runs[item.update].values(), *self._covers(item, item.due)])
        self._out = self._add_outages()

    def _covers(self, item: Item, until: date) -> list[cp_model.IntVar]:
        newer = (name for name in item.covered_by if name in self.runs)
        return [var for name in newer for day, var in self.runs[name].items() if day <= until]

    def _add_outages(self) -> dict[date, tuple[cp_model.IntVar, list[tuple[int, cp_model.IntVar]]]]:
        """Per day: whether there is an outage, and per kind of nodes (those with equal items) how many may be out."""
        items_of: dict[NodeId, list[UpdateId]] = {}
        for update, item in self._items.items():
            for node in item.takes:
                items_of.setdefault(node, []).append(update)
        kinds = Counter(tuple(updates) for updates in items_of.values())
        outages = {}
        for day in self._days:
            is_used = self._cp.new_bool_var(f"outage {day}")
            out = []
            for number, (updates, size) in enumerate(kinds.items()):
                running = [self.runs[name][day] for name in updates if day in self.runs[name]]
                if running:
                    is_out = self._cp.new_bool_var(f"kind {number} {day}")
                    self._cp.add_max_equality(is_out, running)
                    self._cp.add_implication(is_out, is_used)
                    out.append((size, is_out))
            outages[day] = (is_used, out)
        return outages

    def keep_order(self) -> None:
        """What an item waits for, or what covers that, has run by the same day."""
        for item in self._items.values():
            for name in item.after:
                if name not in self._items:
                    continue
                earlier = self._items[name]
                for day in self.runs[item.update]:
                    done = [var for d, var in self.runs[name].items() if d <= day]
                    self._cp.add_at_least_one(
                        [*done, *self._covers(earlier, day), self.runs[item.update][day].negated()]
                    )

    def pin(self, update: UpdateId, day: date) -> None:
        """Keeps a published item on its day."""
        self._cp.add(self.runs[update][day] == 1)

    def keep_room(self, minutes: float) -> None:
        """The items of one day fit into its hours; one that alone does not goes alone."""
        for day in self._days:
            running = [
                (self.runs[u][day], min(self._items[u].minutes, minutes)) for u in self.runs if day in self.runs[u]
            ]
            weights = [round(10 * needed) for _, needed in running]
            self._cp.add(cp_model.LinearExpr.weighted_sum([var for var, _ in running], weights) <= round(10 * minutes))

    def solve(self, seed: int) -> Solved | None:
        """The best choice of days."""
        weight = len(self._days) + 1
        terms = [(weight * size, var) for _, out in self._out.values() for size, var in out]
        terms.extend((1, is_used) for is_used, _ in self._out.values())
        self._cp.minimize(cp_model.LinearExpr.weighted_sum([var for _, var in terms], [cost for cost, _ in terms]))
        solver = cp_model.CpSolver()
        solver.parameters.random_seed = seed
        solver.parameters.num_workers = WORKERS
        solver.parameters.interleave_search = True
        solver.parameters.max_deterministic_time = EFFORT
        solver.parameters.catch_sigint_signal = False
        status = solver.solve(self._cp)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        chosen = {
            update: day
            for update, by_day in self.runs.items()
            for day, var in by_day.items()
            if solver.boolean_value(var)
        }
        return Solved(days=chosen, bound=max(0, round(solver.best_objective_bound)) // weight)
