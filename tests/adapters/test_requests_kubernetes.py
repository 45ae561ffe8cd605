"""What operators of a Kubernetes cluster ask for, read from a double of its API server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.kubernetes.api_server import ApiServer, Fault, serving
from tests.adapters.kubernetes.kube import Kube, ask
from tests.adapters.kubernetes.operator import API, Operator

from fermata.adapters.requests_kubernetes import KubernetesAsks
from fermata.domain.ids import NodeId, SourceId
from fermata.domain.request_kinds import RequestKind
from fermata.domain.secrets import ref_of_file
from fermata.domain.sources import AskKind, Operators
from fermata.ports import Refused, TryLater

REQUESTS = "/apis/nvsentinel.dgxc.nvidia.com/v1/maintenancerequests"
OFED = "nvidia.network.operator"


@pytest.fixture
def api() -> ApiServer:
    found = ApiServer()
    found.customs.kinds |= {"nodemaintenances", "maintenancerequests"}
    return found


@pytest.fixture
def kube(api: ApiServer) -> Iterator[Kube]:
    with serving(api) as port:
        one = Kube(f"http://127.0.0.1:{port}", "admin")
        one.add_node("gpu001")
        one.add_node("gpu002")
        yield one
        one.close()


def reading(kube: Kube, *kinds: AskKind, **more: Any) -> KubernetesAsks:
    reach = Operators(
        id=SourceId("east"),
        url=kube.url,
        asks=frozenset(kinds or AskKind),
        every=timedelta(minutes=1),
        requestor="maintenance.fermata.io",
        **more,
    )
    return KubernetesAsks(reach)


def request(kube: Kube, name: str, *, start: str | None = "2026-02-03T03:00:00Z", **event: Any) -> None:
    """As its controller leaves it, where none runs: protojson, which leaves out what is false."""
    given = {"agent": "csp", "checkName": "csp-maintenance", "nodeName": "gpu002", "message": "disk is replaced"}
    spec = {"healthEvent": given | event} | ({"startTime": start} if start else {})
    kube.call("POST", REQUESTS, {"kind": "MaintenanceRequest", "metadata": {"name": name}, "spec": spec})


def test_both_kinds_are_read_and_our_own_are_not(kube: Kube) -> None:
    Operator(kube).make("ofed", "gpu001", OFED)
    Operator(kube).make("ours", "gpu002", "maintenance.fermata.io")
    request(kube, "csp-1")
    second, first = reading(kube).read()
    assert (first.node, first.kind, first.has_begun) == ("gpu001", RequestKind.HARDWARE, False)
    assert first.cause == f"NodeMaintenance default/ofed of {OFED}"
    assert (second.node, second.kind, second.has_begun) == ("gpu002", RequestKind.HARDWARE, False)
    assert second.cause == "MaintenanceRequest csp-1: disk is replaced"
    assert second.wanted_at == datetime(2026, 2, 3, 3, tzinfo=UTC)
    assert len({first.ref, second.ref}) == 2


def test_only_the_kinds_that_the_settings_name_are_asked_for(kube: Kube, api: ApiServer) -> None:
    api.customs.kinds = {"nodemaintenances"}
    assert reading(kube, AskKind.NODE_MAINTENANCE).read() == []
    with pytest.raises(Refused, match="404"):
        reading(kube).read()


@pytest.mark.parametrize(("steps", "has_begun"), [(0, False), (1, False), (2, True), (6, True)])
def test_maintenance_has_begun_when_its_operator_let_it(kube: Kube, steps: int, has_begun: bool) -> None:
    operator = Operator(kube)
    operator.make("ofed", "gpu001", OFED)
    for _ in range(steps):
        operator.step()
    (found,) = reading(kube, AskKind.NODE_MAINTENANCE).read()
    assert found.has_begun is has_begun


@pytest.mark.parametrize(
    ("status", "reason", "has_begun"),
    [
        ("Unknown", "Initializing", False),
        ("False", "Blocked", False),
        ("False", "EmitFailed", False),
        ("True", "Emitted", True),
    ],
)
def test_request_has_begun_when_nvsentinel_was_told(kube: Kube, status: str, reason: str, has_begun: bool) -> None:
    request(kube, "csp-1")
    told = {"type": "HealthEventEmitted", "status": status, "reason": reason}
    kube.call("PATCH", f"{REQUESTS}/csp-1/status", {"status": {"conditions": [told]}})
    (found,) = reading(kube, AskKind.MAINTENANCE_REQUEST).read()
    assert found.has_begun is has_begun


def test_fatal_event_is_a_repair_and_one_without_a_time_is_wanted_soon(kube: Kube) -> None:
    request(kube, "csp-1", start=None, isFatal=True, message="")
    (found,) = reading(kube, AskKind.MAINTENANCE_REQUEST).read()
    assert (found.kind, found.wanted_at) == (RequestKind.REPAIR, None)
    assert found.cause == "MaintenanceRequest csp-1: csp-maintenance"


@pytest.mark.parametrize("fault", [{"start": "soon"}, {"start": "2026-02-03T03:00:00"}, {"nodeName": ""}])
def test_object_that_cannot_be_read_is_no_gone_one(kube: Kube, fault: dict[str, Any]) -> None:
    request(kube, "csp-1", **fault)
    with pytest.raises(Refused, match="lists a maintenance_request that is none"):
        reading(kube).read()


def test_server_that_is_busy_is_asked_again(kube: Kube, api: ApiServer) -> None:
    api.faults.append(Fault(method="GET", path="nodemaintenances", status=503))
    with pytest.raises(TryLater):
        reading(kube).read()


def test_node_is_left_to_who_asked_by_ending_our_maintenance_there_alone(kube: Kube) -> None:
    words = {"maintenance_operator": {"namespace": "fermata"}}
    operator = Operator(kube, unavailable_max=0)
    for node in ("gpu001", "gpu002"):
        kube.take(node, **words)
        kube.progress(node, "drain", **words)
        operator.make(f"ofed-{node}", node, OFED)
    operator.settle()
    assert operator.phases("gpu001") == {"maintenance.fermata.io": "Ready", OFED: "Pending"}
    reading(kube).hand_over([NodeId("gpu001")])
    operator.settle()
    assert operator.phases("gpu001") == {OFED: "Ready"}
    assert operator.phases("gpu002") == {"maintenance.fermata.io": "Ready", OFED: "Pending"}
    reading(kube).hand_over([NodeId("gpu001")])
    operator.end("ofed-gpu001")
    operator.settle()
    assert kube.is_cordoned("gpu001")  # it found our cordon, and leaves it to us
    asked = ask("gpu001", "give_back")
    kube.workloads(**words).give_back([asked])
    assert not kube.is_cordoned("gpu001")


def test_agreement_is_shown_on_the_object_and_taken_back(kube: Kube) -> None:
    operator = Operator(kube)
    operator.make("ofed", "gpu001", OFED)
    operator.make("other", "gpu002", OFED)
    request(kube, "csp-1")
    source = reading(kube)
    ref = next(found.ref for found in source.read() if found.node == "gpu001")
    source.mark({ref: True})
    assert [found.node for found in source.read() if found.is_agreed] == ["gpu001"]
    source.mark({ref: False})
    assert not any(found.is_agreed for found in source.read())


def test_source_without_maintenances_has_nothing_to_leave(kube: Kube, api: ApiServer) -> None:
    api.customs.kinds = {"maintenancerequests"}
    reading(kube, AskKind.MAINTENANCE_REQUEST).hand_over([NodeId("gpu001")])
    reading(kube, AskKind.MAINTENANCE_REQUEST).mark({"x": True})


def test_end_of_ours_that_is_refused_is_told(kube: Kube, api: ApiServer) -> None:
    Operator(kube).make("ours", "gpu001", "maintenance.fermata.io")
    api.faults.append(Fault(method="DELETE", path=API, status=403, said="fermata cannot delete"))
    with pytest.raises(Refused, match="fermata cannot delete"):
        reading(kube).hand_over([NodeId("gpu001")])


def test_token_is_shown(kube: Kube, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        reading(kube, token=ref_of_file(tmp_path / "none")).read()
