"""Intents to port calls, in bulk: the only place that acts on the world. A repeated intent carries the same key."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fermata.domain.decide import BEGINS_SOMETHING
from fermata.domain.ids import StepKey, UpdateId, step_key
from fermata.domain.node_states import UnitState
from fermata.domain.observations import Answer, Denied, Later, Unsure
from fermata.domain.operations import UnitOp
from fermata.domain.scripts import APPLY_PREFIX, GIVE_BACK
from fermata.domain.updates import Catalogue
from fermata.execution.scale_in import ScaleIn
from fermata.formats.brake import BrakeFile
from fermata.ports import (
    CALL_SIZE_MAX,
    ApplyAsk,
    Ask,
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


def perform(
    site: Site,
    catalogue: Catalogue,
    ops: Sequence[UnitOp],
    scale_in: ScaleIn | None = None,
    brake: BrakeFile | None = None,
) -> Mapping[int, Answer]:
    """Makes the calls that the rows intend, grouped by kind and cut to size; the answers by row id. `scale_in`: which
    nodes go back in chunks of their own. `brake`: looked at before each call; while it is on, nothing is called that
    begins something.
    """
    groups: dict[tuple[UnitState, bool], list[UnitOp]] = {}
    for op in ops:
        groups.setdefault((op.state, op.step == GIVE_BACK), []).append(op)
    answers: dict[int, Answer] = {}
    for (state, giving_back), found in sorted(groups.items(), key=lambda item: item[0]):
        members = found
        if state is UnitState.PROVEN and giving_back and scale_in is not None:
            grouped = [op for op in found if op.cluster in scale_in.groups]
            answers.update(scale_in.give_back(grouped, partial(_perform_or_refuse, site, catalogue, state)))
            members = [op for op in found if op.cluster not in scale_in.groups]
        for start in range(0, len(members), CALL_SIZE_MAX):
            chunk = members[start : start + CALL_SIZE_MAX]
            if state in BEGINS_SOMETHING and brake is not None and brake.is_on():
                answers |= {op.id: Unsure() for op in chunk}
                continue
            answers.update(_perform(site, catalogue, state, giving_back, chunk))
    return answers


def _perform(
    site: Site, catalogue: Catalogue, state: UnitState, giving_back: bool, ops: Sequence[UnitOp]
) -> dict[int, Answer]:
    try:
        return _perform_or_refuse(site, catalogue, state, ops, giving_back=giving_back)
    except Refused as refused:
        return {op.id: Denied(why=refused.why) for op in ops}


def _perform_or_refuse(
    site: Site, catalogue: Catalogue, state: UnitState, ops: Sequence[UnitOp], *, giving_back: bool = True
) -> dict[int, Answer]:
    """One call. Raises Refused when the target did nothing of it."""
    try:
        by_key = _call(site, catalogue, state, giving_back, ops)
    except TryLater as busy:
        return {op.id: Later(after=busy.after) for op in ops}
    except OutcomeUnknown:
        return {op.id: Unsure() for op in ops}
    return {op.id: by_key.get(key_of(op), Unsure()) for op in ops}


def _call(
    site: Site, catalogue: Catalogue, state: UnitState, giving_back: bool, ops: Sequence[UnitOp]
) -> Mapping[StepKey, Answer]:
    match state:
        case UnitState.APPLYING:
            return site.firmware.apply([_apply_ask(op, catalogue) for op in ops])
        case UnitState.FAILED:
            return site.notifier.notify([_repair_notice(op) for op in ops])
        case UnitState.PROVEN:
            hand_back = site.workloads.give_back if giving_back else site.workloads.release
            return hand_back([Ask(key=key_of(op), unit=op.unit) for op in ops])
        case _:
            call = _plain_calls(site)[state]
            return call([Ask(key=key_of(op), unit=op.unit) for op in ops])


def _plain_calls(site: Site) -> Mapping[UnitState, Callable[[Sequence[Ask]], Mapping[StepKey, Answer]]]:
    return {
        UnitState.LOCKED: site.workloads.lock,
        UnitState.DRAINING: site.workloads.drain,
        UnitState.REBOOTING: site.power.reboot,
        UnitState.RESETTING: site.power.reset,
        UnitState.VERIFYING: site.verifier.check,
    }


def _apply_ask(op: UnitOp, catalogue: Catalogue) -> ApplyAsk:
    update = catalogue.updates[UpdateId(op.step.removeprefix(APPLY_PREFIX))]
    return ApplyAsk(
        key=key_of(op), unit=op.unit, update=update.id, component=update.component, to_version=update.to_version
    )


def _repair_notice(op: UnitOp) -> Notice:
    sentence = op.reason.sentence if op.reason else f"{op.unit} stopped at {op.step}"
    return Notice(key=key_of(op), kind=NoticeKind.NEEDS_REPAIR, subject=op.unit, sentence=sentence)
