"""Keeps jobs off the nodes of windows to come that would run into them, and looks what a drain would cost those that
are there. A duty of who leads the run: what it asks for is all that the run wants, so that nothing is forgotten.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fermata.domain.ahead import CONSIDERED, Ahead, JobsAhead, Keeping, Kept, plan_ahead, read_kept
from fermata.domain.consent import find_consent
from fermata.domain.daily_caps import find_daily_caps
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, NodeId, PlanId, WindowId
from fermata.domain.jobs import Job, count_cost
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import Accepted, Answer, Denied, Unsure
from fermata.domain.operations import Run, WindowRun
from fermata.domain.pending import find_pending
from fermata.domain.plans import DrainStep
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.run_states import NOT_OPENED_YET, RunState, WindowState
from fermata.domain.windows import Interval
from fermata.execution.calling import make_caller
from fermata.execution.consented import Said, find_refused, read_said
from fermata.execution.jobs_desk import Free, JobsDesk, Seen
from fermata.execution.perform import keep_ahead
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR
from fermata.ports import CALL_SIZE_MAX, Jobs, OutcomeUnknown, Refused, TryLater
from fermata.store import journal, window_jobs
from fermata.store.journal import Entry

COST_AHEAD = timedelta(hours=24)  # before a window: who may be waited for is known by then, and people can be asked
ASK_AGAIN = timedelta(minutes=5)  # after a target did not do all
SURE_FOR = timedelta(hours=1)  # then it is asked again, since people may have changed what it has
ALL_OF_IT = "The scheduler"  # what is told of when it did not even say what is left
OF_TARGETS = frozenset({Code.RESERVATION_REFUSED, Code.RESERVATION_AWAITED})
OWED_MAX = timedelta(hours=24)  # that a run waits to end for a target which does not answer
SAID = ("consent", "exemption", "freeze", "policy")
NOT_EMPTY_YET = frozenset({UnitState.PENDING, UnitState.LOCKED, UnitState.DRAINING})


def keep_jobs_off(stage: Stage, run: Run, now: datetime) -> None:
    """Asks for what is wanted now, looks at jobs, and keeps both for whoever asks."""
    jobs, desk = stage.site.jobs, stage.jobs
    if jobs is None:
        return
    if desk.known is None:
        with stage.database.read() as conn:
            desk.known = dict(window_jobs.load(conn, stage.run))
    rows = {row.window: row for row in stage.windows.values() if _is_near(stage, run, row, now)}
    _hear(stage, now)
    drains = {name: _drain_of(stage, row) for name, row in rows.items()}
    found = {name: plan_ahead(row, _free(stage, row), drains[name], now) for name, row in rows.items()}
    wanted = {name: ahead for name, ahead in found.items() if ahead is not None}
    kept = _keep(stage, jobs, tuple(wanted[name] for name in sorted(wanted)), now)
    made = [_look(stage, jobs, row, wanted.get(name), kept, now) for name, row in sorted(rows.items())]
    _save(stage, made, kept, now)


def has_changed(stage: Stage, now: datetime) -> bool:
    """True when windows came, went, opened or did not, or a target is to be asked again: that does not wait."""
    desk = stage.jobs
    if stage.site.jobs is None:
        return False
    return desk.seen != _see(stage, now) or (desk.try_at is not None and desk.try_at <= now)


def is_owed(stage: Stage) -> bool:
    """True while a target has not given up what a run that is over wants no more, as far as it may still answer."""
    return stage.site.jobs is not None and stage.jobs.owed_since is not None


def _see(stage: Stage, now: datetime) -> Seen:
    """The windows as far as they matter here."""
    live = (row for row in stage.windows.values() if row.state in NOT_OPENED_YET or row.state is WindowState.OPEN)
    near = (row for row in live if row.planned_start - now <= CONSIDERED)
    return tuple(sorted((row.window, row.state, row.plan, row.planned_start, row.planned_start <= now) for row in near))


def _is_near(stage: Stage, run: Run, row: WindowRun, now: datetime) -> bool:
    if row.planned_start - now > CONSIDERED or stage.intents.of_window(row.run, row.window).end is not None:
        return False
    if row.state is WindowState.OPEN:
        return bool(_not_empty(stage, row))
    return row.state in NOT_OPENED_YET and run.state is not RunState.STOPPING


def _not_empty(stage: Stage, row: WindowRun) -> list[NodeId]:
    """Nodes of an open window from which jobs have not left."""
    ops = stage.roster.of_window(row.window)
    return [NodeId(op.unit) for op in ops if op.kind is UnitKind.NODE and op.state in NOT_EMPTY_YET]


def _hear(stage: Stage, now: datetime) -> None:
    """Which nodes of windows to come may go by what customers say now: of all when they said something, else only of
    windows that came since.
    """
    desk = stage.jobs
    seen = _see(stage, now)
    with stage.database.read() as conn:
        newest = journal.latest_seq(conn, SAID, after_seq=max(desk.said, 0))
        if seen == desk.seen and newest == desk.said:
            return
        said = read_said(conn)
    old = desk.free if newest == desk.said else {}
    groups: dict[tuple[PlanId, ClusterId], list[WindowRun]] = defaultdict(list)
    free: dict[WindowId, Free] = {}
    for row in stage.windows.values():
        if row.state not in NOT_OPENED_YET or row.planned_start - now > CONSIDERED:
            continue
        known = old.get(row.window)
        if known is not None and known.of == (row.plan, row.planned_start):
            free[row.window] = known
        else:
            groups[row.plan, row.cluster].append(row)
    bounded = _find_bounded(stage, said)
    for (plan, name), members in groups.items():
        score = stage.score(plan)
        fleet = _of_cluster(score.fleet, name)
        pending = find_pending(fleet, score.catalogue, stage.campaign.updates)
        consent = find_consent(fleet, said.policy, pending, said.ledger)
        for row in members:
            span = Interval(row.planned_start, row.planned_end)
            refused = find_refused(fleet, said.policy, pending, consent, span)
            free[row.window] = _split(stage, row, {**bounded, **refused})
    desk.seen, desk.said, desk.free = seen, newest, free


def _find_bounded(stage: Stage, said: Said) -> Mapping[NodeId, Reason]:
    """Nodes of which only so many were approved for a day: which of them go is found as their window opens, and none is
    kept free before.
    """
    found: dict[NodeId, Reason] = {}
    for cap in find_daily_caps(stage.fleet, said.policy, stage.catalogue.updates, said.ledger):
        why = reason(Code.APPROVED_SOME, actor=cap.entry.actor, scope=cap.entry.scope, most=f"{cap.most:,}")
        found |= dict.fromkeys(cap.nodes, why)
    return found


def _of_cluster(fleet: Fleet, name: ClusterId) -> Fleet:
    return Fleet(
        clusters={name: fleet.clusters[name]},
        nodes={node.name: node for node in fleet.nodes_by_cluster[name]},
        devices={device.name: device for device in fleet.devices_by_cluster[name]},
    )


def _split(stage: Stage, row: WindowRun, refused: Mapping[NodeId, Reason]) -> Free:
    nodes = stage.planned(row).nodes
    whys = [refused[name] for name in nodes if name in refused]
    may_go = tuple(name for name in nodes if name not in refused)
    return Free(of=(row.plan, row.planned_start), nodes=may_go, why=whys[0] if whys else None)


def _free(stage: Stage, row: WindowRun) -> Sequence[NodeId]:
    """Nodes on which jobs may begin that are to go: of an open window, those that are not locked yet."""
    if row.state is not WindowState.OPEN:
        return stage.jobs.free[row.window].nodes if row.window in stage.jobs.free else ()
    ops = stage.roster.of_window(row.window)
    return [NodeId(op.unit) for op in ops if op.kind is UnitKind.NODE and op.state is UnitState.PENDING]


def _drain_of(stage: Stage, row: WindowRun) -> timedelta:
    """How long its plan gives jobs to leave."""
    drains = (step.end - step.start for step in stage.planned(row).steps if isinstance(step, DrainStep))
    return max(drains, default=timedelta(0))


def _keep(stage: Stage, jobs: Jobs, wanted: tuple[Ahead, ...], now: datetime) -> Kept | None:
    """What the target did of it; None: it was not asked, as it has all of it already, or nothing may begin now."""
    desk = stage.jobs
    is_sure = desk.owed_since is None and desk.asked_at is not None and now - desk.asked_at < SURE_FOR
    if wanted == desk.wanted and is_sure:
        return None
    desk.owed_since = desk.owed_since or now
    desk.try_at = now + ASK_AGAIN
    kept = _ask(stage, jobs, wanted)
    if kept is not None:
        desk.wanted, desk.asked_at = wanted, now
        if all(isinstance(answer, Accepted) for answer in [*kept.answers.values(), *kept.left.values()]):
            desk.owed_since = desk.try_at = None
            return kept
    is_refused = kept is not None and all(isinstance(answer, Denied) for answer in kept.left.values())
    if not wanted and (is_refused or now - desk.owed_since >= OWED_MAX):
        desk.owed_since = desk.try_at = None  # it will not do it: people are told, and the run may end
    return kept


def _ask(stage: Stage, jobs: Jobs, wanted: tuple[Ahead, ...]) -> Kept | None:
    try:
        return keep_ahead(make_caller(stage), jobs, stage.run, wanted)
    except (TryLater, Refused, OutcomeUnknown) as error:
        said: Answer = Denied(why=error.why) if isinstance(error, Refused) else Unsure()
        return Kept(answers={ahead.window: said for ahead in wanted}, left={ALL_OF_IT: said})


def _look(
    stage: Stage, jobs: Jobs, row: WindowRun, wanted: Ahead | None, kept: Kept | None, now: datetime
) -> JobsAhead:
    """What is known of a window now."""
    before = (stage.jobs.known or {}).get(row.window)
    nodes = _not_empty(stage, row) if row.state is WindowState.OPEN else list(stage.planned(row).nodes)
    free = stage.jobs.free.get(row.window)
    one = JobsAhead(run=stage.run, window=row.window, at=now, nodes=len(nodes), why=free.why if free else None)
    if kept is not None:
        answer = kept.answers.get(row.window)
        keeping, count = read_kept(wanted, answer)
        floats = wanted.floats if wanted is not None and count else None
        one = replace(one, keeping=keeping, kept=count, floats=floats, why=_say_answer(row, wanted, answer) or one.why)
    elif before is not None:
        why = before.why if before.why is not None and before.why.code in OF_TARGETS else one.why
        one = replace(one, keeping=before.keeping, kept=before.kept, floats=before.floats, why=why)
    if row.planned_start - now > COST_AHEAD:
        return one
    try:
        running = _list(jobs, nodes)
    except (TryLater, Refused, OutcomeUnknown) as error:
        unknown = reason(Code.JOBS_UNKNOWN, window=row.window, nodes=f"{len(nodes):,}", said=error)
        cost, cost_at = (before.cost, before.cost_at) if before is not None else (None, None)
        return replace(one, cost=cost, cost_at=cost_at, why=one.why or unknown)
    return replace(one, cost=count_cost(running, nodes, max(now, row.planned_start)), cost_at=now)


def _list(jobs: Jobs, nodes: Sequence[NodeId]) -> list[Job]:
    parts = (nodes[start : start + CALL_SIZE_MAX] for start in range(0, len(nodes), CALL_SIZE_MAX))
    return [job for part in parts for job in jobs.list_jobs(part)]


def _say_answer(row: WindowRun, wanted: Ahead | None, answer: Answer | None) -> Reason | None:
    if wanted is None or answer is None or isinstance(answer, Accepted):
        return None
    nodes = f"{len(wanted.nodes):,}"
    if isinstance(answer, Denied):
        return reason(Code.RESERVATION_REFUSED, window=row.window, nodes=nodes, said=answer.why)
    return reason(Code.RESERVATION_AWAITED, window=row.window, nodes=nodes)


def _save(stage: Stage, made: Sequence[JobsAhead], kept: Kept | None, now: datetime) -> None:
    """Writes what changed, with a line for each window whose nodes are kept free now, or are not any more."""
    desk = stage.jobs
    known = desk.known
    assert known is not None
    changed = [one for one in made if known.get(one.window) is None or replace(known[one.window], at=now) != one]
    gone = sorted(known.keys() - {one.window for one in made})
    lines = [line for one in changed if (line := _tell(known.get(one.window), one)) is not None]
    lines += [_let_on(known[name], now) for name in gone if known[name].keeping is not Keeping.NONE]
    lines += _tell_left(stage, desk, kept, now)
    if not changed and not gone and not lines:
        return
    with stage.database.begin() as conn:
        window_jobs.save(conn, stage.run, changed, gone)
        journal.append_many(conn, lines)
        stage.crash("jobs")
    for name in gone:
        del known[name]
    known.update({one.window: one for one in changed})


def _tell(before: JobsAhead | None, one: JobsAhead) -> Entry | None:
    def told(found: JobsAhead | None) -> tuple[object, ...]:
        if found is None:
            return Keeping.NONE, 0, None
        return found.keeping, found.kept, found.why.code if found.why and found.why.code in OF_TARGETS else None

    if told(before) == told(one):
        return None
    is_refused = one.why is not None and one.why.code in OF_TARGETS
    event = "jobs.not_kept_off" if is_refused else "jobs.let_on"
    event = event if one.keeping is Keeping.NONE else "jobs.kept_off"
    minutes = one.floats / timedelta(minutes=1) if one.floats is not None else None
    data = {"keeping": one.keeping.value, "nodes": one.kept, "of": one.nodes, "floats_minutes": minutes}
    return Entry(at=one.at, actor=ACTOR, event=event, subject=f"window:{one.window}", why=str(one.why or ""), data=data)


def _let_on(one: JobsAhead, now: datetime) -> Entry:
    data = {"nodes": one.kept}
    return Entry(at=now, actor=ACTOR, event="jobs.let_on", subject=f"window:{one.window}", why="", data=data)


def _tell_left(stage: Stage, desk: JobsDesk, kept: Kept | None, now: datetime) -> list[Entry]:
    """What a target refuses to give up, or has not for too long, once by its name."""
    left: Iterable[tuple[str, Answer]] = kept.left.items() if kept is not None else ()
    lines = []
    for name, answer in left:
        is_final = isinstance(answer, Denied) or desk.owed_since is None
        if is_final and name not in desk.told:
            desk.told.add(name)
            said = answer.why if isinstance(answer, Denied) else "it does not answer"
            why = reason(Code.RESERVATION_LEFT, name=name, said=said)
            subject = f"run:{stage.run}"
            lines.append(Entry(at=now, actor=ACTOR, event="jobs.left_off", subject=subject, why=str(why), data={}))
    return lines
