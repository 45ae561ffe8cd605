"""Gives nodes of placement groups back in chunks, remembering for each group how many went through at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId
from fermata.domain.observations import Answer, Denied, Later
from fermata.domain.operations import UnitOp
from fermata.domain.scale_in import CHUNK_MAX, carve
from fermata.ports import Refused

AGAIN_AFTER = timedelta(minutes=2)  # for those of a group that refuses so much that an instant has too few calls
Give = Callable[[Sequence[UnitOp]], Mapping[int, Answer]]


@dataclass(kw_only=True)
class ScaleIn:
    """The clusters that take nodes back all or nothing. `sizes` may be forgotten: they are found again."""

    groups: frozenset[ClusterId] = frozenset()
    sizes: dict[ClusterId, int] = field(default_factory=dict)

    @classmethod
    def of(cls, fleet: Fleet) -> "ScaleIn":
        """For the placement groups of a fleet."""
        return cls(groups=frozenset(c.name for c in fleet.clusters.values() if c.single_placement_group))

    def give_back(self, ops: Sequence[UnitOp], give: Give) -> dict[int, Answer]:
        """The answers for nodes of groups, by row id. `give` raises Refused for a chunk of which nothing was done."""
        by_cluster: dict[ClusterId, list[UnitOp]] = {}
        for op in ops:
            by_cluster.setdefault(op.cluster, []).append(op)
        answers: dict[int, Answer] = {}
        for cluster, members in sorted(by_cluster.items()):
            answers |= self._give_back(cluster, members, give)
        return answers

    def _give_back(self, cluster: ClusterId, ops: Sequence[UnitOp], give: Give) -> dict[int, Answer]:
        answers: dict[int, Answer] = {}

        def call(chunk: Sequence[UnitOp]) -> bool:
            try:
                answers.update(give(chunk))
            except Refused as refused:
                answers.update({op.id: Denied(why=refused.why) for op in chunk})
                return False
            return True

        carved = carve(ops, self.sizes.get(cluster, CHUNK_MAX), call)
        self.sizes[cluster] = carved.size
        answers.update({op.id: Later(after=AGAIN_AFTER) for op in carved.left})
        return answers
