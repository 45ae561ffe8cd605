"""What operators want, read again before anything is decided: a change of it only wakes who may be meant."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from fermata.domain.intents import Intents, ScopeKind
from fermata.domain.moving import moved
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.run_states import NOT_OPENED_YET, WindowState
from fermata.domain.winding import needs_look
from fermata.execution.stage import Stage
from fermata.store import intents, journal, runs, trains, unit_ops
from fermata.store.database import Connection
from fermata.store.journal import Entry


def read_intents(stage: Stage, conn: Connection) -> None:
    """The words in force, with the brake of this machine, whose file counts whatever the store says."""
    found = intents.load_intents(conn)
    brake = stage.brake.read() if stage.brake is not None else None
    if brake is not None:
        others = tuple(word for word in found.words if word.kind is not ScopeKind.BRAKE)
        found = Intents(words=(*others, brake), seq=found.seq)
    stage.intents = found


def obey_now(stage: Stage, now: datetime, newest: int) -> None:
    """Knows what is wanted before anything is decided at `now`. `newest`: the number of the last word, or 0."""
    share_brake(stage, now)
    if newest == stage.intents.seq and not _is_braked(stage) and not (stage.brake is not None and stage.brake.is_on()):
        return
    with stage.database.read() as conn:
        read_intents(stage, conn)


def obey_anew(stage: Stage, conn: Connection) -> bool:
    """In the transaction that records intents, and before calls are made again: True when something else is wanted
    than what was decided by, which then has to be decided again.
    """
    is_pulled = stage.brake is not None and stage.brake.is_on() and not _is_braked(stage)
    if intents.newest_seq(conn) == stage.intents.seq and not is_pulled:
        return False
    read_intents(stage, conn)
    return True


def _is_braked(stage: Stage) -> bool:
    return any(word.kind is ScopeKind.BRAKE for word in stage.intents.words)


def share_brake(stage: Stage, now: datetime) -> None:
    """A brake that was pulled by its file alone, since the store was away, is told to everybody who reads the store."""
    brake = stage.brake.read() if stage.brake is not None else None
    if brake is None:
        return
    with stage.database.read() as conn:
        known = any(word.kind is ScopeKind.BRAKE for word in intents.load_intents(conn).words)
    if known:
        return
    with stage.database.begin() as conn:
        intents.append_intent(conn, brake)
        line = Entry(at=now, actor=brake.actor, event="brake.pulled", subject="fleet", why=brake.why, data={})
        journal.append(conn, line)


def winding_down(stage: Stage, ops: Iterable[UnitOp]) -> frozenset[int]:
    """The rows whose units are to go back by what they report now."""
    if not stage.intents.words:
        return frozenset()
    return frozenset(op.id for op in ops if needs_look(op, stage.intents.of_unit(op).abort))


def wake_all(stage: Stage, now: datetime) -> None:
    """Every unit that waits is looked at now, and every window that waits or is not to open: other words hold."""
    idle = [op for op in stage.roster.working() if op.is_idle or op.asked is not Asked.INTENDED]
    waiting = [op for op in idle if op.next_at is not None and op.next_at > now]
    changes = [(op.version, moved(op, next_at=now, version=op.version + 1)) for op in waiting]
    riders = [op for op in stage.yard.roster.working() if op.gate is not None] if stage.yard is not None else []
    with stage.database.begin() as conn:
        unit_ops.save_ops(conn, changes)
        trains.save_riders(conn, [(op.version, moved(op, next_at=now, version=op.version + 1)) for op in riders])
        for row in stage.windows.values():
            ends = row.state in NOT_OPENED_YET and stage.intents.of_window(row.run, row.window).end is not None
            if row.state is WindowState.WAITING or ends:
                runs.save_window(conn, replace(row, recheck_at=now))
    stage.reload()
