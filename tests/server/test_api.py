"""The JSON API by noun: answers, refusals, faults."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.server import world

from fermata.domain.ids import PlanId
from fermata.store import journal, plans
from fermata.store.database import Database

API = "/api/v1"
SNAPSHOT = Path(__file__).parent / "openapi.json"


def described(app: FastAPI) -> str:
    """The API's description without its prose, which may be polished freely."""
    return json.dumps(without_prose(app.openapi()), indent=1, sort_keys=True) + "\n"


def without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        prose = {"description", "summary", "version"}
        return {k: without_prose(v) for k, v in value.items() if not (k in prose and isinstance(v, str))}
    return [without_prose(item) for item in value] if isinstance(value, list) else value


def test_description_of_the_api_is_the_one_on_record(app: FastAPI) -> None:
    assert described(app) == SNAPSHOT.read_text(), f"the API changed: look at it, then write it to {SNAPSHOT.name}"


def test_empty_store_says_what_is_missing(client: httpx.Client) -> None:
    answer = client.get(f"{API}/imports").json()
    assert answer["missing"] == ["fleet", "updates", "policy", "campaign"]


def test_imports_name_the_campaigns_and_their_plans(client: httpx.Client, in_progress: object) -> None:
    answer = client.get(f"{API}/imports").json()
    assert answer["campaigns"] == [{"id": "january-repave", "title": "January repave", "plan": "plan_board"}]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/pending", None, 409, "NOT_IMPORTED"),
        ("GET", "/requests", None, 409, "NOT_IMPORTED"),
        ("GET", "/requests/req_none_deployment", None, 409, "NOT_IMPORTED"),
        ("GET", "/plans/plan_none", None, 404, "PLAN_UNKNOWN"),
        ("GET", "/plans/plan_none/violations", None, 404, "PLAN_UNKNOWN"),
        ("POST", "/plans/plan_none/publish", {"actor": "operator-3"}, 404, "PLAN_UNKNOWN"),
        ("POST", "/run/replan", {"actor": "operator-3"}, 409, "RUN_NONE"),
        ("POST", "/run/replan-mode", {"actor": "operator-3", "mode": "auto"}, 409, "RUN_NONE"),
        ("POST", "/run/replan-mode", {"actor": "operator-3", "mode": "perhaps"}, 422, "BAD_INPUT"),
        ("GET", "/report", None, 409, "NOT_IMPORTED"),
        ("GET", "/nowhere", None, 404, "NOT_FOUND"),
        ("DELETE", "/imports", None, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/journal?after=-1", None, 422, "BAD_INPUT"),
        ("GET", "/pending?clutser=a", None, 422, "BAD_INPUT"),
        ("POST", "/approvals", {"orders": []}, 422, "BAD_INPUT"),
    ],
)
def test_refusals_are_problem_documents(
    client: httpx.Client, method: str, path: str, body: object, status: int, code: str
) -> None:
    answer = client.request(method, API + path, json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert len(problem["detail"]) > 10


def test_every_fault_of_a_body_is_listed_with_its_place(client: httpx.Client) -> None:
    scopes = [{"level": "galaxy", "name": "a"}, {"level": "node", "name": ""}, {"level": "node", "name": "n"}]
    body = {"orders": [{"scope": scope, "mood": "good"} for scope in scopes], "extra": 1}
    problem = client.post(f"{API}/approvals", json=body).json()
    where = [fault["where"] for fault in problem["faults"]]
    assert problem["total"] == len(where) == 6
    assert "body.orders[0].scope.level" in where
    assert "body.orders[1].scope.name" in where
    assert "body.extra" in where


def test_more_faults_than_can_be_read_are_counted(client: httpx.Client) -> None:
    body = {"orders": [{"scope": {"level": "galaxy", "name": "a"}}] * 70}
    problem = client.post(f"{API}/approvals", json=body).json()
    assert (problem["total"], len(problem["faults"])) == (70, 50)


def test_freeze_needs_times_with_a_zone(client: httpx.Client) -> None:
    body = {
        "scope": {"level": "cluster", "name": "a"},
        "start": "2026-01-03T10:00:00",
        "end": "2026-01-03T11:00:00Z",
        "reason": "launch",
    }
    problem = client.post(f"{API}/freezes", json=body).json()
    assert [fault["where"] for fault in problem["faults"]] == ["body.start"]


def test_plans_are_listed_and_read_whole(client: httpx.Client, in_progress: object) -> None:
    lines = client.get(f"{API}/plans").json()
    assert [(line["id"], line["windows"]) for line in lines] == [("plan_board", 24)]
    plan = client.get(f"{API}/plans/plan_board").json()
    assert plan["schema"] == "fermata.plan/1"
    assert len(plan["windows"]) == 24


def test_journal_is_paged_by_a_cursor(client: httpx.Client, db: Database) -> None:
    entries = [
        journal.Entry(
            at=world.NOW, actor="operator-3", event="thing.done", subject=f"thing:{n % 2}", why="", data={"n": n}
        )
        for n in range(5)
    ]
    with db.begin() as conn:
        journal.append_many(conn, entries)
    first = client.get(f"{API}/journal", params={"limit": 3}).json()
    rest = client.get(f"{API}/journal", params={"after": first["next"]}).json()
    assert [line["data"]["n"] for line in first["lines"] + rest["lines"]] == [0, 1, 2, 3, 4]
    nothing = client.get(f"{API}/journal", params={"after": rest["next"]}).json()
    assert (nothing["lines"], nothing["next"]) == ([], rest["next"])
    of_one = client.get(f"{API}/journal", params={"subject": "thing:1"}).json()
    assert [line["data"]["n"] for line in of_one["lines"]] == [1, 3]


def test_gates_take_a_word_with_its_reason(client: httpx.Client, db: Database, in_progress: object) -> None:
    with db.read() as conn:
        update = plans.load_plan(conn, PlanId("plan_board")).windows[-1].updates[0]
    path = f"{API}/runs/run_board/gates"
    said = {"actor": "operator-3", "why": "the vendor called"}
    held = client.post(f"{path}/{update}/hold", json=said).json()
    assert (held["judged"]["verdict"], held["said"]["actor"]) == ("hold", "operator-3")
    (view,) = client.get(path).json()["gates"]
    assert (view["gate"]["update"], view["waiting"]) == (update, 0)
    assert client.post(f"{path}/{update}/proceed", json={**said, "why": ""}).status_code == 422
    assert client.post(f"{path}/{update}/perhaps", json=said).status_code == 422
    assert client.get(f"{API}/runs/run_none/gates").json()["code"] == "RUN_UNKNOWN"


def test_write_to_a_store_that_was_upgraded_is_refused_with_the_reason(
    client: httpx.Client, db: Database, in_progress: object
) -> None:
    with db.read() as conn:
        update = plans.load_plan(conn, PlanId("plan_board")).windows[-1].updates[0]
    db.revision = "0001"  # as if this server had opened it long ago
    path, said = f"{API}/runs/run_board/gates", {"actor": "operator-3", "why": "the vendor called"}
    answer = client.post(f"{path}/{update}/hold", json=said)
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_OF_OTHER_RELEASE")
    assert client.get(path).json()["gates"] == []
