"""`fermata plan CAMPAIGN` on a store, then publish and start: consent decides what a plan holds."""

from pathlib import Path

import pytest
from tests.cli.line import Line
from tests.cli.test_plan import write_folder


@pytest.fixture
def small(line: Line, tmp_path: Path) -> Line:
    """A store with one cluster of two nodes whose customer blocks everything."""
    assert line.run("import", "scenario", str(write_folder(tmp_path / "blocked", nodes_out=10))).code == 0
    return line


def test_plan_of_a_store_holds_what_consent_covers_and_says_what_is_missing(small: Line) -> None:
    assert small.run("approve", "node", "alpha-n0").code == 0
    made = small.run("plan", "small", "--json").json
    assert made["consent"] == "recorded"
    assert [window["nodes"] for window in made["windows"]] == [["alpha-n0"]]
    (left_out,) = made["unplanned"]
    assert left_out["nodes"] == ["alpha-n1"]
    assert left_out["reason"] == "APPROVAL_MISSING"
    assert "req_sc-1_deployment" in left_out["sentence"]


def test_plan_made_before_a_withdrawal_is_not_published_and_the_next_one_is(small: Line) -> None:
    assert small.run("approve", "cluster", "alpha").code == 0
    first = small.run("plan", "small", "--json").json["id"]
    assert small.run("withdraw", "node", "alpha-n0").code == 0
    assert small.run("publish", first, "--json").json["error"]["code"] == "PLAN_VIOLATES"
    second = small.run("plan", "small", "--json").json["id"]
    assert small.run("publish", second).code == 0
    assert small.run("start").code == 0
    assert "running" in small.run("status").out


def test_campaign_that_the_store_does_not_hold_is_refused_and_a_missing_folder_is_a_usage_error(small: Line) -> None:
    assert small.run("plan", "nosuch", "--json").json["error"]["code"] == "CAMPAIGN_UNKNOWN"
    assert small.run("plan", "./nosuch").code == 2
    assert small.run("plan", "small", "--approvals", str(small.small.folder / "policy.yaml")).code == 2
