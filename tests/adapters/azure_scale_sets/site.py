"""What tests do with the adapter and to the double."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.adapters.azure_scale_sets.azure import SUBSCRIPTION, Azure

from fermata.adapters.azure_scale_sets import build
from fermata.adapters.azure_scale_sets.settings import Settings
from fermata.domain.ids import NodeId, StepKey
from fermata.domain.observations import Accepted, Answer, NodeSeen, Progress, Succeeded
from fermata.ports import AdapterPorts, Ask, Clock, WorkloadManager

PREFIX = "fermata"
ROUNDS_MAX = 200


@dataclass
class ScaleSets:
    """One site. `ports` opens the adapter; what is given as words are settings."""

    url: str
    token_file: Path
    azure: Azure
    clock: Clock
    opened: list[AdapterPorts] = field(default_factory=list)

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()

    def settings(self, **words: Any) -> Settings:
        where = {"subscription": SUBSCRIPTION, "resource_group": "hpc", "scale_sets": ["gpu"], "url": self.url}
        quick = {"token_file": self.token_file, "answer_seconds": 5, "poll_seconds": 0.01}
        return Settings.model_validate(where | quick | words)

    def ports(self, **words: Any) -> AdapterPorts:
        self.opened.append(build(self.settings(**words), self.clock))
        return self.opened[-1]

    def workloads(self, **words: Any) -> WorkloadManager:
        """Of an adapter made anew: what is not in Azure is forgotten."""
        found = self.ports(**words).workloads
        assert found is not None
        return found

    def see(self, node: str, **words: Any) -> NodeSeen:
        inventory = self.ports(**words).inventory
        assert inventory is not None
        return inventory.observe_nodes([NodeId(node)])[NodeId(node)]

    def answer(self, op: str, asked: Ask, **words: Any) -> Answer:
        found: Answer = getattr(self.workloads(**words), op)([asked])[asked.key]
        return found

    def progress(self, node: str, step: str, **words: Any) -> Progress:
        asked = ask(node, step)
        return self.workloads(**words).observe([asked])[asked.key]

    def tag(self, node: str, name: str) -> str:
        return self.azure.instances[node].tags.get(f"{PREFIX}-{name}", "")

    def lock(self, *nodes: str, **words: Any) -> None:
        asks = [ask(node, "lock") for node in nodes]
        assert set(self.workloads(**words).lock(asks).values()) == {Accepted()}

    def take(self, *nodes: str, **words: Any) -> None:
        """Locks nodes, and has them deallocated."""
        self.lock(*nodes, **words)
        asks = [ask(node, "drain") for node in nodes]
        workloads = self.workloads(**words)
        assert set(workloads.drain(asks).values()) == {Accepted()}
        wait_for(workloads, asks)


def wait_for(workloads: WorkloadManager, asks: Sequence[Ask], clock: Any = None) -> None:
    """Looks until all have succeeded."""
    for _ in range(ROUNDS_MAX):
        found = workloads.observe(asks)
        if all(isinstance(one, Succeeded) for one in found.values()):
            return
        if clock is not None:
            clock.later(0.5)
        time.sleep(0.02)
    raise AssertionError(found)


def ask(node: str, step: str, attempt: int = 1, generation: int = 0) -> Ask:
    key = StepKey(f"run_1/c0-20260105/{node}/{step}/{attempt}")
    return Ask(key=key, unit=node, generation=generation)
