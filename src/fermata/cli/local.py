"""Commands' verbs over a store of one's own, and what can be listed from files alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import assert_never

from fermata.cli.local_files import ask_desk
from fermata.cli.local_tokens import TokenVerbs
from fermata.client.words import OrderEnding, RunChange
from fermata.domain.capacity_ledger import CapacityView, GroupBy
from fermata.domain.combinations import Combination
from fermata.domain.deliveries import DeliveryState
from fermata.domain.gates import GateSaid, GateState, GateWord
from fermata.domain.ids import (
    ApprovalId,
    CampaignId,
    CustomerId,
    ExemptionId,
    FreezeId,
    HoldId,
    OrderId,
    PlanId,
    RequestId,
    SourceId,
    SubscriptionId,
    SupercomputerId,
    UpdateId,
)
from fermata.domain.intents import Intent
from fermata.domain.operations import Run
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.piles import Pile
from fermata.domain.plans import Plan
from fermata.domain.policy import ConsentEntry, Exemption, Freeze
from fermata.domain.policy_trial import Trial
from fermata.domain.qualification import QualificationRule, Signal
from fermata.domain.recovery import RecoveryOption
from fermata.domain.replans import Replan
from fermata.domain.report import Report
from fermata.domain.run_states import Desired, ReplanMode
from fermata.domain.subscriptions import SubscriptionOrder
from fermata.domain.work_orders import WorkOrder
from fermata.formats.policy import read_policy
from fermata.planning.inputs import Violation
from fermata.planning.risk.simulate import Simulation
from fermata.planning.standing.outages import Outage, StandingPlan
from fermata.planning.standing.plan import Terms
from fermata.planning.why import Explanation
from fermata.server.web.plan_page import render_plan
from fermata.services import (
    calendars,
    capacity,
    consent,
    exemptions,
    forecasts,
    freezes,
    gates,
    intents,
    inventory,
    inventory_held,
    inventory_sources,
    notices,
    offers,
    order_words,
    plans,
    policy,
    readmission,
    recovery,
    replans,
    report,
    requests,
    runs,
    simulation,
    standing,
    subscriptions,
    tail,
    together,
    updates,
    why,
    work_orders,
)
from fermata.services import query as queries
from fermata.services.import_files import ImportKind
from fermata.services.inventory_changes import Synced
from fermata.services.run_views import RunStatus, TailEntry, TailView
from fermata.services.subscriptions import SubscriptionView
from fermata.settings import read_settings
from fermata.wiring import clocks
from fermata.wiring.clocks import UtcClock
from fermata.wiring.telling import open_channels


@dataclass(frozen=True, slots=True)
class StoreVerbs(TokenVerbs):
    """The services, on real time, called as they are. `sources` of inventory are those of the settings file named."""

    sources: inventory_sources.Sources = inventory_sources.NOTHING_CONFIGURED

    def page_pending(self, wanted: PendingFilter, *, superseded: bool, limit: int | None) -> requests.PendingPage:
        return requests.page_pending(self.database, wanted, superseded=superseded, limit=limit, now=clocks.utc_now())

    def list_requests(self, wanted: PendingFilter, *, ended: bool) -> Sequence[requests.RequestView]:
        return requests.list_requests(self.database, wanted, now=clocks.utc_now(), ended=ended)

    def show_request(self, request: RequestId) -> requests.RequestView:
        return requests.show_request(self.database, request, now=clocks.utc_now())

    def try_policy(self, node: str, update: str, at: datetime) -> Trial:
        return policy.try_update(self.database, node, update, at=at)

    def show_policy(self) -> policy.PolicyView:
        return policy.show_policy(self.database)

    def preview_policy(self, path: Path) -> policy.PolicyPreview:
        return policy.preview_policy(self.database, read_policy(path), now=clocks.utc_now())

    def replace_policy(self, path: Path, *, actor: str, why: str, seen: str | None) -> policy.PolicyPreview:
        wanted, check = read_policy(path), policy.refuse_other(seen)
        now = clocks.utc_now()
        return policy.replace_policy(self.database, wanted, now=now, actor=actor, why=why, check=check)

    def query(self, text: str, *, limit: int, customers: Sequence[str]) -> queries.Answer:
        return ask_desk(queries.QueryDesk.of_store(self.database), self.database, text, limit, customers)

    def import_files(
        self, kind: ImportKind, files: Mapping[str, Path], read: inventory.ImportSet, *, actor: str, why: str
    ) -> inventory.ImportSummary:
        return inventory.import_set(self.database, read, now=clocks.utc_now(), actor=actor, why=why).summary

    def list_updates(self) -> Sequence[updates.UpdateView]:
        return updates.list_updates(self.database)

    def show_update(self, update: UpdateId) -> updates.UpdateView:
        return updates.show_update(self.database, update)

    def register_updates(self, path: Path, *, actor: str, why: str) -> updates.CatalogueChanged:
        return updates.register_updates(self.database, path, now=clocks.utc_now(), actor=actor, why=why)

    def save_rules(self, path: Path, *, actor: str, why: str) -> Sequence[QualificationRule]:
        return updates.save_rules(self.database, path, now=clocks.utc_now(), actor=actor, why=why)

    def record_signal(self, order: updates.SignalOrder, *, actor: str) -> Signal:
        return updates.record_signal(self.database, order, now=clocks.utc_now(), actor=actor, new_id=clocks.mint_id)

    def promote_update(self, update: UpdateId, *, actor: str, why: str) -> updates.CatalogueChanged:
        return updates.promote_update(self.database, update, now=clocks.utc_now(), actor=actor, why=why)

    def demote_update(self, update: UpdateId, *, actor: str, why: str) -> updates.CatalogueChanged:
        return updates.demote_update(self.database, update, now=clocks.utc_now(), actor=actor, why=why)

    def withdraw_update(self, update: UpdateId, *, actor: str, why: str) -> updates.CatalogueChanged:
        return updates.withdraw_update(self.database, update, now=clocks.utc_now(), actor=actor, why=why)

    def list_combinations(self, supercomputer: SupercomputerId | None, plan: PlanId | None) -> Sequence[Combination]:
        return together.list_combinations(self.database, supercomputer=supercomputer, plan=plan)

    def list_piles(self, freeze: FreezeId | None) -> Sequence[Pile]:
        return together.list_piles(self.database, now=clocks.utc_now(), freeze=freeze)

    def decide(self, orders: Sequence[consent.Order], *, atomic: bool) -> Sequence[consent.Outcome]:
        now, new_id = clocks.utc_now(), clocks.mint_id
        if not atomic:
            return consent.decide_each(self.database, orders, now=now, new_id=new_id)
        said = consent.decide(self.database, orders, now=now, new_id=new_id)
        return [consent.Outcome(order=s.order, nodes=s.nodes, entry=s.entry) for s in said]

    def list_offers(self) -> Sequence[offers.OfferView]:
        return offers.list_offers(self.database, now=clocks.utc_now())

    def answer_offer(self, offer: ApprovalId, answer: offers.Answer) -> ConsentEntry:
        return offers.answer_offer(self.database, offer, answer, now=clocks.utc_now(), new_id=clocks.mint_id)

    def open_orders(self, orders: Sequence[work_orders.NewOrder], *, actor: str) -> Sequence[work_orders.Opened]:
        return work_orders.open_orders(self.database, orders, now=clocks.utc_now(), actor=actor, new_id=clocks.mint_id)

    def start_order(self, order: OrderId, *, actor: str, why: str, drained: bool) -> WorkOrder:
        now = clocks.utc_now()
        return work_orders.start_order(self.database, order, now=now, actor=actor, why=why, drained=drained)

    def end_order(self, end: OrderEnding, order: OrderId, *, actor: str, why: str) -> WorkOrder:
        now = clocks.utc_now()
        match end:
            case OrderEnding.COMPLETE:
                return work_orders.complete_order(self.database, order, now=now, actor=actor, why=why)
            case OrderEnding.CANCEL:
                return work_orders.cancel_order(self.database, order, now=now, actor=actor, why=why)
            case _:
                assert_never(end)

    def decide_orders(
        self, request: RequestId, words: Sequence[order_words.WordOrder]
    ) -> Sequence[order_words.SaidWord]:
        now = clocks.utc_now()
        return order_words.decide_orders(self.database, request, words, now=now, new_id=clocks.mint_id)

    def record_notice(self, request: RequestId, *, actor: str, why: str) -> requests.RequestView:
        return requests.record_notice(self.database, request, now=clocks.utc_now(), actor=actor, why=why)

    def watch_requests(self) -> requests.RequestsLooked:
        return requests.watch_requests(self.database, now=clocks.utc_now())

    def add_freeze(self, order: freezes.FreezeOrder) -> Freeze:
        return freezes.add_freeze(self.database, order, now=clocks.utc_now(), new_id=clocks.mint_id)

    def end_freeze(self, freeze: FreezeId, *, actor: str | None, why: str) -> freezes.EndedFreeze:
        return freezes.end_freeze(self.database, freeze, now=clocks.utc_now(), actor=actor, why=why)

    def list_freezes(self, *, over: bool) -> Sequence[freezes.FreezeView]:
        return freezes.list_freezes(self.database, now=clocks.utc_now(), over=over)

    def ask_exemption(self, order: exemptions.ExemptionOrder) -> Exemption:
        return exemptions.ask_exemption(self.database, order, now=clocks.utc_now(), new_id=clocks.mint_id)

    def confirm_exemption(self, exemption: ExemptionId, *, actor: str | None) -> Exemption:
        return exemptions.confirm_exemption(self.database, exemption, now=clocks.utc_now(), actor=actor)

    def add_subscriptions(self, orders: Sequence[SubscriptionOrder], *, actor: str) -> Sequence[SubscriptionView]:
        channels = open_channels(read_settings(), UtcClock())
        return subscriptions.add_subscriptions(
            self.database, orders, now=clocks.utc_now(), actor=actor, new_id=clocks.mint_id, channels=channels
        )

    def list_subscriptions(self) -> Sequence[SubscriptionView]:
        return subscriptions.list_subscriptions(self.database)

    def remove_subscription(self, name: SubscriptionId, *, actor: str, why: str) -> SubscriptionView:
        return subscriptions.remove_subscription(self.database, name, now=clocks.utc_now(), actor=actor, why=why)

    def validate_subscription(self, name: SubscriptionId, *, actor: str) -> SubscriptionView:
        return subscriptions.validate_subscription(
            self.database, name, now=clocks.utc_now(), actor=actor, new_id=clocks.mint_id
        )

    def test_subscription(self, name: SubscriptionId, *, actor: str) -> notices.NoticeView:
        sent = subscriptions.test_subscription(self.database, name, now=clocks.utc_now(), actor=actor)
        return notices.show_notice(self.database, sent.id)

    def list_notices(
        self, *, customers: Sequence[CustomerId], states: Sequence[DeliveryState], before: int | None, limit: int
    ) -> notices.NoticePage:
        return notices.list_notices(self.database, customers=customers, states=states, before=before, limit=limit)

    def show_notice(self, name: str) -> notices.NoticeView:
        return notices.show_notice(self.database, name)

    def replay_notice(self, name: str, *, to: SubscriptionId | None, actor: str, why: str) -> notices.NoticeView:
        return notices.replay_notice(self.database, name, now=clocks.utc_now(), actor=actor, to=to, why=why)

    def dismiss_notice(self, name: str, *, to: SubscriptionId | None, actor: str, why: str) -> notices.NoticeView:
        return notices.dismiss_notice(self.database, name, now=clocks.utc_now(), actor=actor, to=to, why=why)

    def publish(self, plan: PlanId | Plan, *, actor: str, why: str) -> plans.PublishedLine:
        return plans.publish(self.database, plan, now=clocks.utc_now(), actor=actor, why=why).line

    def check_plan(self, plan: PlanId) -> Sequence[Violation]:
        return plans.check_stored_plan(self.database, plan)

    def explain(self, name: str, plan: PlanId | None, campaign: CampaignId | None) -> Explanation:
        return why.explain_stored(self.database, name, plan=plan, campaign=campaign)

    def plan_campaign(self, campaign: CampaignId, wanted: plans.Wanted, *, time_limit: int | None) -> plans.Made:
        return plans.plan_stored_campaign(
            self.database, campaign, now=clocks.utc_now(), new_id=clocks.mint_id, wanted=wanted
        )

    def draw_page(self, plan: PlanId) -> bytes:
        made, inputs = plans.load_plan_inputs(self.database, plan)
        return render_plan(inputs, made).encode()

    def draw_calendar(self, plan: PlanId) -> bytes:
        return plans.draw_calendar(self.database, plan)

    def draw_feed(self, of: calendars.FeedOf | None, name: str) -> bytes:
        return calendars.draw_feed(self.database, of, name)

    def simulate_plan(self, plan: PlanId, asked: Simulation, told: simulation.Told) -> simulation.Simulated:
        return simulation.simulate_stored(self.database, plan, asked, told)

    def plan_standing(self, terms: Terms, *, now: datetime | None, published: Sequence[Outage]) -> StandingPlan:
        return standing.make_standing(self.database, terms, now=now or clocks.utc_now(), published=published)

    def remove_workloads(self, *, actor: str, why: str) -> inventory.WorkloadsRemoved:
        return inventory.remove_workloads(self.database, now=clocks.utc_now(), actor=actor, why=why)

    def list_sources(self) -> Sequence[inventory_sources.SourceLine]:
        return inventory_sources.list_sources(self.database, self.sources, now=clocks.utc_now())

    def sync_source(self, source: SourceId, *, actor: str) -> Synced:
        return inventory_sources.sync_source(
            self.database, self.sources, source, now=clocks.utc_now(), actor=actor, new_id=clocks.mint_id
        )

    def diff_source(self, source: SourceId) -> Synced:
        return inventory_sources.diff_source(self.database, self.sources, source, now=clocks.utc_now())

    def forget_source(self, source: SourceId, *, actor: str, why: str) -> inventory_sources.Forgotten:
        return inventory_sources.forget_source(
            self.database, self.sources, source, now=clocks.utc_now(), actor=actor, why=why
        )

    def list_held(self, *, over: bool) -> Sequence[inventory_held.HoldView]:
        return inventory_held.list_held(self.database, over=over)

    def show_held(self, hold: HoldId) -> inventory_held.HoldView:
        return inventory_held.show_held(self.database, hold)

    def accept_held(self, hold: HoldId, *, actor: str, why: str) -> Synced:
        return inventory_held.accept_held(self.database, hold, now=clocks.utc_now(), actor=actor, why=why)

    def drop_held(self, hold: HoldId, *, actor: str, why: str) -> inventory_held.HoldView:
        return inventory_held.drop_held(self.database, hold, now=clocks.utc_now(), actor=actor, why=why)

    def start_run(self, campaign: CampaignId | None, replan: ReplanMode | None, *, actor: str) -> Run:
        named, now = campaign or runs.only_campaign(self.database), clocks.utc_now()
        return runs.start(self.database, named, now=now, actor=actor, new_id=clocks.mint_id, replan=replan)

    def replan(self, campaign: CampaignId | None, *, actor: str, publish: bool) -> Replan:
        now, new_id = clocks.utc_now(), clocks.mint_id
        return replans.replan(self.database, campaign, now=now, actor=actor, new_id=new_id, publish=publish)

    def set_replan_mode(self, campaign: CampaignId | None, mode: ReplanMode, *, actor: str, why: str) -> Run:
        return replans.set_mode(self.database, campaign, mode, now=clocks.utc_now(), actor=actor, why=why)

    def change_run(self, change: RunChange, campaign: CampaignId | None, *, actor: str, why: str) -> Run:
        now = clocks.utc_now()
        match change:
            case RunChange.PAUSE:
                return runs.pause(self.database, campaign, now=now, actor=actor, why=why)
            case RunChange.RESUME:
                return runs.resume(self.database, campaign, now=now, actor=actor, why=why)
            case RunChange.STOP:
                return runs.stop(self.database, campaign, now=now, actor=actor, why=why)
            case RunChange.ABORT:
                return runs.abort(self.database, campaign, now=now, actor=actor, why=why)
            case _:
                assert_never(change)

    def say_intent(self, wanted: intents.Wanted, desired: Desired, *, actor: str, why: str) -> Sequence[Intent]:
        return intents.say(self.database, wanted, desired, now=clocks.utc_now(), actor=actor, why=why)

    def list_intents(self) -> Sequence[Intent]:
        return intents.in_force(self.database).words

    def show_status(self, campaign: CampaignId | None) -> RunStatus:
        return runs.status(self.database, campaign)

    def judge_returns(self, nodes: Sequence[str]) -> Sequence[readmission.NodeReturn]:
        return readmission.judge_nodes(self.database, nodes)

    def show_forecasts(self, campaign: CampaignId | None, window: str | None) -> forecasts.Forecasts:
        return forecasts.show_forecasts(self.database, campaign, window=window)

    def show_gates(self, campaign: CampaignId | None) -> gates.GatesView:
        return gates.show_gates(self.database, gates.find_run(self.database, campaign))

    def plan_recovery(self, campaign: CampaignId | None, asked: recovery.Asked) -> Sequence[RecoveryOption]:
        return recovery.plan_recovery(self.database, gates.find_run(self.database, campaign), asked)

    def recover(
        self, campaign: CampaignId | None, asked: recovery.Asked, *, actor: str, why: str
    ) -> Sequence[RecoveryOption]:
        word = recovery.Word(actor=actor, why=why, at=clocks.utc_now())
        return recovery.recover(self.database, gates.find_run(self.database, campaign), asked, word)

    def say_at_gate(
        self, campaign: CampaignId | None, update: UpdateId, word: GateWord, *, actor: str, why: str
    ) -> GateState:
        said = GateSaid(word=word, actor=actor, why=why, at=clocks.utc_now())
        return gates.say(self.database, gates.find_run(self.database, campaign), update, said)

    def show_capacity(self, campaign: CampaignId | None, by: GroupBy) -> CapacityView:
        return capacity.show_capacity(self.database, campaign=campaign, by=by)

    def show_tail(self, campaign: CampaignId | None, owner: str | None) -> TailView:
        return tail.show_tail(self.database, campaign, owner=owner)

    def assign_tail(self, unit: str, owner: str, *, promised_at: datetime | None, actor: str, why: str) -> TailEntry:
        now = clocks.utc_now()
        return tail.assign(self.database, unit, owner=owner, promised_at=promised_at, now=now, actor=actor, why=why)

    def retry_tail(self, unit: str, *, actor: str, why: str) -> TailEntry:
        return tail.retry(self.database, unit, now=clocks.utc_now(), actor=actor, why=why)

    def make_report(self, campaign: CampaignId | None) -> Report:
        return report.make_report(self.database, campaign=campaign)
