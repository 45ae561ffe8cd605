"""What goes wrong between the adapter of Kubernetes and its API server, and what it makes of that."""

from datetime import timedelta
from typing import Any

import pytest
from tests.adapters.kubernetes.api_server import ApiServer, Fault, status
from tests.adapters.kubernetes.conftest import SetClock
from tests.adapters.kubernetes.kube import MERGE, NODES, PREFIX, Kube, ask

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

EVICTION = "/eviction$"
PAGE = "<html>the gateway says no</html>"


def failed(kube: Kube, node: str, step: str = "drain") -> str:
    end = kube.progress(node, step)
    assert isinstance(end, Failed), end
    return end.why


def is_running(kube: Kube, node: str) -> bool:
    return isinstance(kube.progress(node, "drain"), Running)


@pytest.mark.parametrize("served", ["policy/v1", "policy/v1beta1"])
def test_evictions_go_in_the_api_that_the_server_names(kube: Kube, api: ApiServer, served: str) -> None:
    api.evictions = served
    kube.add_pod("gpu001", "work")
    kube.take("gpu001")
    assert is_running(kube, "gpu001")
    assert isinstance(kube.progress("gpu001", "drain"), Succeeded)
    assert [body["apiVersion"] for body in api.bodies] == [served]
    assert api.bodies[0]["deleteOptions"] == {"preconditions": {"uid": "uid-work"}}


def test_server_that_takes_no_evictions_fails_the_drain_at_once(kube: Kube, api: ApiServer) -> None:
    api.evictions = ""
    kube.add_pod("gpu001", "work")
    kube.take("gpu001")
    assert "names no pods/eviction" in failed(kube, "gpu001")


def test_eviction_that_is_forbidden_fails_its_node_at_once_and_no_other(kube: Kube, api: ApiServer) -> None:
    for node in ("gpu001", "gpu002"):
        kube.add_pod(node, f"work-{node}")
    api.faults.append(Fault(method="POST", path=f"work-gpu001{EVICTION}", status=403, said="fermata cannot create"))
    kube.take("gpu001", "gpu002")
    asks = [ask(node, "drain") for node in ("gpu001", "gpu002")]
    found = kube.workloads().observe(asks)
    first = found[asks[0].key]
    assert isinstance(first, Failed)
    assert "default/work-gpu001 may not be evicted (403): fermata cannot create" in first.why
    assert "may not be evicted" in str(kube.note("gpu001", "waiting"))
    assert isinstance(found[asks[1].key], Running)
    assert kube.pods("gpu002") == []


def test_refusal_by_a_gateway_in_between_is_one_and_no_lost_answer(kube: Kube, api: ApiServer) -> None:
    kube.add_pod("gpu001", "work")
    kube.take("gpu001")
    api.faults.append(Fault(method="POST", path=EVICTION, status=404, body=PAGE))
    assert "(404)" in failed(kube, "gpu001")
    api.faults.append(Fault(method="PATCH", path=NODES, status=403, body=PAGE))
    assert isinstance(kube.answer("give_back", ask("gpu001", "give_back")), Denied)


def test_pod_whose_namespace_ends_is_waited_for(kube: Kube, api: ApiServer) -> None:
    kube.add_pod("gpu001", "work")
    kube.take("gpu001")
    ends = [{"reason": "NamespaceTerminating", "message": "namespace default is being terminated"}]
    body = status(403, "forbidden", ends)
    answer = api.answer
    api.answer = lambda *asked: (403, body) if asked[1].endswith("/eviction") else answer(*asked)  # type: ignore[method-assign]
    assert is_running(kube, "gpu001")
    assert kube.note("gpu001", "waiting") == "default/work: namespace default is being terminated"


