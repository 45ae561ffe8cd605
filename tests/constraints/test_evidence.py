"""What must be known and said before a node may be planned: consent, versions, requirements, and honest reasons."""

from dataclasses import replace

import pytest
from tests.constraints import world as w

from fermata.domain.ids import ApprovalId, DeviceId, NodeId, RequestId, UpdateId
from fermata.domain.plans import ConsentBasis, DeviceApplyStep, Plan, Window
from fermata.domain.policy import ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code, reason
from fermata.domain.updates import Requirement
from fermata.planning.inputs import PlanningInput

ALL = ("agent", "gpu", "mgr", "nic", "os", "tor-os")


def entry(seq: int, level: ScopeLevel, name: str, *updates: str, verdict: Verdict = Verdict.APPROVED) -> ConsentEntry:
    cluster = name.removeprefix("sc-").split("-")[0]
    return ConsentEntry(
        seq=seq,
        id=ApprovalId(f"appr_{seq}"),
        request=RequestId(f"req_sc-{cluster}_deployment"),
        incarnation=1,
        updates=frozenset(UpdateId(x) for x in updates),
        scope=Scope(level=level, name=name),
        verdict=verdict,
        actor="lumen-capacity",
        at=w.NOW,
        reason="",
    )


def consented(*more: ConsentEntry, without: str = "") -> PlanningInput:
    clusters = [name for name in ("alpha", "beta", "gamma") if name != without]
    given = [entry(i, ScopeLevel.SUPERCOMPUTER, f"sc-{name}", *ALL) for i, name in enumerate(clusters)]
    return w.scenario(ledger=(*given, *more))


def judge(inputs: PlanningInput) -> set[str]:
    return w.faults(inputs, w.plan(inputs, w.windows(inputs)))


def test_a_plan_with_recorded_consent_is_valid() -> None:
    assert judge(consented()) == set()


@pytest.mark.parametrize(
    "inputs",
    [
        consented(without="gamma"),
        consented(entry(9, ScopeLevel.NODE, "gamma-n00", verdict=Verdict.WITHDRAWN)),
        consented(entry(9, ScopeLevel.RACK, "gamma-r0", "nic", "os", "gpu")),
        consented(entry(9, ScopeLevel.NODE, "alpha-n00", "agent", "gpu", "mgr", "nic", "os")),
        consented(entry(9, ScopeLevel.NODE, "alpha-n00", "agent", "gpu", "nic", "os", "tor-os")),
    ],
    ids=["never given", "withdrawn", "outdated", "shared device", "impactless device"],
)
def test_nothing_is_planned_without_the_consent_on_record(inputs: PlanningInput) -> None:
    assert judge(inputs) == {"CONSENT"}


def test_consent_cannot_be_claimed_without_a_record() -> None:
    inputs = w.scenario()
    built = w.plan(inputs, w.windows(inputs))
    assert w.faults(inputs, replace(built, consent=ConsentBasis.RECORDED)) == {"CONSENT"}


def test_a_draft_assumes_consent() -> None:
    inputs = consented(without="gamma")
    built = w.plan(inputs, w.windows(inputs))
    assert w.faults(inputs, replace(built, consent=ConsentBasis.ASSUMED)) == set()


def test_an_impactless_device_without_consent_is_left_alone_and_its_nodes_are_not() -> None:
    inputs = consented(entry(9, ScopeLevel.NODE, "alpha-n00", "agent", "gpu", "nic", "os", "tor-os"))
    made = w.windows(inputs)
    assert w.faults(inputs, w.plan(inputs, w.swap(made, only_manager(made[0], "alpha-r1-mgr")))) == set()
    without = w.drop(made[0], w.applies("mgr"))
    assert w.faults(inputs, w.plan(inputs, w.swap(made, without))) == {"DEVICES_APPLIED"}


def only_manager(window: Window, device: str) -> Window:
    return w.edit(window, w.applies("mgr"), devices=(DeviceId(device),))


