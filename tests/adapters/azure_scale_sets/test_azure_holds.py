"""Whose an instance is: ours by tag and protection, somebody else's by protection alone, and what is left to whom."""

from datetime import timedelta
from typing import Any

import pytest
from tests.adapters.azure_scale_sets.azure import Azure, Fault
from tests.adapters.azure_scale_sets.conftest import SetClock
from tests.adapters.azure_scale_sets.site import ScaleSets, ask, wait_for

from fermata.domain.fleet import NodeState
from fermata.domain.ids import NodeId
from fermata.domain.observations import (
    Accepted,
    Denied,
    Failed,
    Later,
    NeverAsked,
    Overtaken,
    Running,
    Succeeded,
    Unsure,
)
from fermata.ports import OutcomeUnknown, Refused, TryLater

VM = "/virtualMachines/gpu001$"
BOTH = {"protectFromScaleIn": True, "protectFromScaleSetActions": True}


@pytest.fixture(params=[False, True], ids=["tags replaced", "tags merged"])
def azure(request: pytest.FixtureRequest) -> Azure:
    return Azure(merges=request.param)


def denied(sets: ScaleSets, op: str, node: str = "gpu001") -> str:
    answer = sets.answer(op, ask(node, op))
    assert isinstance(answer, Denied), answer
    return answer.why


def is_alone(azure: Azure, node: str = "gpu001") -> bool:
    """Nobody did anything to it."""
    return azure.instances[node].versions == [1, 1] and azure.instances[node].power == "running"


def test_locked_instance_is_protected_and_says_by_whom(sets: ScaleSets, azure: Azure) -> None:
    azure.instances["gpu001"].tags = {"Owner": "physics"}
    sets.lock("gpu001")
    one = azure.instances["gpu001"]
    assert one.protection == BOTH
    assert sets.tag("gpu001", "held") == "c0-20260105"
    assert sets.tag("gpu001", "reason") == "maintenance, step run_1/c0-20260105/gpu001/lock/1"
    assert one.tags["Owner"] == "physics"
    seen = sets.see("gpu001")
    assert (seen.locked, seen.state) == (True, NodeState.IN_SERVICE)
    assert is_alone(azure, "gpu002")


def test_released_instance_stays_down_without_anything_of_ours(sets: ScaleSets, azure: Azure) -> None:
    azure.instances["gpu001"].tags = {"Owner": "physics"}
    sets.take("gpu001")
    assert sets.answer("release", ask("gpu001", "release")) == Accepted()
    one = azure.instances["gpu001"]
    assert one.power == "deallocated"
    assert not any(one.protection.values())
    assert sets.tag("gpu001", "held") == ""
    assert sets.tag("gpu001", "reason") == "left out of service by fermata, which holds it no more"
    assert one.tags["Owner"] == "physics"
    assert isinstance(sets.progress("gpu001", "release"), Succeeded)


def test_release_that_broke_off_is_ended_by_the_next_look(sets: ScaleSets, azure: Azure) -> None:
    sets.take("gpu001")
    azure.faults.append(Fault(method="PUT", path=VM, status=500, times=1))
    assert sets.answer("release", ask("gpu001", "release")) == Unsure()
    assert sets.tag("gpu001", "held")
    assert isinstance(sets.progress("gpu001", "release"), Succeeded)
    assert sets.tag("gpu001", "held") == ""


@pytest.mark.parametrize("flag", ["protectFromScaleIn", "protectFromScaleSetActions"])
def test_instance_that_somebody_else_protects_is_left_to_them(sets: ScaleSets, azure: Azure, flag: str) -> None:
    azure.instances["gpu001"].protection = {flag: True}
    said = "gpu001 is protected from scale-in by somebody else: whoever set it takes it off"
    for op in ("lock", "drain", "give_back", "release"):
        assert denied(sets, op) == f"{op} is not done: {said}"
    assert is_alone(azure)
    assert sets.see("gpu001").locked is False


def test_instance_that_somebody_stopped_is_not_taken(sets: ScaleSets, azure: Azure) -> None:
    azure.instances["gpu001"].power = "stopped"
    said = "gpu001 is stopped and keeps its machine, by somebody else: whoever stopped it starts it"
    assert denied(sets, "lock") == f"lock is not done: {said}"


def test_instance_that_was_out_before_is_taken_and_left_as_it_was_found(sets: ScaleSets, azure: Azure) -> None:
    azure.instances["gpu001"].power = "deallocated"
    sets.take("gpu001")
    assert azure.counts["drain", "gpu001"] == 0
    assert sets.answer("release", ask("gpu001", "release")) == Accepted()
    assert azure.starts == []
    assert azure.instances["gpu001"].power == "deallocated"


def test_instance_that_nobody_locked_is_neither_drained_nor_given_back(sets: ScaleSets, azure: Azure) -> None:
    for op in ("drain", "give_back", "release"):
        assert "lost its protection or our tag, or nobody locked it" in denied(sets, op)
    assert is_alone(azure)


