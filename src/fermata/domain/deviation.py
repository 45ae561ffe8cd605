"""What differs between a plan and what came of it so far, and whether that is enough to plan again.

Pure: equal facts give an equal deviation with an equal `key`, so that nobody is asked twice about the same.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from statistics import median

from fermata.domain.hashing import content_sha256
from fermata.domain.ids import ClusterId, NodeId, PlanId, WindowId
from fermata.domain.observed import AS_CATALOGUED, Stretch
from fermata.domain.operations import WindowRun
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import ReplanMode, WindowState

DID_NOT_RUN = frozenset({WindowState.MISSED, WindowState.SKIPPED, WindowState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What is less than this is noise. `nodes_share`: of all planned nodes, while windows are open; at a quiet hour one
    node without a window is enough, since its own has passed it by. `longer`: how many times its planned length the
    median window took, of at least `windows_least`. `tail_share`: of a limit, held by nodes on the tail list.
    """

    nodes_share: float = 0.005
    longer: float = 1.25
    windows_least: int = 3
    tail_share: float = 0.1


DEFAULTS = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class TailUse:
    """How much of a limit, in words, nodes on the tail list take."""

    limit: str
    allowed: int
    used: int


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything a deviation is found in. `windows`: the run's rows of windows that stand in `plan`, by start.

    By window, nodes that it did not service though it is over (`left`), and nodes of windows to come that may not go
    any more, by what the rule says of them (`barred`). By cluster, planned nodes that the fleet has no more (`gone`),
    nodes with work of which the plan says nothing (`new`), and nodes that the plan left out for want of consent which
    is there now (`freed`). `is_quiet`: no window is open.
    """

    plan: PlanId
    windows: tuple[WindowRun, ...]
    left: Mapping[WindowId, tuple[NodeId, ...]] = field(default_factory=dict)
    barred: Mapping[WindowId, Mapping[str, tuple[NodeId, ...]]] = field(default_factory=dict)
    gone: Mapping[ClusterId, tuple[NodeId, ...]] = field(default_factory=dict)
    new: Mapping[ClusterId, tuple[NodeId, ...]] = field(default_factory=dict)
    freed: Mapping[ClusterId, tuple[NodeId, ...]] = field(default_factory=dict)
    tail: tuple[TailUse, ...] = ()
    is_quiet: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """Why to plan again, the gravest first. `key`: the same for the same facts, whenever they are looked at."""

    causes: tuple[Reason, ...]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    why: Reason
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a run looked like when it was last asked about. `day`: the campaign's, None while windows are open.

    `over`: windows that did not run and, at a quiet hour, those that did. `said`: the journal's last line that may
    change what may go.
    """

    plan: PlanId
    mode: ReplanMode
    over: tuple[tuple[WindowId, WindowState], ...]
    day: date | None
    said: int


def find_deviation(facts: RunFacts, thresholds: Thresholds = DEFAULTS) -> Deviation | None:
    """None while the plan still says what is to come, or what it does not say is noise."""
    found = [*_not_run(facts), *_longer(facts, thresholds), *_in_the_way(facts, thresholds)]
    nodes = [*_left(facts), *_barred(facts), *_of_the_fleet(facts)]
    planned = sum(row.nodes for row in facts.windows)
    touched = {name for item in nodes for name in item.names}
    if touched and (facts.is_quiet or len(touched) >= thresholds.nodes_share * planned):
        found += nodes
    if not found:
        return None
    told = (facts.plan, sorted((item.why.code.value, *item.names) for item in found))
    return Deviation(causes=tuple(item.why for item in found), key=content_sha256(told))


def learn_stretch(windows: Iterable[WindowRun], thresholds: Thresholds = DEFAULTS) -> Stretch:
    """How many times longer than planned windows take, in steps of a twentieth; as catalogued unless most are late.

    By windows that are over: one that ended early ended when its nodes were back, one that is late when enough were.
    """
    lengths = sorted(
        (row.closed_at - row.opened_at) / (row.planned_end - row.planned_start)
        for row in windows
        if row.opened_at is not None and row.closed_at is not None
    )
    if len(lengths) < thresholds.windows_least or median(lengths) < thresholds.longer:
        return AS_CATALOGUED
    return Stretch(overall=round(median(lengths) * 20) / 20)


def _not_run(facts: RunFacts) -> Iterable[_Found]:
    for row in facts.windows:
        if row.state in DID_NOT_RUN:
            fields = {"window": row.window, "fate": row.state, "nodes": f"{row.nodes:,}", "why": row.reason or ""}
            yield _Found(why=reason(Code.WINDOW_NOT_RUN, **fields), names=(row.window, row.state))


def _left(facts: RunFacts) -> Iterable[_Found]:
    for row in facts.windows:
        names = facts.left.get(row.window, ())
        if row.state is WindowState.CLOSED and names:
            fields = {"window": row.window, "nodes": f"{len(names):,}", "example": names[0]}
            yield _Found(why=reason(Code.WINDOW_LEFT_NODES, **fields), names=names)


def _barred(facts: RunFacts) -> Iterable[_Found]:
    for row in facts.windows:
        for why, names in sorted(facts.barred.get(row.window, {}).items()):
            fields = {"window": row.window, "nodes": f"{len(names):,}", "example": names[0], "why": why}
            yield _Found(why=reason(Code.NODES_BARRED, **fields), names=names)


def _of_the_fleet(facts: RunFacts) -> Iterable[_Found]:
    for code, groups in (
        (Code.CLUSTER_LOST_NODES, facts.gone),
        (Code.CLUSTER_GOT_NODES, facts.new),
        (Code.CONSENT_CAME, facts.freed),
    ):
        for cluster, names in sorted(groups.items()):
            fields = {"cluster": cluster, "nodes": f"{len(names):,}", "example": names[0]}
            yield _Found(why=reason(code, **fields), names=names)


def _longer(facts: RunFacts, thresholds: Thresholds) -> Iterable[_Found]:
    stretch = learn_stretch(facts.windows, thresholds)
    if stretch != AS_CATALOGUED:
        over = sum(row.closed_at is not None for row in facts.windows)
        fields = {"windows": over, "percent": round(100 * (stretch.overall - 1))}
        yield _Found(why=reason(Code.WINDOWS_LONGER, **fields), names=(f"{stretch.overall:g}",))


def _in_the_way(facts: RunFacts, thresholds: Thresholds) -> Iterable[_Found]:
    for use in facts.tail:
        if use.used >= max(1, thresholds.tail_share * use.allowed):
            steps = int(use.used / max(1.0, thresholds.tail_share * use.allowed))  # a key that moves in steps
            fields = {"limit": use.limit, "nodes": f"{use.used:,}", "allowed": f"{use.allowed:,}"}
            yield _Found(why=reason(Code.TAIL_IN_THE_WAY, **fields), names=(use.limit, str(steps)))


def is_quiet(windows: Collection[WindowRun]) -> bool:
    """True while no window is open."""
    return not any(row.state is WindowState.OPEN for row in windows)


def may_plan_now(windows: Collection[WindowRun]) -> bool:
    """True unless a window waits to open: a re-plan takes one past its time for missed, and it may still go."""
    return not any(row.state is WindowState.WAITING for row in windows)
