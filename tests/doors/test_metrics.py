"""What Prometheus scrapes and Grafana reads; Debian's promtool judges it where it is installed."""

import json
import shutil
import subprocess
from datetime import timedelta

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain.node_states import UnitState
from fermata.domain.policy import ScopeLevel
from fermata.domain.run_states import WindowState


def scrape(doors: Doors) -> dict[str, float]:
    """Figures of cluster alpha, by their name without `fermata_`; of rules, the rule's name behind it."""
    text = httpx.get(f"{doors.url}/metrics").text
    return {
        sample.name.removeprefix("fermata_")
        + (f":{sample.labels['rule']}" if "rule" in sample.labels else ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("cluster") == "alpha"
    }


def test_figures_follow_what_the_customer_says_and_what_is_done(doors: Doors) -> None:
    before = scrape(doors)
    assert before == {
        "nodes": 3,
        "nodes_pending": 3,
        "nodes_approved": 0,
        "nodes_unapproved": 3,
        "nodes_overdue": 0,
        "nodes_held": 0,
        "nodes_frozen": 0,
        "nodes_in_maintenance": 0,
        "nodes_blocked:block.deployments": 3,
    }
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.withdraw(doors.db, ScopeLevel.NODE, "alpha-n0")
    after = scrape(doors)
    assert (after["nodes_held"], after["nodes_blocked:block.deployments"]) == (1, 3), "they share a leaf switch"
    world.approve(doors.db, ScopeLevel.CLUSTER, "alpha")
    world.publish(doors.db)
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.APPLYING}, planned=world.window())
    done = scrape(doors)
    assert (done["nodes_approved"], done["nodes_overdue"], done["nodes_in_maintenance"]) == (3, 0, 1)
    assert not any(name.startswith("nodes_blocked") for name in done)


def test_nodes_are_overdue_once_the_notice_that_was_promised_is_over(doors: Doors) -> None:
    assert scrape(doors)["nodes_overdue"] == 0, "what is due already was told just now"
    doors.clock.at += timedelta(days=90)
    assert scrape(doors)["nodes_overdue"] == 3


def test_a_freeze_that_lasts_blocks(doors: Doors) -> None:
    doors.clock.at = doors.clock.at.replace(day=10)
    found = scrape(doors)
    assert (found["nodes_frozen"], found["nodes_blocked:freeze:f1"]) == (1, 1)


def test_grafana_reads_rows_and_imports_a_dashboard_that_asks_for_metrics_there_are(doors: Doors) -> None:
    told = httpx.get(f"{doors.url}/metrics/rows.json").json()
    (alpha,) = [row for row in told["clusters"] if row["cluster"] == "alpha"]
    assert (alpha["customer"], alpha["pending"], alpha["unapproved"]) == ("lumen", 3, 3)
    assert told["blocked"][0] == {
        "customer": "lumen", "supercomputer": "sc-1", "cluster": "alpha", "rule": "block.deployments", "nodes": 3,
    }  # fmt: skip
    text = httpx.get(f"{doors.url}/metrics").text
    board = httpx.get(f"{doors.url}/metrics/grafana.json").json()
    asked = json.dumps([panel["targets"] for panel in board["panels"]])
    names = {word for word in asked.replace("(", " ").replace(")", " ").split() if word.startswith("fermata_")}
    assert names
    assert all(f"# HELP {name.strip(chr(34) + ',')} " in text for name in names)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) == 12


def test_a_scraper_may_ask_for_openmetrics(doors: Doors) -> None:
    answer = httpx.get(f"{doors.url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's package prometheus is not there")
def test_promtool_finds_nothing_wrong(doors: Doors) -> None:
    text = httpx.get(f"{doors.url}/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