@pytest.mark.parametrize("lost", ["tag", "protection"])
def test_drain_does_not_go_on_where_our_hold_was_taken_off(sets: ScaleSets, azure: Azure, lost: str) -> None:
    sets.lock("gpu001")
    azure.faults.append(Fault(method="POST", path="/deallocate$", status=429, retry_after=9, times=1))
    assert sets.answer("drain", ask("gpu001", "drain")) == Later(after=timedelta(seconds=9))
    one = azure.instances["gpu001"]
    one.versions = [99, 99]
    if lost == "tag":
        del one.tags["fermata-held"]
    else:
        one.protection = {}
    end = sets.progress("gpu001", "drain")
    assert isinstance(end, Failed)
    assert "drain does not hold any more" in end.why
    assert isinstance(sets.answer("drain", ask("gpu001", "drain")), Denied)
    assert one.power == "running"


def test_lock_that_somebody_took_off_an_instance_that_is_out_is_told(sets: ScaleSets, azure: Azure) -> None:
    sets.take("gpu001")
    azure.instances["gpu001"].protection = {}
    assert sets.see("gpu001").locked is False
    assert isinstance(sets.progress("gpu001", "drain"), Failed)
    assert "nobody locked it" in denied(sets, "give_back")
    assert azure.starts == []


def test_held_instance_that_somebody_starts_is_told_in_service_and_not_stopped_again(
    sets: ScaleSets, azure: Azure
) -> None:
    sets.take("gpu001")
    one = azure.instances["gpu001"]
    one.power, one.shown = "running", ("running", "Succeeded", ("", ""))
    seen = sets.see("gpu001")
    assert (seen.state, seen.locked) == (NodeState.IN_SERVICE, True)
    assert isinstance(sets.progress("gpu001", "drain"), Succeeded)
    assert one.power == "running"


def test_lock_that_broke_off_after_the_tag_is_gone_on_with(sets: ScaleSets, azure: Azure) -> None:
    azure.faults.append(Fault(method="PUT", path=VM, status=500, times=1))
    asked = ask("gpu001", "lock")
    assert sets.answer("lock", asked) == Unsure()
    assert sets.see("gpu001").locked is False
    assert sets.answer("lock", asked) == Accepted()
    assert azure.instances["gpu001"].protection == BOTH


@pytest.mark.parametrize("status", [409, 412])
def test_instance_that_somebody_wrote_meanwhile_is_looked_at_again(sets: ScaleSets, azure: Azure, status: int) -> None:
    azure.faults.append(Fault(method="PATCH", path=VM, status=status, code="PreconditionFailed", times=1))
    asked = ask("gpu001", "lock")
    assert sets.answer("lock", asked) == Later(after=timedelta(seconds=5))
    assert is_alone(azure)
    assert sets.answer("lock", asked) == Accepted()


def test_tags_that_somebody_writes_between_our_look_and_our_write_are_not_lost(sets: ScaleSets, azure: Azure) -> None:
    answer = azure.answer

    def first_a_person(method: str, *rest: Any) -> Any:
        if method == "PATCH":
            azure.answer = answer  # type: ignore[method-assign]
            azure.instances["gpu001"].tags = {"Owner": "physics"}
            azure.instances["gpu001"].versions[0] += 1
        return answer(method, *rest)

    azure.answer = first_a_person  # type: ignore[method-assign, assignment]
    assert isinstance(sets.answer("lock", ask("gpu001", "lock")), Later)
    assert azure.instances["gpu001"].tags == {"Owner": "physics"}
    assert azure.instances["gpu001"].protection == {}


def test_person_who_writes_between_our_look_and_our_write_wins(sets: ScaleSets, azure: Azure) -> None:
    answer = azure.answer

    def first_a_person(method: str, *rest: Any) -> Any:
        if method == "PUT":
            azure.answer = answer  # type: ignore[method-assign]
            azure.instances["gpu001"].protection = {"protectFromScaleIn": True}
            azure.instances["gpu001"].versions[1] += 1
        return answer(method, *rest)

    azure.answer = first_a_person  # type: ignore[method-assign, assignment]
    assert isinstance(sets.answer("lock", ask("gpu001", "lock")), Later)
    assert azure.instances["gpu001"].protection == {"protectFromScaleIn": True}


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AuthorizationFailed"), (409, "ScopeLocked"), (400, "InvalidTagNameOrValue")]
)
def test_refusal_that_only_people_can_change_is_told_with_its_code(
    sets: ScaleSets, azure: Azure, status: int, code: str
) -> None:
    azure.faults.append(Fault(method="PATCH", path=VM, status=status, code=code))
    assert denied(sets, "lock") == f"Azure refuses tags on gpu001 ({code}): not now"


def test_refusal_by_a_gateway_in_between_is_one_and_no_lost_answer(sets: ScaleSets, azure: Azure) -> None:
    azure.faults.append(Fault(method="PATCH", path=VM, status=403, body="<html>the gateway says no</html>"))
    assert "Azure refuses tags on gpu001 (403)" in denied(sets, "lock")


