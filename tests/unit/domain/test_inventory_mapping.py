"""How what a source says becomes nodes and devices: a table for each part of a rule, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.constraints import world as w

from fermata.domain.fleet import Cluster, NodeState, Role
from fermata.domain.ids import ClusterId, NodeId, SourceId
from fermata.domain.inventory_mapping import NODE_COLUMNS, Unsaid, find_value, map_report
from fermata.domain.inventory_reports import Facts, Report
from fermata.domain.reasons import Code
from fermata.domain.sources import Rule, Slurm, Source, UnitRules

STATED: dict[ClusterId, Cluster] = {ClusterId("alpha"): w.cluster("alpha")}
SAID = {"cluster": "alpha", "rack": "r1", "fd": "fd0", "su": "su0", "tier": "production", "load": "chat", "up": "yes"}
COLUMNS = {
    "cluster": Rule(text="{cluster}"),
    "rack": Rule(text="{cluster}-{rack}"),
    "fault_domain": Rule(text="{fd}"),
    "scalable_unit": Rule(text="{su}"),
    "role": Rule(text="{tier}", values={"production": "prod", "canary": "test"}),
    "workload": Rule(text="{load}", otherwise="idle"),
    "state": Rule(text="{up}", values={"yes": "in_service", "no": "out_of_service"}),
    "gpus": Rule(text="{gres}", match=r"gpu:(\d+)"),
}


def source(columns: dict[str, Rule] = COLUMNS, only: tuple[Rule, ...] = ()) -> Source:
    rules = UnitRules(only=only, columns=columns, components={"nic_fw": Rule(text="{nic}")})
    return Source(
        id=SourceId("s1"), reach=Slurm(), every=timedelta(minutes=15), stale_after=timedelta(hours=1), nodes=rules
    )


def read(*facts: Facts, of: Source | None = None) -> Report:
    return map_report(of or source(), facts, STATED, observed_at=datetime(2026, 1, 2, tzinfo=UTC))


def facts(name: str = "n1", **changed: str | None) -> Facts:
    said = {**SAID, **changed}
    return Facts(name=name, fields={key: value for key, value in said.items() if value is not None})


@pytest.mark.parametrize(
    ("rule", "fields", "value"),
    [
        (Rule(text="alpha"), {}, "alpha"),
        (Rule(text="{a}"), {"a": "x"}, "x"),
        (Rule(text="{a}-{b.c/d}"), {"a": "x", "b.c/d": "y"}, "x-y"),
        (Rule(text="{a}", otherwise="z"), {}, "z"),
        (Rule(text="{a}", otherwise="z"), {"a": ""}, "z"),
        (Rule(text="{a}", match="r[0-9]+"), {"a": "hall1-r12-n3"}, "r12"),
        (Rule(text="{a}", match="-(r[0-9]+)-"), {"a": "hall1-r12-n3"}, "r12"),
        (Rule(text="{a}", values={"x": "y"}), {"a": "x"}, "y"),
        (Rule(text="{a}", match="^(.)", values={"p": "prod"}), {"a": "p3"}, "prod"),
        (Rule(text="{a}"), {"a": "{b}", "b": "never"}, "{b}"),
    ],
)
def test_a_rule_gives(rule: Rule, fields: dict[str, str], value: str) -> None:
    assert find_value(rule, Facts(name="n", fields=fields)) == value


@pytest.mark.parametrize(
    ("rule", "fields", "why"),
    [
        (Rule(text="{a}"), {}, "it says no a"),
        (Rule(text="{a}-{b}"), {"a": "x"}, "it says no b"),
        (Rule(text="{a}", match="r[0-9]"), {"a": "x"}, '"x" does not match'),
        (Rule(text="{a}", match="r([0-9]*)"), {"a": "r"}, "does not match"),
        (Rule(text="{a}", values={"x": "y"}), {"a": "z"}, '"z" is none of x'),
        (Rule(text="{a}", values={"x": "y"}, otherwise="q"), {"a": "z"}, "is none of x"),
    ],
)
def test_a_rule_does_not_guess(rule: Rule, fields: dict[str, str], why: str) -> None:
    with pytest.raises(Unsaid, match=why):
        find_value(rule, Facts(name="n", fields=fields))


def test_a_node_is_what_its_rules_say() -> None:
    node = read(facts(gres="gpu:8", nic="28.43")).nodes[NodeId("n1")]
    assert (node.cluster, node.rack, node.role, node.workload) == ("alpha", "alpha-r1", Role.PROD, "chat")
    assert (node.state, node.gpus, node.versions) == (NodeState.IN_SERVICE, 8, {"nic_fw": "28.43"})


def test_what_may_be_left_out_is_unknown_not_zero() -> None:
    node = read(facts(load=None)).nodes[NodeId("n1")]
    assert (node.workload, node.gpus, node.versions) == ("idle", None, {"nic_fw": ""})


@pytest.mark.parametrize("column", NODE_COLUMNS)
def test_a_node_of_which_a_column_is_missing_is_not_taken_in(column: str) -> None:
    report = read(facts(), of=source({**COLUMNS, column: Rule(text="{nowhere}")}))
    assert report.nodes == {}
    (left,) = report.not_taken
    assert (left.unit, left.reason.code) == ("n1", Code.SOURCE_SAYS_TOO_LITTLE)
    assert f"not its {column}: it says no nowhere" in left.reason.sentence


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"rack": "r\n1"}, "is no name"),
        ({"rack": "r1 "}, "is no name"),
        ({"rack": "r" * 200}, "is no name"),
        ({"nic": "28 43"}, "is no version"),
        ({"nic": "2" * 129}, "is no version"),
        ({"gres": "gpu:99999"}, "is no count"),
        ({"up": "maybe"}, "is none of yes, no"),
    ],
)
def test_a_value_that_cannot_be_one_keeps_the_node_out(changed: dict[str, str], sentence: str) -> None:
    report = read(facts(**changed))
    assert (report.nodes, len(report.not_taken)) == ({}, 1)
    assert sentence in report.not_taken[0].reason.sentence


def test_others_are_taken_in_beside_one_that_is_not() -> None:
    report = read(facts("n1"), facts("n2", rack=None), facts("n3"))
    assert (sorted(report.nodes), [left.unit for left in report.not_taken]) == (["n1", "n3"], ["n2"])
    assert report.named("node") == {"n1", "n2", "n3"}


def test_a_node_named_twice_is_not_taken_in_as_either() -> None:
    report = read(facts("n1"), facts("n1", rack="r2"), facts("n2"))
    assert sorted(report.nodes) == ["n2"]
    assert [(left.unit, left.reason.code) for left in report.not_taken] == [("n1", Code.SOURCE_NAMES_TWICE)]


def test_what_is_not_ours_is_passed_over_in_silence() -> None:
    report = read(
        facts("n1", kind="gpu"), facts("login", kind="login"), of=source(only=(Rule(text="{kind}", match="gpu"),))
    )
    assert (sorted(report.nodes), report.not_taken) == (["n1"], ())


def test_clusters_are_those_stated_that_units_stand_in() -> None:
    assert sorted(read(facts()).clusters) == ["alpha"]
    assert sorted(read(facts(cluster="beta")).clusters) == []
    assert sorted(read().clusters) == []
