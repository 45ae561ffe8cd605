"""Campaigns of January's size over other fleets, under other rules: planned near their bounds, or rightly refused."""

from collections import Counter
from pathlib import Path

import pytest
from benchmarks.fleets import write_varied
from tests.corpus.judge import replay

from fermata.formats.scenario import read_scenario
from fermata.planning.inputs import Infeasible, Planned

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NEAR = 0.01


def test_seeds_make_the_same_fleets_every_time_and_other_seeds_others(tmp_path: Path) -> None:
    def files(name: str, seed: int) -> list[bytes]:
        folder = write_varied(tmp_path / name, seed)
        return [file.read_bytes() for file in sorted(folder.rglob("*.*"))]

    assert files("one", 2) == files("two", 2)
    assert files("one", 2) != files("three", 3)


@pytest.mark.parametrize("seed", [5, 7])
def test_every_term_of_another_fleet_ends_near_its_bound(seed: int, tmp_path: Path) -> None:
    outcome = replay(write_varied(tmp_path, seed))  # the planner raises when the checker faults its plan
    assert isinstance(outcome, Planned)
    for term in outcome.plan.objective:
        assert term.bound <= term.value <= term.bound * (1 + NEAR), term


@pytest.mark.parametrize(("seed", "limit"), [(2, 1), (4, 1), (11, 2)])
def test_a_fleet_with_a_cluster_that_a_share_never_lets_out_has_no_plan(seed: int, limit: int, tmp_path: Path) -> None:
    """Counted here once more: nodes of one cluster in the share, more than the share, and no leave to roll."""
    folder = write_varied(tmp_path, seed)
    outcome = replay(folder)
    assert isinstance(outcome, Infeasible)
    (clash,) = outcome.clashes
    assert clash.rule.startswith(f"limits[{limit}] nodes_out")
    read = read_scenario(folder)
    told, clusters = read.campaign.limits[limit], read.fleet.clusters
    scope = read.campaign.scope
    members = [n for n in read.fleet.nodes.values() if scope.select([n], clusters[n.cluster])]
    counted = Counter(n.cluster for n in members if told.where.select([n], clusters[n.cluster]))
    assert told.at_once_fraction is not None
    most = int(told.at_once_fraction * counted.total())
    named = [name for name in clusters if name in clash.sentence.replace(",", "").split()]
    assert named
    for name in named:
        assert counted[name] > most
        assert not clusters[name].rolling_allowed
