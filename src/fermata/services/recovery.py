"""Operator verbs of recovery: what can be done about an update on each node, and the order to roll it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.gate_evidence import begun_mask
from fermata.domain.ids import NodeId, RunId, UpdateId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Run, UnitOp
from fermata.domain.reasons import Code, reason
from fermata.domain.recovery import Recovery, RecoveryOption, RecoveryOrder, find_option, with_dependents
from fermata.domain.run_states import LIVE_RUNS
from fermata.domain.updates import Update
from fermata.services.errors import Refusal, nearest
from fermata.store import inventory, journal, plans, recovery, runs, unit_ops
from fermata.store.database import Connection, Database
from fermata.store.journal import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which updates on which nodes; empty: all that the run brought, all that began them."""

    updates: frozenset[UpdateId] = frozenset()
    nodes: frozenset[NodeId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Who orders it, why and when."""

    actor: str
    why: str
    at: datetime


def plan_recovery(db: Database, run_id: RunId, asked: Asked) -> tuple[RecoveryOption, ...]:
    """Every update that was begun on those nodes, with what can be done about it. Nothing is changed.

    What builds on an update that is asked for is told with it: one is not rolled back under the other.
    """
    with db.read() as conn:
        return _find(conn, _load(conn, run_id), asked)


def recover(db: Database, run_id: RunId, asked: Asked, word: Word) -> tuple[RecoveryOption, ...]:
    """Orders a roll-back wherever there can be one, and returns what could be done about each.

    Refused without a reason, when the run is over, or when none can be rolled back.
    """
    if not word.why.strip():
        raise Refusal(reason(Code.RECOVERY_REASON_MISSING))
    with db.begin() as conn:
        run = _load(conn, run_id)
        if run.state not in LIVE_RUNS:
            raise Refusal(reason(Code.RUN_OVER, run=run.id, state=run.state))
        found = _find(conn, run, asked)
        chosen = [option for option in found if option.option is Recovery.ROLL_BACK]
        if not chosen:
            raise Refusal(found[0].reason)
        recovery.add_orders(conn, [_order(run, option, word) for option in chosen])
        data = {"run": run.id, "nodes": len({o.node for o in chosen}), "updates": sorted({o.update for o in chosen})}
        line = Entry(
            at=word.at, actor=word.actor, event="recovery.ordered", subject=f"run:{run.id}", why=word.why, data=data
        )
        journal.append(conn, line)
        return found


def _order(run: Run, option: RecoveryOption, word: Word) -> RecoveryOrder:
    return RecoveryOrder(
        run=run.id,
        window=option.window,
        unit=option.node,
        update=option.update,
        to_version=option.to_version,
        actor=word.actor,
        why=word.why,
        at=word.at,
    )


def _load(conn: Connection, run_id: RunId) -> Run:
    run = runs.load_run(conn, run_id)
    if run is None:
        raise Refusal(reason(Code.RUN_UNKNOWN, run=run_id))
    return run


def _find(conn: Connection, run: Run, asked: Asked) -> tuple[RecoveryOption, ...]:
    catalogue, fleet = inventory.load_catalogue(conn), inventory.load_fleet(conn)
    brought = {row.window: row for row in runs.load_windows(conn, run.id)}
    windows = {w.id: w for plan in {row.plan for row in brought.values()} for w in plans.load_plan(conn, plan).windows}
    every = {update for name in brought for update in windows[name].updates}
    for name in sorted(asked.updates - every):
        raise Refusal(reason(Code.GATE_UNKNOWN, run=run.id, update=name, nearest=nearest(name, every)))
    ops = [op for op in unit_ops.ops_of_run(conn, run.id) if op.kind is UnitKind.NODE]
    for unit in sorted(asked.nodes - {NodeId(op.unit) for op in ops}):
        raise Refusal(reason(Code.NODE_NOT_TAKEN, run=run.id, unit=unit, nearest=nearest(unit, fleet.nodes)))
    meant = [op for op in ops if not asked.nodes or NodeId(op.unit) in asked.nodes]
    good = recovery.load_last_good(conn, {NodeId(op.unit) for op in meant})
    found: list[RecoveryOption] = []
    for op in meant:
        updates = windows[op.window].updates
        for name in _begun_on(op, updates, asked, catalogue.updates):
            cluster = fleet.clusters[op.cluster]
            found.append(find_option(catalogue.updates[name], op, cluster, good.get(NodeId(op.unit)), catalogue))
    if not found:
        raise Refusal(reason(Code.NOTHING_TO_RECOVER))
    return tuple(found)


def _begun_on(
    op: UnitOp, updates: tuple[UpdateId, ...], asked: Asked, catalogue: Mapping[UpdateId, Update]
) -> tuple[UpdateId, ...]:
    bits = {update: 1 << i for i, update in enumerate(updates)}
    mask = begun_mask(op, bits) & ~op.undo
    begun = {name: catalogue[name] for name, bit in bits.items() if bit & mask}
    return tuple(sorted(with_dependents(asked.updates, begun) if asked.updates else begun))
