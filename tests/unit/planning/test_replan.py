"""Planning again under way: each story is one thing that happened, and what the new plan makes of it."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from tests.unit.planning import bench as b
from tests.unit.planning.replanning import (
    AS_PLANNED,
    CAMPAIGN,
    CATALOGUE,
    INPUTS,
    LIMIT,
    NOW,
    PARENT,
    again,
    follow,
    ids,
    seen,
    told,
)

from fermata.domain import campaign as c
from fermata.domain import policy as pol
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ApprovalId, CustomerId, NodeId, RequestId
from fermata.domain.observed import Fate, Stretch, TailNode, Withdrawal
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code
from fermata.planning.checker import check_plan
from fermata.planning.inputs import Infeasible
from fermata.planning.planner import plan_campaign
from fermata.planning.replan_refuse import ParentRefused

RAN = ["c0-20260105", "r0-20260105", "c1-20260106", "r0-20260106"]
CLOSED = replace(
    INPUTS.policy,
    customers={
        CustomerId("lumen"): pol.Customer(
            id=CustomerId("lumen"),
            deployments=pol.Blocked.NONE,
            repairs=pol.Blocked.NONE,
            except_criticality=frozenset(),
            flighting=pol.Flighting(allowed_roles=frozenset(), max_nodes=0),
            approvers=("lumen-capacity",),
        )
    },
)


ONLY_LATER = c.Where(conditions={"cluster": frozenset({"c2", "c3"})})


def freeze(cluster: str, first: datetime, last: datetime) -> pol.Policy:
    return replace(INPUTS.policy, freezes=(b.make_freeze(cluster, first, last),))


def of_cluster(name: str) -> pol.Scope:
    return pol.Scope(level=pol.ScopeLevel.CLUSTER, name=name)


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def test_when_nothing_happened_every_window_stays_byte_for_byte() -> None:
    plan, diff = follow(again())
    assert plan.windows == PARENT.windows
    assert list(diff.ran) == RAN
    assert diff.changes == ()
    assert [(t.term, t.value, t.bound) for t in plan.objective[:2]] == [
        ("broken_promises", 0, 0),
        ("moved_windows", 0, 0),
    ]
    assert (plan.parent, plan.created_at, plan.solver.status) == (PARENT.id, NOW, "optimal")


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        pytest.param(
            {"campaign": replace(CAMPAIGN, deadline=date(2026, 1, 7))},
            [],
            id="an earlier deadline moves nothing that was told",
        ),
        pytest.param(
            {"campaign": replace(CAMPAIGN, extension_until=date(2026, 1, 8))},
            None,
            id="an end before the last window leaves it no place",
        ),
        pytest.param(
            {"campaign": replace(CAMPAIGN, limits=(replace(LIMIT, at_once=7), *CAMPAIGN.limits[1:]))},
            [
                ("dropped", ["r0-20260107"], [], "CONSENT_AGAIN"),
                ("moved", ["r0-20260108"], ["r0-20260110"], "LIMIT_FULL"),
            ],
            id="a lower cap moves the smaller windows, but none within the notice",
        ),
        pytest.param(
            {"observed": replace(AS_PLANNED, withdrawn=(Withdrawal(scope=of_cluster("c3"), why="a launch"),))},
            [("dropped", ["c3-20260108"], [], "WITHDRAWN")],
            id="a withdrawn cluster is left out and nobody else moves",
        ),
        pytest.param(
            {"observed": seen("c1-20260106", Fate.MISSED)},
            [("moved", ["c1-20260106"], ["c1-20260109"], "DID_NOT_RUN")],
            id="a missed window gets another day",
        ),
        pytest.param(
            {"observed": seen("c3-20260108", Fate.CANCELLED)},
            [("moved", ["c3-20260108"], ["c3-20260109"], "DID_NOT_RUN")],
            id="a window that was called off gets another day",
        ),
        pytest.param(
            {"policy": freeze("c3", at(8), at(10))},
            [("moved", ["c3-20260108"], ["c3-20260110"], "FROZEN")],
            id="a late freeze moves the window that it touches",
        ),
        pytest.param(
            {"policy": freeze("c2", at(7), at(9))},
            [("dropped", ["c2-20260107"], [], "CONSENT_AGAIN")],
            id="a freeze within the notice takes the window's consent with it",
        ),
        pytest.param(
            {"policy": replace(CLOSED, freezes=(b.make_freeze("c2", at(7), at(9)),))},
            [("moved", ["c2-20260107"], ["c2-20260109"], "FROZEN")],
            id="where nobody has to be asked the lost window moves",
        ),
        pytest.param(
            {"observed": seen("r0-20260106", Fate.MISSED)},
            [("moved", ["r0-20260106"], ["r0-20260110"], "DID_NOT_RUN")],
            id="a missed part keeps its nodes and goes when no other part does",
        ),
        pytest.param(
            {"observed": seen("r0-20260106", Fate.DONE, again=(NodeId("r0-r1-n01"),))},
            [("added", [], ["r0-20260110"], "LEFT_OVER")],
            id="a node that its window left gets a window of its own",
        ),
        pytest.param(
            {"observed": replace(AS_PLANNED, repaired=(NodeId("r0-r0-n00"),))},
            [("added", [], ["r0-20260110"], "LEFT_OVER")],
            id="a node that came back from repair is planned again",
        ),
        pytest.param(
            {"observed": seen("r0-20260106", Fate.DONE, tail=(TailNode(node=NodeId("r0-r1-n00"), why="no answer"),))},
            [],
            id="a node in the tail is still its window's business",
        ),
        pytest.param(
            {"observed": seen("c1-20260106", Fate.DONE, again=(NodeId("c1-r0-n00"),))},
            [("added", [], ["c1-20260109"], "LEFT_OVER")],
            id="what hangs on a switch that was not done is left with the node that held it up",
        ),
        pytest.param(
            {"campaign": replace(CAMPAIGN, rolling=c.Rolling(min_fraction_per_day=0.1, max_fraction_per_day=0.1))},
            [
                ("dropped", ["r0-20260107"], [], "CONSENT_AGAIN"),
                ("split", ["r0-20260108"], ["r0-20260109", "r0-20260111"], "SPLIT_ANEW"),
                ("split", ["r0-20260109"], ["r0-20260108", "r0-20260110"], "SPLIT_ANEW"),
            ],
            id="parts that are too large now are divided anew, and ask for a new consent within the notice",
        ),
    ],
)  # fmt: skip
def test_a_story(story: dict[str, Any], expected: list[tuple[str, list[str], list[str], str]] | None) -> None:
    inputs = again(**story)
    if expected is None:
        assert isinstance(plan_campaign(inputs, new_plan_id="plan_2", hashes=b.HASHES), Infeasible)
        return
    plan, diff = follow(inputs)
    assert told(diff) == expected
    assert [w for w in plan.windows if w.id in diff.kept] == [w for w in PARENT.windows if w.id in diff.kept]
    assert check_plan(inputs, plan) == ()


def test_longer_work_keeps_its_start_and_ends_later_or_goes_where_there_is_room() -> None:
    slow = replace(AS_PLANNED, stretch=Stretch(overall=1.4))
    hours = c.DailyWindow(start=time(11), back_in_service_by=time(21), hard_stop=time(22))
    roomy = replace(INPUTS, campaign=replace(CAMPAIGN, daily_window=hours))
    parent = b.planned(roomy)
    plan, diff = follow(replace(roomy, parent=parent, now=NOW, observed=slow))
    assert {(x.change.value, x.cause.code.value) for x in diff.changes} <= {
        ("changed", "LONGER_NOW"),
        ("moved", "LONGER_NOW"),
    }
    ends = {w.id: w.end for w in parent.windows}
    assert all(w.end > ends[w.id] for w in plan.windows if w.start > NOW and w.id in ends)
    assert "minutes now and took" in diff.changes[0].cause.sentence


def test_longer_steps_that_fit_into_the_time_they_had_are_told_so() -> None:
    _, diff = follow(again(observed=replace(AS_PLANNED, stretch=Stretch(overall=1.004))))
    causes = {change.was[0].id: change.cause for change in diff.changes}
    assert causes["r0-20260108"].code is Code.LONGER_WITHIN
    assert causes["r0-20260108"].sentence.endswith("305 of the 305 minutes that it had are enough.")


def test_only_slow_updates_make_windows_longer() -> None:
    quick = replace(AS_PLANNED, stretch=Stretch(overall=1.0, updates={CATALOGUE.production_ready[1].id: 3.0}))
    plan, _ = follow(again(observed=quick))
    lengths = {w.id: w.end - w.start for w in PARENT.windows}
    grown = {w.cluster for w in plan.windows if w.end - w.start > lengths[w.id]}
    assert grown <= {"c2", "c3"}  # the switch update of the others ran, and r0 has none


def test_what_moves_was_far_away_rather_than_near() -> None:
    """One of two equal windows has to go: the later one does."""
    one = c.Limit(what=c.LimitKind.CLUSTER_WINDOWS, at_once=1, first_day=date(2026, 1, 8))
    _, diff = follow(again(campaign=replace(CAMPAIGN, limits=(LIMIT, one))))
    assert [x.was[0].id for x in diff.changes] in (["r0-20260108"], ["c3-20260108"])


def test_a_fleet_that_says_so_already_gives_the_same_plan() -> None:
    plan, _ = follow(again())
    fresh, _ = follow(again(fleet=again().fleet_to_come, observed=replace(AS_PLANNED, in_inventory=True)))
    assert fresh.windows == plan.windows


def test_nodes_that_are_gone_leave_their_window_where_it_is() -> None:
    nodes = {name: node for name, node in INPUTS.fleet.nodes.items() if name != "c3-r1-n00"}
    fleet = Fleet(clusters=INPUTS.fleet.clusters, nodes=nodes, devices=INPUTS.fleet.devices)
    plan, diff = follow(again(fleet=fleet))
    assert told(diff) == [("changed", ["c3-20260108"], ["c3-20260108"], "NODES_GONE")]
    assert len(next(w for w in plan.windows if w.cluster == "c3").nodes) == 5


def test_a_cluster_that_joins_gets_a_window_and_moves_nobody() -> None:
    extra = b.make_cluster("d9")
    fleet = b.make_fleet(
        (*INPUTS.fleet.clusters.values(), extra),
        [*INPUTS.fleet.nodes.values(), *b.make_nodes(extra, (3,))],
        tuple(INPUTS.fleet.devices.values()),
    )
    _, diff = follow(again(fleet=fleet))
    assert told(diff) == [("added", [], ["d9-20260109"], "NEWLY_PLANNED")]


def test_a_new_node_joins_its_cluster_window_if_that_may_still_change() -> None:
    more = replace(INPUTS.fleet.nodes[NodeId("c3-r1-n00")], name=NodeId("c3-r1-n09"))
    fleet = replace(INPUTS.fleet, nodes={**INPUTS.fleet.nodes, more.name: more})
    plan, diff = follow(again(fleet=fleet))
    assert told(diff) == [("changed", ["c3-20260108"], ["c3-20260108"], "NEWLY_PLANNED")]
    assert more.name in next(w for w in plan.windows if w.cluster == "c3").nodes


def test_a_new_node_of_a_window_within_the_notice_goes_apart() -> None:
    more = replace(INPUTS.fleet.nodes[NodeId("c2-r1-n00")], name=NodeId("c2-r1-n09"))
    fleet = replace(INPUTS.fleet, nodes={**INPUTS.fleet.nodes, more.name: more})
    _, diff = follow(again(fleet=fleet))
    assert told(diff) == [("added", [], ["c2-20260108"], "NEWLY_PLANNED")]


def test_a_window_that_is_still_open_keeps_its_nodes_and_its_room() -> None:
    open_now = again(now=at(7, 20))
    plan, diff = follow(open_now)
    assert plan.windows == PARENT.windows
    assert "c2-20260107" in diff.ran


def test_plans_follow_each_other_without_losing_what_ran() -> None:
    first, _ = follow(again(observed=seen("c1-20260106", Fate.MISSED)))
    second, diff = follow(again(first, now=at(9, 4)), "plan_3")
    assert second.windows == first.windows
    assert ids(first.windows)[:3] == ["c0-20260105", "r0-20260105", "r0-20260106"]
    assert list(diff.ran) == ["c0-20260105", "r0-20260105", "r0-20260106", "c2-20260107", "r0-20260107",
                              "c3-20260108", "r0-20260108"]  # fmt: skip


def approve(cluster: str, when: datetime) -> tuple[pol.ConsentEntry, ...]:
    updates = frozenset(update.id for update in CATALOGUE.production_ready)
    scopes = [f"c{i}" for i in range(4)] + ["r0"]
    first = [(name, at(1)) for name in scopes]
    return tuple(
        pol.ConsentEntry(
            seq=seq, id=ApprovalId(f"a{seq}"), request=RequestId(f"request-sc-{name}"), incarnation=1, updates=updates,
            scope=of_cluster(name), verdict=pol.Verdict.APPROVED, actor="lumen-capacity",
            at=given, reason="",
        )
        for seq, (name, given) in enumerate([*first, (cluster, when)], start=1)
    )  # fmt: skip


def test_nodes_that_lost_a_promised_time_wait_until_somebody_says_yes_again() -> None:
    frozen = again(policy=freeze("c2", at(7), at(9)), ledger=approve("c0", at(1)))
    first, _ = follow(frozen)
    assert [(u.cluster, u.reason.code) for u in first.unplanned] == [("c2", Code.CONSENT_AGAIN)]
    later = replace(frozen, parent=first, now=at(8, 4))
    silent, diff = follow(later, "plan_3")
    assert [u.reason for u in silent.unplanned] == [u.reason for u in first.unplanned]
    assert diff.changes == ()
    agreed, diff = follow(replace(later, ledger=approve("c2", at(8))), "plan_3")
    assert agreed.unplanned == ()
    assert told(diff) == [("added", [], ["c2-20260109"], "NEWLY_PLANNED")]


def test_racks_that_are_approved_only_together_by_now_share_a_window() -> None:
    """Each rack had a day of its own; those that ran are left alone."""
    wide = replace(CAMPAIGN, rolling=c.Rolling(min_fraction_per_day=0.2, max_fraction_per_day=0.4))
    thin = replace(CAMPAIGN, rolling=c.Rolling(min_fraction_per_day=0.2, max_fraction_per_day=0.2))
    parent = b.planned(replace(INPUTS, campaign=thin))
    ahead = [w for w in parent.windows if w.cluster == "r0" and w.start > NOW]
    first, last = (ahead[i].nodes[0] for i in (-2, -1))
    racks = [INPUTS.fleet.nodes[name].rack for name in (first, last)]
    *plain, newest = approve("r0", at(6))
    together = replace(
        newest,
        request=RequestId("req_sc-r0_deployment"),
        scope=pol.Scope(level=pol.ScopeLevel.RACK, name=racks[0]),
        conditions=pol.Conditions(with_scope=pol.Scope(level=pol.ScopeLevel.RACK, name=racks[1])),
    )
    plan, _ = follow(again(parent, campaign=wide, ledger=(*plain, together)))
    window = next(w for w in plan.windows if first in w.nodes)
    assert {INPUTS.fleet.nodes[name].rack for name in window.nodes} == set(racks)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"campaign": replace(CAMPAIGN, id="other")}, Code.PARENT_OF_OTHER_CAMPAIGN),
        ({"now": b.NOW - timedelta(days=1)}, Code.PARENT_LATER),
        ({"observed": None}, Code.RAN_UNOBSERVED),
        ({"campaign": replace(CAMPAIGN, first_day=date(2026, 1, 6))}, Code.RAN_OUTSIDE),
        ({"campaign": replace(CAMPAIGN, scope=ONLY_LATER)}, Code.RAN_OUTSIDE),
        ({"observed": replace(AS_PLANNED, in_inventory=True)}, Code.OBSERVED_CONTRADICTED),
    ],
)  # fmt: skip
def test_a_parent_that_cannot_be_followed_is_refused_with_what_to_mend(wrong: dict[str, Any], code: Code) -> None:
    with pytest.raises(ParentRefused) as refused:
        follow(again(**wrong))
    assert refused.value.reason.code is code


def test_a_parent_of_another_fleet_is_refused() -> None:
    other = b.make_fleet((b.make_cluster("x"),), b.make_nodes(b.make_cluster("x"), (3,)))
    with pytest.raises(ParentRefused, match="knows 0 of its 34 nodes"):
        follow(again(fleet=other))


def test_no_place_names_who_has_none_and_the_days_that_would_do() -> None:
    short = replace(CAMPAIGN, extension_until=date(2026, 1, 8))
    outcome = plan_campaign(again(campaign=short), new_plan_id="plan_2", hashes=b.HASHES)
    assert isinstance(outcome, Infeasible)
    assert "No place up to 2026-01-08 for all that is left (" in outcome.clashes[0].sentence
    assert [x.sentence for x in outcome.relaxations] == ["extension_until 2026-01-09, 1 day more, makes it possible."]


def test_equal_inputs_give_equal_plans() -> None:
    def make() -> Plan:
        return follow(again(policy=freeze("c3", at(8), at(10)), observed=seen("c1-20260106", Fate.MISSED)))[0]

    assert make() == make()
