"""`--server` of what takes long: plan, simulate and standing say over HTTP what they say of a store."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.demo_world import small_scenario
from tests.cli.line import Answer, Line
from tests.cli.test_remote import JSON, Twins, comparable, served
from tests.conftest import copy_sqlite

from fermata.client import connect
from fermata.domain.ids import CampaignId
from fermata.domain.reasons import Code
from fermata.planning.stages import Stage
from fermata.services.errors import Refusal
from fermata.services.plans import Wanted

PLAN_ID = re.compile(r"\bplan_[0-9A-HJKMNP-TV-Z]{26}\b")
NOW = ("--now", "2026-01-02T20:00:00Z")
MAP = "services:\n  - {id: idle, class: idle}\n"


@pytest.fixture
def twins(line: Line, sqlite_template: Path, tmp_path: Path) -> Iterator[Twins]:
    """A store and a server's store, with the same campaign and consent for all of it."""
    for name in ("store.db", "served.db"):
        copy_sqlite(sqlite_template, tmp_path / name)
    with served(tmp_path / "served.db") as url:
        made = Twins(line, small_scenario(tmp_path / "files"), url)
        made.agree("import", "scenario", str(made.small.folder))
        for name in ("sc-1", "sc-2"):
            assert made.agree("approve", "supercomputer", name).code == 0
        yield made


def told(answer: Answer) -> tuple[int, str, str]:
    """Without the ids of plans, which each side mints."""
    code, out, err = comparable(answer)
    return code, PLAN_ID.sub("plan_ID", out), PLAN_ID.sub("plan_ID", err)


def plan_both(twins: Twins) -> tuple[str, str]:
    return tuple(ask("plan", "small", JSON).json["id"] for ask in (twins.here, twins.there))  # type: ignore[return-value]


@pytest.mark.parametrize("words", [(), (JSON,), ("--seed", "7", "--confidence", "0.6"), ("--now", "2026-01-04", JSON)])
def test_plan_of_a_server_is_that_of_its_store(twins: Twins, words: tuple[str, ...]) -> None:
    here, there = twins.here("plan", "small", *words), twins.there("plan", "small", *words)
    assert there.code == 0
    assert told(there) == told(here)


def test_plan_of_a_server_is_stored_there_and_can_be_published(twins: Twins) -> None:
    made = twins.there("plan", "small", JSON).json["id"]
    assert twins.there("check", made).code == 0
    assert twins.there("publish", made, JSON).json["already"] is False
    following = twins.there("plan", "small", JSON).json
    assert (following["parent"], following["diff"]["changes"]) == (made, [])


def test_files_of_a_plan_are_the_same(twins: Twins, tmp_path: Path) -> None:
    for ask, side in ((twins.here, "here"), (twins.there, "there")):
        files = [word for kind in ("html", "ics", "out") for word in (f"--{kind}", str(tmp_path / f"{side}.{kind}"))]
        assert ask("plan", "small", *files).code == 0
    for kind in ("html", "ics", "out"):
        texts = [(tmp_path / f"{side}.{kind}").read_text().replace("\n ", "") for side in ("here", "there")]
        here, there = (PLAN_ID.sub("ID", text) for text in texts)  # a calendar's lines are folded
        assert there == here
        assert len(there) > 500


def test_page_and_calendar_are_read_by_their_addresses(twins: Twins) -> None:
    made = twins.there("plan", "small", JSON).json
    with httpx.Client(base_url=twins.url, trust_env=False) as client:
        page = client.get(f"/plans/{made['id']}")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "style-src 'unsafe-inline'" in page.headers["content-security-policy"]
        calendar = client.get(f"/api/v1/plans/{made['id']}/calendar")
        assert calendar.headers["content-type"].startswith("text/calendar")
        assert calendar.text.count("BEGIN:VEVENT") == len(made["windows"])
        for missing in ("/plans/plan_none", "/api/v1/plans/plan_none/calendar"):
            assert client.get(missing).json()["code"] == "PLAN_UNKNOWN"


def test_lines_come_uncompressed(twins: Twins) -> None:
    made = twins.there("plan", "small", JSON).json["id"]
    with httpx.Client(base_url=twins.url, trust_env=False) as client:
        answer = client.post(f"/api/v1/plans/{made}/simulation", json={"runs": 10})
    assert "content-encoding" not in answer.headers
    first, *_, last = (json.loads(line) for line in answer.iter_lines() if line)
    assert first == {"progress": {"done": 0, "of": 1}}
    assert last["answer"]["risk"]["runs"] == 10


def test_stages_are_told_while_a_server_plans(twins: Twins) -> None:
    seen: list[Stage] = []
    with connect(twins.url) as place:
        wanted = Wanted(watch=lambda stage, _detail: seen.append(stage))
        place.plan_campaign(CampaignId("small"), wanted, time_limit=None)
    assert {Stage.LENGTHS, Stage.FIRST, Stage.CHECKING} <= set(seen)


