"""Pages ask nobody for a name who is signed in."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from tests.server import campaign_world as world
from tests.server.conftest import QUICK, HandClock

from fermata.server.app import create_app
from fermata.server.demo import DemoInfo
from fermata.store.database import Database

ASKS = 'name="actor"'
PAGES = ("/policy", "/campaign/replan")


@pytest.fixture
def demo(db: Database) -> Iterator[TestClient]:
    plan = world.put_in_force(db)
    clock = HandClock(world.ran(db, plan))
    app = create_app(db, clock, new_id=world.new_id, timing=QUICK, demo=DemoInfo(speed=3000))
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000), follow_redirects=False) as opened:
        yield opened


def test_whoever_uses_the_machine_names_who_speaks(demo: TestClient) -> None:
    assert {path: ASKS in demo.get(path).text for path in PAGES} == dict.fromkeys(PAGES, True)


def test_who_is_signed_in_speaks_under_their_own_name(demo: TestClient) -> None:
    demo.post("/demo/user", data={"user": "conductor"})
    told = {path: demo.get(path) for path in PAGES}
    assert {path: (answer.status_code, ASKS in answer.text) for path, answer in told.items()} == dict.fromkeys(
        PAGES, (200, False)
    )
    form = {"campaign": world.SCENARIO.campaign.id}
    assert demo.post("/campaign/replan", data=form).status_code == 303
    other = demo.post("/campaign/replan", data={**form, "actor": "somebody else"})
    assert (other.status_code, other.json()["code"]) == (403, "ACTOR_IS_NOT_CALLER")
