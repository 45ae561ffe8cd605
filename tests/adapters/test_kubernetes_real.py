"""The Kubernetes adapter against a real API server, with the rights that its page names and no more. Each test has
nodes of its own.
"""

import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.kubernetes.kube import PREFIX, Kube, ask
from tests.adapters.kubernetes.operator import ALL, DEFINITION, Operator
from tests.adapters.kubernetes_site import lacking, serving_kubernetes
from tests.adapters.slurm_site import wait_for

from fermata.conformance import Bench, Trial, list_trials
from fermata.domain.fleet import NodeState
from fermata.domain.ids import NodeId
from fermata.domain.observations import Accepted, Denied, Failed, NeverAsked, Overtaken, Running, Succeeded
from fermata.domain.routing import PortName

_WHY = lacking()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("kubernetes"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(_WHY is not None, reason=f"NO REAL KUBERNETES: {_WHY}"),
]
NUMBERS = itertools.count(1)
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLAIMS = {"maintenance_operator": {"namespace": "fermata"}}
BUDGETS = "/apis/policy/v1beta1/namespaces/default/poddisruptionbudgets"


@pytest.fixture(scope="module")
def kube() -> Iterator[Kube]:
    folder = Path(tempfile.mkdtemp(prefix="fermata-kubernetes-"))
    try:
        with serving_kubernetes(folder) as one:
            yield one
            one.close()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def node(kube: Kube) -> str:
    name = f"gpu{next(NUMBERS):03d}"
    kube.add_node(name)
    return name


@pytest.fixture(scope="module")
def operator(kube: Kube) -> Operator:
    kube.call("POST", DEFINITIONS, DEFINITION)
    kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": "fermata"}})
    wait_for(lambda: kube.http.get(ALL).is_success)
    return Operator(kube, unavailable_max=0)


@pytest.fixture
def tried(kube: Kube) -> Iterator[Bench]:
    """Without mishaps: those are made on the way to the double."""
    number = next(NUMBERS)
    names = [f"try{number:03d}-{each}" for each in "abc"]
    for name in names:
        kube.add_node(name)
        kube.add_pod(name, f"pod-{name}")
    bench = Bench(
        ports=kube.ports(),
        clock=kube.clock,
        nodes=[NodeId(name) for name in names],
        wait=lambda: time.sleep(0.1),
        reopen=kube.ports,
        hold_as_other=kube.cordon,
        is_held_by_other=kube.is_cordoned,
        secrets=[Path(str(kube.token_file)).read_text()],
        shown=[kube.settings()],
        run=f"run_{number}",
    )
    yield bench
    bench.ports.close()


@pytest.mark.parametrize(
    "trial",
    [each for each in list_trials([PortName.INVENTORY, PortName.WORKLOADS]) if "strike" not in each.sentence.needs],
    ids=str,
)
def test_kubernetes_owes_the_conductor(trial: Trial, tried: Bench) -> None:
    trial.run(tried)


def test_node_is_cordoned_emptied_and_given_back_as_it_was(kube: Kube, node: str) -> None:
    rack = {"key": "site.example/rack", "value": "r7", "effect": "PreferNoSchedule"}
    kube.patch_node(node, {"spec": {"taints": [rack]}})
    kube.add_pod(node, f"{node}-work")
    kube.add_pod(node, f"{node}-agent", owner="DaemonSet")
    before = kube.node(node)["spec"]
    kube.take(node)
    assert kube.taints(node) == ["site.example/rack", f"{PREFIX}/held"]
    assert kube.is_cordoned(node)
    wait_for(lambda: isinstance(kube.progress(node, "drain"), Succeeded))
    assert kube.pods(node) == [f"{node}-agent"]
    assert kube.answer("give_back", ask(node, "give_back")) == Accepted()
    assert kube.node(node)["spec"] == before
    assert kube.progress(node, "give_back", drain_minutes_max=1) != NeverAsked()


def test_pod_is_waited_for_until_its_kubelet_has_ended_it(kube: Kube, node: str) -> None:
    kube.add_pod(node, f"{node}-slow", grace=600)
    kube.take(node)
    assert isinstance(kube.progress(node, "drain"), Running)
    assert kube.pods(node) == []
    assert kube.note(node, "waiting") == f"default/{node}-slow: it ends"
    kube.end_pod(f"{node}-slow")
    assert isinstance(kube.progress(node, "drain"), Succeeded)


