"""What commands ask for: the one seam between them and the place they work on, a store here or a server elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # nobody calls these here, and the planner takes half a second to load
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from fermata.client.words import OrderEnding, RunChange
    from fermata.domain.capacity_ledger import CapacityView, GroupBy
    from fermata.domain.combinations import Combination
    from fermata.domain.deliveries import DeliveryState
    from fermata.domain.gates import GateState, GateWord
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
        WindowId,
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
    from fermata.domain.room import RoomLine
    from fermata.domain.run_states import Desired, ReplanMode
    from fermata.domain.sessions import ApiToken
    from fermata.domain.subscriptions import SubscriptionOrder
    from fermata.domain.work_orders import WorkOrder
    from fermata.planning.inputs import Violation
    from fermata.planning.risk.simulate import Simulation
    from fermata.planning.standing.outages import Outage, StandingPlan
    from fermata.planning.standing.plan import Terms
    from fermata.planning.why import Explanation
    from fermata.services.calendars import FeedOf
    from fermata.services.consent import Order, Outcome
    from fermata.services.exemptions import ExemptionOrder
    from fermata.services.forecasts import Forecasts
    from fermata.services.freezes import EndedFreeze, FreezeOrder, FreezeView
    from fermata.services.gates import GatesView
    from fermata.services.identity import MadeToken, NewToken
    from fermata.services.import_files import ImportKind
    from fermata.services.intents import Wanted
    from fermata.services.inventory import ImportSet, ImportSummary, WorkloadsRemoved
    from fermata.services.inventory_changes import Synced
    from fermata.services.inventory_held import HoldView
    from fermata.services.inventory_sources import Forgotten, SourceLine
    from fermata.services.notices import NoticePage, NoticeView
    from fermata.services.offers import Answer, OfferView
    from fermata.services.order_words import SaidWord, WordOrder
    from fermata.services.plans import Made, PublishedLine
    from fermata.services.plans import Wanted as WantedPlan
    from fermata.services.policy import PolicyPreview, PolicyView
    from fermata.services.query import Answer as QueryAnswer
    from fermata.services.readmission import NodeReturn
    from fermata.services.recovery import Asked
    from fermata.services.requests import PendingPage, RequestsLooked, RequestView
    from fermata.services.rooms import RoomList, RoomOrder, RoomView
    from fermata.services.run_views import RunStatus, TailEntry, TailView
    from fermata.services.simulation import Simulated, Told
    from fermata.services.subscriptions import SubscriptionView
    from fermata.services.updates import CatalogueChanged, SignalOrder, UpdateView
    from fermata.services.work_orders import NewOrder, Opened


class Listing(Protocol):
    """What can be looked up in files alone, too. Names that nobody knows raise Refusal."""

    def page_pending(self, wanted: PendingFilter, *, superseded: bool, limit: int | None) -> PendingPage:
        """The first `limit` lines, None for all."""

    def list_requests(self, wanted: PendingFilter, *, ended: bool) -> Sequence[RequestView]:
        """Open requests by due date; with `ended` also those of which nothing is left."""

    def show_request(self, request: RequestId) -> RequestView:
        """One request with its work orders and shared devices."""

    def try_policy(self, node: str, update: str, at: datetime) -> Trial:
        """What policy, approvals and freezes would say; nothing is done."""

    def query(self, text: str, *, limit: int, customers: Sequence[str]) -> QueryAnswer:
        """Answers a query in KQL, over what those customers hold, or over everything when none is named."""


class Verbs(Listing, Protocol):
    """Everything that works on a store. Each raises Refusal, or ServerRefusal, when it says no: nothing was changed.

    A campaign of None is the one on record, an actor of None the customer's first approver.
    """

    def import_files(
        self, kind: ImportKind, files: Mapping[str, Path], read: ImportSet, *, actor: str, why: str
    ) -> ImportSummary:
        """Imports all or nothing. `read` is what stands in `files`, which are named as in `find_files`."""

    def show_policy(self) -> PolicyView:
        """The stored policy."""

    def preview_policy(self, path: Path) -> PolicyPreview:
        """What the policy of a file would change; nothing is done."""

    def replace_policy(self, path: Path, *, actor: str, why: str, seen: str | None) -> PolicyPreview:
        """Puts the policy of a file in the place of the stored one, if that is still the one of the sha256 `seen`."""

    def list_updates(self) -> Sequence[UpdateView]:
        """The catalogue by release."""

    def show_update(self, update: UpdateId) -> UpdateView:
        """One update."""

    def register_updates(self, path: Path, *, actor: str, why: str) -> CatalogueChanged:
        """Adds the updates of a file."""

    def save_rules(self, path: Path, *, actor: str, why: str) -> Sequence[QualificationRule]:
        """Replaces the rules of qualification."""

    def record_signal(self, order: SignalOrder, *, actor: str) -> Signal:
        """Records what was seen of updates."""

    def promote_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        """Makes it production-ready."""

    def demote_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        """Makes it flight-ready again."""

    def withdraw_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        """Takes it out of the catalogue."""

    def list_combinations(self, supercomputer: SupercomputerId | None, plan: PlanId | None) -> Sequence[Combination]:
        """Which sets are pending together."""

    def list_piles(self, freeze: FreezeId | None) -> Sequence[Pile]:
        """What piled up during freezes."""

    def decide(self, orders: Sequence[Order], *, atomic: bool) -> Sequence[Outcome]:
        """Carries out the orders, all of one verdict, that may be, or with `atomic` all of them or none."""

    def list_offers(self) -> Sequence[OfferView]:
        """Counter-offers that nobody answered."""

    def answer_offer(self, offer: ApprovalId, answer: Answer) -> ConsentEntry:
        """The operator's answer to one."""

    def open_orders(self, orders: Sequence[NewOrder], *, actor: str) -> Sequence[Opened]:
        """Opens work orders, all or none."""

    def start_order(self, order: OrderId, *, actor: str, why: str, drained: bool) -> WorkOrder:
        """Begins a work order. `drained`: workloads have left its nodes, whatever the inventory says."""

    def end_order(self, end: OrderEnding, order: OrderId, *, actor: str, why: str) -> WorkOrder:
        """Completes or cancels one."""

    def decide_orders(self, request: RequestId, words: Sequence[WordOrder]) -> Sequence[SaidWord]:
        """Says yes or no to work orders of a request, or takes a word back."""

    def record_notice(self, request: RequestId, *, actor: str, why: str) -> RequestView:
        """Its customers were told of a request."""

    def watch_requests(self) -> RequestsLooked:
        """Records the states of requests that moved since the last look."""

    def add_freeze(self, order: FreezeOrder) -> Freeze:
        """Closes a scope for a time."""

    def end_freeze(self, freeze: FreezeId, *, actor: str | None, why: str) -> EndedFreeze:
        """Opens it again."""

    def list_freezes(self, *, over: bool) -> Sequence[FreezeView]:
        """Those that are not over, or all on record."""

    def ask_exemption(self, order: ExemptionOrder) -> Exemption:
        """Asks that updates may pass a freeze."""

    def confirm_exemption(self, exemption: ExemptionId, *, actor: str | None) -> Exemption:
        """The second person's word."""

    def add_subscriptions(self, orders: Sequence[SubscriptionOrder], *, actor: str) -> Sequence[SubscriptionView]:
        """Adds all or none."""

    def list_subscriptions(self) -> Sequence[SubscriptionView]:
        """Who hears what."""

    def remove_subscription(self, name: SubscriptionId, *, actor: str, why: str) -> SubscriptionView:
        """It hears nothing any more."""

    def validate_subscription(self, name: SubscriptionId, *, actor: str) -> SubscriptionView:
        """Begins the handshake anew."""

    def test_subscription(self, name: SubscriptionId, *, actor: str) -> NoticeView:
        """Sends a notice that tells of nothing."""

    def list_notices(
        self, *, customers: Sequence[CustomerId], states: Sequence[DeliveryState], before: int | None, limit: int
    ) -> NoticePage:
        """The newest first."""

    def show_notice(self, name: str) -> NoticeView:
        """One of them."""

    def replay_notice(self, name: str, *, to: SubscriptionId | None, actor: str, why: str) -> NoticeView:
        """Sends it again."""

    def dismiss_notice(self, name: str, *, to: SubscriptionId | None, actor: str, why: str) -> NoticeView:
        """Gives up what of it is dead."""

    def publish(self, plan: PlanId | Plan, *, actor: str, why: str) -> PublishedLine:
        """Puts a stored plan in force, or one made from files, which is stored with it."""

    def check_plan(self, plan: PlanId) -> Sequence[Violation]:
        """What a stored plan breaks now."""

    def explain(self, name: str, plan: PlanId | None, campaign: CampaignId | None) -> Explanation:
        """Why a window, a cluster or a node is where that plan has it; without one, the plan in force."""

    def plan_campaign(self, campaign: CampaignId, wanted: WantedPlan, *, time_limit: int | None) -> Made:
        """Makes and stores a plan of it, with the consent on record. `time_limit`, in seconds from now, stands for what
        `wanted` has of it where that cannot be asked.
        """

    def draw_page(self, plan: PlanId) -> bytes:
        """A stored plan as one page (HTML)."""

    def draw_calendar(self, plan: PlanId) -> bytes:
        """A stored plan as a calendar (iCalendar)."""

    def draw_feed(self, of: FeedOf | None, name: str) -> bytes:
        """The published schedule as a calendar (iCalendar): of one customer, cluster or team, or all of it."""

    def simulate_plan(self, plan: PlanId, asked: Simulation, told: Told) -> Simulated:
        """Plays a stored plan many times."""

    def plan_standing(self, terms: Terms, *, now: datetime | None, published: Sequence[Outage]) -> StandingPlan:
        """The fewest outages for what is on record. `now` None: the clock of that place."""

    def remove_workloads(self, *, actor: str, why: str) -> WorkloadsRemoved:
        """Ends the workload map."""

    def list_sources(self) -> Sequence[SourceLine]:
        """Sources of inventory and how each did."""

    def sync_source(self, source: SourceId, *, actor: str) -> Synced:
        """Asks it now."""

    def diff_source(self, source: SourceId) -> Synced:
        """What asking it now would change."""

    def forget_source(self, source: SourceId, *, actor: str, why: str) -> Forgotten:
        """Its units are nobody's from now on."""

    def list_held(self, *, over: bool) -> Sequence[HoldView]:
        """Changes of inventory that wait for a person, or all on record."""

    def show_held(self, hold: HoldId) -> HoldView:
        """One of them."""

    def accept_held(self, hold: HoldId, *, actor: str, why: str) -> Synced:
        """Applies it."""

    def drop_held(self, hold: HoldId, *, actor: str, why: str) -> HoldView:
        """The fleet stays as it is."""

    def start_run(self, campaign: CampaignId | None, replan: ReplanMode | None, *, actor: str) -> Run:
        """Begins to conduct the plan in force."""

    def replan(self, campaign: CampaignId | None, *, actor: str, publish: bool) -> Replan:
        """Plans again what is left, and with `publish` puts it in force."""

    def set_replan_mode(self, campaign: CampaignId | None, mode: ReplanMode, *, actor: str, why: str) -> Run:
        """What the conductor may do about its plan."""

    def change_run(self, change: RunChange, campaign: CampaignId | None, *, actor: str, why: str) -> Run:
        """Says what is wanted of the live run."""

    def say_intent(self, wanted: Wanted, desired: Desired, *, actor: str, why: str) -> Sequence[Intent]:
        """Says what is wanted of nodes, a window, a run or the fleet. Returns the words recorded."""

    def list_intents(self) -> Sequence[Intent]:
        """The words in force."""

    def show_status(self, campaign: CampaignId | None) -> RunStatus:
        """The newest run."""

    def list_rooms(self, campaign: CampaignId | None) -> RoomList:
        """The windows of the newest run, with what was told in their rooms last."""

    def show_room(self, window: WindowId, campaign: CampaignId | None) -> RoomView:
        """The room of a window of the newest run."""

    def speak_in_room(self, window: WindowId, said: RoomOrder, campaign: CampaignId | None, *, actor: str) -> RoomLine:
        """A person's word there."""

    def judge_returns(self, nodes: Sequence[str]) -> Sequence[NodeReturn]:
        """Whether these nodes may go back, in their order, each once."""

    def show_forecasts(self, campaign: CampaignId | None, window: str | None) -> Forecasts:
        """The newest forecasts of the run and its open windows, or every one of a window."""

    def show_gates(self, campaign: CampaignId | None) -> GatesView:
        """What is known of every update of the newest run."""

    def plan_recovery(self, campaign: CampaignId | None, asked: Asked) -> Sequence[RecoveryOption]:
        """What can be done about updates on nodes of the newest run."""

    def recover(self, campaign: CampaignId | None, asked: Asked, *, actor: str, why: str) -> Sequence[RecoveryOption]:
        """Orders the roll-back wherever there can be one."""

    def say_at_gate(
        self, campaign: CampaignId | None, update: UpdateId, word: GateWord, *, actor: str, why: str
    ) -> GateState:
        """A person's word on an update of the newest run."""

    def show_capacity(self, campaign: CampaignId | None, by: GroupBy) -> CapacityView:
        """The capacity ledger, added up."""

    def show_tail(self, campaign: CampaignId | None, owner: str | None) -> TailView:
        """What is not back, of one owner or of all."""

    def assign_tail(self, unit: str, owner: str, *, promised_at: datetime | None, actor: str, why: str) -> TailEntry:
        """Makes somebody its owner."""

    def retry_tail(self, unit: str, *, actor: str, why: str) -> TailEntry:
        """Asks for one more try."""

    def list_tokens(self) -> Sequence[ApiToken]:
        """Tokens that who asks may know of."""

    def make_token(self, wanted: NewToken) -> MadeToken:
        """Makes a token in the name of who asks; its secret is told this once."""

    def revoke_token(self, token: str) -> ApiToken:
        """It is good for nothing from now on."""

    def make_report(self, campaign: CampaignId | None) -> Report:
        """How the campaign went."""
