"""How long a window is planned and how sure its end is."""

from dataclasses import replace

import pytest
from tests.unit.planning import bench as b

from fermata.domain.campaign import Fallout
from fermata.domain.pending import find_pending
from fermata.domain.updates import Duration, Impact
from fermata.planning.confidence import CONFIDENCE_WANTED, Minutes, choose_minutes, find_end_confidence
from fermata.planning.confidence import find_ready_minutes as find_ready
from fermata.planning.sequence import lay_out_window

CAMPAIGN = b.make_campaign(fallout=Fallout(fraction=0.015, mean_days_to_repair=2))


def ready_of(p90: float) -> tuple[Minutes, int]:
    nic = replace(b.make_update("nic", "nic_fw", 60, Impact.REBOOTFUL), duration_minutes=Duration(p50=60, p90=p90))
    cluster = b.make_cluster("alpha")
    nodes = b.make_nodes(cluster, [10])
    fleet = b.make_fleet([cluster], nodes)
    catalogue = b.make_catalogue(nic)
    steps = lay_out_window(nodes, [], fleet=fleet, pending=find_pending(fleet, catalogue), catalogue=catalogue)
    return find_ready(steps.steps, catalogue), steps.minutes


def test_window_ends_when_it_is_as_sure_as_wanted() -> None:
    ready, least = ready_of(90)
    minutes = choose_minutes(ready, 300, least=least, campaign=CAMPAIGN)
    assert find_end_confidence(ready, minutes, 300, CAMPAIGN) >= CONFIDENCE_WANTED
    assert find_end_confidence(ready, minutes - 1, 300, CAMPAIGN) < CONFIDENCE_WANTED


def test_wider_durations_make_longer_windows() -> None:
    narrow, wide = (choose_minutes(*ready_of(p90)[:1], 100, least=80, campaign=CAMPAIGN) for p90 in (70, 120))
    assert narrow < wide


def test_confidence_of_a_small_window_is_told_as_low_as_fallout_makes_it() -> None:
    ready, least = ready_of(90)
    minutes = choose_minutes(ready, 36, least=least, campaign=CAMPAIGN)
    told = find_end_confidence(ready, minutes, 36, CAMPAIGN)
    assert told == pytest.approx(0.84, abs=0.02)  # 1 of 36 may miss; 1.5 % fall out and 0.5 % are late


def test_without_fallout_all_ready_is_certain() -> None:
    ready, _ = ready_of(90)
    assert find_end_confidence(ready, 10_000, 36, b.make_campaign()) == 1.0