def test_read_that_fails_for_one_instance_leaves_the_others_of_the_call_their_answers(
    sets: ScaleSets, azure: Azure
) -> None:
    azure.faults.append(Fault(method="GET", path=f"Microsoft.Compute{VM}", status=429, retry_after=8))
    asks = [ask(node, "lock") for node in ("gpu001", "gpu002")]
    answers = sets.workloads().lock(asks)
    assert answers == {asks[0].key: Later(after=timedelta(seconds=8)), asks[1].key: Accepted()}
    assert azure.instances["gpu002"].protection == BOTH
    assert is_alone(azure)


def test_instance_without_an_etag_is_not_written_to(sets: ScaleSets, azure: Azure) -> None:
    azure.has_etags = False
    assert "Azure gives no ETag of gpu001" in denied(sets, "lock")
    assert is_alone(azure)


def test_instance_that_is_gone_is_denied_and_absent(sets: ScaleSets, azure: Azure) -> None:
    assert denied(sets, "lock", "gone") == "no scale set has an instance gone"
    inventory = sets.ports().inventory
    assert inventory is not None
    assert set(inventory.observe_nodes([NodeId("gone"), NodeId("gpu001")])) == {"gpu001"}


def test_no_more_are_deallocated_at_once_than_a_chunk_has(sets: ScaleSets, azure: Azure) -> None:
    azure.add("gpu003")
    nodes = ("gpu001", "gpu002", "gpu003")
    sets.lock(*nodes)
    azure.looks = 3
    workloads, asks = sets.workloads(chunk_max=2), [ask(node, "drain") for node in nodes]
    workloads.drain(asks)
    assert [azure.instances[node].power for node in nodes] == ["deallocating", "deallocating", "running"]
    wait_for(workloads, asks)
    assert {azure.instances[node].power for node in nodes} == {"deallocated"}


def test_drain_that_does_not_end_says_why(sets: ScaleSets, azure: Azure, clock: SetClock) -> None:
    sets.lock("gpu001")
    azure.looks = 1000
    assert sets.answer("drain", ask("gpu001", "drain")) == Accepted()
    assert isinstance(sets.progress("gpu001", "drain"), Running)
    clock.later(30)
    end = sets.progress("gpu001", "drain")
    assert isinstance(end, Failed)
    assert end.why == "gpu001 is not deallocated within 0:30:00: it is deallocating"


def test_look_fences_who_was_before(sets: ScaleSets, azure: Azure) -> None:
    sets.lock("gpu001")
    newer = ask("gpu001", "lock", 2, generation=5)
    assert sets.workloads().observe([newer]) == {newer.key: NeverAsked()}
    assert sets.answer("drain", ask("gpu001", "drain", generation=4)) == Overtaken()
    assert azure.instances["gpu001"].power == "running"
    assert sets.answer("drain", ask("gpu001", "drain", generation=5)) == Accepted()
    assert sets.answer("release", ask("gpu001", "release", generation=4)) == Overtaken()
    assert azure.instances["gpu001"].protection == BOTH


@pytest.mark.parametrize(("status", "error"), [(409, TryLater), (429, TryLater), (403, Refused), (500, OutcomeUnknown)])
def test_nobody_is_told_what_was_never_asked_before_the_instance_heard_of_them(
    sets: ScaleSets, azure: Azure, status: int, error: type[Exception]
) -> None:
    azure.faults.append(Fault(method="PATCH", path=VM, status=status))
    with pytest.raises(error):
        sets.workloads().observe([ask("gpu001", "lock", generation=5)])
    assert sets.workloads().observe([ask("gpu001", "lock")]) == {ask("gpu001", "lock").key: NeverAsked()}


def test_tags_that_somebody_garbled_are_no_steps(sets: ScaleSets, azure: Azure) -> None:
    for garbled in ("[]", "no json", '{"steps":[[1,2]]}', '{"heard":7}'):
        azure.instances["gpu001"].tags = {"fermata-steps-0": garbled}
        assert sets.progress("gpu001", "drain") == NeverAsked()


def test_steps_with_long_names_fit_into_tags_and_the_oldest_are_forgotten(sets: ScaleSets, azure: Azure) -> None:
    workloads = sets.workloads()
    window = "w" * 150
    for attempt in range(1, 13):
        asked = ask("gpu001", f"lock{window}", attempt)
        assert workloads.lock([asked]) == {asked.key: Accepted()}
    tags = azure.instances["gpu001"].tags
    assert all(len(value) <= 256 for value in tags.values())
    assert len(tags) <= 12
    assert isinstance(workloads.observe([asked])[asked.key], Succeeded)
    oldest = ask("gpu001", f"lock{window}")
    assert workloads.observe([oldest]) == {oldest.key: NeverAsked()}


def test_names_of_tags_count_in_any_case(sets: ScaleSets, azure: Azure) -> None:
    sets.take("gpu001")
    one = azure.instances["gpu001"]
    one.tags = {name.title(): value for name, value in one.tags.items()}
    assert sets.see("gpu001").locked is True
    assert sets.answer("release", ask("gpu001", "release")) == Accepted()