def test_budget_that_lets_nobody_go_is_named_on_the_node_and_in_the_end(
    kube: Kube, api: ApiServer, clock: SetClock
) -> None:
    kube.add_pod("gpu001", "work")
    api.budgets["work"] = "The disruption budget web needs 2 healthy pods and has 2 currently"
    kube.take("gpu001")
    assert is_running(kube, "gpu001")
    assert kube.note("gpu001", "waiting") == f"default/work: {api.budgets['work']}"
    clock.later(60)
    assert "the disruption budget web" in failed(kube, "gpu001").lower()
    assert api.counts["evict", "work"] == 0
    tried = len(api.bodies)
    assert "the disruption budget web" in failed(kube, "gpu001").lower()
    assert len(api.bodies) == tried


def test_node_tells_what_it_waits_for_now_however_long_that_is(kube: Kube, api: ApiServer) -> None:
    for number in range(9):
        kube.add_pod("gpu001", f"work{number}")
        api.budgets[f"work{number}"] = f"budget {number} " + "x" * 80
    kube.take("gpu001")
    assert is_running(kube, "gpu001")
    waiting = str(kube.note("gpu001", "waiting"))
    assert (len(waiting), waiting[:24]) == (500, "default/work0: budget 0 ")
    version = kube.node("gpu001")["metadata"]["resourceVersion"]
    assert is_running(kube, "gpu001")
    assert kube.node("gpu001")["metadata"]["resourceVersion"] == version  # told already
    api.budgets = {f"work{number}": "budget" for number in range(9)}
    assert is_running(kube, "gpu001")
    api.budgets["work8"] = "budget and more"  # all begins as what stands there
    assert is_running(kube, "gpu001")
    assert str(kube.note("gpu001", "waiting")).endswith("; default/work8: budget and more")


def test_server_that_is_busy_ends_the_round_and_fails_nothing(kube: Kube, api: ApiServer) -> None:
    for number in range(3):
        kube.add_pod("gpu001", f"work{number}")
    kube.take("gpu001")
    api.faults.append(Fault(method="POST", path=EVICTION, status=429, retry_after=9, times=1))
    assert is_running(kube, "gpu001")
    assert api.bodies == []
    assert is_running(kube, "gpu001")
    assert len(api.bodies) == 3


def test_webhook_that_holds_one_pod_back_does_not_hold_back_the_others(kube: Kube, api: ApiServer) -> None:
    kube.add_pod("gpu001", "machine")
    kube.add_pod("gpu002", "work")
    api.faults.append(Fault(method="POST", path=f"machine{EVICTION}", status=429, said="webhook: it is moved first"))
    kube.take("gpu001", "gpu002")
    kube.workloads().observe([ask("gpu001", "drain"), ask("gpu002", "drain")])
    assert kube.pods("gpu002") == []
    assert "it is moved first" in str(kube.note("gpu001", "waiting"))


def test_eviction_that_fails_after_it_acted_is_seen_as_done(kube: Kube, api: ApiServer) -> None:
    kube.add_pod("gpu001", "work", grace=30)
    kube.take("gpu001")
    api.faults.append(Fault(method="POST", path=EVICTION, status=500, is_done=True))
    assert is_running(kube, "gpu001")
    assert is_running(kube, "gpu001")
    assert api.counts["evict", "work"] == 1
    kube.end_pod("work")
    assert isinstance(kube.progress("gpu001", "drain"), Succeeded)


def test_write_that_fails_after_it_acted_is_unsure_and_then_done(kube: Kube, api: ApiServer) -> None:
    api.faults.append(Fault(method="PATCH", path=NODES, status=500, is_done=True, times=1))
    asked = ask("gpu001", "lock")
    assert kube.answer("lock", asked) == Unsure()
    assert kube.answer("lock", asked) == Accepted()
    assert api.counts["lock", "gpu001"] == 1


def test_node_that_somebody_wrote_meanwhile_is_looked_at_again(kube: Kube, api: ApiServer) -> None:
    api.faults.append(Fault(method="PATCH", path=NODES, status=409, times=1))
    asked = ask("gpu001", "lock")
    assert kube.answer("lock", asked) == Later(after=timedelta(seconds=2))
    assert not kube.is_cordoned("gpu001")
    assert kube.answer("lock", asked) == Accepted()


