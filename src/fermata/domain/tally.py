"""Who writes what right now, counted: room under isolation and team limits. Lives for one batch of decisions."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import assert_never

from fermata.domain.batch_size import Tried
from fermata.domain.ids import TeamId, UpdateId, WindowId
from fermata.domain.operations import Busy, Gate, UnitOp
from fermata.domain.queues import Queue
from fermata.domain.scripts import APPLY_PREFIX
from fermata.domain.updates import NODE_TARGET, Catalogue, IsolationBy, Update


def in_turn(waiting: Sequence[UnitOp], catalogue: Catalogue) -> list[UnitOp]:
    """Who is asked first when there is room again: the fault domain with most units waiting, then the plan's order."""
    crowd = Counter((op.window, op.step, op.fault_domain) for op in waiting)

    def key(op: UnitOp) -> tuple[int, int, int]:
        update = catalogue.updates[UpdateId(op.step.removeprefix(APPLY_PREFIX))]
        by_domain = update.isolation.by is IsolationBy.FAULT_DOMAIN
        return -crowd[op.window, op.step, op.fault_domain] if by_domain else 0, op.rank, op.id

    return sorted(waiting, key=key)


class Tally:
    """Counters over the whole fleet. `admit` counts whoever it lets in, so a batch cannot overshoot."""

    def __init__(
        self, catalogue: Catalogue, busy: Iterable[Busy], teams_elsewhere: Mapping[TeamId, int] = MappingProxyType({})
    ) -> None:
        """`teams_elsewhere`: units that teams write and that are not in `busy`."""
        self._limits: Mapping[TeamId, int] = catalogue.team_limits
        self._domains: dict[tuple[WindowId, UpdateId], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._teams: dict[TeamId, int] = defaultdict(int, teams_elsewhere)
        self._queues: dict[tuple[WindowId, UpdateId], Queue] = {}
        self._tried: dict[tuple[WindowId, UpdateId], Tried] = {}
        self._just_in: set[tuple[WindowId, UpdateId, str]] = set()  # whoever waits there enters now, and costs no time
        for item in busy:
            update = catalogue.updates[UpdateId(item.step.removeprefix(APPLY_PREFIX))]
            self._domains[item.window, update.id][item.fault_domain] += item.units
            self._teams[update.owner_team] += item.units

    def admit(
        self, update: Update, window: WindowId, fault_domain: str, *, nodes: int, queue: Callable[[], Queue]
    ) -> Gate | None:
        """None when one more unit may write `update`, which then counts; else what it must wait for.

        `nodes`: of the whole window, of which isolation by per cent takes its share; at least one is always let in.
        `queue`: the update's queue in the window, counted at most once per tally and only where it matters.
        Devices whose update is isolated go one at a time: who is behind them overlaps.
        """
        if self.is_team_full(update.owner_team):
            return Gate.TEAM
        domains = self._domains[window, update.id]
        if not _isolation_allows(update, domains, fault_domain, nodes):
            return Gate.ISOLATION
        if self._must_make_room(update, window, fault_domain, queue):
            return Gate.ISOLATION
        if not domains[fault_domain]:
            self._just_in.add((window, update.id, fault_domain))
        domains[fault_domain] += 1
        self._teams[update.owner_team] += 1
        return None

    def is_too_fast(self, update: Update, window: WindowId, tried: Callable[[], Tried]) -> Tried | None:
        """What was tried of `update` in the window, when one more node that writes it would be too many for that; else
        None. `tried` is asked at most once per tally. Devices go by their isolation alone.
        """
        if update.target != NODE_TARGET:
            return None
        found = self.tried(update, window, tried)
        writing = sum(self._domains[window, update.id].values())
        return found if found.failed and writing >= found.at_once else None

    def tried(self, update: Update, window: WindowId, count: Callable[[], Tried]) -> Tried:
        """What came of `update` in the window; counted at most once per tally."""
        key = (window, update.id)
        if key not in self._tried:
            self._tried[key] = count()
        return self._tried[key]

    def is_team_full(self, team: TeamId) -> bool:
        """True when the team works on as many units as it can, over the whole fleet."""
        limit = self._limits.get(team)
        return limit is not None and self._teams[team] >= limit

    def seat(self, update: Update, window: WindowId, fault_domain: str, at_once: int) -> bool:
        """True when one more rider of a train may write, which then counts: `at_once` of one fault domain."""
        busy: dict[str, int] = defaultdict(int)
        for (name, _), domains in self._domains.items():
            if name == window:
                for domain, units in domains.items():
                    busy[domain] += units
        others = any(units for domain, units in busy.items() if domain != fault_domain)
        if others or busy[fault_domain] >= at_once:
            return False
        self._domains[window, update.id][fault_domain] += 1
        self._teams[update.owner_team] += 1
        return True

    def _must_make_room(self, update: Update, window: WindowId, fault_domain: str, queue: Callable[[], Queue]) -> bool:
        """True for the stragglers of a domain that is in, when another domain waits for a place and there is none. Who
        waits while its domain gets a place is no straggler.
        """
        if update.target != NODE_TARGET or update.isolation.by is not IsolationBy.FAULT_DOMAIN:
            return False
        if (window, update.id, fault_domain) in self._just_in:
            return False
        taken = {domain for domain, units in self._domains[window, update.id].items() if units}
        if len(taken) < update.isolation.at_once:
            return False
        key = (window, update.id)
        if key not in self._queues:
            self._queues[key] = queue()
        found = self._queues[key]
        if found.to_come.get(fault_domain, 0) <= found.stragglers.get(fault_domain, 0) and found.waiting - taken:
            return True
        found.to_come[fault_domain] = found.to_come.get(fault_domain, 0) - 1
        return False


def _isolation_allows(update: Update, domains: Mapping[str, int], fault_domain: str, nodes: int) -> bool:
    if update.target != NODE_TARGET and update.isolation.by is not IsolationBy.NONE:
        return not any(domains.values())
    match update.isolation.by:
        case IsolationBy.NONE:
            return True
        case IsolationBy.FAULT_DOMAIN:
            if domains.get(fault_domain):
                return True
            return sum(1 for units in domains.values() if units) < update.isolation.at_once
        case IsolationBy.PERCENT:
            return sum(domains.values()) < max(1, nodes * update.isolation.at_once // 100)
        case _:
            assert_never(update.isolation.by)
