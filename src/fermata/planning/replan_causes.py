"""Why each window of a re-plan differs from the parent's: what keeps it from its old place, looked at once more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fermata.domain.ids import NodeId
from fermata.domain.observed import AS_CATALOGUED, Fate
from fermata.domain.plan_diff import Change, PlanDiff, diff_plans
from fermata.domain.plans import Plan, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.inputs import PlanningInput
from fermata.planning.problem import Spot
from fermata.planning.replan_agenda import MINUTE, Agenda, judge_home, tell
from fermata.planning.replan_search import Placed
from fermata.planning.replan_tasks import Kind
from fermata.planning.rows import Row, build_rows, lent_before


def explain_changes(inputs: PlanningInput, agenda: Agenda, placed: Placed, plan: Plan) -> PlanDiff:
    """The differences to the parent, each with its cause."""
    assert inputs.parent is not None, "a re-plan follows another plan"
    causes = _Causes(inputs=inputs, agenda=agenda, placed=placed, plan=plan)
    return diff_plans(inputs.parent, plan, ran=inputs.standing.ran, cause_of=causes.find)


@dataclass(frozen=True, kw_only=True)
class _Causes:
    """Everything that a cause is looked for in."""

    inputs: PlanningInput
    agenda: Agenda
    placed: Placed
    plan: Plan

    def find(self, change: Change, was: tuple[Window, ...], now: tuple[Window, ...]) -> Reason:
        """The first cause that holds, the plainest ones asked first."""
        lapsed = {window.id for window in self.inputs.standing.lapsed}
        for window in was if now else ():
            if window.id in lapsed:
                seen = self.inputs.standing.seen.get(window.id)
                return reason(Code.DID_NOT_RUN, window=window.id, fate=seen.fate if seen else Fate.MISSED)
        before = {name for window in was for name in window.nodes}
        after = {name for window in now for name in window.nodes}
        match change:
            case Change.ADDED:
                return self._of_new(sorted(after))
            case Change.DROPPED:
                return self._of_lost(sorted(before))
            case Change.CHANGED:
                return self._of_changed(was[0], now[0])
            case Change.MOVED:
                return self._of_moved(was[0])
            case Change.MERGED | Change.SPLIT:
                return reason(Code.SPLIT_ANEW, cluster=was[0].cluster)

    def _of_new(self, names: Sequence[NodeId]) -> Reason:
        again = self.inputs.standing.again
        assert self.inputs.parent is not None, "a re-plan follows another plan"
        for window in self.inputs.parent.windows:
            left = sum(1 for name in names if name in again and name in window.nodes)
            if left:
                return reason(Code.LEFT_OVER, window=window.id, nodes=f"{left:,}")
        return reason(Code.NEWLY_PLANNED, nodes=f"{len(names):,}")

    def _of_lost(self, names: Sequence[NodeId]) -> Reason:
        for group in self.plan.unplanned:
            if not set(names).isdisjoint(group.nodes):
                return group.reason
        gone = [name for name in names if name not in self.inputs.fleet.nodes]
        if gone:
            return reason(Code.NODES_GONE, nodes=f"{len(gone):,}", example=gone[0])
        return reason(Code.NOTHING_LEFT, nodes=f"{len(names):,}")

    def _of_changed(self, was: Window, now: Window) -> Reason:
        lost, new = sorted(set(was.nodes) - set(now.nodes)), sorted(set(now.nodes) - set(was.nodes))
        if lost:
            return self._of_lost(lost)
        if new:
            return self._of_new(new)
        minutes, before = (round((w.end - w.start) / MINUTE) for w in (now, was))
        observed = self.inputs.observed
        if minutes <= before and observed is not None and observed.stretch != AS_CATALOGUED:
            return reason(Code.LONGER_WITHIN, minutes=minutes, before=before)
        if minutes != before:
            return reason(Code.LONGER_NOW, minutes=minutes, before=before)
        return reason(Code.WORK_CHANGED)

    def _of_moved(self, was: Window) -> Reason:
        task = next(
            (i for i, t in enumerate(self.agenda.tasks) if t.source is not None and t.source.id == was.id), None
        )
        if task is None:
            return reason(Code.SPLIT_ANEW, cluster=was.cluster)
        if task not in self.agenda.homes:
            why = judge_home(self.agenda, self.agenda.tasks[task])
            return why if why is not None else reason(Code.WORK_CHANGED)
        return self._of_crowded(task)

    def _of_crowded(self, task: int) -> Reason:
        """Which limit its old place would break beside what stands there that day now."""
        ways_of = self.placed.problem.ways_of
        home = self.agenda.home_spot(task, ways_of[task][0])
        spots = [s for s in self.placed.spots if s.day == home.day and s.way not in ways_of[task]] + [home]
        task_of = {way: number for number, ways in enumerate(ways_of) for way in ways}
        problem = replace(self.placed.problem, seats={})
        rows = (
            replace(row, capacity=row.capacity + lent_before(problem, row, self.placed.spots))
            for row in build_rows(problem, spots, with_reserve=False)
        )
        crowded = [
            row
            for row in rows
            if len(spots) - 1 in dict(row.terms) and sum(units for _, units in row.terms) > row.capacity
        ]
        for row in sorted(crowded, key=lambda row: row.resource < 0):
            return self._of_row(row, spots, task_of)
        return reason(Code.MADE_ROOM, others=self._newcomers(), limit="the campaign's limits")

    def _of_row(self, row: Row, spots: Sequence[Spot], task_of: dict[int, int]) -> Reason:
        name = self.agenda.resources[row.resource].name if row.resource >= 0 else "one window of a cluster a day"
        others = [number for number, _ in row.terms if number != len(spots) - 1]
        fresh = [number for number in others if not self._is_at_home(task_of[spots[number].way], spots[number])]
        used = sum(units for _, units in row.terms)
        if fresh and used - sum(dict(row.terms)[number] for number in fresh) <= row.capacity:
            return reason(Code.MADE_ROOM, others=self._clusters(fresh, spots), limit=name)
        return reason(
            Code.LIMIT_FULL, limit=name, allowed=row.capacity, used=used, others=self._clusters(others, spots)
        )

    def _is_at_home(self, task: int, spot: Spot) -> bool:
        return self.agenda.homes.get(task) == (spot.day, spot.start)

    def _clusters(self, numbers: Sequence[int], spots: Sequence[Spot]) -> str:
        ways = self.placed.problem.ways
        return tell(sorted({ways[spots[number].way].cluster.name for number in numbers})) or "nothing else"

    def _newcomers(self) -> str:
        names = {
            t.cluster.name for i, t in enumerate(self.agenda.tasks) if t.kind is Kind.OPEN or i not in self.agenda.homes
        }
        return tell(sorted(names)) or "others"
