"""The pages of a campaign: their figures are the services' own, questions and proposals survive whoever leaves, two who
publish learn of each other.
"""

from collections.abc import Iterator

import httpx
import pytest
from tests.constraints import world as w
from tests.server import campaign_world as world

from fermata.domain.campaign import Limit
from fermata.planning.inputs import Planned
from fermata.planning.why_load import Loads
from fermata.services import records, runs
from fermata.services.campaigns import CampaignDesk
from fermata.services.plans import load_plan_inputs
from fermata.services.what_if import WhatIf, ask_what_if
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


# The overview


def test_the_most_planned_of_a_limit_is_what_the_planner_counts(db: Database) -> None:
    plan = world.put_in_force(db)
    view = CampaignDesk(db).look(world.SMALL, w.NOW)
    _, inputs = load_plan_inputs(db, plan.id)
    loads = Loads(inputs, plan)
    counted = {resource.source: peaks for resource, peaks in loads.list_peaks() if isinstance(resource.source, Limit)}
    assert len(counted) == len(world.LIMITS)
    for line in view.limits:
        by_day = {day.day: day.planned for day in line.days}
        for day, peak in zip(loads.days, counted.get(line.limit, ()), strict=False):
            assert by_day.get(day.date, 0) == peak, (line.limit, day.date)


def test_what_was_used_stands_at_the_time_at_which_it_was_used(served: world.Served, client: httpx.Client) -> None:
    told = client.get("/campaign/curves?campaign=small").json()
    first = min(window.start for window in served.plan.windows)
    bucket = int(
        (first.timestamp() * 1000 - 8 * 3600e3 - told["start"]) // told["step"]
    )  # -8 h: Los Angeles in January
    used = told["limits"][0]["used"]
    assert used[bucket] == 1
    assert not any(used[:bucket])


def test_figures_are_those_of_the_status(served: world.Served, client: httpx.Client) -> None:
    status = runs.status(served.db, world.SMALL)
    text = client.get("/campaign").text
    assert f"{status.nodes_returned} of " in text
    done = sum(window.closed_at is not None for window in status.windows)
    assert f"{done} of {len(status.windows)} windows over" in text
    assert text.count('class="gantt-row"') == len({window.cluster for window in served.plan.windows})
    for window in served.plan.windows:
        assert f'href="/windows/{window.id}"' in text
    assert "1 missed" in text
    assert "1 overrun" in text


def test_a_campaign_is_chosen_by_its_id_and_an_unknown_one_refused(client: httpx.Client) -> None:
    assert client.get("/campaign?campaign=small").status_code == 200
    answer = client.get("/campaign?campaign=smal")
    assert answer.status_code == 404
    assert answer.json()["code"] == "CAMPAIGN_UNKNOWN"
    assert "small" in answer.json()["detail"]


def test_the_page_before_any_campaign_or_plan_says_what_to_do(db: Database) -> None:
    with world.serving(db, None, w.NOW) as made:  # type: ignore[arg-type]
        assert "fermata import scenario" in httpx.get(timeout=60, url=f"{made.url}/campaign").text
        assert httpx.get(timeout=60, url=f"{made.url}/campaign/what-if").headers["location"] == "/campaign"
        world.import_set(
            db, world.ImportSet(fleet=w.fleet(), catalogue=w.catalogue(), campaign=world.SCENARIO.campaign), now=w.NOW,
            actor="tests",
        )  # fmt: skip
        assert "fermata plan" in httpx.get(timeout=60, url=f"{made.url}/campaign").text
        assert "No run conducts" in httpx.get(timeout=60, url=f"{made.url}/campaign/replan").text
        assert "No policy is on record" in httpx.get(timeout=60, url=f"{made.url}/policy").text


# What if


def test_the_answer_is_the_service_s_and_a_reload_finds_it(served: world.Served, client: httpx.Client) -> None:
    begun = client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": "8", "weekends": "never"})
    address = str(begun.url.raw_path, "ascii")
    assert "nodes_out=8" in address
    text = world.wait_over(client, address)
    answer = ask_what_if(served.db, world.SMALL, WhatIf(nodes_out=8, weekends=False), now=served.clock.at)
    assert isinstance(answer.now, Planned)
    assert isinstance(answer.then, Planned)
    assert "limits[0].at_once=8, weekends=never" in text
    for outcome in (answer.now, answer.then):
        assert f"<dt>windows</dt><dd>{len(outcome.plan.windows)}</dd>" in text
    assert answer.comparison is not None
    assert f"What changes <b>{len(answer.comparison.moved) + len(answer.comparison.recut)}</b>" in text
    assert client.get(address).text.count("What if <code>") == 1
    assert len(records.list_plans(served.db, world.SMALL)) == 1, "a question is not a plan"


