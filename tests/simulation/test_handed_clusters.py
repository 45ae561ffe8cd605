"""A cluster that goes to another customer after its windows were planned: that customer's policy is asked, as windows
open and as nodes go back, and not the former one's.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_approvals import say
from tests.simulation.test_conduct import states, windows

from fermata.domain.ids import CustomerId, NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import Conditions, PolicyRule, Stance, Verdict
from fermata.domain.reasons import Code
from fermata.services.readmission import MayReturn, judge_nodes
from fermata.store import inventory

pytestmark = pytest.mark.databases("sqlite")

NEXT = CustomerId("orrery")


def set_up(folder: Path, stance: Stance) -> stagehand.Rig:
    """Its customer lets everything go without being asked, and nobody approved anything. The next one does not."""
    rig = stagehand.set_up(stagehand.fresh_sqlite(folder), folder, fleet=small.fleet(out_of_service=0))
    say(rig, "supercomputer sc", Conditions(), Verdict.WITHDRAWN)
    stated = small.policy()
    own = replace(stated.customers[small.CUSTOMER], rules=(PolicyRule(id="open", stance=Stance.ALLOW),))
    other = replace(own, id=NEXT, rules=(PolicyRule(id="closed", stance=stance),))
    with rig.database.begin() as conn:
        inventory.save_policy(conn, replace(stated, customers={small.CUSTOMER: own, NEXT: other}))
    return rig


def hand_over(rig: stagehand.Rig) -> None:
    with rig.database.begin() as conn:
        found = inventory.load_fleet(conn)
        handed = {name: replace(cluster, customer=NEXT) for name, cluster in found.clusters.items()}
        inventory.save_fleet(conn, replace(found, clusters=handed))


def test_as_long_as_it_stays_its_windows_go_by_its_policy(tmp_path: Path) -> None:
    rig = set_up(tmp_path, Stance.BLOCK)
    rig.conduct()
    assert set(states(rig).values()) == {UnitState.RETURNED}


@pytest.mark.parametrize(
    ("stance", "code"),
    [(Stance.BLOCK, Code.POLICY_BLOCKS), (Stance.NEEDS_APPROVAL, Code.APPROVAL_WITHDRAWN)],
)
def test_no_node_of_a_cluster_that_was_handed_over_goes_by_the_former_customers_policy(
    tmp_path: Path, stance: Stance, code: Code
) -> None:
    rig = set_up(tmp_path, stance)
    hand_over(rig)
    rig.conduct()
    assert states(rig) == {}
    assert {left.reason.code for left in windows(rig)["win-c0"].left_out} == {code}


def test_no_node_goes_back_with_what_the_customer_whose_it_is_by_then_does_not_let_through(tmp_path: Path) -> None:
    rig = set_up(tmp_path, Stance.BLOCK)
    done = []

    def hand_over_late(point: str) -> None:
        if point == "observed" and not done:
            done.append(hand_over(rig))

    rig.conduct(crash=hand_over_late, until=small.START + stagehand.hours(8))
    assert UnitState.RETURNED not in states(rig).values()
    (answer,) = judge_nodes(rig.database, [NodeId("c0-n001")])
    assert answer.answer is MayReturn.NO
    assert [why.code for why in answer.missing] == [Code.RETURN_CONSENT]
