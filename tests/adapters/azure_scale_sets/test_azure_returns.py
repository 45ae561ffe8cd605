"""Scale-out: in chunks, of proven instances only, and smaller ones where a placement group takes all or nothing."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from tests.adapters.azure_scale_sets.azure import Azure, Fault
from tests.adapters.azure_scale_sets.conftest import SetClock
from tests.adapters.azure_scale_sets.site import ScaleSets, ask, wait_for

from fermata.domain.fleet import NodeState
from fermata.domain.observations import Accepted, Failed, Later, NeverAsked, Overtaken, Progress, Running, Succeeded
from fermata.ports import Ask, WorkloadManager

START = "/start$"
COMING = Accepted(check_again_at=datetime(2026, 1, 5, 8, 1, tzinfo=UTC))  # not back yet


def names(number: int) -> list[str]:
    return [f"gpu{i:03d}" for i in range(1, number + 1)]


def backs(nodes: Sequence[str]) -> list[Ask]:
    return [ask(node, "give_back") for node in nodes]


def taken(sets: ScaleSets, azure: Azure, number: int, **words: object) -> tuple[WorkloadManager, list[Ask]]:
    nodes = names(number)
    azure.add(*nodes[2:])
    sets.take(*nodes)
    return sets.workloads(**words), backs(nodes)


def look(workloads: WorkloadManager, asks: Sequence[Ask], times: int = 1) -> list[Progress]:
    for _ in range(times):
        found = workloads.observe(asks)
        time.sleep(0.03)
    return [found[one.key] for one in asks]


def is_running(azure: Azure, nodes: Sequence[str]) -> bool:
    return all(azure.instances[node].power == "running" for node in nodes)


def test_all_that_are_given_back_start_together_and_nobody_else(sets: ScaleSets, azure: Azure) -> None:
    workloads, asks = taken(sets, azure, 4)
    azure.add("stranger")
    azure.instances["stranger"].power = "deallocated"
    assert set(workloads.give_back(asks).values()) == {COMING}
    wait_for(workloads, asks)
    assert azure.starts == [names(4)]
    assert azure.instances["stranger"].power == "deallocated"
    for node in names(4):
        seen = sets.see(node)
        assert (seen.state, seen.locked) == (NodeState.IN_SERVICE, False)


def test_instance_that_nobody_asked_back_is_never_started(sets: ScaleSets, azure: Azure) -> None:
    workloads, asks = taken(sets, azure, 3)
    workloads.give_back(asks[:1])
    look(workloads, [*asks, *(ask(node, "drain") for node in names(3))], 4)
    assert azure.starts == [["gpu001"]]
    assert azure.instances["gpu002"].power == "deallocated"


def test_no_more_are_on_their_way_than_a_chunk_has(sets: ScaleSets, azure: Azure, clock: SetClock) -> None:
    workloads, asks = taken(sets, azure, 5, chunk_max=2)
    azure.looks = 6
    workloads.give_back(asks)
    assert [len(start) for start in azure.starts] == [2]
    look(workloads, asks)
    assert [len(start) for start in azure.starts] == [2]
    wait_for(workloads, asks, clock)
    assert [len(start) for start in azure.starts] == [2, 2, 1]


@pytest.mark.parametrize("is_at_once", [True, False])
@pytest.mark.parametrize("code", ["AllocationFailed", "OverconstrainedAllocationRequest"])
def test_group_that_takes_all_or_nothing_is_asked_for_half_until_it_takes_them(
    sets: ScaleSets, azure: Azure, clock: SetClock, code: str, is_at_once: bool
) -> None:
    workloads, asks = taken(sets, azure, 8)
    azure.room, azure.code, azure.is_at_once = 3, code, is_at_once
    workloads.give_back(asks)
    while azure.room and len(azure.starts) < 12:
        look(workloads, asks)
        clock.later(0.1)
    assert [len(start) for start in azure.starts[:3]] == [8, 4, 2]
    assert sum(one.power == "running" for one in azure.instances.values()) == 3
    azure.room = 100
    wait_for(workloads, asks, clock)
    assert is_running(azure, names(8))
    assert [] not in azure.starts
    assert all(azure.counts["give_back", node] == 1 for node in names(8))


def test_view_that_is_behind_does_not_hide_that_a_group_took_nobody(
    sets: ScaleSets, azure: Azure, clock: SetClock
) -> None:
    workloads, asks = taken(sets, azure, 4)
    azure.room, azure.looks, azure.lag = 1, 12, 6  # it shows them starting for a while after the start failed
    workloads.give_back(asks)
    while azure.room and len(azure.starts) < 6:
        look(workloads, asks)
        clock.later(0.1)
    assert [len(start) for start in azure.starts[:3]] == [4, 2, 1]


def test_chunk_that_came_makes_room_for_the_next_at_once(sets: ScaleSets, azure: Azure) -> None:
    workloads, asks = taken(sets, azure, 4, chunk_max=2)
    workloads.give_back(asks[:2])
    wait_for(workloads, asks[:2])
    workloads.give_back(asks[2:])
    assert azure.starts == [names(2), names(4)[2:]]


def test_one_bad_instance_costs_a_few_calls_and_not_everybody_s_return(
    sets: ScaleSets, azure: Azure, clock: SetClock
) -> None:
    workloads, asks = taken(sets, azure, 16, return_minutes_max=30)
    azure.bad = {"gpu005"}
    workloads.give_back(asks)
    others = [one for one in asks if one.unit != "gpu005"]
    wait_for(workloads, others, clock)
    assert len(azure.starts) <= 16
    assert isinstance(look(workloads, [ask("gpu005", "give_back")])[0], Running)
    clock.later(30)
    late = look(workloads, [ask("gpu005", "give_back")], 3)[0]
    assert isinstance(late, Failed)
    assert "gpu005 does not run within 0:30:00, tried" in late.why
    assert "AllocationFailed: Allocation failed" in late.why
    assert sets.see("gpu005").locked is True
    azure.bad = set()
    clock.later(5)
    wait_for(workloads, [ask("gpu005", "give_back")], clock)


@pytest.mark.parametrize("shows_starting", [True, False])
def test_start_under_way_is_not_begun_again_by_who_was_started_meanwhile(
    sets: ScaleSets, azure: Azure, shows_starting: bool
) -> None:
    workloads, asks = taken(sets, azure, 3)
    azure.looks, azure.shows_starting = 1000, shows_starting
    workloads.give_back(asks)
    again = sets.workloads()
    assert set(again.give_back(asks).values()) == {COMING}
    assert all(isinstance(found, Running) for found in look(again, asks, 3))
    assert len(azure.starts) == 1


def test_start_that_does_not_end_is_told_when_it_had_its_time_twice(
    sets: ScaleSets, azure: Azure, clock: SetClock
) -> None:
    workloads, asks = taken(sets, azure, 1)
    azure.looks = 1000
    workloads.give_back(asks)
    clock.later(119)
    assert isinstance(look(workloads, asks)[0], Running)
    clock.later(1)
    end = look(workloads, asks)[0]
    assert isinstance(end, Failed)
    assert end.why == "gpu001 does not run within 1:00:00, and is tried again: it is starting"


def test_failure_that_the_instances_tell_is_found_by_who_was_started_meanwhile(
    sets: ScaleSets, azure: Azure, clock: SetClock
) -> None:
    workloads, asks = taken(sets, azure, 4)
    azure.room = 0
    workloads.give_back(asks)
    look(workloads, asks, 2)
    again = sets.workloads()
    azure.room = 100
    wait_for(again, asks, clock)


def test_view_that_is_behind_is_no_failure(sets: ScaleSets, azure: Azure) -> None:
    workloads, asks = taken(sets, azure, 4)
    azure.lag = 8
    workloads.give_back(asks)
    look(workloads, asks, 4)
    assert len(azure.starts) == 1
    wait_for(workloads, asks)
    assert len(azure.starts) == 1


def test_start_that_did_nothing_though_it_ended_well_is_tried_again(
    sets: ScaleSets, azure: Azure, clock: SetClock
) -> None:
    workloads, asks = taken(sets, azure, 2)
    azure.faults.append(Fault(method="POST", path=START, status=202, body="", times=1))
    workloads.give_back(asks)
    look(workloads, asks, 3)
    assert azure.starts == []
    clock.later(2)
    wait_for(workloads, asks, clock)


def test_busy_service_is_left_alone_and_the_size_stays(sets: ScaleSets, azure: Azure, clock: SetClock) -> None:
    workloads, asks = taken(sets, azure, 3)
    azure.faults.append(Fault(method="POST", path=START, status=429, code="TooManyRequests", retry_after=40, times=1))
    answers = workloads.give_back(asks)
    assert {str(answer) for answer in answers.values()} == {"Later(after=datetime.timedelta(seconds=40))"}
    look(workloads, asks)
    assert set(workloads.give_back(asks).values()) == set(answers.values())
    assert azure.starts == []
    clock.later(1)
    workloads.give_back(asks)
    assert [len(start) for start in azure.starts] == [3]


@pytest.mark.parametrize(
    ("code", "said"), [("OperationNotAllowed", "Operation could exceed approved quota"), ("SkuNotAvailable", "")]
)
def test_quota_or_size_that_is_short_is_met_with_fewer(sets: ScaleSets, azure: Azure, code: str, said: str) -> None:
    workloads, asks = taken(sets, azure, 4)
    azure.faults.append(Fault(method="POST", path=START, status=409, code=code, said=said, times=1))
    workloads.give_back(asks)
    look(workloads, asks)
    assert [len(start) for start in azure.starts] == [2]


def test_conflict_with_another_operation_is_no_word_on_the_size(sets: ScaleSets, azure: Azure, clock: SetClock) -> None:
    workloads, asks = taken(sets, azure, 3)
    azure.faults.append(Fault(method="POST", path=START, status=409, code="OperationNotAllowed", times=1))
    workloads.give_back(asks)
    look(workloads, asks)
    assert azure.starts == []
    clock.later(0.2)
    wait_for(workloads, asks)
    assert [len(start) for start in azure.starts] == [3]


def test_instances_are_started_one_by_one_where_the_site_says_so(
    sets: ScaleSets, azure: Azure, clock: SetClock
) -> None:
    workloads, asks = taken(sets, azure, 4, starts="singly")
    azure.bad = {"gpu002"}
    workloads.give_back(asks)
    wait_for(workloads, [one for one in asks if one.unit != "gpu002"], clock)
    assert azure.starts == []
    assert sum(path.endswith("/start") for _, path in azure.calls) == 4
    azure.bad = set()
    wait_for(workloads, asks, clock)


def test_who_was_overtaken_starts_nobody(sets: ScaleSets, azure: Azure) -> None:
    workloads, asks = taken(sets, azure, 1)
    newer = ask("gpu001", "give_back", 2, generation=5)
    assert workloads.observe([newer]) == {newer.key: NeverAsked()}
    assert workloads.give_back(asks) == {asks[0].key: Overtaken()}
    assert azure.starts == []


def test_look_of_who_was_overtaken_goes_on_with_nothing(sets: ScaleSets, azure: Azure, clock: SetClock) -> None:
    workloads, asks = taken(sets, azure, 1)
    azure.faults.append(Fault(method="POST", path=START, status=429, retry_after=1, times=1))
    assert isinstance(workloads.give_back(asks)[asks[0].key], Later)
    clock.later(1)
    workloads.observe([ask("gpu001", "lock", 9, generation=5)])
    assert isinstance(look(workloads, asks, 3)[0], Running)
    assert azure.starts == []
    newest = ask("gpu001", "give_back", generation=5)
    wait_for(sets.workloads(), [newest])
    assert azure.starts == [["gpu001"]]


def test_instance_whose_tag_somebody_took_off_on_its_way_back_is_left(
    sets: ScaleSets, azure: Azure, clock: SetClock
) -> None:
    workloads, asks = taken(sets, azure, 1)
    azure.faults.append(Fault(method="POST", path=START, status=429, retry_after=1, times=1))
    workloads.give_back(asks)
    clock.later(1)
    del azure.instances["gpu001"].tags["fermata-held"]
    azure.instances["gpu001"].versions[0] += 1
    end = look(workloads, asks)[0]
    assert isinstance(end, Failed)
    assert "protected from scale-in by somebody else" in end.why
    assert azure.starts == []
    assert azure.instances["gpu001"].protection["protectFromScaleIn"]


def test_return_that_broke_off_between_protection_and_tag_is_ended_by_the_next_look(
    sets: ScaleSets, azure: Azure
) -> None:
    workloads, asks = taken(sets, azure, 1)
    workloads.give_back(asks)
    azure.faults.append(Fault(method="PATCH", path="/virtualMachines/gpu001", status=500, times=1))
    assert isinstance(look(workloads, asks, 3)[-1], Running | Succeeded)
    wait_for(sets.workloads(), asks)
    assert sets.tag("gpu001", "held") == ""
    assert not any(azure.instances["gpu001"].protection.values())


def test_running_that_is_old_news_does_not_end_a_return(sets: ScaleSets, azure: Azure, clock: SetClock) -> None:
    """A drain is broken off; the view still shows the instance running while it goes down."""
    sets.lock("gpu001")
    azure.lag = 4
    workloads = sets.workloads()
    drain, back = ask("gpu001", "drain"), ask("gpu001", "give_back")
    workloads.drain([drain])
    azure.instances["gpu001"].provisioning = "Succeeded"
    workloads.give_back([back])
    assert isinstance(look(workloads, [back])[0], Running)
    assert isinstance(look(workloads, [back], 6)[0], Running)
    assert sets.tag("gpu001", "held")
    clock.later(2)
    wait_for(workloads, [back], clock)
    assert azure.instances["gpu001"].power == "running"
