"""The same day through a real Kubernetes: 16 nodes with work and agents on them, a disruption budget, controllers and a
switch on loopback, a real sshd, and the conductor over the adapters of a site's file. There is no kubelet: a pod that
is evicted is gone at once, and a node stays Ready while its controller restarts it.
"""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.kubernetes.kube import PREFIX, Kube
from tests.adapters.kubernetes.operator import ALL, DEFINITION, Operator
from tests.adapters.kubernetes_site import lacking, serving_kubernetes
from tests.adapters.scripted_day import TAIL, Day, check_tail, conduct, open_day, plan_day, take_in, write_files
from tests.adapters.slurm_site import wait_for
from tests.simulation.conftest import closed_stores

from fermata.adapters.requests_kubernetes import KubernetesAsks
from fermata.domain.ids import OrderId, RequestId, SourceId
from fermata.domain.node_states import UnitState
from fermata.domain.request_states import RequestState
from fermata.domain.secrets import ref_of_file
from fermata.domain.sources import AskKind, Operators
from fermata.domain.work_orders import Word, WorkOrder
from fermata.services.order_words import WordOrder, decide_orders
from fermata.services.outside_asks import TakenAsks, take_asks
from fermata.services.work_orders import list_orders
from fermata.wiring.clocks import mint_id

