"""May nodes go back?"""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.client.part import Part
from fermata.services.readmission import NodeReturn


@dataclass(frozen=True, slots=True)
class ReadmissionVerbs(Part):
    """May nodes go back?"""

    def judge_returns(self, nodes: Sequence[str]) -> Sequence[NodeReturn]:
        return self.link.post(list[NodeReturn], "/readmission", {"nodes": list(nodes)})
