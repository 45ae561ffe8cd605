"""Simulates a plan as a whole campaign, many times: every node of every window, and repairs of those that fall out."""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.domain.ids import ClusterId
from fermata.domain.plans import Plan
from fermata.planning.dice import Minutes
from fermata.planning.inputs import PlanningInput
from fermata.planning.rehearsal import play_window
from fermata.planning.risk.day import DayPlay, Tail
from fermata.planning.risk.figures import CampaignRisk, PlannedFigures
from fermata.planning.risk.luck import CORRELATION, ClusterFate, Fate, cluster_fates, draw_repairs
from fermata.planning.risk.record import Record, judge
from fermata.planning.risk.stage import DAY_MINUTES, Cap, Scene, Stage, set_stage

BLOCK = 125  # runs at once: a day of 2,000 nodes is then 1 MB, and a caller can tell how far it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What to simulate: how often, with which seed, how much runs have in common, and whether windows wait too.

    `correlation` is the share, 0 to 1, of a duration's spread that is common to a campaign or to a cluster of it.
    """

    runs: int = 1000
    seed: int = 1
    correlation: float = CORRELATION
    with_gate: bool = False


def simulate_plan(inputs: PlanningInput, plan: Plan, asked: Simulation) -> CampaignRisk:
    """The figures of all runs. Equal arguments give equal figures."""
    campaigns = Campaigns(inputs, plan, asked)
    return campaigns.judge([campaigns.play(block) for block in range(campaigns.blocks)])


class Campaigns:
    """The runs of one simulation in blocks that do not depend on each other: play them in any order, then judge."""

    def __init__(self, inputs: PlanningInput, plan: Plan, asked: Simulation) -> None:
        self._stage = set_stage(inputs, plan)
        self._asked = asked
        self._modes = (False, True) if asked.with_gate else (False,)

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self._asked.runs // BLOCK)

    @property
    def caps(self) -> tuple[Cap, ...]:
        """The limits that are watched, in the order of the records' columns."""
        return self._stage.caps

    def play(self, block: int) -> tuple[Record, ...]:
        """Plays one block, numbered from 0: a record for each mode."""
        stage, asked = self._stage, self._asked
        runs = min(BLOCK, asked.runs - block * BLOCK)
        seed = (asked.seed, block)
        fate = Fate.draw(stage.inputs.catalogue, runs=runs, seed=seed, correlation=asked.correlation)
        fates = cluster_fates(fate, stage.clusters)
        sides = [(gated, Record.of(stage, runs), Tail()) for gated in self._modes]
        first = 0
        for number, (_, scenes) in enumerate(stage.days):
            back = [self._play_scene(scene, fate, fates) for scene in scenes]
            for gated, record, tail in sides:
                play = DayPlay(scenes=scenes, back=back, caps=stage.caps, tail=tail, gated=gated)
                play.play()
                record.add(number, first, play)
                if number + 1 < len(stage.days):
                    play.hand_over(min(scene.start for scene in stage.days[number + 1][1]))
            first += len(scenes)
        return tuple(record for _, record, _ in sides)

    def judge(self, played: Sequence[tuple[Record, ...]]) -> CampaignRisk:
        """The figures of all blocks, in their order."""
        return CampaignRisk(
            runs=self._asked.runs,
            seed=self._asked.seed,
            correlation=self._asked.correlation,
            planned=_count_planned(self._stage),
            modes=tuple(
                judge(self._stage, [records[number] for records in played], gated=gated)
                for number, gated in enumerate(self._modes)
            ),
        )

    def _play_scene(self, scene: Scene, fate: Fate, fates: dict[ClusterId, ClusterFate]) -> Minutes:
        """Minutes after the window's start at which each node is back, repairs included."""
        inputs = self._stage.inputs
        fallout = inputs.campaign.fallout
        luck = fate.make_luck(fates[scene.window.cluster], fallout.fraction)
        back = play_window(scene.steps, scene.cast, catalogue=inputs.catalogue, luck=luck)
        draw_repairs(fate.random, back, fallout.mean_days_to_repair * DAY_MINUTES)
        return back


def _count_planned(stage: Stage) -> PlannedFigures:
    scenes = stage.scenes
    late_days = [max(0, _days_after(scene.end, stage.deadline_day_end)) for scene in scenes]
    return PlannedFigures(
        windows=len(scenes),
        nodes=sum(scene.cast.nodes for scene in scenes),
        kept=sum(scene.window.end_confidence for scene in scenes),
        late_windows=sum(scene.end > stage.deadline for scene in scenes),
        late_node_days=sum(days * scene.cast.nodes for days, scene in zip(late_days, scenes, strict=True)),
        lost_node_hours=sum((scene.end - scene.start) / 60 * scene.cast.nodes for scene in scenes),
    )


def _days_after(minute: int, midnight: int) -> int:
    return -(-(minute - midnight) // DAY_MINUTES)
