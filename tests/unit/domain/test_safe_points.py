"""When a node goes to the people of an order, and with what it goes on when they are through: tables."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.domain.test_decide import CATALOGUE, FACTS, NODE, NOW, SCRIPT, reset_during, seen_node

from fermata.domain.decide import Seen, decide
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import Begin, HandOver, Park, Repeat, Resume, Watch, carry_out
from fermata.domain.ids import DeviceId, OrderId, UpdateId
from fermata.domain.intents import EVERYWHERE, Intent, Intents, ScopeKind
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.operations import Asked, Busy, Gate, UnitOp
from fermata.domain.reasons import Code
from fermata.domain.repairs import REPAIR, Handed
from fermata.domain.request_kinds import RequestKind
from fermata.domain.run_states import Desired
from fermata.domain.scripts import APPLY_PREFIX, VERIFY
from fermata.domain.tally import Tally

BMC, NIC, GPU, OS = (SCRIPT.bits[UpdateId(name)] for name in ("bmc", "nic", "gpu", "os"))
ORDER = Handed(order=OrderId("wo_1"), kind=RequestKind.REPAIR, number=1)
LEAF, RACK_MANAGER = (
    next(name for name in SCRIPT.nodes[NODE].devices if SCRIPT.devices[name].update.id == update)
    for update in ("leaf", "manager")
)
PAUSE = Intent(kind=ScopeKind.FLEET, scope=EVERYWHERE, desired=Desired.PAUSE, actor="ann", why="smoke", at=NOW)


def node(applied: int, active: int, state: UnitState = UnitState.DRAINED, **more: object) -> UnitOp:
    idle = replace(reset_during("bmc", UnitKind.NODE), state=state, step="", asked=Asked.NOTHING)
    return replace(idle, applied=applied, active=active, begun=True, **more)  # type: ignore[arg-type]


def around(unproven: Mapping[DeviceId, UnitState] | None = None, **more: object) -> Facts:
    """An order waits for the node."""
    known: dict[str, object] = {"handed": {NODE: ORDER}, "unproven": unproven or {}}
    return replace(FACTS, **(known | more))  # type: ignore[arg-type]


def full() -> Tally:
    """As many nodes write gpu as may."""
    return Tally(CATALOGUE, [Busy(window=SCRIPT.window.id, step=f"{APPLY_PREFIX}gpu", fault_domain="1", units=4)])


@pytest.mark.parametrize(
    ("applied", "active"), [(0, 0), (BMC, BMC), (BMC | NIC | GPU, BMC | NIC | GPU)], ids=["new", "no reboot", "booted"]
)
def test_idle_node_on_which_nothing_waits_for_a_reboot_goes_to_the_people_first(applied: int, active: int) -> None:
    decided = decide(node(applied, active), Seen(node=seen_node()), around())
    assert isinstance(decided, HandOver)
    assert "firmware" not in decided.reason.sentence


def test_written_node_goes_on_to_its_reboot() -> None:
    written = node(BMC | NIC | GPU, BMC)
    decided = decide(written, Seen(node=seen_node()), around())
    assert isinstance(decided, Begin)
    assert decided.event is UnitEvent.REBOOT
    assert isinstance(decide(replace(written, active=written.applied), Seen(), around()), HandOver)


@pytest.mark.parametrize("state", [UnitState.PENDING, UnitState.FAILED, UnitState.IN_REPAIR])
def test_written_node_that_would_wait_for_a_device_goes_as_it_is_since_that_may_wait_for_its_people(
    state: UnitState,
) -> None:
    decided = decide(node(NIC | GPU | BMC, BMC), Seen(node=seen_node()), around({LEAF: state}))
    assert isinstance(decided, HandOver)
    assert "firmware that its next restart makes active" in decided.reason.sentence


def test_written_node_that_operators_hold_goes_as_it_is() -> None:
    decided = decide(node(NIC | GPU | BMC, BMC), Seen(), around(intents=Intents(words=(PAUSE,))))
    assert isinstance(decided, HandOver)


def test_written_node_waits_for_room_to_write_what_comes_before_its_reboot() -> None:
    decided = decide(node(NIC | BMC, BMC), Seen(node=seen_node()), around(tally=full()))
    assert isinstance(decided, Park)
    assert decided.gate is Gate.ISOLATION


@pytest.mark.parametrize("state", [UnitState.APPLYING, UnitState.RESETTING, UnitState.RECOVERING])
@pytest.mark.parametrize("applied", [0, NIC])
def test_no_node_goes_to_people_while_what_it_hangs_on_and_was_emptied_for_is_being_changed(
    state: UnitState, applied: int
) -> None:
    decided = decide(node(applied, 0), Seen(), around({LEAF: state}))
    assert isinstance(decided, Park)
    assert (decided.gate, decided.reason.code) == (Gate.DEVICE, Code.ORDER_AFTER_DEVICE)
    failed = node(applied, 0, UnitState.FAILED, failed_at=NOW)
    assert isinstance(decide(failed, Seen(node=seen_node()), around({LEAF: state})), Watch)
    assert isinstance(decide(failed, Seen(node=seen_node()), around()), HandOver)


def test_what_needs_no_node_empty_keeps_nobody_from_the_people() -> None:
    assert isinstance(decide(node(0, 0), Seen(), around({RACK_MANAGER: UnitState.APPLYING})), HandOver)


def resumed(op: UnitOp, *, by_site: bool, **versions: str) -> Resume:
    """From the people, who say that they are done; the site says so, too, or does not."""
    report = replace(seen_node(**versions), repaired_at=NOW if by_site else None)
    op = replace(op, state=UnitState.IN_REPAIR, step=REPAIR, step_started_at=NOW - timedelta(days=1))
    decided = decide(op, Seen(node=report, looked=True), around(handed={NODE: replace(ORDER, ended=True)}))
    assert isinstance(decided, Resume)
    return decided


OF_GPU = CATALOGUE.updates[UpdateId("gpu")].component
LABEL = f"{APPLY_PREFIX}gpu"


@pytest.mark.parametrize(
    ("by_site", "version", "applied", "active", "is_fresh"),
    [
        (False, "1.0", GPU, 0, False),  # it may wait for its reboot still
        (False, "2.0", GPU, GPU, False),  # somebody restarted it
        (True, "1.0", 0, 0, True),  # restarted, and it is lost: another part, perhaps
        (True, "2.0", GPU, GPU, False),
    ],
)
def test_what_was_written_before_the_people_came_is_rebooted_before_it_is_written_again(
    by_site: bool, version: str, applied: int, active: int, is_fresh: bool
) -> None:
    decided = resumed(node(GPU, 0), by_site=by_site, **{OF_GPU: version})
    assert (decided.applied, decided.active) == (applied, active)
    assert (LABEL in decided.retries) is is_fresh, "a fresh key means another write"
    assert decided.retries[VERIFY] == 1
    if applied and not active:
        assert any(label.startswith("reboot") for label in decided.retries)


def test_what_ran_before_the_people_came_and_runs_no_more_is_written_again() -> None:
    decided = resumed(node(GPU, GPU), by_site=False, **{OF_GPU: "1.0"})
    assert (decided.applied, decided.active, decided.retries[LABEL]) == (0, 0, 1)


@pytest.mark.parametrize(("applied", "active"), [(GPU, 0), (0, GPU)], ids=["to write back", "written back"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_roll_back_goes_on_where_it_was(applied: int, active: int, version: str) -> None:
    """`applied` of a roll-back is still to be written back, `active` waits for the reboot after that."""
    targets = {(SCRIPT.window.id, NODE): {UpdateId("gpu"): "1.0"}}
    op = replace(node(applied, active, undo=GPU), state=UnitState.IN_REPAIR, step=REPAIR, step_started_at=NOW)
    facts = around(handed={NODE: replace(ORDER, ended=True)}, undo_targets=targets)
    decided = decide(op, Seen(node=seen_node(**{OF_GPU: version}), looked=True), facts)
    assert isinstance(decided, Resume)
    assert decided.applied == applied
    assert decided.active & active == active


@pytest.mark.parametrize("asked", [Asked.NOTHING, Asked.INTENDED], ids=["told", "not told yet"])
def test_node_that_came_into_service_while_people_have_it_is_locked_anew_when_they_are_through(asked: Asked) -> None:
    op = node(0, 0, UnitState.IN_REPAIR, astray_since=NOW, step_started_at=NOW, retries={})
    op = replace(op, step=REPAIR, asked=asked)
    going_on = decide(op, Seen(node=seen_node(), looked=True), around())
    assert isinstance(going_on, Watch if asked is Asked.NOTHING else Repeat)
    through = decide(op, Seen(node=seen_node(), looked=True), around(handed={NODE: replace(ORDER, ended=True)}))
    assert isinstance(through, Resume)
    back = carry_out(op, through, NOW)
    lock = decide(back, Seen(node=seen_node(), looked=True), FACTS)
    assert isinstance(lock, Begin)
    assert lock.event is UnitEvent.LOCK
