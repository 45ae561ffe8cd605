"""Plans and what can be asked of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fermata.client.part import Part, campaign_params, path_part
from fermata.domain.hashing import to_plain
from fermata.domain.ids import (
    CampaignId,
    PlanId,
)
from fermata.domain.plans import Plan
from fermata.formats.plans import plan_to_bytes
from fermata.planning.inputs import Violation
from fermata.planning.risk.simulate import Simulation
from fermata.planning.stages import Stage
from fermata.planning.standing.outages import Outage, StandingPlan
from fermata.planning.standing.plan import Terms
from fermata.planning.why import Explanation
from fermata.server.api.nouns import PREFIX
from fermata.services.calendars import FeedOf
from fermata.services.plans import Made, PublishedLine, Wanted
from fermata.services.simulation import Simulated, Told


@dataclass(frozen=True, slots=True)
class PlansVerbs(Part):
    """Plans and what can be asked of them."""

    def publish(self, plan: PlanId | Plan, *, actor: str, why: str) -> PublishedLine:
        said = {"actor": actor, "why": why}
        if isinstance(plan, Plan):
            return self.link.upload(PublishedLine, "/plans", said, [("plan", ("plan.json", plan_to_bytes(plan)))])
        return self.link.post(PublishedLine, f"/plans/{path_part(plan)}/publish", said)

    def check_plan(self, plan: PlanId) -> Sequence[Violation]:
        return self.link.get(list[Violation], f"/plans/{path_part(plan)}/violations")

    def explain(self, name: str, plan: PlanId | None, campaign: CampaignId | None) -> Explanation:
        asked = [("name", name), *([("plan", plan)] if plan else []), *campaign_params(campaign)]
        return self.link.get(Explanation, "/why", asked)

    def plan_campaign(self, campaign: CampaignId, wanted: Wanted, *, time_limit: int | None) -> Made:
        body = {
            "as_of": wanted.as_of.isoformat() if wanted.as_of else None,
            "seed": wanted.asked.seed,
            "confidence": wanted.asked.confidence,
            "max_breach": wanted.asked.max_breach,
            "time_limit": time_limit,
        }

        def tell(progress: Mapping[str, Any]) -> None:
            if progress.get("stage") in set(Stage):  # a later server may have more of them
                wanted.watch(Stage(progress["stage"]), str(progress.get("detail", "")))

        return self.link.follow(Made, f"/campaigns/{path_part(campaign)}/plan", body, tell)

    def draw_page(self, plan: PlanId) -> bytes:
        return self.link.download(f"/plans/{path_part(plan)}")

    def draw_calendar(self, plan: PlanId) -> bytes:
        return self.link.download(f"{PREFIX}/plans/{path_part(plan)}/calendar")

    def draw_feed(self, of: FeedOf | None, name: str) -> bytes:
        path = f"{of.value}/{path_part(name)}" if of is not None else "all"
        return self.link.download(f"{PREFIX}/calendars/{path}.ics")

    def simulate_plan(self, plan: PlanId, asked: Simulation, told: Told) -> Simulated:
        body = {"runs": asked.runs, "seed": asked.seed, "correlation": asked.correlation, "gate": asked.with_gate}

        def tell(progress: Mapping[str, Any]) -> None:
            told(int(progress["done"]), int(progress["of"]))

        return self.link.follow(Simulated, f"/plans/{path_part(plan)}/simulation", body, tell)

    def plan_standing(self, terms: Terms, *, now: datetime | None, published: Sequence[Outage]) -> StandingPlan:
        body = {
            "days": terms.days,
            "notice_days": terms.notice_days,
            "hours": (terms.room_minutes or 0) / 60,
            "seed": terms.seed,
            "now": now.isoformat() if now else None,
            "previous": [to_plain(outage) for outage in published],
        }
        return self.link.follow(StandingPlan, "/standing", body, lambda _progress: None)