def test_any_change_that_the_command_takes_is_asked_beside_the_typed_ones(
    served: world.Served, client: httpx.Client
) -> None:
    changes = "return_threshold=0.5\r\n  limits[0].at_once=9  \r\n"
    begun = client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": "8", "changes": changes})
    text = world.wait_over(client, str(begun.url.raw_path, "ascii"))
    assert "What if <code>limits[0].at_once=8, return_threshold=0.5, limits[0].at_once=9</code>" in text
    asked = WhatIf(nodes_out=8, changes=("return_threshold=0.5", "limits[0].at_once=9"))
    answer = ask_what_if(served.db, world.SMALL, asked, now=served.clock.at)
    assert (answer.changed.limits[0].at_once, answer.changed.return_threshold) == (9, 0.5)
    assert isinstance(answer.then, Planned)
    assert f"<dt>windows</dt><dd>{len(answer.then.plan.windows)}</dd>" in text


def test_without_a_plan_the_page_says_which_rules_clash(client: httpx.Client) -> None:
    client.post("/campaign/what-if", data={"campaign": "small", "nodes_out": "1"})
    text = world.wait_over(client, "/campaign/what-if?campaign=small&nodes_out=1")
    assert "No plan exists" in text
    assert "nodes_out" in text or "nodes out" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nodes_out": "many"}, "whole number of nodes"),
        ({"nodes_out": "0"}, "at least one node"),
        ({"deadline": "soon"}, "such as 2026-01-16"),
        ({"deadline": "2020-01-01"}, "before the first day"),
        ({"deadline": "2040-01-01"}, "days after the first day"),
        ({"weekends": "perhaps"}, "staffed or never"),
        ({"rolling": "0"}, "more than 0"),
        ({"rolling": "nan"}, "more than 0"),
        ({"rolling": "400"}, "at most 1"),
        ({"changes": "limits[9].at_once=4"}, "There is no entry 9"),
        ({"changes": "limit[0].at_once=4"}, "did you mean limits"),
        ({"changes": "scope.cluster=alhpa"}, "Did you mean"),
        ({}, "at least one thing"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_what_would(
    client: httpx.Client, fields: dict[str, str], words: str
) -> None:
    answer = client.post("/campaign/what-if", data={"campaign": "small", **fields})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'role="alert"' in answer.text
    for value in fields.values():
        assert value in answer.text, "what was typed stays"
    assert client.post("/campaign/what-if", data={"campaign": "none", "nodes_out": "3"}).status_code == 404
    assert client.post("/campaign/what-if", data={"nodes_out": "3"}).json()["code"] == "BAD_INPUT"


# Planning again


def test_a_proposal_tells_which_dates_move_for_whom_and_why(served: world.Served, client: httpx.Client) -> None:
    assert "Nobody has planned again yet" in client.get("/campaign/replan").text
    text = world.plan_again(client)
    made = runs.status(served.db, world.SMALL).last_replan
    assert made is not None
    assert made.plan is not None
    assert f"Proposed: {made.plan}" in text
    assert "<b>lumen</b>" in text
    for line in made.lines:
        assert line.cause.sentence.split("{")[0][:30] in text
    assert f"<b>{len(made.lines)}</b> published date" in text
    assert runs.status(served.db, world.SMALL).plan == served.plan.id, "nothing is in force before it is published"


def test_publishing_takes_a_second_look_and_a_name(served: world.Served, client: httpx.Client) -> None:
    number = world.proposal_of(world.plan_again(client))
    look = client.get(f"/campaign/replan/publish?campaign=small&proposal={number}")
    assert "Publish it" in look.text
    assert "Back, publish nothing" in look.text
    order = {"campaign": "small", "proposal": str(number)}
    nameless = client.post("/campaign/replan/publish", data=order)
    assert nameless.status_code == 409
    assert "Your name is missing" in nameless.text
    assert runs.status(served.db, world.SMALL).plan == served.plan.id
    done = client.post("/campaign/replan/publish", data={**order, "actor": "ann", "why": "missed one"})
    assert "is in force" in done.text
    status = runs.status(served.db, world.SMALL)
    assert status.plan != served.plan.id, "the run went over to it"
    entry = records.look_back(served.db, before=None, limit=1, subject=f"plan:{status.plan}")[0]
    assert (entry.actor, entry.why) == ("ann", "missed one")


def test_of_two_who_publish_the_second_sees_what_the_first_did(served: world.Served, client: httpx.Client) -> None:
    number = world.proposal_of(world.plan_again(client))
    order = {"campaign": "small", "proposal": str(number)}
    client.post("/campaign/replan/publish", data={**order, "actor": "ann"})
    in_force = runs.status(served.db, world.SMALL).plan
    second = client.post("/campaign/replan/publish", data={**order, "actor": "bob"})
    assert second.status_code == 409
    assert f"{in_force} is in force (by ann" in second.text
    assert f"Published: {in_force}" in second.text
    late = client.get(f"/campaign/replan/publish?campaign=small&proposal={number}")
    assert late.status_code == 409
    assert "none any more" in late.text
    assert runs.status(served.db, world.SMALL).plan == in_force


def test_a_newer_proposal_takes_the_place_of_the_one_that_was_looked_at(
    served: world.Served, client: httpx.Client
) -> None:
    old = world.proposal_of(world.plan_again(client))
    new = world.proposal_of(world.plan_again(client))
    assert new != old
    answer = client.post("/campaign/replan/publish", data={"campaign": "small", "proposal": str(old), "actor": "bob"})
    assert answer.status_code == 409
    assert "is the newest proposal" in answer.text
    assert runs.status(served.db, world.SMALL).plan == served.plan.id