_WHY = lacking()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("kubernetes"),
    pytest.mark.timeout(240),
    pytest.mark.skipif(_WHY is not None, reason=f"NO REAL KUBERNETES: {_WHY}"),
]
__all__ = ["closed_stores"]
NODES = tuple(f"gpu{number:03d}" for number in range(1, 17))
SPARE = "cpu001"
EAST = SourceId("east")
OFED = "nvidia.network.operator"
RACK = {"key": "site.example/rack", "value": "r0", "effect": "PreferNoSchedule"}
BUDGETS = "/apis/policy/v1beta1/namespaces/default/poddisruptionbudgets"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def kube() -> Iterator[Kube]:
    """A cluster with a node that is not maintained, where work may go to."""
    folder = Path(tempfile.mkdtemp(prefix="fermata-kubernetes-"))
    try:
        with serving_kubernetes(folder) as one:
            for name in NODES:
                one.add_node(name, fleet="main")
                one.patch_node(name, {"spec": {"taints": [RACK]}})
                one.add_pod(name, f"work-{name}", app="web")
                one.add_pod(name, f"agent-{name}", owner="DaemonSet")
            one.add_node(SPARE)
            yield one
            one.close()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def day(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    with open_day(tmp_path, NODES, monkeypatch) as one:
        yield one


def reach(kube: Kube) -> dict[str, str]:
    return {"url": kube.url, "token_file": str(kube.token_file), "ca_file": str(kube.ca_file)}


def begin(day: Day, kube: Kube, **words: Any) -> Path:
    source = {"id": "kube", "kind": "kubernetes", "selector": "fleet=main", **reach(kube)}
    adapter = {"id": "kube", "kind": "kubernetes", "settings": {**reach(kube), "again_seconds": 60, **words}}
    sources, site = write_files(day, source, adapter)
    take_in(day, sources, site)
    plan_day(day)
    return site


def asked(kube: Kube) -> Operators:
    """Whom the source of work by other operators is read from."""
    return Operators(
        id=EAST,
        url=kube.url,
        asks=frozenset({AskKind.NODE_MAINTENANCE}),
        every=timedelta(minutes=1),
        requestor=PREFIX,
        token=ref_of_file(Path(str(kube.token_file))),
        ca_file=kube.ca_file,
    )


def with_operator(kube: Kube) -> Operator:
    """One that begins on no node that serves."""
    kube.call("POST", DEFINITIONS, DEFINITION)
    kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": "fermata"}})
    wait_for(lambda: kube.http.get(ALL).is_success)
    return Operator(kube, unavailable_max=0)


def check_cluster(kube: Kube, before: dict[str, Any]) -> None:
    """It shows exactly what became of each node of `before`."""
    for name, spec in before.items():
        if name in TAIL:
            assert (kube.is_cordoned(name), f"{PREFIX}/held" in kube.taints(name)) == (True, True), name
            assert "maintenance, step " in str(kube.note(name, "reason"))
        else:
            assert kube.node(name)["spec"] == spec, name
            assert kube.note(name, "reason") is None
        assert kube.pods(name) == [f"agent-{name}"]


def test_fourteen_of_sixteen_come_back_and_kubernetes_shows_which(day: Day, kube: Kube) -> None:
    """A budget lets no pod go before work has come up elsewhere, half a second after the window began."""
    before = {name: kube.node(name)["spec"] for name in NODES}
    budget = {"metadata": {"name": "web"}, "spec": {"minAvailable": 16, "selector": {"matchLabels": {"app": "web"}}}}
    kube.call("POST", BUDGETS, budget)
    wait_for(lambda: kube.call("GET", f"{BUDGETS}/web").get("status", {}).get("currentHealthy") == 16)
    site = begin(day, kube)
    seen: list[str] = []

    def come_up() -> None:
        wait_for(lambda: all(kube.is_cordoned(name) for name in NODES))
        wait_for(lambda: kube.note(NODES[0], "waiting") is not None)
        seen.append(str(kube.note(NODES[0], "waiting")))
        for name in NODES:
            kube.add_pod(SPARE, f"new-{name}", app="web")

    scheduler = threading.Thread(target=come_up, daemon=True)
    scheduler.start()
    ops = conduct(day, site)
    scheduler.join(10)
    check_tail(day, ops)
    check_cluster(kube, before)
    assert "The disruption budget web needs 16 healthy pods" in seen[0]
    assert len(kube.pods(SPARE)) == 16


def test_day_beside_the_maintenance_operator_ends_the_same(day: Day, kube: Kube) -> None:
    """It empties the nodes; nothing of the network operator begins on one that we hold."""
    before = {name: kube.node(name)["spec"] for name in NODES}
    operator, is_over = with_operator(kube), threading.Event()

    def operate() -> None:
        while not is_over.wait(0.1):
            operator.step()

    site = begin(day, kube, maintenance_operator={"namespace": "fermata", "drains": True})
    running = threading.Thread(target=operate, daemon=True)
    running.start()
    try:
        check_tail(day, conduct(day, site))
        for name in NODES:
            operator.make(f"ofed-{name}", name, OFED)
        running.join(3)
    finally:
        is_over.set()
        running.join(20)
    check_cluster(kube, before)
    for name in NODES:
        phases = operator.phases(name)
        assert phases.pop(OFED) == "Pending", name
        assert phases == ({PREFIX: "Ready"} if name in TAIL else {}), name


def test_work_of_another_operator_is_done_in_the_window_that_its_customer_agreed_to(day: Day, kube: Kube) -> None:
    """The network operator asks for a node. It begins with our cordon and no sooner, works on a node that is empty, and
    its order is over when it is done, and the node goes back, proven like all others.
    """
    before = {name: kube.node(name)["spec"] for name in NODES}
    operator, is_over, seen = with_operator(kube), threading.Event(), []
    node = NODES[2]
    site = begin(day, kube, maintenance_operator={"namespace": "fermata"})
    source = KubernetesAsks(asked(kube))

    def look() -> TakenAsks:
        return take_asks(day.database, EAST, source, now=day.clock.now(), new_id=mint_id)

    def find(name: OrderId) -> WorkOrder:
        return next(order for order in list_orders(day.database, ended=True) if order.id == name)

    operator.make("ofed", node, OFED)
    operator.settle()
    (wanted,) = look().opened
    word = WordOrder(word=Word.APPROVED, actor="lumen-capacity")
    decide_orders(day.database, RequestId("req_sc_hardware"), [word], now=day.clock.now(), new_id=mint_id)
    look()
    assert operator.phases(node) == {OFED: "Pending"}

    def operate() -> None:
        while not is_over.wait(0.1):
            operator.step()
            look()
            if find(wanted).in_work and operator.phases(node).get(OFED) == "Ready":
                seen.append((kube.is_cordoned(node), f"{PREFIX}/held" in kube.taints(node), kube.pods(node)))
                operator.end("ofed")

    running = threading.Thread(target=operate, daemon=True)
    running.start()
    try:
        ended = conduct(day, site, lambda ops: ops[node].state is UnitState.RETURNED and not find(wanted).is_open)
        check_tail(day, ended)
    finally:
        is_over.set()
        running.join(20)
    check_cluster(kube, {name: spec for name, spec in before.items() if name != node})
    assert seen[0] == (True, True, [f"agent-{node}"])
    done = find(wanted)
    assert done.ended is not None
    assert (done.held, done.ended.how) == ((node,), RequestState.COMPLETED)
    assert done.ended.said.actor == "source east"
    assert operator.phases(node) == {}
