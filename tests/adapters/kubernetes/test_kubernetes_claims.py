"""Nodes of a cluster whose maintenance-operator has a word: a drain waits for its NodeMaintenance, and nobody begins on
a node that somebody else has.
"""

from typing import Any

import pytest
from tests.adapters.kubernetes.api_server import ApiServer, Fault, merge
from tests.adapters.kubernetes.conftest import SetClock
from tests.adapters.kubernetes.kube import Kube, ask
from tests.adapters.kubernetes.operator import Operator

from fermata.domain.observations import Accepted, Denied, Failed, Later, Running, Succeeded
from fermata.ports import Refused, TryLater

OURS = {"maintenance_operator": {"namespace": "fermata"}}
DRAINS = {"maintenance_operator": {"namespace": "fermata", "drains": True}}
NAME = "NodeMaintenance fermata/maintenance.fermata.io-gpu001"
OTHER = "nvidia.network.operator"


@pytest.fixture
def operator(kube: Kube, api: ApiServer) -> Operator:
    api.customs.kinds.add("nodemaintenances")
    return Operator(kube)


def drained(kube: Kube, **words: Any) -> object:
    return kube.progress("gpu001", "drain", **words or OURS)


def give_back(kube: Kube, **words: Any) -> object:
    asked = ask("gpu001", "give_back")
    return kube.workloads(**words or OURS).give_back([asked])[asked.key]


def test_pods_leave_once_the_operator_has_granted_the_node_and_not_before(kube: Kube, operator: Operator) -> None:
    kube.add_pod("gpu001", "work")
    kube.take("gpu001", **OURS)
    assert operator.all() == []  # asked for when the drain is looked at, by whoever may conduct it
    assert isinstance(drained(kube), Running)
    assert kube.note("gpu001", "waiting") == (
        f"{NAME} of maintenance.fermata.io is not yet seen by its operator; default/work is still there"
    )
    operator.step()
    assert isinstance(drained(kube), Running)
    assert kube.pods("gpu001") == ["work"]
    operator.settle()
    assert isinstance(drained(kube), Running)
    assert kube.pods("gpu001") == []
    assert isinstance(drained(kube), Succeeded)
    (made,) = operator.all()
    assert made["spec"] == {"requestorID": "maintenance.fermata.io", "nodeName": "gpu001", "cordon": False}


def test_operator_that_drains_empties_the_node_and_we_evict_nobody(
    kube: Kube, api: ApiServer, operator: Operator
) -> None:
    kube.add_pod("gpu001", "work")
    api.budgets["work"] = "The disruption budget web needs 1 healthy pods"
    kube.take("gpu001", **DRAINS)
    assert isinstance(drained(kube, **DRAINS), Running)
    operator.settle()
    assert isinstance(drained(kube, **DRAINS), Running)
    assert "is Draining; it waits for default/work" in str(kube.note("gpu001", "waiting"))
    assert all("preconditions" not in body.get("deleteOptions", {}) for body in api.bodies)  # ours have them
    api.budgets.clear()
    operator.settle()
    assert isinstance(drained(kube, **DRAINS), Succeeded)
    spec = operator.all()[0]["spec"]
    assert spec["drainSpec"] == {"force": False, "deleteEmptyDir": True, "timeoutSeconds": 3600}


def test_ready_proves_nothing_while_a_pod_is_still_there(kube: Kube, operator: Operator) -> None:
    kube.take("gpu001", **DRAINS)
    assert isinstance(drained(kube, **DRAINS), Running)
    operator.settle()
    kube.add_pod("gpu001", "late")
    assert isinstance(drained(kube, **DRAINS), Running)
    assert kube.note("gpu001", "waiting") == "default/late is still there"


def test_empty_node_is_not_drained_before_the_operator_says_so(kube: Kube, operator: Operator) -> None:
    kube.take("gpu001", **OURS)
    assert isinstance(drained(kube), Running)
    assert isinstance(drained(kube), Running)
    operator.settle()
    assert isinstance(drained(kube), Succeeded)


def test_node_goes_back_with_its_maintenance_ended_and_our_cordon_alone_taken_off(
    kube: Kube, operator: Operator
) -> None:
    kube.take("gpu001", **OURS)
    drained(kube)
    operator.settle()
    assert isinstance(drained(kube), Succeeded)
    assert give_back(kube) == Accepted()
    assert not kube.is_cordoned("gpu001")
    operator.settle()
    assert operator.all() == []
    assert not kube.is_cordoned("gpu001")


def test_released_node_stays_cordoned_and_its_maintenance_ends(kube: Kube, operator: Operator) -> None:
    kube.take("gpu001", **OURS)
    drained(kube)
    operator.settle()
    asked = ask("gpu001", "release")
    assert kube.workloads(**OURS).release([asked])[asked.key] == Accepted()
    operator.settle()
    assert (operator.all(), kube.is_cordoned("gpu001")) == ([], True)


