"""The conditions of approvals stand with each window they bind, in words, on the plan's page and on the board."""

import re
from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest
from tests.constraints import world as w

from fermata.domain.ids import CampaignId, UpdateId, WindowId
from fermata.domain.orders import Terms
from fermata.domain.plans import Plan
from fermata.domain.policy import Conditions, Scope, ScopeLevel, Verdict
from fermata.planning.inputs import Planned
from fermata.server.web import render
from fermata.server.web.plan_page import render_plan
from fermata.services.board import BoardReader
from fermata.services.consent import Order, decide
from fermata.services.inventory import ImportSet, import_set
from fermata.services.plans import load_plan_inputs, make_plan, publish
from fermata.store.database import Database

SMALL = CampaignId("small")
SUPERCOMPUTERS = ("sc-alpha", "sc-beta", "sc-gamma", "sc-omega")
TIMES = Conditions(not_before=w.MONDAY, nodes_per_day=50, with_updates=frozenset({UpdateId("os")}))
SAID = f"from {w.MONDAY:%Y-%m-%d %H:%MZ} on, at most 50 nodes a day, together with os"


def ids() -> Callable[[str], str]:
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


NEW_ID = ids()


@pytest.fixture(autouse=True)
def _imported(db: Database) -> None:
    scenario = w.scenario()
    given = ImportSet(
        fleet=scenario.fleet, catalogue=scenario.catalogue, policy=scenario.policy, campaign=scenario.campaign
    )
    import_set(db, given, now=w.NOW, actor="operator-1")
    for name in SUPERCOMPUTERS:
        say(db, f"supercomputer {name}")


def say(db: Database, scope: str, conditions: Conditions | None = None, verdict: Verdict = Verdict.APPROVED) -> None:
    level, name = scope.split()
    order = Order(
        scope=Scope(level=ScopeLevel(level), name=name),
        verdict=verdict,
        terms=Terms(conditions=conditions),
    )
    decide(db, [order], now=w.NOW, new_id=NEW_ID)


def plan(db: Database) -> Plan:
    made = make_plan(db, SMALL, now=w.NOW, new_id=NEW_ID)
    assert isinstance(made, Planned)
    publish(db, made.plan.id, now=w.NOW, actor="operator-1")
    return made.plan


def page(db: Database, made: Plan) -> str:
    shown, inputs = load_plan_inputs(db, made.id)
    return render_plan(inputs, shown)


def detail(html: str, window: WindowId) -> str:
    found = re.search(rf'<details id="w-{window}">.*?<h3>Why then', html, re.DOTALL)
    assert found is not None
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def test_a_page_without_conditions_speaks_of_none(db: Database) -> None:
    assert "onditions" not in page(db, plan(db))


def test_conditions_stand_with_the_windows_that_they_bind_and_no_other(db: Database) -> None:
    say(db, "cluster alpha", TIMES)
    made = plan(db)
    html = page(db, made)
    bound = [window for window in made.windows if window.cluster == "alpha"]
    assert bound
    assert len(bound) < len(made.windows)
    for window in made.windows:
        told = detail(html, window.id)
        if window in bound:
            assert SAID in told
            assert f"cluster alpha lumen-capacity {w.NOW:%Y-%m-%d %H:%MZ} {len(window.nodes)} node" in told
            assert "with conditions" in told
        else:
            assert "onditions" not in told
    reader = BoardReader(db)
    reader.snapshot(w.NOW)
    for window in made.windows:
        view = reader.window(window.id)
        assert view is not None
        assert [(t.sentence, t.nodes) for t in view.terms] == ([(SAID, len(window.nodes))] if window in bound else [])
        assert (SAID in render.render_window(view)) is (window in bound)


def test_an_approval_that_came_later_and_sets_none_ends_them_where_it_holds(db: Database) -> None:
    say(db, "cluster alpha", TIMES)
    made = plan(db)
    (window, *_) = (window for window in made.windows if window.cluster == "alpha")
    say(db, f"node {window.nodes[0]}")
    told = detail(page(db, made), window.id)
    assert (f" {len(window.nodes) - 1} node" in told) is (len(window.nodes) > 1)
    for name in window.nodes[1:]:
        say(db, f"node {name}")
    assert "onditions" not in detail(page(db, made), window.id)


def test_a_counter_offer_is_no_approval_whatever_time_it_names(db: Database) -> None:
    made = plan(db)
    named = Conditions(not_before=w.MONDAY, not_after=w.MONDAY + timedelta(days=1))
    say(db, "cluster alpha", named, Verdict.OFFERED)
    assert "onditions" not in page(db, made)