def test_nodes_without_consent_stay_behind_with_that_reason() -> None:
    inputs = consented(without="gamma")
    assert w.faults(inputs, left_out(inputs, w.names(inputs, "gamma"), Code.APPROVAL_MISSING)) == set()
    for other in (Code.VERSION_UNKNOWN, Code.REQUIREMENT_UNMET, Code.FROZEN):
        assert w.faults(inputs, left_out(inputs, w.names(inputs, "gamma"), other)) == {"UNPLANNED_REASON"}


def left_out(inputs: PlanningInput, names: list[NodeId], code: Code) -> Plan:
    """The plan without these nodes; the window of their cluster takes the others, if there are any."""
    cluster = inputs.fleet.nodes[names[0]].cluster
    rest = [name for name in w.names(inputs, cluster) if name not in names]
    made = [x for x in w.windows(inputs) if x.cluster != cluster]
    if rest:
        made.append(w.window(inputs, f"w-{cluster}", rest, w.MONDAY if cluster == "alpha" else w.TUESDAY))
    return w.plan(inputs, made, (w.unplanned(inputs, names, code),))


def test_consent_that_is_missing_excuses_a_node_from_a_whole_window() -> None:
    inputs = consented(entry(9, ScopeLevel.NODE, "gamma-n00", verdict=Verdict.WITHDRAWN))
    assert w.faults(inputs, left_out(inputs, [NodeId("gamma-n00")], Code.APPROVAL_WITHDRAWN)) == set()
    some_more = [NodeId("gamma-n00"), NodeId("gamma-n01")]
    expected = {"WHOLE_CLUSTER", "UNPLANNED_REASON"}
    assert w.faults(inputs, left_out(inputs, some_more, Code.APPROVAL_WITHDRAWN)) == expected


def test_missing_consent_keeps_the_whole_rack_behind_a_draining_switch() -> None:
    inputs = consented(entry(9, ScopeLevel.NODE, "alpha-n00", verdict=Verdict.WITHDRAWN))
    rack = w.names(inputs, "alpha")[:3]
    assert w.faults(inputs, left_out(inputs, rack, Code.SHARED_DEVICE_UNAPPROVED)) == set()
    assert "SHARED_DEVICE_WHOLE" in w.faults(inputs, left_out(inputs, rack[:1], Code.APPROVAL_WITHDRAWN))


def test_unknown_versions_block() -> None:
    inputs = w.scenario(fleet=w.with_versions(w.fleet(), "gamma-n00", host_os=""))
    assert judge(inputs) == {"UNKNOWN_VERSION"}
    assert w.faults(inputs, left_out(inputs, [NodeId("gamma-n00")], Code.VERSION_UNKNOWN)) == set()


def test_an_unknown_version_keeps_the_whole_rack_behind_a_draining_switch() -> None:
    inputs = w.scenario(fleet=w.with_versions(w.fleet(), "alpha-n00", host_os=""))
    rack = w.names(inputs, "alpha")[:3]
    assert w.faults(inputs, left_out(inputs, rack, Code.VERSION_UNKNOWN)) == set()


def test_what_this_campaign_cannot_bring_excuses_the_nodes_that_need_it() -> None:
    updates = w.catalogue().updates
    tor = (Requirement(component="tor_os", min_version="5.0"),)
    nic = replace(updates[UpdateId("nic")], requires=tor)
    inputs = w.scenario(catalogue=replace(w.catalogue(), updates={**updates, nic.id: nic}))
    assert judge(inputs) == {"REQUIREMENT"}
    groups = [w.names(inputs, "alpha"), w.names(inputs, "beta"), w.names(inputs, "gamma")[:-1]]
    unplanned = tuple(w.unplanned(inputs, names, Code.REQUIREMENT_UNMET) for names in groups)
    last = w.window(inputs, "w-gamma", ["gamma-n05"], w.TUESDAY, stages=("os", "gpu", "reboot", "agent"))
    assert w.faults(inputs, w.plan(inputs, [last], unplanned)) == set()


