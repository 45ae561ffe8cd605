"""The demo's line, from files to returned capacity. Every step looks at the store first: it can be taken up anywhere."""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fermata import scenarios, wiring
from fermata.cli import output
from fermata.cli.demo_view import Teller, told_step
from fermata.domain.campaign import Campaign
from fermata.domain.ids import CampaignId, PlanId
from fermata.domain.plans import Plan
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.domain.run_states import LIVE_RUNS, NOT_OPENED_YET, WindowState
from fermata.formats.scenario import read_scenario
from fermata.planning.inputs import Infeasible
from fermata.services import plans, records, runs
from fermata.services.consent import Order, decide
from fermata.services.errors import Refusal
from fermata.services.inventory import ImportSet, import_set
from fermata.services.requests import list_requests
from fermata.services.run_views import RunStatus

SCENARIO = "january"
ACTOR = "demo"
LEAD = timedelta(minutes=30)  # of virtual time before the first window: the night before it shows nothing
PLANS_MAX = 5  # child plans after which what is left stays left: each takes what the one before it missed


@dataclass(kw_only=True)
class DemoLine:
    """One demo over one store. `stop` ends it between two steps, or within one that conducts."""

    site: wiring.DemoSite
    teller: Teller
    seed: int
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> RunStatus | None:
        """Goes through the line from wherever the store is; None when it was stopped before a run began."""
        campaign = self._import()
        if not self.stop.is_set():
            self._approve(campaign)
        for _ in range(PLANS_MAX):
            ...
