"""Gates and recovery of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fermata.client.part import Part, campaign_params, path_part
from fermata.domain.gates import GateState, GateWord
from fermata.domain.ids import CampaignId, UpdateId
from fermata.domain.recovery import RecoveryOption
from fermata.services.gates import GatesView
from fermata.services.recovery import Asked
from fermata.services.run_views import RunStatus


@dataclass(frozen=True, slots=True)
class GatesVerbs(Part):
    """Gates and recovery of the newest run of a campaign."""

    def show_gates(self, campaign: CampaignId | None) -> GatesView:
        return self.link.get(GatesView, f"{self._run(campaign)}/gates")

    def say_at_gate(
        self, campaign: CampaignId | None, update: UpdateId, word: GateWord, *, actor: str, why: str
    ) -> GateState:
        path = f"{self._run(campaign)}/gates/{path_part(update)}/{word}"
        return self.link.post(GateState, path, {"actor": actor, "why": why})

    def plan_recovery(self, campaign: CampaignId | None, asked: Asked) -> Sequence[RecoveryOption]:
        return self.link.post(list[RecoveryOption], f"{self._run(campaign)}/recovery/options", _asked(asked))

    def recover(self, campaign: CampaignId | None, asked: Asked, *, actor: str, why: str) -> Sequence[RecoveryOption]:
        body = {**_asked(asked), "actor": actor, "why": why}
        return self.link.post(list[RecoveryOption], f"{self._run(campaign)}/recovery", body)

    def _run(self, campaign: CampaignId | None) -> str:
        found = self.link.get(RunStatus, "/run", campaign_params(campaign))
        return f"/runs/{path_part(found.run)}"


def _asked(asked: Asked) -> dict[str, Any]:
    return {"updates": sorted(asked.updates), "nodes": sorted(asked.nodes), "devices": sorted(asked.devices)}