def test_maintenance_whose_end_failed_is_ended_when_the_return_is_asked_again(
    kube: Kube, api: ApiServer, operator: Operator
) -> None:
    kube.take("gpu001", **OURS)
    drained(kube)
    operator.settle()
    api.faults.append(Fault(method="DELETE", path="nodemaintenances", status=503, retry_after=7, times=1))
    assert isinstance(give_back(kube), Later)
    assert not kube.is_cordoned("gpu001")
    assert give_back(kube) == Accepted()
    operator.settle()
    assert operator.all() == []


def test_old_return_that_is_asked_again_leaves_the_next_window_its_maintenance(kube: Kube, operator: Operator) -> None:
    kube.take("gpu001", **OURS)
    assert give_back(kube) == Accepted()
    for step in ("lock", "drain"):
        asked = ask("gpu001", step, attempt=2)
        assert getattr(kube.workloads(**OURS), step)([asked])[asked.key] == Accepted()
    kube.workloads(**OURS).observe([ask("gpu001", "drain", attempt=2)])
    assert give_back(kube) == Accepted()
    assert [each["metadata"].get("deletionTimestamp") for each in operator.all()] == [None]


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 6])
def test_node_that_somebody_elses_maintenance_has_begun_on_is_not_locked(
    kube: Kube, operator: Operator, steps: int
) -> None:
    operator.make("ofed", "gpu001", OTHER, cordon=False)
    for _ in range(steps):
        operator.step()
    asks = [ask("gpu001", "lock"), ask("gpu002", "lock")]
    answers = kube.workloads(**OURS).lock(asks)
    denied = answers[asks[0].key]
    assert isinstance(denied, Denied)
    assert f"others are about gpu001, NodeMaintenance default/ofed of {OTHER} is " in denied.why
    assert (kube.is_cordoned("gpu001"), answers[asks[1].key]) == (False, Accepted())


def test_maintenance_that_is_agreed_on_begins_with_our_cordon_and_the_node_is_emptied_for_it(
    kube: Kube, operator: Operator
) -> None:
    kube.add_pod("gpu001", "work")
    operator.make("ofed", "gpu001", OTHER)
    operator.agree("ofed")
    operator.step()
    kube.take("gpu001", **OURS)
    operator.settle()
    assert operator.phases("gpu001") == {OTHER: "Ready"}
    assert isinstance(drained(kube), Running)
    assert isinstance(drained(kube), Succeeded)
    assert operator.phases("gpu001") == {OTHER: "Ready"}
    assert isinstance(give_back(kube), Later)
    operator.end("ofed")
    operator.settle()
    assert kube.is_cordoned("gpu001")
    assert give_back(kube) == Accepted()
    assert not kube.is_cordoned("gpu001")


def test_maintenance_that_has_begun_already_keeps_the_node_however_agreed_it_is(kube: Kube, operator: Operator) -> None:
    operator.make("ofed", "gpu001", OTHER, cordon=False)
    operator.agree("ofed")
    operator.settle()
    asked = ask("gpu001", "lock")
    assert isinstance(kube.workloads(**OURS).lock([asked])[asked.key], Denied)


def test_nobody_elses_maintenance_begins_while_ours_is_there(kube: Kube, operator: Operator) -> None:
    kube.take("gpu001", **OURS)
    drained(kube)
    operator.settle()
    operator.make("ofed", "gpu001", OTHER)
    operator.settle()
    assert operator.phases("gpu001") == {"maintenance.fermata.io": "Ready", OTHER: "Pending"}
    give_back(kube)
    operator.settle()
    assert operator.phases("gpu001") == {OTHER: "Ready"}
    operator.end("ofed")
    operator.settle()
    assert not kube.is_cordoned("gpu001")  # it found the node open, and left it so


def test_maintenance_that_was_first_is_waited_for_and_the_node_not_opened_under_it(
    kube: Kube, operator: Operator
) -> None:
    kube.take("gpu001", **OURS)
    operator.make("ofed", "gpu001", OTHER)
    operator.settle()  # between our lock and our claim: it is let in, since its node is out already
    assert isinstance(drained(kube), Running)
    assert isinstance(drained(kube), Running)
    assert f"before it, NodeMaintenance default/ofed of {OTHER} is Ready" in str(kube.note("gpu001", "waiting"))
    assert isinstance(give_back(kube), Later)
    assert kube.is_cordoned("gpu001")
    operator.end("ofed")
    operator.settle()
    assert kube.is_cordoned("gpu001")
    assert give_back(kube) == Accepted()
    assert not kube.is_cordoned("gpu001")


