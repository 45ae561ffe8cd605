"""A change that carries a key is carried out once, whatever is lost on the way."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.formats.conftest import Small
from tests.server.conftest import HandClock

from fermata.server.api.nouns import PREFIX
from fermata.services import inventory
from fermata.services.import_files import ImportKind, place_of, read_import
from fermata.services.once import Key, find_kept, under_key
from fermata.store import consent, once
from fermata.store.database import Database

KEY = {"Idempotency-Key": "b1a8"}
ORDER = {"actor": None, "orders": [{"scope": {"level": "cluster", "name": "alpha"}}]}


@pytest.fixture(autouse=True)
def imported(db: Database, clock: HandClock, tmp_path: Path) -> None:
    read = read_import(ImportKind.SCENARIO, place_of(ImportKind.SCENARIO, Small(tmp_path).folder))
    inventory.import_set(db, read, now=clock.at, actor="operator", why="")


@pytest.fixture
def client(client: httpx.Client) -> httpx.Client:
    client.base_url = client.base_url.join(PREFIX)
    return client


def entries(db: Database) -> int:
    with db.read() as conn:
        return len(consent.load_ledger(conn))


def test_the_same_request_again_gets_the_first_answer_and_changes_nothing(client: httpx.Client, db: Database) -> None:
    first = client.post("/approvals", json=ORDER, headers=KEY)
    again = client.post("/approvals", json=ORDER, headers=KEY)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert entries(db) == 1


def test_without_a_key_a_request_is_carried_out_each_time(client: httpx.Client) -> None:
    freeze = {
        "scope": {"level": "cluster", "name": "alpha"},
        "start": "2026-02-01T00:00:00Z",
        "end": "2026-02-02T00:00:00Z",
        "reason": "launch",
    }
    ids = {client.post("/freezes", json=freeze).json()["id"] for _ in range(2)}
    assert len(ids) == 2
    kept = {client.post("/freezes", json=freeze, headers=KEY).json()["id"] for _ in range(2)}
    assert len(kept) == 1


def test_a_key_belongs_to_what_was_asked_with_it(client: httpx.Client, db: Database) -> None:
    client.post("/approvals", json=ORDER, headers=KEY)
    other = client.post("/withdrawals", json=ORDER, headers=KEY)
    assert (other.status_code, other.json()["code"]) == (422, "KEY_REUSED")
    assert entries(db) == 1


def test_a_refused_request_leaves_no_key_and_may_be_mended(client: httpx.Client, db: Database) -> None:
    wrong = {"orders": [{"scope": {"level": "cluster", "name": "gamma"}}]}
    assert client.post("/approvals", json=wrong, headers=KEY).status_code >= 400
    assert client.post("/approvals", json=ORDER, headers=KEY).status_code == 201
    assert entries(db) == 1


def test_work_whose_answer_was_lost_is_not_done_again(client: httpx.Client, db: Database) -> None:
    """As after a kill between the commit and the answer."""
    client.post("/approvals", json=ORDER, headers=KEY)
    with db.begin() as conn:
        conn.execute(once.request_key.update().values(status=None, media_type=None, body=None))
    again = client.post("/approvals", json=ORDER, headers=KEY)
    assert (again.status_code, again.json()["code"]) == (409, "ANSWER_NOT_KEPT")
    assert entries(db) == 1


def test_of_two_at_the_same_time_one_is_carried_out(db: Database, clock: HandClock) -> None:
    with under_key(Key(key="b1a8", asked_sha256="x", at=clock.at)), db.begin():
        pass
    with (
        pytest.raises(once.DoneBefore),
        under_key(Key(key="b1a8", asked_sha256="x", at=clock.at)),
        db.begin() as conn,
    ):
        conn.execute(once.request_key.delete())
    assert find_kept(db, "b1a8") is not None


def test_a_key_is_on_record_only_if_the_work_was_committed(store_url: str, clock: HandClock) -> None:
    db = Database(store_url)
    key = Key(key="k", asked_sha256="x", at=clock.at)
    with pytest.raises(ZeroDivisionError), under_key(key), db.begin():
        raise ZeroDivisionError
    assert (find_kept(db, "k"), key.is_done) == (None, False)
    with under_key(key), db.begin():
        pass
    assert find_kept(db, "k") is not None
    assert key.is_done
    later = Key(key="l", asked_sha256="x", at=clock.at + once.KEPT_FOR + timedelta(seconds=1))
    with under_key(later), db.begin():
        pass
    assert find_kept(db, "k") is None  # forgotten after its time
    db.close()


@pytest.mark.parametrize("key", ["", "x" * 256, "t\tab"])
def test_keys_that_cannot_be_one_are_refused(client: httpx.Client, db: Database, key: str) -> None:
    answer = client.post("/approvals", json=ORDER, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "KEY_UNREADABLE")
    assert entries(db) == 0


def test_a_plan_made_twice_under_one_key_is_stored_once(client: httpx.Client, app: FastAPI) -> None:
    """Long work is answered in lines, which are not kept: who asks again is told to look."""
    client.post("/approvals", json={"orders": [{"scope": {"level": "cluster", "name": "alpha"}}]})
    campaign = client.get("/imports").json()["campaigns"][0]["id"]
    first = client.post(f"/campaigns/{campaign}/plan", json={}, headers=KEY)
    plans = client.get("/plans").json()
    again = client.post(f"/campaigns/{campaign}/plan", json={}, headers=KEY)
    assert b'"answer"' in first.content
    assert len(plans) == 1
    assert again.json()["code"] == "ANSWER_NOT_KEPT"
    assert client.get("/plans").json() == plans
