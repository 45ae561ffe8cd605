"""What operators want: pause, resume, stop and abort, of nodes, a window, a run or the fleet, and the brake."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from fermata.domain.ids import CampaignId, NodeId, RunId, WindowId
from fermata.domain.intents import EVERYWHERE, Intent, Intents, ScopeKind, window_scope
from fermata.domain.operations import Run
from fermata.domain.reasons import Code, reason
from fermata.domain.run_states import NOT_OPENED_YET, Desired, RunState, WindowState
from fermata.formats.brake import BrakeFile
from fermata.services.errors import Refusal, nearest
from fermata.store import intents, inventory, journal, runs, unit_ops, wakes
from fermata.store.database import Connection, Database, StoreUnavailable
from fermata.store.journal import Entry

_VERBS = {Desired.RUN: "resume", Desired.PAUSE: "pause", Desired.STOP: "stop", Desired.ABORT: "abort"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Of what something is wanted: some nodes, a window of a run, a run, or the fleet. Exactly one of them."""

    nodes: tuple[NodeId, ...] = ()
    window: WindowId | None = None
    campaign: CampaignId | None = None
    fleet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeShown:
    """The brake: `file` is this machine's word, `row` the one that all machines on the store share. On when either is.

    `row_missing`: it was pulled, but the store did not take the row; why.
    """

    file: Intent | None
    row: Intent | None
    path: str
    row_missing: str = ""

    @property
    def is_on(self) -> bool:
        """True when nothing new begins."""
        return self.file is not None or self.row is not None


def say(
    database: Database, wanted: Wanted, desired: Desired, *, now: datetime, actor: str, why: str
) -> tuple[Intent, ...]:
    """Records what is wanted; the conductor obeys within a batch. Returns the words, the ones asked for first.

    To stop or abort the fleet is said of each live run as well: a run that ends does not run on when the fleet does.
    Refused without a reason, for what is not there, and for what cannot be taken back.
    """
    if not why.strip():
        raise Refusal(reason(Code.WHY_MISSING, verb=_VERBS[desired]))
    with database.begin() as conn:
        scopes = _find_scopes(conn, wanted, desired)
        words = [_word(kind, scope, desired, actor, why, now) for kind, scope in scopes]
        return _append(conn, words)


def say_of_run(conn: Connection, run: Run, desired: Desired, *, now: datetime, actor: str, why: str) -> Run:
    """The word on a whole run, in the caller's transaction. Returns the run. Refused once it ends."""
    _refuse_taking_back(run, desired)
    runs.set_desired(conn, run.id, desired)
    _append(conn, [_word(ScopeKind.RUN, run.id, desired, actor, why, now)])
    return replace(run, desired=desired)


def in_force(database: Database) -> Intents:
    """The words that hold now."""
    with database.read() as conn:
        return intents.load_intents(conn)


def refuse_stopped_fleet(conn: Connection) -> None:
    """Raises Refusal while the fleet is to stop."""
    for word in intents.load_intents(conn).words:
        if word.kind is ScopeKind.FLEET and word.desired in (Desired.STOP, Desired.ABORT):
            raise Refusal(reason(Code.FLEET_STOPPED, desired=word.desired, who=word.who))


def pull_brake(
    opened: Callable[[], AbstractContextManager[Database]], file: BrakeFile, *, now: datetime, actor: str, why: str
) -> BrakeShown:
    """The file first: from then on nothing new begins on this machine, whatever the store does; then the row, which
    other machines read. Refused without a reason.
    """
    if not why.strip():
        raise Refusal(reason(Code.WHY_MISSING, verb="brake on"))
    said = file.pull(actor, why.strip(), now)
    try:
        with opened() as database, database.begin() as conn:
            (row,) = _append(conn, [_word(ScopeKind.BRAKE, EVERYWHERE, Desired.PAUSE, actor, why, now)])
    except StoreUnavailable as error:
        return BrakeShown(file=said, row=None, path=str(file.path), row_missing=str(error))
    return BrakeShown(file=said, row=row, path=str(file.path))


def release_brake(database: Database, file: BrakeFile, *, now: datetime, actor: str, why: str) -> BrakeShown:
    """The row first: a store that does not take it leaves the brake on. Refused without a reason, or when it is off."""
    if not why.strip():
        raise Refusal(reason(Code.WHY_MISSING, verb="brake off"))
    with database.begin() as conn:
        if _brake_row(conn) is None and not file.is_on():
            raise Refusal(reason(Code.BRAKE_NOT_ON))
        _append(conn, [_word(ScopeKind.BRAKE, EVERYWHERE, Desired.RUN, actor, why, now)])
    file.release()
    return BrakeShown(file=None, row=None, path=str(file.path))


