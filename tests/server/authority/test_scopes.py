"""What a request names is judged name by name: one that lies elsewhere refuses all of it, and nothing is half done."""

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.server.authority.world import SHARED, grant, person, sign_in, told

from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.store import consent as consent_store
from fermata.store import inventory, journal
from fermata.store.database import Database

V1 = "/api/v1"
OF_LUMEN = grant(Role.APPROVER, GrantLevel.CUSTOMER, "lumen")
APPROVER = person("lumen-capacity", OF_LUMEN)
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture
def lumen(app: FastAPI) -> TestClient:
    """Somebody who speaks for lumen, and for nobody else."""
    return sign_in(app, APPROVER)


def scope(level: str, name: str) -> dict[str, str]:
    return {"level": level, "name": name}


def lines(db: Database) -> list[tuple[str, str]]:
    """Who did what, since the import."""
    with db.read() as conn:
        return [(e.actor, e.event) for e in journal.read(conn) if e.actor not in ("operator", "fermata")]


def test_an_approver_speaks_for_its_customer_under_its_own_name(lumen: TestClient, db: Database) -> None:
    answer = lumen.post(f"{V1}/approvals", json={"orders": [{"scope": scope("node", "alpha-n00")}]})
    assert answer.status_code == 201
    with db.read() as conn:
        assert [entry.actor for entry in consent_store.load_ledger(conn)] == ["lumen-capacity"]


ELSEWHERE = (
    ("cluster", "gamma"),
    ("rack", "gamma-r0"),
    ("node", "gamma-n00"),
    ("supercomputer", SHARED),
    ("node", "no-such"),
)


def test_what_is_another_customers_or_nobodys_refuses_the_whole_call(lumen: TestClient, db: Database) -> None:
    for level, name in ELSEWHERE:
        orders = [{"scope": scope("node", "alpha-n00")}, {"scope": scope(level, name)}]
        answer = lumen.post(f"{V1}/approvals", json={"orders": orders})
        assert told(answer) == (403, "NOT_ALLOWED")
        said = answer.json()
        assert (said["refused"], said["roles"], said["action"]) == ([f"{level} {name}"], ["approver"], "say_consent")
    with db.read() as conn:
        assert consent_store.load_ledger(conn) == ()
    assert lines(db) == []


def test_nobody_learns_from_a_refusal_what_there_is(lumen: TestClient) -> None:
    there, nowhere = lumen.get(f"{V1}/nodes/gamma-n00/readmission"), lumen.get(f"{V1}/nodes/no-such/readmission")
    assert told(there) == told(nowhere) == (403, "NOT_ALLOWED")
    assert there.json()["detail"].replace("gamma-n00", "X") == nowhere.json()["detail"].replace("no-such", "X")


FREEZE = {"start": "2026-02-01T00:00:00Z", "end": LATER, "reason": "launch"}
BODIES: list[tuple[str, dict[str, Any], Role]] = [
    ("approvals", {"orders": [{"scope": scope("cluster", "{}")}]}, Role.APPROVER),
    ("declines", {"orders": [{"scope": scope("cluster", "{}"), "until": LATER}]}, Role.APPROVER),
    ("offers", {"orders": [{"scope": scope("node", "{}-n00"), "conditions": {"not_before": LATER}}]}, Role.APPROVER),
    (
        "approvals",
        {"orders": [{"scope": scope("node", "alpha-n00"), "conditions": {"with_scope": scope("node", "{}-n00")}}]},
        Role.APPROVER,
    ),
    ("freezes", {**FREEZE, "scope": scope("cluster", "{}")}, Role.APPROVER),
    ("work-orders", {"orders": [{"kind": "repair", "target": scope("node", "{}-n00"), "cause": "x"}]}, Role.OPERATOR),
    ("work-orders", {"orders": [{"kind": "repair", "target": scope("rack", "{}-r0"), "cause": "x"}]}, Role.OPERATOR),
    ("intents", {"desired": "pause", "nodes": ["{}-n00"], "why": "x"}, Role.OPERATOR),
    ("readmission", {"nodes": ["{}-n00"]}, Role.VIEWER),
]


def fill(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: fill(part, name) for key, part in value.items()}
    if isinstance(value, list):
        return [fill(part, name) for part in value]
    return value.replace("{}", name) if isinstance(value, str) else value


