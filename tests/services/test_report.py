"""The report of a conducted campaign: every node accounted for, every limit measured, in three forms."""

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores

from fermata.cli.output import Fitted
from fermata.cli.report import report_parts
from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.failures import FailureKind
from fermata.domain.report import Outcome, Report
from fermata.formats.report import report_to_json
from fermata.server.web.report import render_report
from fermata.services.errors import Refusal
from fermata.services.report import make_report
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import inventory
from fermata.store.database import Database

__all__ = ["closed_stores"]  # a fixture

TROUBLE = replace(NO_FAULTS, fails=0.05, hangs=0.03, false_done=0.1, fallout=0.1, mean_days_to_repair=400)
DOCUMENTED = {
    "schema", "campaign", "title", "timezone", "as_of", "runs", "complete", "summary", "plans", "windows", "capacity",
    "accounts", "repairs", "limits", "failures", "versions", "tail", "nodes",
}  # fmt: skip


def conducted(url: str, folder: Path, faults: Faults = NO_FAULTS, *limits: Limit) -> Report:
    rig = stagehand.set_up(
        url, folder, fleet=small.fleet(clusters=2, nodes=16), campaign=small.campaign(*limits), faults=faults
    )
    rig.conduct(until=small.NOW + timedelta(days=4))
    return make_report(rig.database)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("troubled")
    return conducted(stagehand.fresh_sqlite(folder), folder, TROUBLE)


def test_without_faults_every_node_is_returned_with_all_its_targets(store_url: str, tmp_path: Path) -> None:
    report = conducted(store_url, tmp_path)
    assert {line.outcome for line in report.nodes} == {Outcome.RETURNED}
    assert all(line.targets and dict(line.proven) == dict(line.targets) for line in report.nodes)
    assert report.is_complete
    assert report.failures == ()
    assert report.capacity.owed == 0
    assert all(line.due == line.proven for line in report.versions)


def test_nodes_found_out_of_service_are_told_apart_and_never_count_as_capacity(store_url: str, tmp_path: Path) -> None:
    report = conducted(store_url, tmp_path)
    as_found = [line for line in report.nodes if line.as_found]
    assert as_found
    assert report.capacity.baseline == len(report.nodes) - len(as_found) == report.capacity.returned


def test_a_node_that_is_not_back_has_a_reason_and_is_owed(troubled: Report) -> None:
    assert troubled.tail
    assert all(line.reason is not None for line in troubled.tail)
    assert troubled.unproven == ()
    in_service_before = [line for line in troubled.tail if not line.as_found]
    assert 0 < troubled.capacity.owed <= len(in_service_before)


def test_failures_are_counted_by_kind(troubled: Report) -> None:
    counted = {FailureKind(line.kind): line for line in troubled.failures}
    assert {FailureKind.STEP_FAILED, FailureKind.FALSE_DONE, FailureKind.HUNG, FailureKind.NOT_BACK} <= counted.keys()
    assert all(0 < line.nodes <= line.seen for line in counted.values())
    assert counted[FailureKind.NOT_BACK].ended_in_tail > 0


def test_limits_are_measured_over_what_was_really_out(store_url: str, tmp_path: Path) -> None:
    limits = (Limit(what=LimitKind.NODES_OUT, at_once=32), Limit(what=LimitKind.CLUSTER_WINDOWS, at_once=2))
    report = conducted(store_url, tmp_path, NO_FAULTS, *limits)
    nodes_out, windows = report.limits
    assert (nodes_out.allowed, windows.allowed) == (32, 2)
    assert 0 < nodes_out.observed == report.capacity.nodes_out_max <= 32
    assert windows.observed == 2
    assert not nodes_out.exceeded
    assert not windows.exceeded


def test_json_holds_what_the_docs_say_and_every_node_once(troubled: Report) -> None:
    told: dict[str, Any] = report_to_json(troubled)
    assert told.keys() == DOCUMENTED
    text = Path("docs/report.md").read_text(encoding="utf-8")
    lists = ("windows", "limits", "nodes", "accounts")
    parts = (told, told["summary"], told["capacity"], *(told[name][0] for name in lists))
    keys = {key for part in parts for key in part} | {key for part in told["failures"] for key in part}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
    names = [line["node"] for line in told["nodes"]]
    assert len(set(names)) == len(names) == told["summary"]["nodes_in_scope"] == 32
    assert sum(told["summary"]["nodes"].values()) == len(names)


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_html_stands_alone(troubled: Report) -> None:
    page = render_report(replace(troubled, title="<script>alert(1)</script>"))
    tags = Tags(page).found
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "embed"}
    assert not [attrs for _, attrs in tags if attrs.keys() & {"src", "href"}]
    assert not re.search(r"@import|url\(", page)
    assert sum(tag == "svg" for tag, _ in tags) == 2
    assert all(line.node in page for line in troubled.tail)


def test_terminal_version_has_a_line_for_every_window(troubled: Report) -> None:
    tables = [part.table for part in report_parts(troubled) if isinstance(part, Fitted)]
    windows = next(part for part in tables if str(part.title).startswith("Windows"))
    assert windows.row_count == len(troubled.windows) == 2


def test_campaign_that_is_unknown_or_has_no_plan_is_refused(db: Database) -> None:
    with pytest.raises(Refusal, match="NOT_IMPORTED"):
        make_report(db)
    with db.begin() as conn:
        inventory.save_campaign(conn, small.campaign())
    with pytest.raises(Refusal, match="NOTHING_TO_REPORT"):
        make_report(db)
    with pytest.raises(Refusal, match="CAMPAIGN_UNKNOWN"):
        make_report(db, campaign="other")
