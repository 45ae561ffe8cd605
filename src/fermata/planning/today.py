"""How likely a window that opens now keeps the day's promise: rehearsed with the nodes that it would really take."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet, Node
from fermata.domain.pending import FleetPending
from fermata.domain.plans import Step
from fermata.domain.updates import Catalogue
from fermata.planning.cast import find_cast, order_cast
from fermata.planning.dice import Minutes, Pools
from fermata.planning.rehearsal import count_needed, find_enough, rehearse


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """A window with the nodes that it would take, with durations and team limits as `catalogue` has them."""

    steps: Sequence[Step]
    nodes: Sequence[Node]
    fleet: Fleet
    pending: FleetPending
    catalogue: Catalogue
    campaign: Campaign

    def chance_within(self, minutes: float) -> float:
        """The share of rehearsals, to two decimals, in which enough nodes are back that soon after it opens."""
        return round(float(np.mean(self._enough <= minutes)), 2)

    @cached_property
    def _enough(self) -> Minutes:
        cast = find_cast(order_cast(self.nodes), self.steps, fleet=self.fleet, pending=self.pending)
        back = rehearse(self.steps, cast, catalogue=self.catalogue, campaign=self.campaign, pools=Pools())
        return find_enough(back, cast.nodes - count_needed(cast.nodes, self.campaign.return_threshold))
