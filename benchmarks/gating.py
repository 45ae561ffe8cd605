"""How well gates stop bad updates: 1,000 campaigns in numbers, half of them with an update that breaks 2 to 20 % of the
nodes that get it: precision and recall of the stop, nodes broken before it. Baseline: stop at twice the usual share.

A campaign brings three updates in one outage per node, to windows of one a day and in them to a wave every ten minutes.
Nodes fail for ordinary reasons too, at the write of one update or at the health check after all, which tells no update
from another; failures are known later than successes, some only after the return. What is counted, and who judges, are
the product's own: `fermata.domain.gate_book` and `fermata.domain.gates`. Nothing is stored and nobody conducts.
"""

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from statistics import median

import harness
from fermata.domain.gate_book import Failure, FailureKind, GateBook
from fermata.domain.gate_evidence import BaseRate, Evidence, RateSource
from fermata.domain.gates import GateVerdict, Question, judge
from fermata.domain.ids import ClusterId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.phases import DEFAULT_PHASES, GateTerms, SequentialTest
from harness import Benchmark, Case, Place, Sample, Watch, nothing_shared, positive

CAMPAIGNS = 1_000
UPDATES = tuple(UpdateId(name) for name in ("u0", "u1", "u2"))
BAD = UPDATES[0]
BITS = {update: 1 << i for i, update in enumerate(UPDATES)}
ALL = sum(BITS.values())

TOLD = 0.015  # the share of nodes that gates expect to fail: the campaign's word, as in January
ORDINARY = (0.010, 0.020)  # what it really is, drawn for each campaign: nobody knows it exactly
BREAKS = (0.02, 0.20)  # share of nodes that a bad update breaks, drawn evenly over its logarithm
BANDS = (0.02, 0.03, 0.05, 0.10, 0.20)
SIZES = (300, 4_000)  # nodes, drawn evenly over the logarithm
WINDOWS = (72, 144, 288)
RACKS = (8, 16, 18)
WAVE = 36  # three fault domains of a dozen
AT_CHECK = 0.5  # share of failures that are seen at the health check, which blames all that was written
LATE = 0.2  # share of what a bad update breaks that is seen only hours after the return
LATER_ANYWAY = 0.001  # of nodes that have just returned, those that fail within a day whatever was written

# for updates of which one in fifty is too many: what a campaign may write instead of the defaults
STRICTER = replace(
    DEFAULT_PHASES.full, test=SequentialTest(false_stop=0.01, missed_stop=0.01, worse_factor=2.0, worse_by=0.02)
)

START = datetime(2026, 1, 5, 19, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), 24 * 60
TICK = 5  # minutes between two looks of the conductor
GOOD_MINUTES, BAD_MINUTES = (60, 120), (40, 150)  # from the beginning of a write to the outcome that is known
LATE_MINUTES = (60, 20 * 60)  # from the return
BAKE = DEFAULT_PHASES.full.bake
RUN = RunId("run_bench")
WINDOW = WindowId("win-bench")

Judge = Callable[[UpdateId, Evidence, float, datetime], tuple[bool, float]]  # stopped, and the lowest score so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The nodes of one campaign and how they come. `ordinary`: share that fails whatever is written."""

    nodes: int
    window: int
    rack: int
    ordinary: float
    breaks: float


@dataclass(slots=True, kw_only=True)
class Played:
    """One campaign: which updates were stopped; of the bad one, nodes that had begun it and that it broke by then."""

    breaks: float
    stopped: set[UpdateId] = field(default_factory=set)
    begun: int = 0
    broken: int = 0
    hours: float = 0.0


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """What becomes known of a node at a minute: good (`blamed` 0), failed, or failed after it had returned."""

    minute: float
    node: int
    blamed: int
    late: bool


def draw_fleet(dice: random.Random, breaks: float, nodes: int | None) -> Fleet:
    """A campaign of that badness."""
    low, high = SIZES
    return Fleet(
        nodes=nodes or round(low * (high / low) ** dice.random()),
        window=dice.choice(WINDOWS),
        rack=dice.choice(RACKS),
        ordinary=dice.uniform(*ORDINARY),
        breaks=breaks,
    )


def draw_badness(seed: int) -> float:
    """Every second campaign has a bad update."""
    low, high = BREAKS
    return 0.0 if seed % 2 else low * (high / low) ** random.Random(f"badness/{seed}").random()


