"""Lists in pages by cursor, and answers that need not be sent again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.formats.conftest import Small
from tests.server import world
from tests.server.conftest import HandClock

from fermata.domain.ids import PlanId
from fermata.server.api.cursors import write_cursor
from fermata.server.api.nouns import PREFIX
from fermata.services import inventory
from fermata.services.import_files import ImportKind, place_of, read_import
from fermata.store import plans
from fermata.store.database import Database


@pytest.fixture(autouse=True)
def imported(db: Database, clock: HandClock, tmp_path: Path) -> None:
    read = read_import(ImportKind.SCENARIO, place_of(ImportKind.SCENARIO, Small(tmp_path).folder))
    inventory.import_set(db, read, now=clock.at, actor="operator", why="")


@pytest.fixture
def client(client: httpx.Client) -> httpx.Client:
    client.base_url = client.base_url.join(PREFIX)
    return client


def add_freeze(client: httpx.Client, day: int) -> None:
    body = {
        "scope": {"level": "cluster", "name": "alpha"},
        "start": f"2027-02-{day:02}T00:00:00Z",
        "end": f"2027-02-{day:02}T06:00:00Z",
        "reason": "launch",
    }
    assert client.post("/freezes", json=body).status_code == 201


def save_plan(db: Database, name: str) -> None:
    with db.begin() as conn:
        plans.save_plan(conn, replace(world.plan(world.Size(days=1)), id=PlanId(name)), world.OPENING)


def follow(client: httpx.Client, path: str, limit: int) -> Iterator[list[Any]]:
    """Page after page by the Link of each, as any client of RFC 8288 does."""
    answer = client.get(path, params={"limit": limit})
    while True:
        found = answer.json()
        yield found["lines"] if isinstance(found, dict) else found
        if "next" not in answer.links:
            return
        answer = client.get(client.base_url.copy_with(raw_path=answer.links["next"]["url"].encode()))


@pytest.mark.parametrize("path", ["/pending", "/requests", "/freezes", "/plans"])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_put_together_are_the_list(client: httpx.Client, db: Database, path: str, limit: int) -> None:
    for number in range(4):
        save_plan(db, f"plan_{number}")
    for day in (3, 1, 2, 1):
        add_freeze(client, day)
    whole = client.get(path).json()
    pages = list(follow(client, path, limit))
    assert [line for page in pages for line in page] == (whole["lines"] if isinstance(whole, dict) else whole)
    assert all(len(page) == limit for page in pages[:-1])


def test_what_is_added_before_the_cursor_shifts_nothing(client: httpx.Client) -> None:
    for day in (2, 3, 4):
        add_freeze(client, day)
    first = client.get("/freezes", params={"limit": 3})
    add_freeze(client, 1)
    rest = client.get(client.base_url.copy_with(raw_path=first.links["next"]["url"].encode())).json()
    assert [view["freeze"]["start"][:10] for view in rest] == ["2027-02-04"]


@pytest.mark.parametrize("cursor", ["?", "xyz", write_cursor(("a",)), write_cursor((1, 2, 3)), "bnVsbA"])
@pytest.mark.parametrize("path", ["/pending", "/requests", "/freezes", "/plans"])
def test_a_cursor_of_another_list_is_no_page_of_this_one(client: httpx.Client, path: str, cursor: str) -> None:
    answer = client.get(path, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (404, "CURSOR_UNKNOWN")


def test_an_answer_that_is_known_is_not_sent_again_until_it_changes(client: httpx.Client) -> None:
    first = client.get("/requests")
    known = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}
    same = client.get("/requests", headers=known)
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    client.post("/approvals", json={"orders": [{"scope": {"level": "cluster", "name": "alpha"}}]})
    changed = client.get("/requests", headers=known)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_errors_have_no_tag(client: httpx.Client) -> None:
    assert "ETag" not in client.get("/requests/req_none", headers={"If-None-Match": "*"}).headers


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/freezes", {"start": 1767225600, "end": 1767312000}),
        ("/freezes", {"start": "2026-02-01T00:00:00", "end": "2026-02-02T00:00:00"}),
        ("/standing", {"days": "365"}),
        ("/standing", {"now": 0}),
    ],
)
def test_numbers_for_times_and_texts_for_numbers_are_faults(
    client: httpx.Client, path: str, body: dict[str, object]
) -> None:
    scope = {"scope": {"level": "cluster", "name": "alpha"}, "reason": "launch"} if path == "/freezes" else {}
    answer = client.post(path, json={**scope, **body})
    assert (answer.status_code, answer.json()["total"]) == (422, len(body))


def test_a_method_that_a_path_does_not_take_is_answered_with_all_it_takes(client: httpx.Client) -> None:
    answer = client.put("/freezes")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")


def test_what_is_decided_may_be_held_to_what_was_looked_at(client: httpx.Client, db: Database) -> None:
    request = next(
        view["request"] for view in client.get("/requests").json() if view["request"]["customers"] == ["lumen"]
    )
    looked = client.get(f"/requests/{request['id']}").headers["ETag"]
    assert looked.startswith(f'"{request["incarnation"]}-')
    assert client.get(f"/requests/{request['id']}", headers={"If-None-Match": looked}).status_code == 304
    order = {"orders": [{"scope": {"level": "cluster", "name": "alpha"}}]}
    stale = client.post("/approvals", json=order, headers={"If-Match": f'"99-{"0" * 16}"'})
    assert (stale.status_code, stale.json()["code"]) == (409, "REQUEST_CHANGED")
    for nothing in ('"other"', "7", f'"0-{"0" * 16}"'):
        wrong = client.post("/approvals", json=order, headers={"If-Match": nothing})
        assert (wrong.status_code, wrong.json()["code"]) == (412, "ETAG_STALE")
    assert client.post("/approvals", json=order, headers={"If-Match": looked}).status_code == 201
    assert client.post("/withdrawals", json=order, headers={"If-Match": "*"}).status_code == 201


def test_a_plan_is_published_as_it_was_read(client: httpx.Client, db: Database) -> None:
    for name in ("plan_1", "plan_2"):
        save_plan(db, name)
    tags = {name: client.get(f"/plans/{name}").headers["ETag"] for name in ("plan_1", "plan_2")}
    body = {"actor": "operator"}
    other = client.post("/plans/plan_1/publish", json=body, headers={"If-Match": tags["plan_2"]})
    assert (other.status_code, other.json()["code"]) == (412, "ETAG_STALE")
    own = client.post("/plans/plan_1/publish", json=body, headers={"If-Match": tags["plan_1"]})
    assert own.status_code != 412
