"""Operator verbs of recovery: what can be done about an update on each unit, and the order to roll it back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Fleet
from fermata.domain.gate_evidence import begun_mask
from fermata.domain.ids import DeviceId, NodeId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Run, UnitOp
from fermata.domain.reasons import Code, reason
from fermata.domain.recovery import (
    Pair,
    Recovery,
    RecoveryOption,
    RecoveryOrder,
    Web,
    find_option,
    hold_under,
    is_taken,
    spread,
)
from fermata.domain.run_states import LIVE_RUNS
from fermata.domain.updates import Catalogue, Update
from fermata.services.errors import Refusal, nearest
from fermata.store import inventory, journal, plans, recovery, runs, unit_ops
from fermata.store.database import Connection, Database
from fermata.store.journal import Entry
from fermata.store.recovery import LastGoods


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which updates on which nodes and shared devices; empty: all that the run brought, all units that began them."""

    updates: frozenset[UpdateId] = frozenset()
    nodes: frozenset[NodeId] = frozenset()
    devices: frozenset[DeviceId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Who orders it, why and when."""

    actor: str
    why: str
    at: datetime


def plan_recovery(db: Database, run_id: RunId, asked: Asked) -> tuple[RecoveryOption, ...]:
    """Every update that was begun on those units, with what can be done about it. Nothing is changed.

    What builds on an update that is asked for is told with it, on the unit itself, on the devices that a node hangs on
    and on the nodes behind a device: one is not rolled back under the other.
    """
    with db.read() as conn:
        return _tell(_find(conn, _load(conn, run_id), asked))


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
        chosen = [option for of_window in found for option in of_window.to_order()]
        if not chosen:
            raise Refusal(found[0].asked_first().reason)
        recovery.add_orders(conn, [_order(run, option, word) for option in chosen])
        kinds = {kind: len({o.unit for o in chosen if o.kind is kind}) for kind in (UnitKind.NODE, UnitKind.DEVICE)}
        data = {
            "run": run.id,
            "nodes": kinds[UnitKind.NODE],
            "devices": kinds[UnitKind.DEVICE],
            "updates": sorted({o.update for o in chosen}),
        }
        line = Entry(
            at=word.at, actor=word.actor, event="recovery.ordered", subject=f"run:{run.id}", why=word.why, data=data
        )
        journal.append(conn, line)
        return _tell(found)


def _order(run: Run, option: RecoveryOption, word: Word) -> RecoveryOrder:
    return RecoveryOrder(
        run=run.id,
        window=option.window,
        unit=option.unit,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What can be done in one window. `asked`: what was asked for; the rest builds on it."""

    asked: frozenset[Pair]
    options: Mapping[Pair, RecoveryOption]
    web: Web

    def asked_first(self) -> RecoveryOption:
        return self.options[min(self.asked)]

    def to_order(self) -> list[RecoveryOption]:
        """What builds on an update that stays may stay, too."""
        possible = [pair for pair in self.asked if self.options[pair].option is Recovery.ROLL_BACK]
        return [self.options[pair] for pair in sorted(spread(possible, self.web))]


def _tell(found: Iterable[_Found]) -> tuple[RecoveryOption, ...]:
    return tuple(of_window.options[pair] for of_window in found for pair in sorted(of_window.options))


def _find(conn: Connection, run: Run, asked: Asked) -> tuple[_Found, ...]:
    catalogue, fleet = inventory.load_catalogue(conn), inventory.load_fleet(conn)
    brought = {row.window: row for row in runs.load_windows(conn, run.id)}
    windows = {w.id: w for plan in {row.plan for row in brought.values()} for w in plans.load_plan(conn, plan).windows}
    every = {update for name in brought if name in windows for update in windows[name].updates}
    for name in sorted(asked.updates - every):
        raise Refusal(reason(Code.GATE_UNKNOWN, run=run.id, update=name, nearest=nearest(name, every)))
    by_window: dict[WindowId, dict[str, UnitOp]] = {}
    for op in unit_ops.ops_of_run(conn, run.id):
        if op.window in windows:
            by_window.setdefault(op.window, {})[op.unit] = op
    ops = [op for rows in by_window.values() for op in rows.values()]
    _refuse_unknown(run, asked, ops, fleet)
    good = recovery.load_last_goods(conn, ops)
    found = []
    for window, rows in by_window.items():
        of_window = _find_in(rows, windows[window].updates, asked, fleet, catalogue, good)
        if of_window.asked:
            found.append(of_window)
    if not found:
        raise Refusal(reason(Code.NOTHING_TO_RECOVER))
    return tuple(found)


def _refuse_unknown(run: Run, asked: Asked, ops: Iterable[UnitOp], fleet: Fleet) -> None:
    known = {(op.kind, op.unit) for op in ops}
    for node in sorted(asked.nodes):
        if (UnitKind.NODE, node) not in known:
            raise Refusal(reason(Code.NODE_NOT_TAKEN, run=run.id, unit=node, nearest=nearest(node, fleet.nodes)))
    for device in sorted(asked.devices):
        if (UnitKind.DEVICE, device) not in known:
            near = nearest(device, fleet.devices)
            raise Refusal(reason(Code.DEVICE_NOT_TAKEN, run=run.id, unit=device, nearest=near))


def _find_in(
    rows: Mapping[str, UnitOp],
    updates: tuple[UpdateId, ...],
    asked: Asked,
    fleet: Fleet,
    catalogue: Catalogue,
    good: LastGoods,
) -> _Found:
    begun = {op.unit: _begun_on(op, updates, catalogue.updates) for op in rows.values()}
    devices = [fleet.devices[name] for name in map(DeviceId, rows) if name in fleet.devices]
    behind = {device.name: tuple(node.name for node in fleet.nodes_behind(device)) for device in devices}
    web = Web(updates=begun, behind={name: tuple(n for n in nodes if n in rows) for name, nodes in behind.items()})
    is_any = not (asked.nodes or asked.devices)
    meant = [unit for unit in begun if is_any or unit in asked.nodes or unit in asked.devices]
    chosen = frozenset(
        (unit, name) for unit in meant for name in begun[unit] if not asked.updates or name in asked.updates
    )
    options = {
        (unit, name): find_option(
            begun[unit][name],
            rows[unit],
            fleet.clusters[rows[unit].cluster],
            good.of(rows[unit]),
            catalogue,
            beyond=tuple(n for n in behind.get(DeviceId(unit), ()) if not is_taken(rows.get(n))),
        )
        for unit, name in spread(chosen, web)
    }
    return _Found(asked=chosen, options=hold_under(options, web), web=web)


def _begun_on(
    op: UnitOp, updates: tuple[UpdateId, ...], catalogue: Mapping[UpdateId, Update]
) -> Mapping[UpdateId, Update]:
    bits = {update: 1 << i for i, update in enumerate(updates)}
    mask = begun_mask(op, bits) & ~op.undo
    return {name: catalogue[name] for name, bit in bits.items() if bit & mask}