def show_brake(database: Database, file: BrakeFile) -> BrakeShown:
    """Whether it is on, and who pulled it."""
    with database.read() as conn:
        row = _brake_row(conn)
    return BrakeShown(file=file.read(), row=row, path=str(file.path))


def _brake_row(conn: Connection) -> Intent | None:
    return next((word for word in intents.load_intents(conn).words if word.kind is ScopeKind.BRAKE), None)


def _find_scopes(conn: Connection, wanted: Wanted, desired: Desired) -> list[tuple[ScopeKind, str]]:
    if wanted.fleet:
        live = runs.live_runs(conn) if desired in (Desired.STOP, Desired.ABORT) else ()
        for run in live:
            runs.set_desired(conn, run.id, desired)
        return [(ScopeKind.FLEET, EVERYWHERE), *((ScopeKind.RUN, run.id) for run in live)]
    if wanted.nodes:
        _refuse_unknown(conn, wanted.nodes)
        return [(ScopeKind.NODE, name) for name in dict.fromkeys(wanted.nodes)]
    live_run = runs.live_run(conn, wanted.campaign)
    if live_run is None:
        raise no_run(wanted.campaign)
    if wanted.window is None:
        _refuse_taking_back(live_run, desired)
        runs.set_desired(conn, live_run.id, desired)
        return [(ScopeKind.RUN, live_run.id)]
    _refuse_over(conn, live_run.id, wanted.window, desired)
    return [(ScopeKind.WINDOW, window_scope(live_run.id, wanted.window))]


def no_run(campaign: CampaignId | None) -> Refusal:
    """That no run goes on."""
    told = {"of": f" of {campaign}", "name": f" {campaign}"} if campaign else {"of": "", "name": ""}
    return Refusal(reason(Code.RUN_NONE, **told))


def _refuse_taking_back(run: Run, desired: Desired) -> None:
    """A run that ends can be finished sooner (abort) or in full (stop), but its other windows are gone."""
    ends = run.desired in (Desired.STOP, Desired.ABORT) or run.state is RunState.STOPPING
    if ends and desired not in (Desired.STOP, Desired.ABORT):
        raise Refusal(reason(Code.RUN_OVER, run=run.id, state=RunState.STOPPING))


def _refuse_over(conn: Connection, run: RunId, window: WindowId, desired: Desired) -> None:
    row = runs.load_window(conn, run, window)
    if row is None:
        known = [found.window for found in runs.load_windows(conn, run)]
        raise Refusal(reason(Code.RUN_WINDOW_UNKNOWN, run=run, window=window, nearest=nearest(window, known)))
    if row.state in NOT_OPENED_YET or row.state is WindowState.OPEN:
        return
    if any(op.finished_at is None for op in unit_ops.ops_of_window(conn, run, window)):
        return  # its tail
    raise Refusal(reason(Code.WINDOW_OVER, window=window, state=row.state, verb=_VERBS[desired]))


def _refuse_unknown(conn: Connection, names: Sequence[NodeId]) -> None:
    known = inventory.load_fleet(conn).nodes
    for name in names:
        if name not in known:
            raise Refusal(reason(Code.NODE_UNKNOWN, unit=name, nearest=nearest(name, known)))


def _word(kind: ScopeKind, scope: str, desired: Desired, actor: str, why: str, now: datetime) -> Intent:
    return Intent(kind=kind, scope=scope, desired=desired, actor=actor, why=why.strip(), at=now)


def _append(conn: Connection, words: Sequence[Intent]) -> tuple[Intent, ...]:
    journal.append_many(conn, [_line(word) for word in words])
    wakes.hint(conn)
    return tuple(intents.append_intent(conn, word) for word in words)


def _line(word: Intent) -> Entry:
    if word.kind is ScopeKind.BRAKE:
        event, subject = "brake.pulled" if word.desired is Desired.PAUSE else "brake.released", "fleet"
    else:
        event, subject = f"{word.kind}.asked_to_{word.desired}", f"{word.kind}:{word.scope}".rstrip(":")
    return Entry(at=word.at, actor=word.actor, event=event, subject=subject, why=word.why, data={})
