"""Gates of runs."""

from dataclasses import dataclass

from fermata.client.part import Part, campaign_params, path_part
from fermata.domain.gates import GateState, GateWord
from fermata.domain.ids import CampaignId, UpdateId
from fermata.services.gates import GatesView
from fermata.services.run_views import RunStatus


@dataclass(frozen=True, slots=True)
class GatesVerbs(Part):
    """Gates of the newest run of a campaign."""

    def show_gates(self, campaign: CampaignId | None) -> GatesView:
        return self.link.get(GatesView, f"{self._run(campaign)}/gates")

    def say_at_gate(
        self, campaign: CampaignId | None, update: UpdateId, word: GateWord, *, actor: str, why: str
    ) -> GateState:
        path = f"{self._run(campaign)}/gates/{path_part(update)}/{word}"
        return self.link.post(GateState, path, {"actor": actor, "why": why})

    def _run(self, campaign: CampaignId | None) -> str:
        found = self.link.get(RunStatus, "/run", campaign_params(campaign))
        return f"/runs/{path_part(found.run)}"
