"""The published schedule, window by window: where each stands now, and how often what was published of it changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.ids import CampaignId, ClusterId, PlanId, UpdateId, WindowId
from fermata.domain.plans import Window
from fermata.domain.run_states import WindowState

WITHDRAWN = frozenset({WindowState.MISSED, WindowState.SKIPPED, WindowState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A plan as it was published, in the order of publication."""

    plan: PlanId
    at: datetime
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """One window. `version` begins with 0 and grows with every word that was published of it; `said_at` is when the
    last one was. `is_withdrawn`: it does not take place.
    """

    campaign: CampaignId
    window: WindowId
    cluster: ClusterId
    start: datetime
    end: datetime
    nodes: int
    updates: tuple[UpdateId, ...]
    reboots_per_node: int
    plan: PlanId
    version: int
    said_at: datetime
    is_withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a run says of a window, and since when."""

    state: WindowState
    at: datetime


def fold_schedule(
    campaign: CampaignId, editions: Iterable[Edition], ended: Mapping[WindowId, Ended]
) -> tuple[Scheduled, ...]:
    """Every window that was ever published, by its start. The same editions give the same answer, whenever it is asked
    for; one more edition changes nothing of windows that it leaves as they are.
    """
    known: dict[WindowId, tuple[Window, Scheduled]] = {}
    for edition in editions:
        there = {window.id for window in edition.windows}
        for window in edition.windows:
            known[window.id] = (window, _say(campaign, edition, window, known.get(window.id)))
        for name, (window, said) in known.items():
            if name not in there and not said.is_withdrawn:
                gone = replace(said, version=said.version + 1, said_at=edition.at, is_withdrawn=True)
                known[name] = (window, gone)
    found = (_end(said, ended.get(said.window)) for _, said in known.values())
    return tuple(sorted(found, key=lambda said: (said.start, said.cluster, said.window)))


def _say(campaign: CampaignId, edition: Edition, window: Window, before: tuple[Window, Scheduled] | None) -> Scheduled:
    if before is not None and not before[1].is_withdrawn and _words(before[0]) == _words(window):
        return before[1]
    return Scheduled(
        campaign=campaign,
        window=window.id,
        cluster=window.cluster,
        start=window.start,
        end=window.end,
        nodes=len(window.nodes),
        updates=window.updates,
        reboots_per_node=window.reboots_per_node,
        plan=edition.plan,
        version=0 if before is None else before[1].version + 1,
        said_at=edition.at,
        is_withdrawn=False,
    )


def _words(window: Window) -> tuple[object, ...]:
    return window.start, window.end, window.nodes, window.updates, window.reboots_per_node


def _end(said: Scheduled, ended: Ended | None) -> Scheduled:
    if ended is None or said.is_withdrawn or ended.state not in WITHDRAWN:
        return said
    return replace(said, version=said.version + 1, said_at=max(said.said_at, ended.at), is_withdrawn=True)


def choose(
    schedule: Iterable[Scheduled], *, clusters: frozenset[ClusterId] | None, updates: frozenset[UpdateId] | None
) -> Sequence[Scheduled]:
    """Those of these clusters that bring one of these updates; None does not restrict."""
    return [
        each
        for each in schedule
        if (clusters is None or each.cluster in clusters) and (updates is None or not updates.isdisjoint(each.updates))
    ]