def test_maintenance_of_an_earlier_step_is_ended_and_made_anew(kube: Kube, operator: Operator) -> None:
    kube.take("gpu001", **OURS)
    drained(kube)
    operator.settle()
    asked = ask("gpu001", "drain", attempt=2)
    assert kube.workloads(**OURS).drain([asked])[asked.key] == Accepted()
    look = kube.workloads(**OURS).observe
    assert isinstance(look([asked])[asked.key], Running)
    assert kube.note("gpu001", "waiting") == f"{NAME} is of an earlier step, and ends"
    operator.step()
    assert isinstance(look([asked])[asked.key], Running)
    operator.settle()
    assert isinstance(look([asked])[asked.key], Succeeded)


def test_object_of_somebody_else_in_our_place_fails_the_drain_at_once_and_stays(kube: Kube, operator: Operator) -> None:
    operator.make("x", "gpu002", OTHER)
    found = operator.all()[0]
    kube.call(
        "POST",
        "/apis/maintenance.nvidia.com/v1alpha1/namespaces/fermata/nodemaintenances",
        found | {"metadata": {"name": "maintenance.fermata.io-gpu001"}},
    )
    kube.take("gpu001", **OURS)
    end = drained(kube)
    assert isinstance(end, Failed)
    assert f"{NAME} stands in our place, and is of {OTHER} for gpu002" in end.why
    assert give_back(kube) == Accepted()
    assert len(operator.all()) == 2


def test_node_that_is_never_granted_fails_its_drain_by_saying_so(
    kube: Kube, operator: Operator, clock: SetClock
) -> None:
    kube.add_pod("gpu001", "work")
    kube.take("gpu001", **OURS)
    assert isinstance(drained(kube), Running)
    operator.step()
    drained(kube)
    clock.later(60)
    end = drained(kube)
    assert isinstance(end, Failed)
    assert f"{NAME} of maintenance.fermata.io is Pending" in end.why
    assert kube.pods("gpu001") == ["work"]


def test_late_drain_claims_nothing_any_more(kube: Kube, operator: Operator, clock: SetClock) -> None:
    kube.take("gpu001", **OURS)
    clock.later(60)
    assert isinstance(drained(kube), Failed)
    assert operator.all() == []


@pytest.mark.parametrize("words", [OURS, DRAINS])
def test_node_that_changed_hands_while_it_was_claimed_is_not_left_claimed(
    kube: Kube, api: ApiServer, operator: Operator, words: Any
) -> None:
    kube.take("gpu001", **words)
    answer = api.answer

    def meanwhile(method: str, path: str, *rest: Any) -> Any:
        if method == "POST" and "nodemaintenances" in path:
            api.nodes["gpu001"] = merge(api.nodes["gpu001"], {"spec": {"unschedulable": None, "taints": None}})
        return answer(method, path, *rest)

    api.answer = meanwhile  # type: ignore[method-assign]
    drained(kube, **words)
    assert operator.all() == []


def test_server_without_the_operator_refuses_before_anything_is_locked(kube: Kube) -> None:
    with pytest.raises(Refused, match=r"NodeMaintenances cannot be listed.*could not find the requested resource"):
        kube.lock("gpu001", **OURS)
    assert not kube.is_cordoned("gpu001")


def test_operator_that_is_forbidden_to_us_fails_the_drain_at_once(
    kube: Kube, api: ApiServer, operator: Operator
) -> None:
    kube.take("gpu001", **OURS)
    api.faults.append(Fault(method="POST", path="nodemaintenances", status=403, said="fermata cannot create"))
    end = drained(kube)
    assert isinstance(end, Failed)
    assert "fermata cannot create" in end.why


def test_list_of_maintenances_that_cannot_be_had_is_no_empty_one(
    kube: Kube, api: ApiServer, operator: Operator
) -> None:
    kube.take("gpu001", **OURS)
    api.faults.append(Fault(method="GET", path="nodemaintenances$", status=503, times=3))
    assert isinstance(drained(kube), Running)
    with pytest.raises(TryLater):
        give_back(kube)
    with pytest.raises(TryLater):
        kube.lock("gpu002", **OURS)
    api.faults.append(
        Fault(method="GET", path="nodemaintenances$", status=200, body='{"items": [{"metadata": {}}]}', times=1)
    )
    with pytest.raises(Refused, match="cannot be read"):
        kube.lock("gpu002", **OURS)
    api.faults.append(Fault(method="GET", path="nodemaintenances$", status=200, body="[]", times=1))
    with pytest.raises(Refused, match="lists no NodeMaintenances"):
        kube.lock("gpu002", **OURS)


def test_probe_counts_the_maintenances_that_it_may_see(kube: Kube, operator: Operator) -> None:
    operator.make("ofed", "gpu001", OTHER)
    assert kube.ports(**OURS).probe()["maintenances"] == "1"
    assert "maintenances" not in kube.ports().probe()