def test_person_who_cordons_between_our_look_and_our_write_keeps_the_node(kube: Kube, api: ApiServer) -> None:
    answer = api.answer

    def first_a_person(*asked: Any) -> Any:
        if asked[0] == "PATCH" and asked[4] != "kubectl":
            api.answer = answer  # type: ignore[method-assign]
            kube.cordon("gpu001")
        return answer(*asked)

    api.answer = first_a_person  # type: ignore[method-assign, assignment]
    assert isinstance(kube.answer("lock", ask("gpu001", "lock")), Later)
    denied = kube.answer("lock", ask("gpu001", "lock"))
    assert isinstance(denied, Denied)
    assert "gpu001 is cordoned by kubectl since 20" in denied.why
    assert kube.taints("gpu001") == []


def test_pod_of_a_gang_that_has_to_stay_holds_the_others(kube: Kube, api: ApiServer) -> None:
    gang: dict[str, Any] = {"kueue.x-k8s.io/pod-group-name": "train"}
    kube.add_pod("gpu001", "rank0", **gang)
    kube.add_pod("gpu002", "rank1", **gang)
    api.budgets["rank1"] = "budget train"
    kube.take("gpu001")
    assert is_running(kube, "gpu001")
    assert kube.pods("gpu001") == ["rank0"]
    assert kube.note("gpu001", "waiting") == "default/rank1: budget train; it leaves with 1 others, or not"
    del api.budgets["rank1"]
    assert is_running(kube, "gpu001")
    assert (kube.pods("gpu001"), kube.pods("gpu002")) == ([], [])


def test_pod_that_nobody_would_make_again_is_waited_for_unless_the_site_says_so(kube: Kube) -> None:
    kube.add_pod("gpu001", "alone", owner="")
    kube.take("gpu001")
    assert is_running(kube, "gpu001")
    assert kube.pods("gpu001") == ["alone"]
    kube.progress("gpu001", "drain", evict_bare_pods=True)
    assert kube.pods("gpu001") == []


def test_look_fences_who_was_before_and_evicts_for_the_newest_alone(kube: Kube, api: ApiServer) -> None:
    kube.add_pod("gpu001", "work")
    kube.take("gpu001")
    newer, older = ask("gpu001", "lock", 2, generation=5), ask("gpu001", "drain", generation=4)
    assert kube.workloads().observe([newer]) == {newer.key: NeverAsked()}
    assert kube.answer("give_back", ask("gpu001", "give_back", generation=4)) == Overtaken()
    assert kube.workloads().observe([older]) == {older.key: Running()}
    assert kube.pods("gpu001") == ["work"]
    assert is_held(kube, "gpu001")
    newest = ask("gpu001", "drain", generation=5)
    kube.workloads().observe([newest])
    assert kube.pods("gpu001") == []


@pytest.mark.parametrize(("code", "error"), [(409, TryLater), (429, TryLater), (403, Refused), (500, OutcomeUnknown)])
def test_nobody_is_told_what_was_never_asked_before_the_node_heard_of_them(
    kube: Kube, api: ApiServer, code: int, error: type[Exception]
) -> None:
    api.faults.append(Fault(method="PATCH", path=NODES, status=code))
    with pytest.raises(error):
        kube.workloads().observe([ask("gpu001", "lock", generation=5)])
    assert kube.workloads().observe([ask("gpu001", "lock")]) == {ask("gpu001", "lock").key: NeverAsked()}


def test_annotation_that_somebody_garbled_is_no_hold(kube: Kube) -> None:
    for garbled in ("[]", "no json", '{"steps":[[1,2]]}', '{"heard":7}'):
        kube.call(
            "PATCH", f"{NODES}/gpu001", {"metadata": {"annotations": {f"{PREFIX}/steps": garbled}}}, headers=MERGE
        )
        assert kube.progress("gpu001", "drain") == NeverAsked()


def is_held(kube: Kube, node: str) -> bool:
    return kube.is_cordoned(node) and f"{PREFIX}/held" in kube.taints(node)