@pytest.mark.parametrize(
    "held", [(GrantLevel.CUSTOMER, "lumen"), (GrantLevel.SUPERCOMPUTER, "sc-alpha"), (GrantLevel.CLUSTER, "alpha")]
)
def test_bodies_are_judged_by_where_they_lead(app: FastAPI, held: tuple[GrantLevel, str]) -> None:
    for noun, body, role in BODIES:
        client = sign_in(app, person("lumen-capacity", Grant(role=role, level=held[0], name=held[1])))
        here = client.post(f"{V1}/{noun}", json=fill(body, "alpha"))
        assert here.status_code not in (401, 403, 422, 500), here.text
        reaches = held[0] is GrantLevel.SUPERCOMPUTER  # gamma stands there, too
        there = client.post(f"{V1}/{noun}", json=fill(body, "gamma"))
        assert (told(there) == (403, "NOT_ALLOWED")) != reaches, there.text


UNREADABLE: list[Any] = [
    {},
    [],
    None,
    {"orders": []},
    {"orders": [{}]},
    {"orders": ["alpha"]},
    {"orders": [{"scope": {"level": "galaxy", "name": "alpha"}}]},
    {"orders": [{"scope": {"level": "node", "name": ["alpha-n00"]}}]},
    {"orders": [{"scope": {"level": "node", "name": "alpha-n00"}}, 7]},
]


def test_what_cannot_be_judged_is_a_matter_of_the_whole_fleet(app: FastAPI, lumen: TestClient) -> None:
    everywhere = sign_in(app, person("lumen-capacity", grant(Role.APPROVER)))
    for body in UNREADABLE:
        assert told(lumen.post(f"{V1}/approvals", json=body)) == (403, "NOT_ALLOWED"), body
        assert told(everywhere.post(f"{V1}/approvals", json=body)) == (422, "BAD_INPUT"), body


def test_the_handler_reads_what_was_judged_and_nothing_else(lumen: TestClient, db: Database) -> None:
    """Of a member that stands twice, two readers could take one each."""
    both = b'{"orders": [{"scope": {"level": "node", "name": "gamma-n00", "name": "alpha-n00"}}]}'
    answer = lumen.post(f"{V1}/approvals", content=both, headers={"content-type": "application/json"})
    assert [line["scope"]["name"] for line in answer.json()] == ["alpha-n00"]
    assert told(lumen.post(f"{V1}/approvals", content=b'{"orders"')) == (422, "BAD_INPUT")


ANY: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "approvals", {"orders": [{"scope": scope("node", "alpha-n00")}], "actor": "mona"}),
    ("POST", "approvals", {"orders": [{"scope": scope("node", "alpha-n00"), "actor": "mona"}]}),
    ("POST", "freezes", {**FREEZE, "scope": scope("cluster", "alpha"), "actor": "mona"}),
    ("POST", "requests/req_sc-alpha_repair/words", {"words": [{"word": "approved", "actor": "mona"}]}),
    ("POST", "brake/on", {"actor": "mona", "why": "smoke"}),
    ("POST", "updates/nic/demote", {"actor": "mona", "why": "flaps"}),
]


def test_nobody_speaks_under_another_name(app: FastAPI, db: Database) -> None:
    client = sign_in(app, person("pia", *(grant(role) for role in Role)))
    for method, path, body in ANY:
        assert told(client.request(method, f"{V1}/{path}", json=body)) == (403, "ACTOR_IS_NOT_CALLER"), path
    assert lines(db) == []


def test_nobody_removes_or_sends_under_another_name(app: FastAPI) -> None:
    client = sign_in(app, person("pia", *(grant(role) for role in Role)))
    gone = client.delete(f"{V1}/updates/nic?actor=mona&why=x")
    assert told(gone) == (403, "ACTOR_IS_NOT_CALLER")
    assert told(client.delete(f"{V1}/updates/nic?actor=pia&actor=mona")) == (403, "ACTOR_IS_NOT_CALLER")
    files = {"file": ("updates.yaml", b"updates: 7")}
    assert told(client.post(f"{V1}/updates", data={"actor": "mona"}, files=files)) == (403, "ACTOR_IS_NOT_CALLER")
    assert told(client.post(f"{V1}/updates", data={"actor": "pia"}, files=files)) == (422, "BAD_INPUT")  # of the file


