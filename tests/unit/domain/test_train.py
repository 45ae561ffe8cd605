"""What a rider of the impactless train does whose node something else wants, or whose time is over."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.unit.domain.test_decide import CATALOGUE, FACTS, FLEET, NODE, NOW

from fermata.domain.decide import NOTHING_SEEN, Seen
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import Begin, Decision, EndStep, Leave, Prove, Repeat, Watch, carry_out
from fermata.domain.ids import RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import NeverAsked, Progress, Running
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.reasons import Code, reason
from fermata.domain.tally import Tally
from fermata.domain.train import NEAR, Train, decide_rider, read_train

BMC = UpdateId("bmc")
TRAIN = Train(
    id=WindowId("train-c0"),
    run=RunId("run_1"),
    cluster=FLEET.nodes[NODE].cluster,
    updates=(BMC,),
    cluster_nodes=8,
    riders=1,
    opened_at=NOW,
    due_by=NOW + NEAR,
)
SCRIPT = read_train(TRAIN, CATALOGUE, [FLEET.nodes[NODE]], {NODE: 1})
BARRED = reason(Code.RIDE_ENDS, unit=NODE, why="a window has it.")


def at(now: datetime = NOW) -> Facts:
    """With a tally of its own, since that counts along."""
    return replace(FACTS, script=SCRIPT, now=now, tally=Tally(CATALOGUE, ()))


def rider(state: UnitState, asked: Asked = Asked.NOTHING, **more: object) -> UnitOp:
    base = UnitOp(
        id=1,
        run=TRAIN.run,
        window=TRAIN.id,
        unit=NODE,
        kind=UnitKind.RIDER,
        cluster=TRAIN.cluster,
        fault_domain="1",
        rank=0,
        in_service_before=True,
        state=state,
        step="apply:bmc" if state is UnitState.APPLYING else "",
        asked=asked,
        next_at=NOW,
        step_started_at=NOW,
        limit_at=NOW + timedelta(hours=1),
    )
    return replace(base, **more)  # type: ignore[arg-type]


PENDING, APPLYING = UnitState.PENDING, UnitState.APPLYING


@pytest.mark.parametrize(
    ("row", "progress", "free", "barred"),
    [
        pytest.param(rider(PENDING), None, Begin, Leave, id="waits"),
        pytest.param(rider(PENDING, active=1, applied=1), None, Prove, Prove, id="done"),
        pytest.param(rider(APPLYING, Asked.INTENDED), NeverAsked(), Repeat, EndStep, id="intended"),
        pytest.param(rider(APPLYING, Asked.UNSURE), NeverAsked(), Repeat, EndStep, id="never-arrived"),
        pytest.param(rider(APPLYING, Asked.UNDER_WAY), Running(), Watch, Watch, id="writes"),
    ],
)
def test_nothing_more_begins_on_a_barred_node_and_what_is_written_is_let_end(
    row: UnitOp, progress: Progress | None, free: type[Decision], barred: type[Decision]
) -> None:
    look = Seen(progress=progress) if progress is not None else NOTHING_SEEN
    assert isinstance(decide_rider(row, look, at(), TRAIN), free)
    decided = decide_rider(row, look, at(), TRAIN, BARRED)
    assert isinstance(decided, barred)
    after = carry_out(row, decided, NOW)  # a move that the machine knows
    if isinstance(decided, Leave):
        assert (after.state, after.reason) == (UnitState.LEFT_OUT, BARRED)


def test_who_has_not_begun_in_the_time_of_the_train_leaves_it() -> None:
    decided = decide_rider(rider(PENDING), NOTHING_SEEN, at(TRAIN.due_by), TRAIN)
    assert isinstance(decided, Leave)
    assert decided.reason is not None
    assert decided.reason.code is Code.RIDE_ENDS
    writes = rider(APPLYING, Asked.UNDER_WAY, limit_at=TRAIN.due_by + timedelta(minutes=9))
    assert isinstance(decide_rider(writes, Seen(progress=Running()), at(TRAIN.due_by), TRAIN), Watch)
    in_time = at(TRAIN.due_by - timedelta(minutes=1))
    assert isinstance(decide_rider(rider(PENDING), NOTHING_SEEN, in_time, TRAIN), Begin)
