"""The conformance suite over the adapter of Kubernetes and the double, with a connection between them that fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.kubernetes.api_server import ApiServer
from tests.adapters.kubernetes.conftest import SetClock
from tests.adapters.kubernetes.kube import Kube
from tests.adapters.kubernetes.operator import Operator

from fermata.adapters import kubernetes
from fermata.adapters.kubernetes.settings import MaintenanceOperator, Settings
from fermata.conformance import RETRY_AFTER, Bench, Mishap, Trial, list_trials, open_proxy
from fermata.domain.ids import NodeId
from fermata.domain.routing import PortName

TOKEN = "canary-4b7e"
NODES = ("gpu001", "gpu002", "gpu003")


@pytest.fixture(params=[None, False, True], ids=["alone", "beside the operator", "drained by the operator"])
def tried(
    request: pytest.FixtureRequest, kube: Kube, api: ApiServer, port: int, clock: SetClock, tmp_path: Path
) -> Iterator[Bench]:
    operator = Operator(kube)
    claims = None if request.param is None else MaintenanceOperator(namespace="fermata", drains=request.param)
    if claims is not None:
        api.customs.kinds.add("nodemaintenances")

    def wait() -> None:
        clock.later(1)
        if claims is not None:
            operator.settle()

    kube.add_node("gpu003")
    for name in NODES:
        kube.add_pod(name, f"pod-{name}")
    (tmp_path / "token").write_text(TOKEN)
    with open_proxy("127.0.0.1", port) as proxy:
        settings = Settings(url=proxy.url, token_file=tmp_path / "token", answer_seconds=2, maintenance_operator=claims)
        bench = Bench(
            ports=kubernetes.build(settings, clock),
            clock=clock,
            nodes=[NodeId(name) for name in NODES],
            wait=wait,
            reopen=lambda: kubernetes.build(settings, clock),
            count_effects=lambda op, unit: api.counts[op.value, unit],
            mishaps=frozenset(Mishap),
            strike=proxy.strike,
            await_hanging=proxy.await_hanging,
            retry_after=RETRY_AFTER,
            count_requests=lambda: len(proxy.passed),
            count_struck=proxy.count_struck,
            hold_as_other=kube.cordon,
            is_held_by_other=kube.is_cordoned,
            secrets=[TOKEN],
            shown=[settings],
        )
        yield bench
        bench.ports.close()


@pytest.mark.parametrize("trial", list_trials([PortName.INVENTORY, PortName.WORKLOADS]), ids=str)
def test_kubernetes_owes_the_conductor(trial: Trial, tried: Bench) -> None:
    trial.run(tried)