class Play:
    """One campaign from its first wave to its stop, or to its end and the day after."""

    def __init__(self, seed: int, nodes: int | None, stops: Judge) -> None:
        self._dice = random.Random(f"play/{seed}")
        self.fleet = draw_fleet(self._dice, draw_badness(seed), nodes)
        self.played = Played(breaks=self.fleet.breaks)
        self._stops = stops
        self._book = GateBook(lambda _window: BITS, self._rack_of)
        self._events: list[Event] = []
        self._lowest = dict.fromkeys(UPDATES, 0.0)
        self._next = 0
        self._left_out: dict[int, int] = {}

    def _rack_of(self, unit: str) -> str:
        return str(int(unit) // self.fleet.rack)

    def run(self) -> Played:
        """Waves begin while there are nodes; the conductor looks every few minutes."""
        minute = wave_at = 0
        while self._next < self.fleet.nodes or self._events:
            if self._next < self.fleet.nodes and minute >= wave_at:
                self._begin_wave(minute)
                is_full = self._next % self.fleet.window == 0
                wave_at = (minute // DAY + 1) * DAY if is_full else minute + 2 * TICK
            self._hear(minute)
            self._judge(minute)
            if BAD in self.played.stopped and self.fleet.breaks:
                break
            minute = self._jump(minute + TICK, wave_at)
        return self.played

    def _jump(self, minute: int, wave_at: int) -> int:
        """Nothing happens before the next wave or outcome."""
        waits = [event.minute for event in self._events[:1]]
        if self._next < self.fleet.nodes:
            waits.append(wave_at)
        return max(minute, -(-int(min(waits)) // TICK) * TICK) if waits else minute

    def _begin_wave(self, minute: int) -> None:
        room = self.fleet.window - self._next % self.fleet.window
        names = range(self._next, min(self._next + min(WAVE, room), self.fleet.nodes))
        self._next = names.stop
        open_now = sum(BITS[update] for update in UPDATES if update not in self.played.stopped)
        if open_now:
            for node in names:
                self._left_out[node] = ALL & ~open_now
                self._begin(node, minute, open_now)
            self._book.note_ops(self._row(node, UnitState.DRAINED, minute) for node in names)

    def _begin(self, node: int, minute: int, written: int) -> None:
        dice, fleet = self._dice, self.fleet
        is_bad = bool(fleet.breaks) and bool(written & BITS[BAD])
        broken = is_bad and dice.random() < fleet.breaks
        self.played.begun += is_bad
        self.played.broken += broken
        late = dice.random() < (LATE if broken else LATER_ANYWAY)
        failed = (broken and not late) or dice.random() < fleet.ordinary
        known_at = minute + dice.uniform(*(BAD_MINUTES if failed else GOOD_MINUTES))
        if failed:
            own = BITS[BAD] if broken else dice.choice([bit for bit in BITS.values() if bit & written])
            blamed = written if dice.random() < AT_CHECK else own
            heapq.heappush(self._events, Event(known_at, node, blamed, late=False))
            return
        heapq.heappush(self._events, Event(known_at, node, 0, late=False))
        if late:
            heapq.heappush(self._events, Event(known_at + dice.uniform(*LATE_MINUTES), node, written, late=True))

    def _hear(self, minute: int) -> None:
        rows: list[UnitOp] = []
        failures: list[Failure] = []
        while self._events and self._events[0].minute <= minute:
            event = heapq.heappop(self._events)
            if event.blamed:
                failures.append(self._failure(event))
            if not event.late:
                state = UnitState.FAILED if event.blamed else UnitState.RETURNED
                rows.append(self._row(event.node, state, minute))
        self._book.note_failures(failures)
        self._book.note_ops(rows)

    def _failure(self, event: Event) -> Failure:
        return Failure(
            window=WINDOW,
            unit=str(event.node),
            rack=self._rack_of(str(event.node)),
            kind=FailureKind.REGRESSED if event.late else FailureKind.FAILED,
            updates=tuple(update for update, bit in BITS.items() if bit & event.blamed),
            at=_at(event.minute),
        )

    def _row(self, node: int, state: UnitState, minute: float) -> UnitOp:
        written = ALL & ~self._left_out[node]
        is_back = state is UnitState.RETURNED
        return UnitOp(
            id=node,
            run=RUN,
            window=WINDOW,
            unit=str(node),
            kind=UnitKind.NODE,
            cluster=ClusterId("bench"),
            fault_domain="",
            rank=0,
            in_service_before=True,
            state=state,
            begun=True,
            applied=written,
            active=written if is_back else 0,
            finished_at=_at(minute) if is_back else None,
        )

    def _judge(self, minute: int) -> None:
        now = _at(minute)
        for update in sorted(self._book.take_changed() - self.played.stopped):
            evidence = self._book.evidence(update, bake=BAKE, now=now, begun_at=START, since=None)
            is_stopped, self._lowest[update] = self._stops(update, evidence, self._lowest[update], now)
            if is_stopped:
                self.played.stopped.add(update)
                self.played.hours = minute / 60


def _at(minute: float) -> datetime:
    return START + minute * MINUTE


def by_gate(
    update: UpdateId, evidence: Evidence, lowest: float, now: datetime, *, terms: GateTerms = DEFAULT_PHASES.full
) -> tuple[bool, float]:
    """The product's own word. `terms`: those that a campaign has unless it says otherwise."""
    base = BaseRate(rate=TOLD, source=RateSource.CAMPAIGN, nodes=0)
    judged = judge(Question(update=update, evidence=evidence, terms=terms, base=base, lowest=lowest), now)
    return judged.verdict is not GateVerdict.PROCEED, judged.lowest


def by_share(_update: UpdateId, evidence: Evidence, lowest: float, _now: datetime) -> tuple[bool, float]:
    """What people do by hand: twice the usual share of those whose outcome is known, once these are twenty."""
    bad = evidence.failed + evidence.regressed
    known = bad + evidence.good
    return known >= 20 and bad > 2 * TOLD * known, lowest


def run(_place: Place, *, stops: Judge, campaigns: int, nodes: int | None) -> Sample:
    """All campaigns, one after the other."""
    with Watch() as watch:
        played = [Play(seed, nodes, stops).run() for seed in range(campaigns)]
    return watch.sample(**count(played))


def count(played: Sequence[Played]) -> dict[str, float]:
    """The figures. A campaign is stopped if its bad update is; a good one, if any update is."""
    bad, good = [p for p in played if p.breaks], [p for p in played if not p.breaks]
    right = [p for p in bad if BAD in p.stopped]
    wrong = sum(bool(p.stopped) for p in good)
    beside = sum(len(p.stopped - {BAD}) for p in bad)
    found: dict[str, float] = {
        "campaigns": len(played),
        "precision_%": _percent(len(right), len(right) + wrong),
        "precision_by_update_%": _percent(len(right), len(right) + beside + sum(len(p.stopped) for p in good)),
        "recall_%": _percent(len(right), len(bad)),
        "good_stopped": wrong,
        "other_updates_stopped_with_a_bad_one": beside,
        "broken_median": _median(p.broken for p in right),
        "broken_95_%": _high(p.broken for p in right),
        "begun_median": _median(p.begun for p in right),
        "hours_median": _median(p.hours for p in right),
    }
    for low, high in pairwise(BANDS):
        members = [p for p in bad if low <= p.breaks < high]
        caught = [p for p in members if BAD in p.stopped]
        name = f"{low:.0%}_to_{high:.0%}"
        found[f"recall_at_{name}"] = _percent(len(caught), len(members))
        found[f"broken_at_{name}"] = _median(p.broken for p in caught)
        found[f"begun_at_{name}"] = _median(p.begun for p in caught)
    return found


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _median(values: Iterable[float]) -> float:
    known = list(values)
    return median(known) if known else 0.0


def _high(values: Iterable[float]) -> float:
    known = sorted(values)
    return known[int(len(known) * 0.95)] if known else 0.0


def main() -> None:
    """Plays every campaign by each rule."""
    parser = harness.options_parser(__doc__ or "", runs=1)
    parser.add_argument("--campaigns", type=positive, default=CAMPAIGNS, help=f"of each rule (default {CAMPAIGNS:,})")
    asked = parser.parse_args()
    options = harness.to_options(asked)
    case = partial(partial, run, campaigns=asked.campaigns, nodes=options.nodes)
    harness.run(
        Benchmark(
            name="gating",
            title=f"{asked.campaigns:,} campaigns, every second one with a bad update",
            cases=[
                Case(name="twice the usual share", run=case(stops=by_share)),
                Case(name="gates", run=case(stops=by_gate), baseline="twice the usual share"),
                Case(name="stricter gates", run=case(stops=partial(by_gate, terms=STRICTER))),
            ],
            each_run=nothing_shared,
            notes=["published for a fleet of this kind: precision 92.4 % at a recall of 100 %"],
        ),
        options,
    )


if __name__ == "__main__":
    main()
