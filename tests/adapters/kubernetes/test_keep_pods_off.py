"""The admission policies that we ship, over nodes as the adapter leaves them: a hold stays until it is given back, and
no pod gets onto a held node past the scheduler.
"""

import copy
from typing import Any

import pytest
from tests.adapters.kubernetes.admission import Request, refusals
from tests.adapters.kubernetes.api_server import ApiServer, merge
from tests.adapters.kubernetes.kube import PREFIX, Kube, ask

from fermata.domain.observations import Accepted

OURS = "system:serviceaccount:fermata:fermata"
ADMIN = "kubernetes-admin"
Node = dict[str, Any]
RACK = {"key": "rack", "value": "r7", "effect": "NoSchedule"}
HELD = {"key": f"{PREFIX}/held", "value": "c0-20260105", "effect": "NoSchedule"}


@pytest.fixture
def held(kube: Kube) -> Node:
    kube.patch_node("gpu001", {"spec": {"taints": [RACK]}})
    kube.take("gpu001")
    return dict(kube.node("gpu001"))


def change(node: Node, patch: Node, user: str = ADMIN) -> list[str]:
    return refusals(Request("UPDATE", "nodes", user, merge(copy.deepcopy(node), patch), node), [node])


def test_hold_stays_whoever_uncordons(held: Node) -> None:
    (why,) = change(held, {"spec": {"unschedulable": None}})
    assert why == (
        "gpu001 is held for maintenance and not proven: it stays cordoned; to overrule it: kubectl annotate node gpu001"
        " maintenance.fermata.io/override='why', then try again"
    )
    assert len(change(held, {"spec": {"unschedulable": False}})) == 1


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"spec": {"taints": [RACK]}}, "its taint stays"),
        ({"spec": {"taints": None}}, "its taint stays"),
        (
            {"spec": {"taints": [{"key": f"{PREFIX}/held", "effect": "PreferNoSchedule"}]}},
            "its taint stays",
        ),
        ({"metadata": {"annotations": {f"{PREFIX}/steps": None}}}, "remembers there stays"),
        ({"metadata": {"annotations": {f"{PREFIX}/steps": "{}"}}}, "remembers there stays"),
        ({"metadata": {"annotations": None}}, "remembers there stays"),
        ({"metadata": {"labels": {f"{PREFIX}/held": None}}}, "its label stays"),
        ({"metadata": {"labels": {f"{PREFIX}/held": "false"}}}, "its label stays"),
    ],
)
def test_nothing_of_the_hold_is_taken_off(held: Node, patch: Node, said: str) -> None:
    told = change(held, patch)
    assert [said in why for why in told] == [True]


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"taints": [HELD]}},
        {"spec": {"taints": [RACK, HELD, {"key": "x", "effect": "NoExecute"}]}},
        {"metadata": {"labels": {"nvidia.com/gpu.product": "H100"}, "annotations": {"a": "b"}}},
        {"metadata": {"annotations": {f"{PREFIX}/override": "ticket 4711"}}},
    ],
)
def test_whatever_else_is_written_to_a_held_node_passes(held: Node, patch: Node) -> None:
    assert change(held, patch) == []


def test_hold_is_overruled_in_two_steps_and_by_saying_why(held: Node) -> None:
    both = {"metadata": {"annotations": {f"{PREFIX}/override": "ticket 4711"}}, "spec": {"unschedulable": None}}
    assert len(change(held, both)) == 1
    empty = merge(copy.deepcopy(held), {"metadata": {"annotations": {f"{PREFIX}/override": ""}}})
    assert len(change(empty, {"spec": {"unschedulable": None}})) == 1
    said = merge(copy.deepcopy(held), {"metadata": {"annotations": {f"{PREFIX}/override": "ticket 4711"}}})
    assert change(said, {"spec": {"unschedulable": None}}) == []


def test_next_hold_is_not_overruled_by_what_was_said_of_the_last(kube: Kube) -> None:
    kube.patch_node("gpu001", {"metadata": {"annotations": {f"{PREFIX}/override": "ticket 4711"}}})
    kube.take("gpu001")
    assert len(change(kube.node("gpu001"), {"spec": {"unschedulable": None}})) == 1


