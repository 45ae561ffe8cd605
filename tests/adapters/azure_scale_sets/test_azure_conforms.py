"""The conformance suite over the adapter of scale sets and the double, with a connection between them that fails."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.azure_scale_sets.azure import Azure
from tests.adapters.azure_scale_sets.conftest import SetClock
from tests.adapters.azure_scale_sets.site import ScaleSets

from fermata.adapters import azure_scale_sets
from fermata.conformance import RETRY_AFTER, Bench, Mishap, Trial, list_trials, open_proxy
from fermata.domain.ids import NodeId
from fermata.domain.routing import PortName

TOKEN = "canary-9d1c"
NODES = ("gpu001", "gpu002", "gpu003")


@pytest.fixture
def tried(sets: ScaleSets, azure: Azure, port: int, clock: SetClock, tmp_path: Path) -> Iterator[Bench]:
    azure.add("gpu003")
    (tmp_path / "token").write_text(TOKEN)

    def hold(node: NodeId) -> None:
        """As a person does with the portal."""
        one = azure.instances[node]
        one.power, one.shown = "deallocated", ("deallocated", "Succeeded", ("", ""))
        one.protection = {"protectFromScaleIn": True, "protectFromScaleSetActions": False}

    def is_held(node: NodeId) -> bool:
        one = azure.instances[node]
        return any(one.protection.values()) and one.power == "deallocated"

    def wait() -> None:
        clock.later(1)
        time.sleep(0.02)

    with open_proxy("127.0.0.1", port) as proxy:
        sets.url = proxy.url
        settings = sets.settings(answer_seconds=2)
        bench = Bench(
            ports=azure_scale_sets.build(settings, clock),
            clock=clock,
            nodes=[NodeId(name) for name in NODES],
            wait=wait,
            reopen=lambda: azure_scale_sets.build(settings, clock),
            count_effects=lambda op, unit: azure.counts[op.value, unit],
            mishaps=frozenset(Mishap),
            strike=proxy.strike,
            await_hanging=proxy.await_hanging,
            retry_after=RETRY_AFTER,
            count_requests=lambda: len(proxy.passed),
            count_struck=proxy.count_struck,
            hold_as_other=hold,
            is_held_by_other=is_held,
            secrets=[TOKEN],
            shown=[settings],
        )
        yield bench
        bench.ports.close()


@pytest.mark.parametrize("trial", list_trials([PortName.INVENTORY, PortName.WORKLOADS]), ids=str)
def test_scale_sets_owe_the_conductor(trial: Trial, tried: Bench) -> None:
    trial.run(tried)