def test_no_plan_is_told_with_its_clashes_and_ends_with_three(twins: Twins) -> None:
    text = twins.small.text("campaign.yaml")
    twins.small.write("campaign.yaml", text.replace("at_once: 1800", "at_once: 1"))
    assert twins.agree("import", "campaign", str(twins.small.path("campaign.yaml"))).code == 0
    here, there = twins.here("plan", "small", JSON), twins.there("plan", "small", JSON)
    assert told(there) == told(here)
    assert there.code == 3
    assert there.json["error"]["clashes"]


@pytest.mark.parametrize("words", [(), (JSON,), ("--gate", JSON), ("--seed", "3", "--correlation", "0.5")])
def test_simulation_of_a_server_is_that_of_its_store(twins: Twins, words: tuple[str, ...]) -> None:
    here, there = plan_both(twins)
    runs = ("--runs", "40", *words)
    answer = twins.there("simulate", there, *runs)
    assert told(answer) == told(twins.here("simulate", here, *runs))
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.parametrize("words", [(), (JSON,), ("--days", "90", "--hours", "4"), ("--cluster", "alpha")])
def test_standing_plan_of_a_server_is_that_of_its_store(twins: Twins, words: tuple[str, ...]) -> None:
    assert twins.agree("standing", *NOW, *words).code == 0


def test_told_outages_reach_the_server(twins: Twins, tmp_path: Path) -> None:
    file = tmp_path / "standing.json"
    first = twins.there("standing", *NOW, "--out", str(file), JSON).json
    keep = ("--previous", str(file), "--notice-days", "365", JSON)
    assert twins.agree("standing", *NOW, *keep).json["supercomputers"] == first["supercomputers"]


def test_workload_map_is_removed_once(twins: Twins) -> None:
    path = twins.small.write("workloads.yaml", MAP)
    assert twins.agree("import", "workloads", str(path)).code == 0
    before = plan_both(twins)
    assert "Removed: workloads" in twins.agree("remove", "workloads", "--why", "moved").out
    assert twins.agree("remove", "workloads", JSON).json == {"removed": False}
    for ask, plan in zip((twins.here, twins.there), before, strict=True):
        assert ask("publish", plan, JSON).json["error"]["code"] == "PLAN_INPUTS_CHANGED"
        assert ask("publish", ask("plan", "small", JSON).json["id"]).code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["plan", "nosuch"], "CAMPAIGN_UNKNOWN"),
        (["simulate", "plan_none"], "PLAN_UNKNOWN"),
        (["standing", *NOW, "--cluster", "gamma"], "NOTHING_PENDING"),
    ],
)
def test_refusals_have_the_same_code_sentence_and_exit_code(twins: Twins, words: list[str], code: str) -> None:
    assert twins.agree(*words).code == 1
    assert twins.agree(*words, JSON).json["error"]["code"] == code


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "FOLDER"],
        ["plan", "small", "--approvals", "approvals.csv"],
        ["plan", "small", "--parent", "plan.json"],
        ["plan", "small", "--what-if", "deadline=2026-01-20"],
        ["simulate", "plan.json"],
        ["simulate", "plan.json", "--scenario", "FOLDER"],
        ["standing", "FOLDER"],
    ],
)
def test_files_and_a_server_do_not_go_together(twins: Twins, words: list[str]) -> None:
    folder = str(twins.small.folder)
    refused = twins.there(*(folder if word == "FOLDER" else word for word in words))
    assert (refused.code, refused.out) == (2, "")


def test_server_of_the_environment_leaves_a_folder_alone(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERMATA_SERVER", "http://127.0.0.1:1")
    for verb in ("plan", "standing"):
        assert twins.line.run(verb, str(twins.small.folder), store=False).code == 0


@contextmanager
def saying(*lines: Any) -> Iterator[str]:
    """The URL of a server that answers every order with these lines and then hangs up."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.end_headers()
            for line in lines:
                self.wfile.write((line if isinstance(line, str) else json.dumps(line)).encode() + b"\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name for it
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


REFUSED = {"title": "Conflict", "status": 409, "code": "PLAN_VIOLATES", "detail": "The new plan breaks a rule."}


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (({"progress": {"stage": "a first plan", "detail": ""}}, ""), Code.SERVER_UNREACHABLE),
        (({"greeting": "hello"},), Code.SERVER_NOT_UNDERSTOOD),
        (("<html>",), Code.SERVER_NOT_UNDERSTOOD),
        (({"answer": {"campaign": 1}},), Code.SERVER_NOT_UNDERSTOOD),
    ],
)
def test_lines_that_break_off_or_are_none_of_ours_are_told_apart(lines: tuple[Any, ...], code: Code) -> None:
    with saying(*lines) as url, connect(url) as place, pytest.raises(Refusal) as refused:
        place.plan_campaign(CampaignId("small"), Wanted(), time_limit=None)
    assert refused.value.reason.code is code


def test_problem_after_progress_is_a_refusal_with_its_code(line: Line) -> None:
    """A stage that this version does not know is passed over."""
    with saying({"progress": {"stage": "polishing", "detail": ""}}, {"problem": REFUSED}) as url:
        refused = line.run("plan", "small", "--server", url, JSON, store=False)
    assert (refused.code, refused.json["error"]["code"]) == (1, "PLAN_VIOLATES")