def test_held_node_is_not_made_anew_without_its_hold(held: Node) -> None:
    (why,) = refusals(Request("DELETE", "nodes", ADMIN, None, held), [held])
    assert "would come back without its hold" in why
    said = merge(copy.deepcopy(held), {"metadata": {"annotations": {f"{PREFIX}/override": "it left"}}})
    assert refusals(Request("DELETE", "nodes", ADMIN, None, said), [said]) == []


@pytest.mark.parametrize("step", ["give_back", "release"])
def test_adapter_itself_passes_at_each_step(kube: Kube, api: ApiServer, step: str) -> None:
    answer, told = api.answer, []

    def admitted(method: str, path: str, query: Any, body: Any, manager: str) -> Any:
        old = copy.deepcopy(api.nodes.get(path.rsplit("/", maxsplit=1)[-1]))
        reply = answer(method, path, query, body, manager)
        if method == "PATCH" and "/nodes/" in path:
            told.append(refusals(Request("UPDATE", "nodes", OURS, reply[1], old), list(api.nodes.values())))
        return reply

    api.answer = admitted  # type: ignore[method-assign]
    kube.take("gpu001")
    kube.progress("gpu001", "drain")
    assert kube.answer(step, ask("gpu001", step)) == Accepted()
    assert told
    assert not any(told)


def test_node_that_is_given_back_is_anybodys_again(kube: Kube) -> None:
    kube.take("gpu001")
    assert kube.answer("give_back", ask("gpu001", "give_back")) == Accepted()
    node = kube.node("gpu001")
    assert f"{PREFIX}/held" not in node["metadata"]["labels"]
    assert change(node, {"spec": {"unschedulable": True}, "metadata": {"annotations": None}}) == []
    assert refusals(Request("DELETE", "nodes", ADMIN, None, node), [node]) == []


@pytest.mark.parametrize("resource", ["pods/binding", "bindings"])
def test_no_pod_is_bound_to_a_held_node_whatever_it_tolerates(kube: Kube, held: Node, resource: str) -> None:
    nodes = [held, kube.node("gpu002")]

    def bind(node: str, **more: Any) -> list[str]:
        body = {"metadata": {"name": "web-0"}, "target": {"kind": "Node", "name": node}}
        return refusals(Request("CREATE", resource, "system:kube-scheduler", body, **more), nodes)

    assert bind("gpu001") == ["gpu001 is held for maintenance and not proven: no pod of this namespace is put there"]
    assert bind("gpu002") == []
    assert bind("gpu001", namespace_labels={f"{PREFIX}/runs-on-held": "true"}) == []
    assert len(bind("gpu001", namespace_labels={f"{PREFIX}/runs-on-held": "false"})) == 1


def test_pod_that_names_a_held_node_is_not_made_unless_its_kubelet_mirrors_it(kube: Kube, held: Node) -> None:
    nodes = [held, kube.node("gpu002")]

    def make(spec: Node, **more: Any) -> list[str]:
        return refusals(Request("CREATE", "pods", ADMIN, {"metadata": {"name": "x"}, "spec": spec}, **more), nodes)

    assert len(make({"nodeName": "gpu001"})) == 1
    assert make({"nodeName": "gpu002"}) == []
    assert make({}) == []
    assert make({"nodeName": ""}) == []
    assert make({"nodeName": "gpu001"}, groups=("system:nodes", "system:authenticated")) == []
    assert make({"nodeName": "gpu001"}, namespace_labels={f"{PREFIX}/runs-on-held": "true"}) == []


def test_every_held_node_counts_and_none_is_none(kube: Kube, held: Node) -> None:
    kube.take("gpu002")
    nodes = [held, kube.node("gpu002")]
    body = {"metadata": {"name": "x"}, "target": {"kind": "Node", "name": "gpu002"}}
    assert len(refusals(Request("CREATE", "pods/binding", ADMIN, body), nodes)) == 1
    assert refusals(Request("CREATE", "pods/binding", ADMIN, body), []) == []
