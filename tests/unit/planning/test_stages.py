"""A search tells how far it is, and is the same whether anybody watches or not."""

from tests.unit.planning import bench as b

from fermata.domain import campaign as c
from fermata.planning.planner import plan_campaign
from fermata.planning.search import SearchOptions
from fermata.planning.stages import Stage


def test_stages_are_told_in_order_with_each_preference_and_change_nothing() -> None:
    cluster = b.make_cluster("c0")
    inputs = b.make_inputs(
        b.make_fleet([cluster], b.make_nodes(cluster, [4])), b.make_catalogue(b.LONG_NIC), b.make_campaign()
    )
    told: list[tuple[Stage, str]] = []
    watching = SearchOptions(watch=lambda stage, detail: told.append((stage, detail)))
    watched = plan_campaign(inputs, new_plan_id="plan_1", hashes=b.HASHES, options=watching)
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == [Stage.LENGTHS, Stage.FIRST, Stage.BETTER, Stage.PROVING, Stage.CHECKING]
    assert [detail for stage, detail in told if stage is Stage.PROVING] == ["finish_by_deadline", "fewest_windows"]
    assert watched == b.plan(inputs)


def test_the_search_for_why_there_is_no_plan_is_told_too() -> None:
    cluster = b.make_cluster("c0")
    shut = b.make_campaign(limits=(c.Limit(what=c.LimitKind.NODES_OUT, at_once=0),))
    inputs = b.make_inputs(b.make_fleet([cluster], b.make_nodes(cluster, [4])), b.make_catalogue(b.LONG_NIC), shut)
    told: list[Stage] = []
    watching = SearchOptions(watch=lambda stage, _: told.append(stage))
    plan_campaign(inputs, new_plan_id="plan_1", hashes=b.HASHES, options=watching)
    assert told[-1] is Stage.EXPLAINING