def test_disruption_budget_is_waited_for_by_its_name(kube: Kube, node: str) -> None:
    kube.add_pod(node, f"{node}-a", app=node)
    budget = {"metadata": {"name": node}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": node}}}}
    kube.call("POST", BUDGETS, budget)
    wait_for(lambda: kube.call("GET", f"{BUDGETS}/{node}").get("status", {}).get("currentHealthy") == 1)
    kube.take(node)
    assert isinstance(kube.progress(node, "drain"), Running)
    assert kube.pods(node) == [f"{node}-a"]
    assert f"The disruption budget {node} needs 1 healthy pods" in str(kube.note(node, "waiting"))
    other = f"{node}-other"
    kube.add_node(other)
    kube.add_pod(other, f"{node}-b", app=node)
    wait_for(lambda: kube.call("GET", f"{BUDGETS}/{node}")["status"].get("disruptionsAllowed") == 1)
    wait_for(lambda: isinstance(kube.progress(node, "drain"), Succeeded))
    assert kube.pods(node) == []


def test_gang_of_which_one_has_to_stay_stays_on_all_its_nodes(kube: Kube, node: str) -> None:
    gang: dict[str, Any] = {"volcano.sh/job-name": node}
    other = f"{node}-other"
    kube.add_node(other)
    kube.add_pod(node, f"{node}-a", **gang)
    kube.add_pod(other, f"{node}-b", app=node, **gang)
    budget = {"metadata": {"name": node}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": node}}}}
    kube.call("POST", BUDGETS, budget)
    wait_for(lambda: kube.call("GET", f"{BUDGETS}/{node}").get("status", {}).get("currentHealthy") == 1)
    kube.take(node)
    assert isinstance(kube.progress(node, "drain"), Running)
    assert kube.pods(node) + kube.pods(other) == [f"{node}-a", f"{node}-b"]
    assert "leaves with 1 others, or not" in str(kube.note(node, "waiting"))
    kube.call("DELETE", f"{BUDGETS}/{node}")
    wait_for(lambda: isinstance(kube.progress(node, "drain"), Succeeded))
    assert kube.pods(other) == []


def test_eviction_that_the_server_forbids_fails_the_drain_at_once(kube: Kube, node: str) -> None:
    kube.add_pod(node, f"{node}-a")
    kube.take(node)
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/fermata"
    granted = kube.call("GET", role)["rules"]
    kube.call("PATCH", role, {"rules": granted[:2]}, headers={"Content-Type": "application/merge-patch+json"})
    try:
        wait_for(lambda: isinstance(kube.progress(node, "drain"), Failed))
        end = kube.progress(node, "drain")
        assert isinstance(end, Failed)
        assert f"default/{node}-a may not be evicted (403)" in end.why
        assert "cannot create resource" in end.why
    finally:
        kube.call("PATCH", role, {"rules": granted}, headers={"Content-Type": "application/merge-patch+json"})
    wait_for(lambda: isinstance(kube.progress(node, "drain"), Succeeded))


def test_node_that_a_person_cordoned_is_left(kube: Kube, node: str) -> None:
    kube.cordon(node)
    answer = kube.answer("lock", ask(node, "lock"))
    assert isinstance(answer, Denied)
    assert f"{node} is cordoned by " in answer.why
    assert kube.taints(node) == []


def test_node_that_was_uncordoned_behind_our_back_is_told(kube: Kube, node: str) -> None:
    kube.take(node)
    kube.cordon(node, None)
    end = kube.progress(node, "drain")
    assert isinstance(end, Failed)
    assert "uncordoned by somebody" in end.why
    inventory = kube.ports().inventory
    assert inventory is not None
    seen = inventory.observe_nodes([NodeId(node)])[NodeId(node)]
    assert (seen.locked, seen.state) == (False, NodeState.OUT_OF_SERVICE)


def test_look_of_who_took_over_stops_the_late_call_of_who_was_before(kube: Kube, node: str) -> None:
    asked = ask(node, "lock", generation=8)
    assert kube.workloads().observe([asked]) == {asked.key: NeverAsked()}
    assert kube.answer("lock", ask(node, "lock", generation=7)) == Overtaken()
    assert not kube.is_cordoned(node)
    assert kube.answer("lock", asked) == Accepted()


def test_operators_maintenance_is_waited_for_and_ends_with_the_return(
    kube: Kube, operator: Operator, node: str
) -> None:
    kube.add_pod(node, f"{node}-work")
    kube.take(node, **CLAIMS)
    assert isinstance(kube.progress(node, "drain", **CLAIMS), Running)
    assert kube.pods(node) == [f"{node}-work"]
    operator.settle()
    assert operator.phases(node) == {PREFIX: "Ready"}
    wait_for(lambda: isinstance(kube.progress(node, "drain", **CLAIMS), Succeeded))
    operator.make(node, node, "nvidia.network.operator")
    operator.settle()
    assert operator.phases(node) == {PREFIX: "Ready", "nvidia.network.operator": "Pending"}
    asked = ask(node, "give_back")
    assert kube.workloads(**CLAIMS).give_back([asked]) == {asked.key: Accepted()}
    operator.settle()
    assert operator.phases(node) == {"nvidia.network.operator": "Pending"}  # it may begin on no node that serves
    assert not kube.is_cordoned(node)


def test_operator_empties_a_node_for_us(kube: Kube, operator: Operator, node: str) -> None:
    words = {"maintenance_operator": {"namespace": "fermata", "drains": True}}
    kube.add_pod(node, f"{node}-work")
    kube.take(node, **words)
    assert isinstance(kube.progress(node, "drain", **words), Running)
    operator.settle()
    wait_for(lambda: isinstance(kube.progress(node, "drain", **words), Succeeded))
    assert kube.pods(node) == []
    operator.make(f"{node}-other", f"{node}", "nvidia.network.operator")
    assert kube.ports(**words).probe()["maintenances"].isdecimal()


def test_node_that_somebody_elses_maintenance_has_begun_on_is_not_locked(
    kube: Kube, operator: Operator, node: str
) -> None:
    operator.make(f"{node}-ofed", node, "nvidia.network.operator", cordon=False)
    Operator(kube).settle()
    asked = ask(node, "lock")
    answer = kube.workloads(**CLAIMS).lock([asked])[asked.key]
    assert isinstance(answer, Denied)
    assert f"others are about {node}, NodeMaintenance default/{node}-ofed of" in answer.why

    assert not kube.is_cordoned(node)


def test_probe_tells_in_which_api_evictions_go(kube: Kube) -> None:
    told = kube.ports().probe()
    version = kube.call("GET", "/version")
    expected = "policy/v1" if int(version["minor"].rstrip("+")) >= 22 else "policy/v1beta1"
    assert (told["product"], told["version"], told["evictions"]) == ("Kubernetes", version["gitVersion"], expected)
