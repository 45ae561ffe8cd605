"""Dashboards and rules ask for what the door gives and for nothing else, and every alert goes off when it should.

Debian's promtool and prometheus judge them where they are installed.
"""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as grafana
from prometheus_client.parser import text_string_to_metric_families
from tests.cli.conftest import line
from tests.cli.line import Line
from tests.doors import world
from tests.doors.conftest import Doors

from fermata.domain.node_states import UnitState
from fermata.domain.run_states import WindowState
from fermata.server.doors.alert_rules import ALERTS, RECORDINGS, rules
from fermata.server.doors.dashboards import DASHBOARDS
from fermata.server.doors.metric_families import FAMILIES

__all__ = ["line"]

NAME = re.compile(r"\bfermata[_:][a-z_:]+")
LABELS = {family.name: set(family.labels) for family in FAMILIES}
RECORDED = {one.name: one.expression for one in RECORDINGS}
RUN = '{campaign="january"}'
WINDOW = '{campaign="january", cluster="alpha", window="w1"}'
PLACE = '{customer="lumen", supercomputer="sc-1", cluster="alpha"}'
QUIET = {  # series with which nothing is wrong, one value a minute for an hour
    f"fermata_nodes{PLACE}": "3x60",
    f"fermata_nodes_overdue{PLACE}": "0x60",
    f"fermata_run_live{RUN}": "1x60",
    f"fermata_run_worked_timestamp_seconds{RUN}": "0+60x60",
    f"fermata_window_behind_seconds{WINDOW}": "60x60",
    f"fermata_window_promise_kept_ratio{WINDOW}": "0.97x60",
    'fermata_limit_used{campaign="january", limit="nodes_out"}': "1800x60",
    'fermata_limit_allowed{campaign="january", limit="nodes_out"}': "1800x60",
    f"fermata_tail_oldest_seconds{RUN}": "3600x60",
    'fermata_tail_units{campaign="january", code="LATE"}': "4x60",
}
LOUD = {  # by alert, what makes it go off
    "FermataSilent": {f"fermata_nodes{PLACE}": None},
    "FermataConductorStandsStill": {f"fermata_run_worked_timestamp_seconds{RUN}": "0x60"},
    "FermataWindowBehind": {f"fermata_window_behind_seconds{WINDOW}": "1200x60"},
    "FermataPromiseAtRisk": {f"fermata_window_promise_kept_ratio{WINDOW}": "0.5x60"},
    "FermataDeadlineAtRisk": {'fermata_needs_person{campaign="january", code="DEADLINE_AT_RISK"}': "1x60"},
    "FermataNodesOutOfOurHands": {'fermata_tail_units{campaign="january", code="NODE_ASTRAY"}': "2x60"},
    "FermataLimitExceeded": {'fermata_limit_used{campaign="january", limit="nodes_out"}': "1801x60"},
    "FermataTailOld": {f"fermata_tail_oldest_seconds{RUN}": "200000x60"},
    "FermataRequestOverdue": {f"fermata_nodes_overdue{PLACE}": "2x60"},
}
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's package prometheus is not there")


def names_in(value: object) -> set[str]:
    return set(NAME.findall(json.dumps(value)))


def asked_for(expression: str) -> set[str]:
    """The families behind it, those of recorded series included."""
    found = names_in(expression)
    return {name for one in found for name in (names_in(RECORDED[one]) if one in RECORDED else {one})}


def expressions() -> Iterator[str]:
    for make in DASHBOARDS.values():
        for panel in make()["panels"]:
            yield from (target["expr"] for target in panel["targets"])
    for group in rules()["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def test_only_what_the_door_gives_is_asked_for_and_all_of_it_is_given(doors: Doors) -> None:
    text = httpx.get(f"{doors.url}/metrics").text
    given = {family.name for family in text_string_to_metric_families(text)}
    assert set(LABELS) <= given, "families without a sample, too"
    for expression in expressions():
        assert asked_for(expression)
        assert asked_for(expression) <= set(LABELS), expression


def test_only_labels_that_the_families_have_are_named() -> None:
    named = re.compile(r"\$labels\.(\w+)")
    for alert in ALERTS:
        has = set.union(*(LABELS[name] for name in asked_for(alert.expression)))
        said = set(named.findall(alert.summary + alert.what_to_do))
        assert said <= has, alert.name
        grouped = re.search(r"by \(([^)]*)\)", alert.expression)
        assert grouped is None or said <= set(grouped[1].split(", ")) <= has, alert.name
    for make in DASHBOARDS.values():
        for panel in make()["panels"]:
            (target,) = panel["targets"]
            has = set.union(*(LABELS[name] for name in asked_for(target["expr"])))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= has, panel["title"]


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    for alert in ALERTS:
        assert alert.summary.endswith("."), alert.name
        assert len(alert.what_to_do) > 40, alert.name
        assert not re.search(r"(?<!\{)\{\w+\}(?!\})", alert.what_to_do), "a name that nobody filled in"
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)


