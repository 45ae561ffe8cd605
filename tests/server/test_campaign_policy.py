"""The calendar of policies and freezes: what it shows, and the freezes that are added and ended on it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from tests.constraints import world as w
from tests.server import campaign_world as world

from fermata.services import freezes
from fermata.store.database import Database


@pytest.fixture
def served(db: Database) -> Iterator[world.Served]:
    plan = world.put_in_force(db)
    with world.serving(db, plan, world.ran(db, plan)) as made:
        yield made


@pytest.fixture
def client(served: world.Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60, follow_redirects=True) as opened:
        yield opened


def freeze(**other: str) -> dict[str, str]:
    typed = {"level": "cluster", "name": "alpha", "start": "2026-01-03T00:00", "end": "2026-01-09T00:00"}
    return {"campaign": "small", **typed, "reason": "a model launch", **other}


def test_a_freeze_is_added_from_the_page_and_tells_which_windows_it_meets(
    served: world.Served, client: httpx.Client
) -> None:
    served.clock.at = w.NOW
    text = client.post("/policy/freezes", data=freeze()).text
    (made,) = (view.freeze for view in freezes.list_freezes(served.db, now=w.NOW))
    assert made.start == datetime(2026, 1, 3, 8, tzinfo=UTC), "midnight in Los Angeles"
    assert f"{made.id} is in force." in text
    met = sum(window.cluster == "alpha" for window in served.plan.windows)
    assert f"{met} window" in text
    assert "frozen Sat 3 Jan 00:00 to Fri 9 Jan 00:00" in text
    assert "a model launch" in text
    ended = client.post("/policy/freezes/end", data={"campaign": "small", "freeze": made.id, "why": "over"}).text
    assert "its scope is open again" in ended
    assert freezes.list_freezes(served.db, now=w.NOW) == ()


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [
        ({"name": "alfa"}, 409, "the nearest is alpha"),
        ({"reason": ""}, 409, "needs a reason"),
        ({"end": "2026-01-02T00:00"}, 409, "its end must come after its start"),
        ({"start": ""}, 422, "first moment of the freeze is missing"),
        ({"end": "soon"}, 422, "last moment of the freeze is missing"),
        ({"actor": "nobody-known"}, 409, "nobody-known"),
    ],
)
def test_a_freeze_that_cannot_be_is_refused_and_what_was_typed_stays(
    served: world.Served, client: httpx.Client, typed: dict[str, str], status: int, words: str
) -> None:
    answer = client.post("/policy/freezes", data=freeze(**typed))
    assert answer.status_code == status
    assert words in answer.text
    assert f'value="{freeze(**typed)["name"]}"' in answer.text
    assert freezes.list_freezes(served.db, now=w.NOW) == ()
    assert client.post("/policy/freezes", data=freeze(level="mood")).status_code == 422


def test_the_calendar_of_policies_is_of_one_customer_and_kind_of_work(client: httpx.Client) -> None:
    text = client.get("/policy", params={"work": "repair", "customer": "lumen", "first": "2026-02-01"}).text
    assert "Sun 1 Feb to Sat 28 Feb" in text
    assert "Its policy in words" in text
    assert "at any time, unasked" in text
    assert client.get("/policy?work=magic").status_code == 422
    assert client.get("/policy?customer=nobody").text.count("Its policy in words") == 0


def test_hostile_words_are_text(served: world.Served, client: httpx.Client) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    client.post("/policy/freezes", data=freeze(reason=hostile, end="2027-01-01T00:00"))
    for address in ("/policy", f"/campaign/what-if?nodes_out={hostile}", "/campaign/what-if"):
        assert hostile not in client.get(address).text
    assert hostile not in client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": hostile}).text
