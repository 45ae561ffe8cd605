"""Intents to port calls, in bulk: the only place that acts on the world. A repeated intent carries the same key."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from fermata.domain.ahead import Ahead, Kept
from fermata.domain.decide import BEGINS_SOMETHING
from fermata.domain.ids import RunId, StepKey, UpdateId, WindowId, step_key
from fermata.domain.node_states import UnitState
from fermata.domain.observations import Answer, Denied, Later, Unmade, Unsure
from fermata.domain.operations import UnitOp
from fermata.domain.scripts import APPLY_PREFIX, GIVE_BACK, undone_by
from fermata.domain.updates import Catalogue, Update
from fermata.execution.ownership import INTENT_LASTS
from fermata.execution.scale_in import ScaleIn
from fermata.formats.brake import BrakeFile
from fermata.ports import (
    CALL_SIZE_MAX,
    ApplyAsk,
    Ask,
    Jobs,
    Notice,
    NoticeKind,
    OutcomeUnknown,
    Refused,
    Site,
    TryLater,
)

REPAIR_PREFIX = "repair:"


def key_of(op: UnitOp) -> StepKey:
    """The idempotency key of the row's current action."""
    step = REPAIR_PREFIX + op.step if op.state is UnitState.FAILED else op.step
    return step_key(op.run, op.window, op.unit, step, op.attempt)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What one batch calls the world with. `generation`: under which units of a window are asked about. `confirm`: is
    called right before each call, and raises Outdated when somebody else conducts by now. `age`: how old the decisions
    are that the calls follow from. `brake`: while it is on, nothing is called that begins something. `scale_in`: which
    nodes go back in chunks of their own.
    """

    site: Site
    catalogue: Catalogue
    generation: Callable[[WindowId], int]
    confirm: Callable[[], None]
    age: Callable[[], timedelta]
    brake: BrakeFile | None = None
    scale_in: ScaleIn | None = None

    def ask(self, op: UnitOp) -> Ask:
        """About the row's current action."""
        return Ask(key=key_of(op), unit=op.unit, generation=self.generation(op.window))


def perform(caller: Caller, ops: Sequence[UnitOp]) -> Mapping[int, Answer]:
    """Makes the calls that the rows intend, grouped by kind and cut to size; the answers by row id. What was decided
    too long ago is not called. Raises Outdated.
    """
    groups: dict[tuple[UnitState, bool], list[UnitOp]] = {}
    for op in ops:
        groups.setdefault((op.state, op.step == GIVE_BACK), []).append(op)
    answers: dict[int, Answer] = {}
    scale_in = caller.scale_in
    for (state, giving_back), found in sorted(groups.items(), key=lambda item: item[0]):
        members = found
        if state is UnitState.PROVEN and giving_back and scale_in is not None:
            grouped = [op for op in found if op.cluster in scale_in.groups]
            answers.update(scale_in.give_back(grouped, partial(_perform_or_refuse, caller, state)))
            members = [op for op in found if op.cluster not in scale_in.groups]
        for start in range(0, len(members), CALL_SIZE_MAX):
            chunk = members[start : start + CALL_SIZE_MAX]
            if state in BEGINS_SOMETHING and caller.brake is not None and caller.brake.is_on():
                answers |= {op.id: Unsure() for op in chunk}
                continue
            answers.update(_perform(caller, state, giving_back, chunk))
    return answers


def keep_ahead(caller: Caller, jobs: Jobs, run: RunId, wanted: Sequence[Ahead]) -> Kept | None:
    """Has nodes kept free of jobs ahead of windows. None: the brake is on, and nothing is changed. Raises the three
    errors of ports, and Outdated.
    """
    caller.confirm()
    if caller.brake is not None and caller.brake.is_on():
        return None
    return jobs.keep_ahead(run, wanted)


def _perform(caller: Caller, state: UnitState, giving_back: bool, ops: Sequence[UnitOp]) -> dict[int, Answer]:
    try:
        return _perform_or_refuse(caller, state, ops, giving_back=giving_back)
    except Refused as refused:
        return {op.id: Denied(why=refused.why) for op in ops}


def _perform_or_refuse(
    caller: Caller, state: UnitState, ops: Sequence[UnitOp], *, giving_back: bool = True
) -> dict[int, Answer]:
    """One call, if it is not too late for it. Raises Refused when the target did nothing of it, and Outdated."""
    caller.confirm()
    old = caller.age()
    if old > INTENT_LASTS:
        return {op.id: Unmade(old=old) for op in ops}
    try:
        by_key = _call(caller, state, giving_back, ops)
    except TryLater as busy:
        return {op.id: Later(after=busy.after) for op in ops}
    except OutcomeUnknown:
        return {op.id: Unsure() for op in ops}
    return {op.id: by_key.get(key_of(op), Unsure()) for op in ops}


def _call(caller: Caller, state: UnitState, giving_back: bool, ops: Sequence[UnitOp]) -> Mapping[StepKey, Answer]:
    site = caller.site
    match state:
        case UnitState.APPLYING:
            return site.firmware.apply([_apply_ask(op, caller) for op in ops])
        case UnitState.RECOVERING:
            return site.firmware.apply([_undo_ask(op, caller) for op in ops])
        case UnitState.FAILED | UnitState.IN_REPAIR:
            return site.notifier.notify([_repair_notice(op) for op in ops])
        case UnitState.PROVEN:
            hand_back = site.workloads.give_back if giving_back else site.workloads.release
            return hand_back([caller.ask(op) for op in ops])
        case _:
            call = _plain_calls(site)[state]
            return call([caller.ask(op) for op in ops])


def _plain_calls(site: Site) -> Mapping[UnitState, Callable[[Sequence[Ask]], Mapping[StepKey, Answer]]]:
    return {
        UnitState.LOCKED: site.workloads.lock,
        UnitState.DRAINING: site.workloads.drain,
        UnitState.REBOOTING: site.power.reboot,
        UnitState.RESETTING: site.power.reset,
        UnitState.VERIFYING: site.verifier.check,
    }


def _apply_ask(op: UnitOp, caller: Caller) -> ApplyAsk:
    update = caller.catalogue.updates[UpdateId(op.step.removeprefix(APPLY_PREFIX))]
    return _write_ask(op, caller, update, update.to_version)


def _undo_ask(op: UnitOp, caller: Caller) -> ApplyAsk:
    version, name = undone_by(op.step)
    return _write_ask(op, caller, caller.catalogue.updates[UpdateId(name)], version)


def _write_ask(op: UnitOp, caller: Caller, update: Update, version: str) -> ApplyAsk:
    return ApplyAsk(
        key=key_of(op),
        unit=op.unit,
        update=update.id,
        component=update.component,
        to_version=version,
        generation=caller.generation(op.window),
    )


def _repair_notice(op: UnitOp) -> Notice:
    sentence = op.reason.sentence if op.reason else f"{op.unit} stopped at {op.step}"
    return Notice(key=key_of(op), kind=NoticeKind.NEEDS_REPAIR, subject=op.unit, sentence=sentence)
