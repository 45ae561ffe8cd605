"""How well gates stop bad updates: precision, recall, nodes harmed before the stop, over many campaigns in numbers.

A campaign brings one update to nodes in windows, wave by wave. A node fails for ordinary reasons (1.5 %, the fleet's
rate) or because the update is bad; a failure is known later than a success, and most of a wave is open meanwhile. The
gate that judges is the product's own, `fermata.domain.gates`. Run: python benchmarks/gating.py [--campaigns N].
"""

import argparse
import heapq
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import mean, median

from fermata.domain.gate_evidence import BaseRate, Evidence, RateSource
from fermata.domain.gates import GateVerdict, Question, judge
from fermata.domain.ids import UpdateId
from fermata.domain.phases import DEFAULT_PHASES, GateTerms

BASE = 0.015  # the share of nodes that do not come back at once in January
START = datetime(2026, 1, 5, 19, tzinfo=UTC)
NODES, WINDOW = 4_000, 288  # in windows of a usual cluster
WAVE = 36  # begin together, ten minutes after the wave before: three fault domains of a dozen
GOOD_MINUTES, BAD_MINUTES = (60, 120), (40, 150)  # from the beginning of a write to the outcome that is known
BADNESS = (0.0, 0.03, 0.05, 0.10, 0.25, 0.60)  # share of nodes that the update breaks; 5 % is the slow one
PUBLISHED_PRECISION = 0.924  # at a recall of 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One campaign: whether it was stopped, how many nodes the update had broken and met by then, and when."""

    stopped: bool
    harmed: int
    begun: int
    hours: float


def play(badness: float, seed: int, terms: GateTerms) -> Played:
    """One campaign to its end or its stop. Nodes that are under way at the stop are counted as met and harmed."""
    dice = random.Random(f"{badness}/{seed}")
    base = BaseRate(rate=BASE, source=RateSource.CAMPAIGN, nodes=0)
    outcomes: list[tuple[float, bool]] = []
    begun = harmed = good = bad = 0
    lowest, minute = 0.0, 0.0
    while begun < NODES or outcomes:
        if begun < NODES:
            for _ in range(min(WAVE, NODES - begun)):
                broken = dice.random() < badness
                failed = broken or dice.random() < BASE
                heapq.heappush(outcomes, (minute + dice.uniform(*(BAD_MINUTES if failed else GOOD_MINUTES)), failed))
                harmed += broken
                begun += 1
        is_window_over = begun % WINDOW < WAVE
        minute = minute + (24 * 60 if is_window_over and begun < NODES else 10)
        while outcomes and outcomes[0][0] <= minute:
            at, failed = heapq.heappop(outcomes)
            bad, good = bad + failed, good + (not failed)
            now = START + timedelta(minutes=at)
            evidence = Evidence(good=good, failed=bad, open=begun - good - bad, begun_at=START)
            judged = judge(
                Question(update=UpdateId("u"), evidence=evidence, terms=terms, base=base, lowest=lowest), now
            )
            lowest = judged.lowest
            if judged.verdict is not GateVerdict.PROCEED:
                return Played(stopped=True, harmed=harmed, begun=begun, hours=at / 60)
    return Played(stopped=False, harmed=harmed, begun=begun, hours=minute / 60)


def main() -> None:
    """Prints a line per badness, and precision and recall over all, good and bad updates in equal numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, default=1_000, help="of each badness")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    table = {badness: [play(badness, s, DEFAULT_PHASES.full) for s in range(asked.campaigns)] for badness in BADNESS}
    lines = [_line(badness, played) for badness, played in table.items()]
    stops = {badness: mean(p.stopped for p in played) for badness, played in table.items()}
    recall = mean(share for badness, share in stops.items() if badness)
    precision = recall / (recall + stops[0.0]) if recall else 0.0
    total = {"precision": round(precision, 4), "recall": round(recall, 4), "published_precision": PUBLISHED_PRECISION}
    if asked.json:
        print(json.dumps({"schema": "fermata.benchmark/1", "lines": lines, "total": total}))
        return
    print("breaks   stopped   harmed (median, 95 %)   begun (median)   hours (median)")
    for line in lines:
        print(
            f"{line['badness']:6.0%}  {line['stopped']:8.2%}  {line['harmed']:10.0f} {line['harmed_p95']:10.0f}"
            f"  {line['begun']:15.0f}  {line['hours']:15.1f}"
        )
    print(f"precision {precision:.2%} at recall {recall:.2%} (published: {PUBLISHED_PRECISION:.1%} at 100 %)")


def _line(badness: float, played: list[Played]) -> dict[str, float]:
    stopped = [one for one in played if one.stopped] or played
    harmed = sorted(one.harmed for one in stopped)
    return {
        "badness": badness,
        "stopped": round(mean(one.stopped for one in played), 4),
        "harmed": median(harmed),
        "harmed_p95": harmed[int(len(harmed) * 0.95)] if len(harmed) > 1 else harmed[0],
        "begun": median(one.begun for one in stopped),
        "hours": round(median(one.hours for one in stopped), 1),
    }


if __name__ == "__main__":
    main()
