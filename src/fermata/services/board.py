"""Takes snapshots of the board: a few reads of the store each, remembering between them what cannot change."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time

from fermata.domain.campaign import Campaign
from fermata.domain.ids import CampaignId, HoldId, PlanId, RunId, WindowId
from fermata.domain.inventory_holds import Hold
from fermata.domain.operations import Run
from fermata.domain.plans import Window
from fermata.domain.run_states import WindowState
from fermata.domain.window_terms import WindowTerm, WindowTerms, has_conditions
from fermata.domain.windows import local_to_utc
from fermata.formats.brake import BrakeFile
from fermata.services import runs
from fermata.services.board_assembly import Followed, Subject, assemble, no_campaign, without_plan
from fermata.services.board_curves import SampleBuckets
from fermata.services.board_held import tell_holds, tell_words, words_for
from fermata.services.board_lanes import Conduct
from fermata.services.board_views import Board, Held, WindowView
from fermata.services.board_window import view_window
from fermata.services.room_facts import Sources
from fermata.services.rooms import RoomView, look_into
from fermata.services.run_views import RunStatus
from fermata.store import board as board_rows
from fermata.store import consent, intents, inventory, inventory_sources, plans
from fermata.store import runs as run_rows
from fermata.store.database import Database, StoreUnavailable

__all__ = ["BoardReader", "Database", "StoreUnavailable"]


class BoardReader:
    """Reads one campaign; the one that is being conducted, else the newest one that has a plan, else the newest.

    For one caller at a time: it keeps the plans followed, the samples it has folded already and what is held of the
    inventory. `brake`: this machine's, which holds even what the store does not know of.
    """

    def __init__(self, db: Database, brake: BrakeFile | None = None, *, campaign: CampaignId | None = None) -> None:
        self._db = db
        self._campaign = campaign
        self._brake = brake
        self._holds: Mapping[tuple[HoldId, str], Hold] = {}
        self._followed: tuple[tuple[PlanId, ...], Followed] | None = None
        self._buckets: tuple[RunId, int, SampleBuckets] | None = None
        self._latest: Board | None = None
        self._rooms = Sources()
        self._seen: tuple[Subject, Conduct] | None = None

    @property
    def latest(self) -> Board | None:
        """The last snapshot, or None before the first."""
        return self._latest

    @property
    def seen(self) -> tuple[Subject, Conduct] | None:
        """What the last snapshot of a plan was made of, or None."""
        return self._seen

    def window(self, window_id: str) -> WindowView | None:
        """One window as of the last snapshot, or None when the plan in force has no such window."""
        if self._seen is None or self._latest is None:
            return None
        subject, conduct = self._seen
        view = view_window(subject, conduct, self._latest, window_id)
        if view is None:
            return None
        return replace(view, terms=self._terms(next(w for w in subject.followed.windows if w.id == window_id)))

    def room(self, window_id: str) -> RoomView | None:
        """The room of a window as of the last snapshot, or None when the run has no such window."""
        status = self._seen[0].status if self._seen is not None else None
        if status is None or self._latest is None:
            return None
        return look_into(self._db, status, WindowId(window_id), self._latest.now, self._rooms)

    def _terms(self, window: Window) -> tuple[WindowTerm, ...]:
        with self._db.read() as conn:
            ledger = consent.load_ledger(conn)
            if not has_conditions(ledger):
                return ()
            fleet = replace(inventory.load_parts(conn), nodes=inventory.named_nodes(conn, window.nodes))
            updates = inventory.load_catalogue(conn).updates
            return WindowTerms(fleet, inventory.load_policy(conn), updates, ledger).find(window)

    def snapshot(self, now: datetime) -> Board:
        """The board at `now`, on the campaign's clock. Raises StoreUnavailable."""
        taken = self._take(now)
        self._latest = replace(taken, held=self._held(RunId(taken.head.run) if taken.head and taken.head.run else None))
        return self._latest

    def _held(self, run: RunId | None) -> tuple[Held, ...]:
        with self._db.read() as conn:
            words = words_for(intents.load_intents(conn), run, self._brake.read() if self._brake else None)
            known = inventory_sources.open_holds(conn)
            fresh = {key: inventory_sources.load_hold(conn, key[0]) for key in known if key not in self._holds}
        found = {**self._holds, **fresh}
        self._holds = {key: hold for key in known if (hold := found[key]) is not None}
        return (*tell_words(words), *tell_holds(self._holds.values()))

    def _take(self, now: datetime) -> Board:
        with self._db.read() as conn:
            found = tuple(c for c in inventory.list_campaigns(conn) if self._campaign in (None, c.id))
            run = run_rows.live_run(conn, self._campaign) or run_rows.latest_run(conn, self._campaign)
            in_force = {campaign.id: plans.published_plan_id(conn, campaign.id) for campaign in found}
        if not found:
            return no_campaign(now)
        campaign = _pick(found, run, {name for name, plan in in_force.items() if plan is not None})
        if run is not None and run.campaign != campaign.id:
            run = None
        plan_id = run.plan if run else in_force[campaign.id]
        if plan_id is None:
            with self._db.read() as conn:
                drafts = len(plans.list_plans(conn, campaign.id))
            return without_plan(campaign, now, drafts=drafts)
        followed = self._follow(run, plan_id)
        status = runs.status(self._db, campaign.id, now=now) if run else None
        subject, conduct = Subject(campaign=campaign, followed=followed, status=status), self._conduct(status)
        self._seen = (subject, conduct)
        return assemble(subject, conduct, self._samples(campaign, status), now)

    def _follow(self, run: Run | None, plan_id: PlanId) -> Followed:
        with self._db.read() as conn:
            earlier = board_rows.plans_followed(conn, run.id) if run else ()
            names = (*(name for name in earlier if name != plan_id), plan_id)
            if self._followed is None or self._followed[0] != names:
                self._followed = (names, Followed.of([plans.load_plan(conn, name) for name in names]))
        return self._followed[1]

    def _conduct(self, status: RunStatus | None) -> Conduct:
        if status is None:
            return Conduct(windows={}, counts={})
        open_windows = [window.window for window in status.windows if window.state is WindowState.OPEN]
        with self._db.read() as conn:
            counts = board_rows.unit_counts(conn, status.run, open_windows)
        by_window = {name: tuple(c for c in counts if c.window == name) for name in open_windows}
        return Conduct(windows={window.window: window for window in status.windows}, counts=by_window)

    def _samples(self, campaign: Campaign, status: RunStatus | None) -> SampleBuckets:
        start = local_to_utc(campaign.first_day, time.min, campaign.timezone)
        if status is None:
            return SampleBuckets(start=start, baseline=0)
        if self._buckets is None or self._buckets[0] != status.run:
            self._buckets = (status.run, 0, SampleBuckets(start=start, baseline=status.baseline_in_service))
        _, seq, buckets = self._buckets
        with self._db.read() as conn:
            seq, samples = board_rows.samples_after(conn, status.run, seq)
        buckets.add(samples)
        self._buckets = (status.run, seq, buckets)
        return buckets


def _pick(found: tuple[Campaign, ...], run: Run | None, planned: set[CampaignId]) -> Campaign:
    of_run = next((c for c in found if run is not None and c.id == run.campaign), None)
    if of_run is not None:
        return of_run
    return next((c for c in reversed(found) if c.id in planned), found[-1])
