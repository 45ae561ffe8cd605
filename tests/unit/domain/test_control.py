"""Which windows go first."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation import small

from fermata.domain.control import choose_control
from fermata.domain.ids import ClusterId, RunId
from fermata.services.runs import window_row

FLEET, CATALOGUE, CAMPAIGN = small.fleet(clusters=4, nodes=8), small.catalogue(), small.campaign()
STARTS = [small.START + n * timedelta(days=1) for n in range(4)]
PLAN = small.plan(FLEET, CATALOGUE, CAMPAIGN, STARTS)
ROWS = [window_row(RunId("run_1"), PLAN, window, CAMPAIGN) for window in PLAN.windows]


@pytest.mark.parametrize(
    ("fraction", "chosen"),
    [(0.24, set()), (0.25, {"win-c0"}), (0.5, {"win-c0", "win-c3"}), (0.75, {"win-c0", "win-c1", "win-c3"})],
)
def test_first_windows_go_first_and_one_of_every_sku_before_them(fraction: float, chosen: set[str]) -> None:
    other = ClusterId("c3")
    clusters = {**FLEET.clusters, other: replace(FLEET.clusters[other], sku="GB200")}
    assert choose_control(ROWS, clusters, fraction) == chosen