def test_a_requirement_may_be_met_by_an_update_of_the_same_node_once_rebooted_into() -> None:
    updates = w.catalogue().updates
    gpu = replace(updates[UpdateId("gpu")], requires=(Requirement(component="nic_fw", min_version="2.0"),))
    inputs = w.scenario(catalogue=replace(w.catalogue(), updates={**updates, gpu.id: gpu}))
    assert judge(inputs) == set()
    early = w.window(
        inputs,
        "w-gamma",
        w.names(inputs, "gamma"),
        w.TUESDAY,
        stages=("nic", "gpu", "reboot", "os", "reboot", "agent"),
    )
    assert w.faults(inputs, w.plan(inputs, w.swap(w.windows(inputs), early))) == {"REQUIREMENT"}


def test_a_switch_may_require_a_version_of_the_nodes_behind_it() -> None:
    updates = w.catalogue().updates
    tor = replace(updates[UpdateId("tor-os")], requires=(Requirement(component="agent", min_version="2.0"),))
    inputs = w.scenario(catalogue=replace(w.catalogue(), updates={**updates, tor.id: tor}))
    assert judge(inputs) == {"REQUIREMENT"}
    stages = ("agent", "tor-os", "mgr", "nic", "reboot", "os", "gpu", "reboot")
    alpha = w.window(inputs, "w-alpha", w.names(inputs, "alpha"), w.MONDAY, stages=stages)
    built = w.plan(inputs, [alpha], tuple(w.unplanned(inputs, w.names(inputs, x), Code.NO_ROOM) for x in REST))
    assert w.faults(inputs, built) == set()


REST = ("beta", "gamma")


def test_a_freeze_that_leaves_no_gap_excuses_its_nodes() -> None:
    from datetime import timedelta

    from fermata.domain.ids import CustomerId, FreezeId
    from fermata.domain.policy import Freeze, Notice, Policy

    def frozen(until: timedelta) -> PlanningInput:
        scope = Scope(level=ScopeLevel.NODE, name="gamma-n00")
        freeze = Freeze(
            id=FreezeId("f"),
            customer=CustomerId("lumen"),
            scope=scope,
            start=w.NOW,
            end=w.NOW + until,
            reason="run",
        )
        return w.scenario(policy=Policy(customers={}, notice=Notice(), freezes=(freeze,)))

    throughout, for_a_while = frozen(timedelta(days=30)), frozen(timedelta(days=2))
    assert w.faults(throughout, left_out(throughout, [NodeId("gamma-n00")], Code.FROZEN)) == set()
    assert w.faults(for_a_while, left_out(for_a_while, [NodeId("gamma-n00")], Code.FROZEN)) == {"WHOLE_CLUSTER"}


def test_device_steps_name_devices() -> None:
    inputs = w.scenario()
    step = next(step for step in w.windows(inputs)[0].steps if isinstance(step, DeviceApplyStep))
    assert step.devices == ("alpha-r0-tor", "alpha-r1-tor")


def test_a_work_order_keeps_a_node_and_is_the_reason_to_leave_it_out() -> None:
    why = reason(Code.ORDER_FIRST, unit="gamma-n00", order="wo_1", kind="repair", state="approved")
    inputs = replace(consented(), held={NodeId("gamma-n00"): why})
    assert judge(inputs) == {"WORK_ORDERS"}
    assert w.faults(inputs, left_out(inputs, [NodeId("gamma-n00")], Code.ORDER_FIRST)) == set()
    assert w.faults(inputs, left_out(inputs, [NodeId("gamma-n00")], Code.HELD_BY_ORDER)) == {"UNPLANNED_REASON"}
    free = consented()
    assert "UNPLANNED_REASON" in w.faults(free, left_out(free, [NodeId("gamma-n00")], Code.ORDER_FIRST))