def test_who_is_signed_in_need_not_name_themselves(app: FastAPI, db: Database) -> None:
    client = sign_in(app, person("pia", *(grant(role) for role in Role)))
    assert client.post(f"{V1}/brake/on", json={"why": "smoke"}).status_code == 200
    assert client.post(f"{V1}/brake/off", json={"actor": None, "why": "it was steam"}).status_code == 200
    assert client.delete(f"{V1}/updates/mgr?why=x").status_code in (200, 409)
    assert {actor for actor, _ in lines(db)} <= {"pia"}


def test_a_form_says_once_who_speaks(app: FastAPI, db: Database) -> None:
    client = sign_in(app, person("lumen-capacity", OF_LUMEN))
    form = {"campaign": "small", "level": "cluster", "name": "alpha", "start": "2026-02-01T08:00", "reason": "x"}
    form["end"] = "2026-02-02T08:00"
    twice = "&".join(f"{key}={value}" for key, value in form.items()) + "&name=gamma"
    sent = {"content-type": "application/x-www-form-urlencoded"}
    assert told(client.post("/policy/freezes", content=twice, headers=sent)) == (422, "BAD_INPUT")
    assert told(client.post("/policy/freezes", data=form, files={"x": b"y"})) == (422, "BAD_INPUT")
    assert told(client.post("/policy/freezes", data={**form, "name": "gamma"})) == (403, "NOT_ALLOWED")
    assert told(client.post("/policy/freezes", data={**form, "actor": "mona"})) == (403, "ACTOR_IS_NOT_CALLER")
    made = client.post("/policy/freezes", data=form, follow_redirects=False)
    assert made.status_code == 303
    assert ("lumen-capacity", "freeze.added") in lines(db)


def test_the_rule_of_the_customers_own_policy_stays(app: FastAPI) -> None:
    """A grant lets somebody to the door: who decides for a customer is what its policy says."""
    stranger = sign_in(app, person("sam", OF_LUMEN))
    answer = stranger.post(f"{V1}/approvals", json={"orders": [{"scope": scope("node", "alpha-n00")}]})
    assert told(answer) == (409, "APPROVER_UNKNOWN")


def test_another_callers_key_gives_nobody_its_answer(app: FastAPI) -> None:
    first = sign_in(app, person("pia", grant(Role.OPERATOR)))
    second = sign_in(app, person("lars", grant(Role.OPERATOR)))
    body, key = {"why": "smoke"}, {"Idempotency-Key": "one"}
    assert first.post(f"{V1}/brake/on", json=body, headers=key).status_code == 200
    stolen = second.post(f"{V1}/brake/on", json=body, headers=key)
    assert told(stolen)[0] != 200 or "idempotency-replayed" not in stolen.headers


def test_words_of_a_person_come_through_doors_under_their_name(app: FastAPI, db: Database) -> None:
    path = "/compute/v1/projects/{}/zones/{}/instances/{}/performMaintenance"
    with db.read() as conn:
        zones = {c.name: c.datacenter for c in inventory.load_clusters(conn).values()}
    meadow = sign_in(app, person("max", grant(Role.APPROVER, GrantLevel.CUSTOMER, "meadow")))
    other = meadow.post(path.format("lumen", zones["alpha"], "alpha-n00"))
    assert told(other)[0] == 403
    assert meadow.post(path.format("meadow", zones["gamma"], "gamma-n00")).status_code == 200
    with db.read() as conn:
        assert [entry.actor for entry in consent_store.load_ledger(conn)] == ["max"]  # and not the first of the policy


def test_the_brake_is_pulled_by_whoever_operates_anything_and_released_by_whoever_operates_all(app: FastAPI) -> None:
    for role in Role:
        holder = sign_in(app, person("pia", grant(role, GrantLevel.CLUSTER, "alpha")))
        may = role in (Role.CONDUCTOR, Role.OPERATOR)
        assert (holder.post(f"{V1}/brake/on", json={"why": "smoke"}).status_code == 200) == may
        assert told(holder.post(f"{V1}/brake/off", json={"why": "steam"})) == (403, "NOT_ALLOWED")


def test_a_word_on_nodes_takes_the_role_of_what_it_wants(app: FastAPI) -> None:
    operator = sign_in(app, person("pia", grant(Role.OPERATOR)))
    for desired, status in (("pause", 201), ("stop", 201), ("run", 403)):
        body = {"desired": desired, "nodes": ["alpha-n00"], "why": "x"}
        answer = operator.post(f"{V1}/intents", json=body)
        assert answer.status_code in ({status, 409} if status != 403 else {403}), (desired, answer.text)
