"""Keeps the tail list: who comes onto it gets an owner at once, what a rule or a person wants tried again is tried, and
no window closes over a unit without owner.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from fermata.domain.decide import NOTHING_SEEN
from fermata.domain.decisions import carry_out
from fermata.domain.ids import WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.run_states import Desired
from fermata.domain.tail import (
    BY_RULE,
    RepairSpell,
    TailItem,
    choose_owner,
    find_second_try,
    may_try_again,
    try_again,
)
from fermata.domain.tally import Tally
from fermata.execution.stage import Stage
from fermata.execution.trail import ACTOR, Mark, journal_lines
from fermata.store import journal, tail, unit_ops
from fermata.store.database import Connection
from fermata.store.journal import Entry


def keep_tail(stage: Stage, conn: Connection, marks: Sequence[Mark], now: datetime) -> None:
    """Who comes onto the list and who leaves it, and whose repair begins and ends, by the decisions of a batch."""
    list_units(
        stage, conn, [m.after for m in marks if m.before.tail_since is None and m.after.tail_since is not None], now
    )
    over = [m.after for m in marks if m.before.finished_at is None and m.after.finished_at is not None]
    tail.close_items(conn, stage.run, [_key(op) for op in over if op.tail_since is not None], now)
    begun = [m.after for m in marks if m.before.failed_at is None and m.after.failed_at is not None]
    _expect(stage, (find_second_try(op, 0) for op in begun if may_try_again(op)))
    tail.add_spells(conn, stage.run, [(op.window, _spell(stage, op, now)) for op in begun])
    ended = [m.after for m in marks if m.before.failed_at is not None and m.after.failed_at is None]
    tail.end_spells(
        conn, stage.run, [_key(op) for op in (*ended, *(op for op in over if op.failed_at is not None))], now
    )


def list_units(stage: Stage, conn: Connection, ops: Iterable[UnitOp], now: datetime) -> None:
    """Puts units on the list, each with the owner that the rules name."""
    items = [
        TailItem(
            run=stage.run,
            window=op.window,
            unit=op.unit,
            owner=choose_owner(op, stage.fleet_at(op.window).clusters[op.cluster], stage.catalogue),
            owned_by=BY_RULE,
            listed_at=now,
        )
        for op in ops
    ]
    tail.add_items(conn, items)


def own_residue(stage: Stage, conn: Connection, row: WindowRun, now: datetime) -> int:
    """How many units of a window that closes stay on the list. Whoever is not listed yet, is: each has its owner."""
    left = [op for op in stage.roster.of_window(row.window) if op.finished_at is None]
    listed = tail.open_items(conn, stage.run) if left else {}
    list_units(stage, conn, [op for op in left if _key(op) not in listed], now)
    return len(left)


def has_a_try_due(stage: Stage, now: datetime) -> bool:
    """True when a rule wants a failed unit tried again now."""
    return stage.try_again_at is not None and stage.try_again_at <= now


def tend_tail(stage: Stage, run: Run, now: datetime) -> None:
    """Tries again what a rule or a person wants tried again."""
    stage.try_again_at = None
    failed = [op for op in stage.roster.working() if stage.roster.is_own(op.window) and may_try_again(op)]
    if not failed or run.desired is not Desired.RUN:
        return
    with stage.database.read() as conn:
        items = tail.open_items(conn, stage.run)
        ats = (find_second_try(op, items[_key(op)].tries) for op in failed if _key(op) in items)
        _expect(stage, (at for at in ats if at is not None and at > now))
        if not any(_is_due(op, items[_key(op)], now) for op in failed if _key(op) in items):
            return
    with stage.database.begin() as conn:
        items = tail.open_items(conn, stage.run)
        chosen = [(op, items[_key(op)]) for op in failed if _key(op) in items and _is_due(op, items[_key(op)], now)]
        marks = [_try(stage, op, now) for op, _ in chosen]
        unit_ops.save_ops(conn, [(mark.before.version, mark.after) for mark in marks])
        stage.roster.put(mark.after for mark in marks)
        for _, item in chosen:
            tail.save_item(conn, replace(item, tries=item.tries + 1, retry=None, retry_why=""))
        keep_tail(stage, conn, marks, now)
        journal.append_many(conn, [*journal_lines(marks, now), *(_line(op, item, now) for op, item in chosen)])
        stage.crash("tail")


def _expect(stage: Stage, instants: Iterable[datetime | None]) -> None:
    known = [at for at in (*instants, stage.try_again_at) if at is not None]
    stage.try_again_at = min(known, default=None)


def _is_due(op: UnitOp, item: TailItem, now: datetime) -> bool:
    at = find_second_try(op, item.tries)
    return item.retry is not None or (at is not None and at <= now)


def _try(stage: Stage, op: UnitOp, now: datetime) -> Mark:
    facts = stage.facts(op.window, now=now, tally=Tally(stage.catalogue, ()))
    decision = try_again(op, facts)
    return Mark(before=op, decision=decision, after=carry_out(op, decision, now), seen=NOTHING_SEEN)


def _line(op: UnitOp, item: TailItem, now: datetime) -> Entry:
    actor, why = (item.retry.actor, item.retry_why) if item.retry is not None else (ACTOR, "")
    kind = "node" if op.kind is UnitKind.NODE else "device"
    data = {"window": op.window, "step": op.step, "tries": item.tries + 1}
    return Entry(at=now, actor=actor, event="unit.tried_again", subject=f"{kind}:{op.unit}", why=why, data=data)


def _spell(stage: Stage, op: UnitOp, now: datetime) -> RepairSpell:
    cluster = stage.fleet_at(op.window).clusters[op.cluster]
    return RepairSpell(
        unit=op.unit,
        kind=op.kind,
        cause=op.reason.code.value if op.reason is not None else UnitState.FAILED.value,
        cluster=op.cluster,
        customer=cluster.customer,
        sku=cluster.sku,
        since=now,
        ended_at=None,
    )


def _key(op: UnitOp) -> tuple[WindowId, str]:
    return op.window, op.unit
