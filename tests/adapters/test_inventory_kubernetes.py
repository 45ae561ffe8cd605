"""Nodes of a Kubernetes API server on loopback: pages, tokens, faults, and what becomes of the objects."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.loopback import Answer, Asked, serving

from fermata.adapters.inventory_kubernetes import KubernetesNodes
from fermata.domain.secrets import ref_of_file
from fermata.domain.sources import Kubernetes
from fermata.ports import Refused, TryLater

UNREACHABLE = "http://127.0.0.1:9"


def node(name: str, *, ready: str | None = "True", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": "MemoryPressure", "status": "False"}]
    return {
        "metadata": {
            "name": name,
            "labels": {"topology.kubernetes.io/zone": "z1", "fermata/rack": "r7"},
            "annotations": {"fermata/nic-fw": "28.43"},
        },
        "spec": {"providerID": "metal://1", **spec},
        "status": {
            "capacity": {"cpu": "128", "nvidia.com/gpu": "8"},
            "nodeInfo": {"kernelVersion": "6.1.0-28", "kubeletVersion": "v1.32.3"},
            "conditions": conditions + ([{"type": "Ready", "status": ready}] if ready else []),
        },
    }


def paged(names: list[str], *, gone: int = 0) -> Callable[[Asked], Answer]:
    """A list of these nodes; its place runs out on the second page, `gone` times."""
    left = [gone]

    def answer(asked: Asked) -> Answer:
        start, size = int(asked.query.get("continue", "0")), int(asked.query["limit"])
        if start and left[0]:
            left[0] -= 1
            return Answer({"kind": "Status", "reason": "Expired"}, status=410)
        following = start + size
        metadata = {"continue": str(following)} if following < len(names) else {}
        return Answer({"metadata": metadata, "items": [node(name) for name in names[start:following]]})

    return answer


def test_all_pages_are_read_with_the_selector_and_the_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    names = [f"gpu{index}" for index in range(7)]
    with serving(paged(names)) as (url, asked):
        reach = Kubernetes(url=url, token=ref_of_file(token), selector="fermata/fleet=main")
        found = KubernetesNodes(reach, page_size=3)()
    assert [facts.name for facts in found] == names
    assert [request.query.get("continue") for request in asked] == [None, "3", "6"]
    assert {request.query["labelSelector"] for request in asked} == {"fermata/fleet=main"}
    assert {request.headers["authorization"] for request in asked} == {"Bearer s3cret"}
    assert {request.path for request in asked} == {"/api/v1/nodes"}


def test_a_node_is_flat_fields() -> None:
    with serving(paged(["gpu0"])) as (url, _):
        (facts,) = KubernetesNodes(Kubernetes(url=url))()
    wanted = {
        "name": "gpu0",
        "labels.fermata/rack": "r7",
        "labels.topology.kubernetes.io/zone": "z1",
        "annotations.fermata/nic-fw": "28.43",
        "capacity.nvidia.com/gpu": "8",
        "nodeInfo.kernelVersion": "6.1.0-28",
        "conditions.Ready": "True",
        "spec.unschedulable": "false",
        "taints": "",
        "state": "in_service",
    }
    assert {key: facts.fields[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("ready", "spec", "state"),
    [
        ("True", {}, "in_service"),
        ("True", {"unschedulable": True}, "out_of_service"),
        ("False", {}, "out_of_service"),
        ("Unknown", {}, "out_of_service"),
        (None, {}, None),
    ],
)
def test_in_service_is_ready_and_schedulable(ready: str | None, spec: Mapping[str, Any], state: str | None) -> None:
    with serving(lambda _: Answer({"items": [node("n", ready=ready, **spec)]})) as (url, _):
        (facts,) = KubernetesNodes(Kubernetes(url=url))()
    assert facts.fields.get("state") == state


def test_a_list_whose_place_ran_out_is_begun_anew_and_never_half_told() -> None:
    names = [f"gpu{index}" for index in range(4)]
    with serving(paged(names, gone=2)) as (url, _):
        assert [facts.name for facts in KubernetesNodes(Kubernetes(url=url), page_size=3)()] == names
    with serving(paged(names, gone=3)) as (url, _), pytest.raises(Refused, match="forgets its list"):
        KubernetesNodes(Kubernetes(url=url), page_size=3)()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Answer({"message": "nodes is forbidden"}, 403), Refused, r"403 .*forbidden.*its token"),
        (Answer("", 401), Refused, "401"),
        (Answer("<html>", 200), Refused, "no JSON"),
        (Answer([], 200), Refused, "no list of items"),
        (Answer({"items": None}, 200), Refused, "no list of items"),
        (Answer({"items": [{"spec": {}}]}, 200), Refused, "a node that is none"),
        (Answer("", 302, {"Location": "/login"}), Refused, "302"),
        (Answer("overloaded", 503), TryLater, "503"),
        (Answer("", 429, {"Retry-After": "7"}), TryLater, "429"),
    ],
)
def test_what_is_no_list_of_nodes_is_an_error_that_says_what_to_do(
    answer: Answer, error: type[Exception], said: str
) -> None:
    with serving(lambda _: answer) as (url, _), pytest.raises(error, match=said):
        KubernetesNodes(Kubernetes(url=url))()


def test_a_busy_server_says_when_to_come_again() -> None:
    with serving(lambda _: Answer("", 429, {"Retry-After": "7"})) as (url, _), pytest.raises(TryLater) as later:
        KubernetesNodes(Kubernetes(url=url))()
    assert later.value.after == timedelta(seconds=7)


def test_a_second_page_that_fails_fails_the_list() -> None:
    pages = paged([f"gpu{index}" for index in range(4)])

    def answer(asked: Asked) -> Answer:
        return Answer("", 500) if "continue" in asked.query else pages(asked)

    with serving(answer) as (url, _), pytest.raises(TryLater):
        KubernetesNodes(Kubernetes(url=url), page_size=3)()


@pytest.mark.parametrize(
    ("reach", "error", "said"),
    [
        (Kubernetes(url=UNREACHABLE), TryLater, "does not answer"),
        (Kubernetes(url=UNREACHABLE, token=ref_of_file("nowhere/token")), Refused, "nowhere/token cannot be opened"),
        (Kubernetes(url=UNREACHABLE, ca_file="nowhere/ca"), Refused, "nowhere/ca holds no certificates"),
    ],
)
def test_what_cannot_be_reached_is_told(reach: Kubernetes, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        KubernetesNodes(reach)()


def test_an_empty_token_is_not_sent(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("\n")
    with pytest.raises(Refused, match="SECRET_UNFIT"):
        KubernetesNodes(Kubernetes(url=UNREACHABLE, token=ref_of_file(token)))()
