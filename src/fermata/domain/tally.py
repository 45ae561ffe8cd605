"""Who writes what right now, counted: room under isolation and team limits. Lives for one batch of decisions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import assert_never

from fermata.domain.ids import TeamId, UpdateId, WindowId
from fermata.domain.operations import Busy, Gate
from fermata.domain.scripts import APPLY_PREFIX
from fermata.domain.updates import NODE_TARGET, Catalogue, IsolationBy, Update


class Tally:
    """Counters over the whole fleet. `admit` counts whoever it lets in, so a batch cannot overshoot."""

    def __init__(self, catalogue: Catalogue, busy: Iterable[Busy]) -> None:
        self._limits: Mapping[TeamId, int] = catalogue.team_limits
        self._domains: dict[tuple[WindowId, UpdateId], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._teams: dict[TeamId, int] = defaultdict(int)
        for item in busy:
            update = catalogue.updates[UpdateId(item.step.removeprefix(APPLY_PREFIX))]
            self._domains[item.window, update.id][item.fault_domain] += item.units
            self._teams[update.owner_team] += item.units

    def admit(self, update: Update, window: WindowId, fault_domain: str, nodes: int) -> Gate | None:
        """None when one more unit may write `update`, which then counts; else what it must wait for.

        `nodes`: of the whole window, of which isolation by per cent takes its share; at least one is always let in.
        Devices whose update is isolated go one at a time: who is behind them overlaps.
        """
        limit = self._limits.get(update.owner_team)
        if limit is not None and self._teams[update.owner_team] >= limit:
            return Gate.TEAM
        domains = self._domains[window, update.id]
        if not _isolation_allows(update, domains, fault_domain, nodes):
            return Gate.ISOLATION
        domains[fault_domain] += 1
        self._teams[update.owner_team] += 1
        return None


def _isolation_allows(update: Update, domains: Mapping[str, int], fault_domain: str, nodes: int) -> bool:
    if update.target != NODE_TARGET and update.isolation.by is not IsolationBy.NONE:
        return not any(domains.values())
    match update.isolation.by:
        case IsolationBy.NONE:
            return True
        case IsolationBy.FAULT_DOMAIN:
            taken = {domain for domain, units in domains.items() if units}
            return fault_domain in taken or len(taken) < update.isolation.at_once
        case IsolationBy.PERCENT:
            return sum(domains.values()) < max(1, nodes * update.isolation.at_once // 100)
        case _:
            assert_never(update.isolation.by)
