"""What of the words that people write, and of the journal's story, is told to whom it is about."""

import pytest
from starlette.testclient import TestClient
from tests.tenants import world
from tests.tenants.conftest import Served
from tests.tenants.words import CREW, OF_OTHERS, OWN

from fermata.domain.identity import GrantLevel, Role, Sight
from fermata.domain.ids import ClusterId
from fermata.store.database import Database
from fermata.store.parts import part_of

WINDOW = "window:w-zqalpha"


@pytest.fixture
def lumen(served: Served) -> TestClient:
    return served.call(world.principal(Role.AUDITOR, GrantLevel.CUSTOMER, "zqlumen"))


def _events(client: TestClient, subject: str) -> list[dict[str, object]]:
    return list(client.get("/api/v1/journal", params={"subject": subject, "limit": 1000}).json()["lines"])


def test_words_for_the_customer_are_told_unless_they_name_others(lumen: TestClient) -> None:
    policy = lumen.get("/api/v1/freezes?over=true").text
    orders = lumen.get("/api/v1/work-orders").text
    asked = lumen.get("/api/v1/requests").text + lumen.get("/requests?request=req_zqshared_hardware").text
    for text in (policy, orders):
        assert OWN in text
        assert "not shown" in text
    for text in (policy, orders, asked):
        assert OF_OTHERS[world.LUMEN] not in text


def test_words_of_those_who_do_the_work_are_for_each_other(lumen: TestClient) -> None:
    for address in ("/api/v1/windows/w-zqalpha/room", "/windows/w-zqalpha/room", "/api/v1/notices", "/api/v1/intents"):
        answer = lumen.get(address)
        assert answer.status_code == 200
        assert "not shown" in answer.text
        assert CREW not in answer.text, address


def test_the_customer_reads_in_a_room_what_it_is_told_of_its_window(lumen: TestClient) -> None:
    assert "2 nodes of yours are out." in lumen.get("/api/v1/windows/w-zqalpha/room").text


def test_the_journal_tells_the_story_of_ones_own_windows(lumen: TestClient) -> None:
    lines = {line["event"]: line for line in _events(lumen, WINDOW)}
    assert lines["window.opened"]["data"] == {
        "cluster": "zqalpha",
        "taken": 2,
        "in_service": 2,
        "left_out": [{"code": "X", "nodes": ["not shown"]}],
    }
    assert lines["window.waiting"]["why"] == ""
    assert [line["event"] for line in _events(lumen, f"window:{world.RUN}/w-zqalpha")] == ["window.asked_to_pause"]


def test_of_runs_and_plans_the_journal_tells_that_they_go_on_and_no_more(lumen: TestClient) -> None:
    of_run, of_plan = _events(lumen, f"run:{world.RUN}"), _events(lumen, f"plan:{world.PLAN}")
    assert {line["event"] for line in of_run} == {"run.asked_to_pause"}
    assert {line["event"] for line in of_plan} == {"plan.published"}
    assert not [line for line in (*of_run, *of_plan) if line["data"] or line["why"]]


def test_the_journal_tells_of_orders_on_ones_own_nodes_and_of_no_others(lumen: TestClient) -> None:
    lines = [line for line in _events(lumen, "order:wo_zqalpha_2") if line["event"] == "order.opened"]
    assert [line["data"]["target"] for line in lines] == ["node zqalpha-n0"]
    assert not _events(lumen, "order:wo_zqgamma_2")


TELLING = {
    "zqalpha-n0 smokes": True,
    "after zqalpha-n0/n1": True,
    "the leaf of zqalpha, zqlumen": True,
    "in rack zqalpha-r0 and zqshared": True,
    "": True,
    "ZQBeta-N1 smoked, too": False,
    "zqbeta's leaf": False,
    "(zqgamma-new-node)": False,
    "for zqapart_2": False,
    "for ZQMeridian Labs_2": False,
    "zqmeridian, and labs": True,
    "asked by zqmara@zqmeridian.example": False,
    "zqmeridian labs, too": False,
    "zqapart.": False,
}


@pytest.mark.databases("sqlite")
def test_words_that_name_a_thing_or_an_approver_out_of_sight_are_not_told(db: Database) -> None:
    view = db.seen_by(Sight(customers=frozenset({world.LUMEN}), clusters=frozenset({ClusterId("zqalpha")})))
    with view.read() as conn:
        part = part_of(conn)
        assert part is not None
        tell = part.teller()
    view.close()
    assert {said: tell(said) == said for said in TELLING} == TELLING
