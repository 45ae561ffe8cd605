"""What a refusal tells of others: a change is decided over all rows, and its answer is for who sees a part of them."""

import re

import orjson
import pytest
import sqlalchemy as sa
from tests.tenants import calls, changes, world
from tests.tenants.conftest import Served

from fermata.domain import arm
from fermata.server.unseen import Veil

pytestmark = pytest.mark.databases("sqlite")
FORM = "application/x-www-form-urlencoded"
GROUP = f"/subscriptions/{arm.subscription_id(world.LUMEN)}/resourceGroups/zqshared"
OTHERS = calls.others_of(world.LUMEN)


def test_who_spoke_since_is_not_told_where_they_are_of_another_customer(served: Served) -> None:
    client = served.call(world.all_roles(world.LUMEN, world.ALEX))
    order = {"scope": {"level": "node", "name": "zqalpha-n0"}, "reason": "as was said"}
    answer = client.post("/api/v1/approvals", json={"since": 0, "orders": [order], "actor": world.ALEX})
    assert answer.status_code == 409
    assert "(others)" in answer.text
    assert not [word for word in OTHERS if word in answer.text]


def test_approvers_of_another_customer_are_not_told_to_whom_they_refuse(served: Served) -> None:
    with served.db.begin() as conn:  # the run is over: the request waits to be approved
        conn.execute(sa.text("UPDATE unit_op SET state = 'returned'"))
    client = served.call(world.all_roles(world.LUMEN, world.ALEX))
    said = [{"scope": {"level": "cluster", "name": "zqalpha"}}]
    answer = client.post("/api/v1/withdrawals", json={"orders": said, "actor": world.ALEX})
    assert answer.status_code == 201, answer.text
    answer = client.patch(
        f"{GROUP}/providers/Microsoft.SupercomputerInfrastructure/supercomputers/zqshared/maintenanceRequests/deployment",
        params={"api-version": "2025-07-01-preview"},
        json={"properties": {"state": "Approved"}},
    )
    assert "whose approvers are" in answer.text
    assert not [word for word in OTHERS if word in answer.text]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "media_type", ["Application/JSON", "application/x+json; charset=utf-8", "text/plain", "", FORM]
)
def test_a_name_out_of_sight_is_a_name_of_nothing_whatever_the_body_is_called(served: Served, media_type: str) -> None:
    client = served.call(world.all_roles(world.LUMEN, world.ALEX))
    answers = []
    for place in (calls.PLACES[1], calls.NOWHERE):
        texts = []
        for method, address, body in changes.expand(place, world.ALEX):
            if "looks" in address or "/brake/" in address or body is None:
                continue
            headers = {"Content-Type": media_type} if media_type else {}
            answer = client.request(method, address, content=orjson.dumps(body), headers=headers)
            settled = calls.settle(address, place), calls.settle(answer.text, place)
            texts.append((method, answer.status_code, *settled))
        answers.append(texts)
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("asked", "covered"),
    [
        ("a=1&name=zqbeta-n0&b=x%26y%3Dz", "a=1&name=COVER&b=x%26y%3Dz"),
        ("name=zqmeridian+labs", "name=COVER"),
        ("name=zqmeridian%20labs%26c=d", "name=COVER%26c%3Dd"),
        ("name=zqalpha-n0&odd=%zz&&=", "name=zqalpha-n0&odd=%zz&&="),
        ("name=zqbeta-n0%26admin%3Dtrue", "name=COVER%26admin%3Dtrue"),
    ],
)
def test_a_query_is_what_it_was_but_for_what_is_covered(asked: str, covered: str) -> None:
    veil = Veil(lambda names: names & {"zqbeta-n0", "zqmeridian labs"})
    found = re.sub(r"x[0-9a-f]{16}", "COVER", veil.cover_query(asked.encode()).decode())
    assert found == covered


def test_a_body_that_nobody_here_reads_is_refused(served: Served) -> None:
    client = served.call(world.all_roles(world.LUMEN, world.ALEX))
    for content, media_type in (
        (b'{"x": NaN}', "application/json"),
        (b"a: 1", "application/yaml"),
        (b"a", "text/plain"),
    ):
        answer = client.put(f"{GROUP}/providers/x/y/z", content=content, headers={"Content-Type": media_type})
        assert answer.status_code in (415, 422), answer.text
        assert "Nothing was changed" in answer.text


def test_who_spoke_and_is_an_approver_no_more_is_not_told_either(served: Served) -> None:
    client = served.call(world.all_roles(world.LUMEN, world.ALEX))
    order = {"scope": {"level": "node", "name": "zqalpha-n0"}, "reason": "as was said"}
    said = {"since": 0, "orders": [order], "actor": world.ALEX}
    assert "(others)" in client.post("/api/v1/approvals", json=said).text
    with served.db.begin() as conn:
        conn.execute(sa.text("UPDATE document SET body = replace(body, 'zqmara@', 'zqmona@'), sha256 = 'another'"))
        conn.execute(sa.text("DELETE FROM subscription"))
    answer = client.post("/api/v1/approvals", json=said)
    assert answer.status_code == 409
    assert not [word for word in OTHERS if word in answer.text]