def test_the_run_is_told_as_status_tells_it(doors: Doors) -> None:
    planned = world.with_steps()
    world.publish(doors.db, planned)
    world.conduct(
        doors.db, WindowState.OPEN, {"alpha-n0": UnitState.FAILED, "alpha-n1": UnitState.APPLYING}, planned=planned
    )
    status = httpx.get(f"{doors.url}/api/v1/run").json()
    text = httpx.get(f"{doors.url}/metrics").text
    found = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    for name in ("planned", "returned", "out"):
        assert found[f"fermata_run_nodes_{name}"] == status[f"nodes_{name}"], name
    assert found["fermata_run_nodes_in_service"] == status["in_service"]
    assert found["fermata_run_live"] == 1
    assert ("fermata_tail_units" in found) == bool(status["tail"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_one_of_grafanas_model_and_its_panels_do_not_overlap(name: str) -> None:
    """What its model does not know would be lost on the way through it."""
    made = DASHBOARDS[name]()
    read = json.loads(json.dumps(grafana.Dashboard.from_json(made), cls=JSONEncoder))
    assert lost(made, read) == []
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])


def lost(given: Any, found: Any, path: str = "") -> list[str]:
    if isinstance(given, dict):
        if not isinstance(found, dict):
            return [path]
        return [bad for key in given for bad in lost(given[key], found.get(key), f"{path}.{key}")]
    if isinstance(given, list):
        if not isinstance(found, list) or len(given) != len(found):
            return [path]
        return [bad for n, (a, b) in enumerate(zip(given, found, strict=True)) for bad in lost(a, b, f"{path}[{n}]")]
    return [] if given == found else [path]


@promtool
def test_promtool_finds_nothing_wrong_with_the_rules_that_the_command_writes(line: Line, tmp_path: Path) -> None:
    answer = line.run("metrics", "rules", "--out", str(tmp_path / "made"), "--json", store=False)
    (file,) = answer.json["files"]
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"{len(ALERTS) + len(RECORDINGS)} rules found" in done.stdout
    boards = line.run("metrics", "dashboards", "--out", str(tmp_path / "made"), "--json", store=False).json["files"]
    assert [json.loads(Path(one).read_text()) for one in boards] == [make() for make in DASHBOARDS.values()]


@promtool
@pytest.mark.parametrize("name", [None, *(alert.name for alert in ALERTS)])
def test_an_alert_goes_off_when_it_should_and_at_no_other_time(tmp_path: Path, name: str | None) -> None:
    series = {**QUIET, **(LOUD[name] if name else {})}
    tests = [
        {"eval_time": "55m", "alertname": alert.name} for alert in ALERTS
    ]  # none is expected: who goes off is told
    inputs = [{"series": key, "values": values} for key, values in series.items() if values is not None]
    (tmp_path / "rules.json").write_text(json.dumps(rules()))
    (tmp_path / "test.json").write_text(
        json.dumps(
            {"rule_files": ["rules.json"], "evaluation_interval": "1m",
             "tests": [{"interval": "1m", "input_series": inputs, "alert_rule_test": tests}]}
        )
    )  # fmt: skip
    done = subprocess.run(
        ["promtool", "test", "rules", "test.json"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    assert set(re.findall(r"alertname: (\w+)", told)) == ({name} if name else set()), told
    assert done.returncode == (1 if name else 0)


@contextmanager
def scraping(folder: Path, target: str) -> Iterator[str]:
    """The URL of a Prometheus that scrapes `target` each second and works out our rules."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "rules.json").write_text(json.dumps(rules()))
    (folder / "prometheus.json").write_text(
        json.dumps(
            {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": ["rules.json"],
             "scrape_configs": [{"job_name": "fermata", "static_configs": [{"targets": [target]}]}]}
        )
    )  # fmt: skip
    child = subprocess.Popen(
        ["prometheus", "--config.file=prometheus.json", f"--web.listen-address=127.0.0.1:{port}",
         "--storage.tsdb.path=data"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(20)


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Debian's package prometheus is not there")
def test_a_real_prometheus_scrapes_records_and_answers_every_panel(doors: Doors, tmp_path: Path) -> None:
    planned = world.with_steps()
    world.publish(doors.db, planned)
    world.conduct(doors.db, WindowState.OPEN, {"alpha-n1": UnitState.APPLYING}, planned=planned)
    with scraping(tmp_path, doors.place) as url, httpx.Client(base_url=url) as client:
        end = time.monotonic() + 60
        while not (recorded := ask(client, "fermata:nodes_returned:ratio")):
            assert time.monotonic() < end, "nothing was scraped within a minute"
            time.sleep(0.5)
        assert recorded[0]["metric"]["campaign"] == world.campaign().id
        for expression in expressions():
            assert ask(client, expression) is not None, expression
        groups = client.get("/api/v1/rules").json()["data"]["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
        assert sum(len(group["rules"]) for group in groups) == len(ALERTS) + len(RECORDINGS)


def ask(client: httpx.Client, query: str) -> list[dict[str, Any]] | None:
    """What Prometheus answers; None when it refuses or is not there yet."""
    try:
        answer = client.get("/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return None
    return list(answer.json()["data"]["result"]) if answer.status_code == 200 else None
