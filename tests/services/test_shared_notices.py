"""Two customers who share a supercomputer are each told what concerns their own nodes, and nothing of the other's."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.constraints import world as w
from tests.services.notice_world import Desk
from tests.services.orders import (
    BOTH,
    DAY,
    LUMEN,
    MERIDIAN,
    POLICY,
    REPAIR,
    both,
    minting,
    opened,
    prepare,
    say,
    target,
)

from fermata.domain.ids import ClusterId, CustomerId, OrderId
from fermata.domain.notices import OF_CONSENT, Notice, NoticeKind, knows_items, notified_at
from fermata.domain.policy import MaintenanceKind, Scope, ScopeLevel, Verdict
from fermata.domain.request_kinds import RequestKind, request_id
from fermata.domain.updates import Criticality, Impact
from fermata.domain.work_orders import Word
from fermata.services import notices
from fermata.services.consent import Order, decide
from fermata.services.exemptions import ExemptionOrder, ask_exemption, confirm_exemption
from fermata.services.freezes import FreezeOrder, add_freeze
from fermata.services.inventory import ImportSet, import_fleet, import_set
from fermata.services.order_words import WordOrder, decide_orders
from fermata.services.requests import show_request, watch_requests
from fermata.services.work_orders import NewOrder, cancel_order, open_orders
from fermata.store import requests
from fermata.store.database import Database

OURS, THEIRS, RACK = "node alpha-n00", "node beta-n05", "rack alpha-r0"
WHOLE = Scope(level=ScopeLevel.SUPERCOMPUTER, name=BOTH)
DUE = w.NOW + DAY


@pytest.fixture
def desk(db: Database) -> Desk:
    """Everybody is heard of: the operator's own subscription keeps all that is told."""
    prepare(db)
    made = Desk(db)
    made.subscribe("own", customers=frozenset())
    return made


def told(db: Database, *kinds: NoticeKind, request: str = REPAIR) -> list[Notice]:
    """Notices of one request, oldest first."""
    found = (view.notice for view in reversed(notices.list_notices(db, limit=500).notices))
    return [notice for notice in found if notice.thread == request and (not kinds or notice.kind in kinds)]


def last_to(db: Database, customer: CustomerId, request: str = REPAIR) -> Notice:
    return [notice for notice in told(db, request=request) if notice.customer == customer][-1]


def ask(db: Database, *wanted: tuple[str, str, Impact], kind: RequestKind = RequestKind.REPAIR) -> None:
    """Opens orders at once: target, cause and impact of each."""
    orders = [
        NewOrder(kind=kind, target=target(on), cause=cause, impact=impact, criticality=Criticality.CRITICAL_LIVESITE)
        for on, cause, impact in wanted
    ]
    open_orders(db, orders, now=w.NOW, actor="operator-1", new_id=minting())


def ask_of_both(db: Database) -> None:
    ask(db, (OURS, "a GPU fell off", Impact.REBOOTFUL), (THEIRS, "a cable frays", Impact.IMPACTFUL))


def heard(db: Database) -> list[tuple[str, list[str]]]:
    """To whom words on orders went, and of which orders they are said to be."""
    return [(notice.customer, list(notice.facts["orders"])) for notice in told(db, *OF_CONSENT)]


@pytest.mark.parametrize("verb", [Word.APPROVED, Word.DECLINED, Word.WITHDRAWN])
def test_a_word_on_the_whole_reaches_none_but_whose_nodes_it_is_about(desk: Desk, verb: Word) -> None:
    ask_of_both(desk.db)
    until = DUE if verb is Word.DECLINED else None
    say(desk.db, REPAIR, verb, actor="ann", orders=frozenset({OrderId("wo_1")}), until=until)
    assert heard(desk.db) == [("lumen", ["wo_1"])]


def test_a_word_on_a_rack_that_two_share_reaches_none_but_whose_nodes_it_is_about(desk: Desk) -> None:
    ask_of_both(desk.db)
    scope = Scope(level=ScopeLevel.RACK, name="alpha-r0")
    say(desk.db, REPAIR, actor="ann", scope=scope)
    assert heard(desk.db) == [("lumen", ["wo_1"])]


def test_a_word_for_both_names_to_each_its_own_orders_and_those_of_what_they_share(desk: Desk) -> None:
    ask(
        desk.db,
        (OURS, "a GPU fell off", Impact.REBOOTFUL),
        (THEIRS, "a cable frays", Impact.IMPACTFUL),
        (RACK, "the rack manager hangs", Impact.IMPACTFUL),
    )
    say(desk.db, REPAIR, actor="eve")
    assert heard(desk.db) == [("lumen", ["wo_1", "wo_3"]), ("meridian", ["wo_2", "wo_3"])]


def test_several_words_in_one_notice_are_said_to_be_of_all_their_orders(desk: Desk) -> None:
    ask(
        desk.db,
        (OURS, "a GPU fell off", Impact.REBOOTFUL),
        (THEIRS, "a cable frays", Impact.IMPACTFUL),
        ("node alpha-n01", "a fan stands still", Impact.REBOOTFUL),
    )
    names = ("wo_3", "wo_2", "wo_1")
    words = [WordOrder(word=Word.APPROVED, orders=frozenset({OrderId(name)}), actor="eve") for name in names]
    decide_orders(desk.db, REPAIR, words, now=w.NOW, new_id=minting())
    assert heard(desk.db) == [("lumen", ["wo_1", "wo_3"]), ("meridian", ["wo_2"])]


def exempted(db: Database) -> list[tuple[str, str, list[str]]]:
    """To whom exemptions went, and of which orders they are said to be."""
    kinds = {NoticeKind.EXEMPTION_ASKED, NoticeKind.EXEMPTION_CONFIRMED}
    found = (view.notice for view in reversed(notices.list_notices(db, limit=500).notices))
    return [(each.kind.value, each.customer, each.facts["orders"]) for each in found if each.kind in kinds]


def exempt(desk: Desk, *orders: str, kinds: frozenset[MaintenanceKind] = frozenset()) -> None:
    """Asks that these pass a freeze of lumen's, and has it confirmed."""
    lets = replace(LUMEN, except_criticality=frozenset({Criticality.CRITICAL_LIVESITE}))
    policy = replace(POLICY, customers={LUMEN.id: lets, MERIDIAN.id: MERIDIAN})
    import_set(desk.db, ImportSet(policy=policy), now=w.NOW, actor="operator-1")
    alpha = Scope(level=ScopeLevel.CLUSTER, name="alpha")
    given = FreezeOrder(scope=alpha, start=w.NOW, end=w.NOW + DAY, reason="launch")
    freeze = add_freeze(desk.db, given, now=w.NOW, new_id=desk.new_id)
    wanted = ExemptionOrder(
        freeze=freeze.id,
        updates=frozenset(),
        orders=frozenset(map(OrderId, orders)),
        kinds=kinds,
        reason="it smokes",
        actor="conductor-1",
    )
    asked = ask_exemption(desk.db, wanted, now=w.NOW, new_id=desk.new_id)
    confirm_exemption(desk.db, asked.id, now=w.NOW, actor="ann")


REPAIRS = frozenset({MaintenanceKind.REPAIR})


@pytest.mark.parametrize(
    ("orders", "kinds", "named"),
    [
        (["wo_1"], frozenset(), [["wo_1"]]),
        (["wo_1", "wo_2"], frozenset(), [["wo_1"]]),
        (["wo_2"], frozenset(), []),
        (["wo_2"], REPAIRS, [[]]),
        (["wo_2", "wo_3"], REPAIRS, [["wo_3"]]),
    ],
)
def test_an_exemption_names_to_whom_the_freeze_is_of_its_own_orders_alone(
    desk: Desk, orders: list[str], kinds: frozenset[MaintenanceKind], named: list[list[str]]
) -> None:
    """Another's may be among them: one on a rack that both share is of both."""
    ask(
        desk.db,
        (OURS, "a GPU fell off", Impact.REBOOTFUL),
        (THEIRS, "a cable frays", Impact.IMPACTFUL),
        (RACK, "the rack manager hangs", Impact.IMPACTFUL),
    )
    exempt(desk, *orders, kinds=kinds)
    assert exempted(desk.db) == [
        (kind, "lumen", names) for kind in ("exemption.asked", "exemption.confirmed") for names in named
    ]


def test_a_word_on_updates_of_the_whole_is_a_word_of_all_who_hold_a_node_there(desk: Desk) -> None:
    decide(desk.db, [Order(scope=WHOLE, verdict=Verdict.APPROVED, actor="eve")], now=w.NOW, new_id=desk.new_id)
    found = told(desk.db, *OF_CONSENT, request=request_id(BOTH))
    assert [notice.customer for notice in found] == ["lumen", "meridian"]


def test_whose_cluster_there_has_no_nodes_hears_no_word_on_the_whole(desk: Desk) -> None:
    empty = replace(both().clusters[ClusterId("beta")], name=ClusterId("empty"), customer=CustomerId("nobody"))
    fleet = both()
    import_fleet(desk.db, replace(fleet, clusters={**fleet.clusters, empty.name: empty}), now=w.NOW, actor="operator-1")
    decide(desk.db, [Order(scope=WHOLE, verdict=Verdict.APPROVED, actor="eve")], now=w.NOW, new_id=desk.new_id)
    found = told(desk.db, *OF_CONSENT, request=request_id(BOTH))
    assert [notice.customer for notice in found] == ["lumen", "meridian"]


def shown(notice: Notice) -> Mapping[str, Any]:
    kept = ("nodes", "shared_devices", "impact", "joined")
    return {key: notice.facts[key] for key in kept} | {"orders": [order["id"] for order in notice.facts["orders"]]}


def test_what_is_asked_of_one_is_not_shown_to_the_other(desk: Desk) -> None:
    ask_of_both(desk.db)
    ours, theirs = told(desk.db, NoticeKind.REQUEST_OPENED)
    assert (ours.customer, theirs.customer) == ("lumen", "meridian")
    alone = {"nodes": 1, "shared_devices": 0}
    assert shown(ours) == {**alone, "impact": "rebootful", "joined": ["wo_1"], "orders": ["wo_1"]}
    assert shown(theirs) == {**alone, "impact": "impactful", "joined": ["wo_2"], "orders": ["wo_2"]}
    assert (ours.why, theirs.why) == ("a GPU fell off", "a cable frays")
    assert "alpha" not in str(theirs)
    assert "beta" not in str(ours)


def test_what_both_share_is_shown_to_both_with_every_node_of_either(desk: Desk) -> None:
    ask(desk.db, (RACK, "the rack manager hangs", Impact.IMPACTFUL))
    found = told(desk.db, NoticeKind.REQUEST_OPENED)
    assert [notice.customer for notice in found] == ["lumen", "meridian"]
    for notice in found:
        (order,) = notice.facts["orders"]
        assert {"alpha-n00", "beta-n00"} < set(order["nodes"])
        assert notice.facts["nodes"] == len(order["nodes"])


def test_who_has_nothing_in_it_hears_nothing_of_what_joins_for_another(desk: Desk) -> None:
    opened(desk.db, OURS)
    assert [notice.customer for notice in told(desk.db)] == ["lumen"]


def test_why_something_joins_for_another_is_not_told(desk: Desk) -> None:
    mint = minting()
    opened(desk.db, OURS, mint=mint)
    mint("wo")
    open_orders(
        desk.db,
        [NewOrder(kind=RequestKind.REPAIR, target=target(THEIRS), cause="a secret of theirs")],
        now=w.NOW,
        actor="operator-1",
        new_id=mint,
    )
    ours = last_to(desk.db, LUMEN.id)
    assert (ours.kind, ours.why, ours.facts["joined"]) == ("request.changed", "", [])
    assert ours.facts["incarnation"] == 2, "the number that its words are given on"
    assert "a secret of theirs" not in str(ours)


def test_who_has_nothing_left_is_told_so_though_the_other_has(desk: Desk) -> None:
    ask_of_both(desk.db)
    cancel_order(desk.db, OrderId("wo_1"), now=w.NOW, actor="operator-1", why="it was a loose plug")
    ours, theirs = last_to(desk.db, LUMEN.id), last_to(desk.db, MERIDIAN.id)
    assert (ours.kind, ours.facts["left"], ours.why) == ("request.closed", ["wo_1"], "it was a loose plug")
    assert (theirs.kind, theirs.facts["left"], theirs.why) == ("request.changed", [], "")
    cancel_order(desk.db, OrderId("wo_2"), now=w.NOW, actor="operator-1", why="spliced")
    assert last_to(desk.db, LUMEN.id) == ours, "it is told of the end once"
    assert last_to(desk.db, MERIDIAN.id).kind == "request.closed"


def test_updates_are_counted_on_the_nodes_of_each_customer(desk: Desk) -> None:
    found = told(desk.db, NoticeKind.REQUEST_OPENED, request=request_id(BOTH))
    with desk.db.read() as conn:
        whole = requests.load_requests(conn)[request_id(BOTH)]
    assert [notice.customer for notice in found] == ["lumen", "meridian"]
    fleet = both()
    for notice in found:
        own = [n for n in fleet.nodes.values() if fleet.clusters[n.cluster].customer == notice.customer]
        own = [n for n in own if fleet.clusters[n.cluster].supercomputer == BOTH]
        assert 0 < notice.facts["nodes"] <= len(own) < whole.nodes
    for fact in ("nodes", "shared_devices"):
        assert sum(notice.facts[fact] for notice in found) == getattr(whole, fact)
    for item in whole.items:
        lines = [each for notice in found for each in notice.facts["items"] if each["update"] == item.update]
        assert sum(each["nodes"] for each in lines) == item.nodes
        assert sum(each["devices"] for each in lines) == item.devices


def import_with_beta_done(desk: Desk, *updates: str) -> None:
    """Of these updates (none named: all), with the NICs of meridian's cluster up to date."""
    fleet, catalogue = both(), w.catalogue()
    nodes = {
        name: replace(node, versions={**node.versions, "nic_fw": "2.0"}) if node.cluster == "beta" else node
        for name, node in fleet.nodes.items()
    }
    kept = {name: update for name, update in catalogue.updates.items() if not updates or name in updates}
    given = ImportSet(
        fleet=replace(fleet, nodes=nodes),
        catalogue=replace(catalogue, updates=kept),
        policy=POLICY,
        campaign=w.campaign(),
    )
    import_set(desk.db, given, now=desk.clock.at, actor="operator-1")


def test_who_has_no_unit_that_anything_is_due_on_hears_nothing(db: Database) -> None:
    import_with_beta_done(Desk(db), "nic")
    found = told(db, request=request_id(BOTH))
    assert [(notice.customer, notice.kind) for notice in found] == [("lumen", "request.opened")]


def test_an_update_that_is_due_on_nodes_of_one_is_asked_of_it_alone(desk: Desk) -> None:
    desk.subscribe("lumen-own")
    desk.clock.at += DAY
    import_with_beta_done(desk)
    name = request_id(BOTH)
    ours, theirs = last_to(desk.db, LUMEN.id, name), last_to(desk.db, MERIDIAN.id, name)
    asked = [{item["update"] for item in notice.facts["items"]} for notice in (ours, theirs)]
    assert asked[0] - asked[1] == {"nic"}
    assert ("nic" in theirs.facts["left"], ours.facts["left"]) == (True, [])
    known = [each for n in (ours, theirs) for each in knows_items(n, desk.clock.at)]
    with desk.db.read() as conn:
        assert notified_at(requests.load_requests(conn)[name], known) == desk.clock.at, "each knows what is asked of it"


def overdue(db: Database) -> dict[str, Notice]:
    return {notice.customer: notice for notice in told(db, NoticeKind.REQUEST_OVERDUE)}


def test_each_is_told_that_its_own_is_overdue_and_not_what_is_asked_of_the_other(desk: Desk) -> None:
    ask_of_both(desk.db)
    watch_requests(desk.db, now=DUE)
    found = overdue(desk.db)
    assert {name: (n.facts["nodes"], n.facts["impact"], n.facts["who"]) for name, n in found.items()} == {
        "lumen": (1, "rebootful", ["lumen"]),
        "meridian": (1, "impactful", ["meridian"]),
    }
    for name, other in (("lumen", "meridian"), ("meridian", "lumen")):
        assert f"without a word of {name} on 1 unit:" in found[name].why
        assert other not in str(found[name])


def test_who_still_has_time_to_choose_is_not_told_that_it_is_overdue(desk: Desk) -> None:
    mint = minting()
    opened(desk.db, OURS, mint=mint, criticality=Criticality.CRITICAL_LIVESITE)
    mint("wo")
    later = w.NOW + timedelta(hours=5)
    opened(desk.db, THEIRS, mint=mint, criticality=Criticality.CRITICAL_LIVESITE, now=later)
    watch_requests(desk.db, now=DUE)
    assert list(overdue(desk.db)) == ["lumen"]
    watch_requests(desk.db, now=later + DAY)
    due = {name: notice.facts["due_at"] for name, notice in overdue(desk.db).items()}
    assert due == {"lumen": DUE.isoformat(), "meridian": (later + DAY).isoformat()}


def test_on_what_both_share_each_is_told_how_many_of_its_own_nodes_wait(desk: Desk) -> None:
    ask(desk.db, (RACK, "the rack manager hangs", Impact.IMPACTFUL))
    watch_requests(desk.db, now=DUE)
    found = overdue(desk.db)
    assert "without a word of lumen on 3 units:" in found["lumen"].why
    assert "without a word of meridian on 1 unit:" in found["meridian"].why


def units(sentence: str) -> int:
    (found,) = re.findall(r"on (\d+) units:", sentence)
    return int(found)


def test_of_updates_that_are_overdue_each_is_told_its_own_units(desk: Desk) -> None:
    late = w.NOW + 400 * DAY
    watch_requests(desk.db, now=late)
    found = told(desk.db, NoticeKind.REQUEST_OVERDUE, request=request_id(BOTH))
    assert [notice.customer for notice in found] == ["lumen", "meridian"]
    whole = show_request(desk.db, request_id(BOTH), now=late).standing.why.sentence
    assert units(whole) == sum(units(notice.why) for notice in found)
    for notice, other in zip(found, ("meridian", "lumen"), strict=True):
        assert f"without a word of {notice.customer} on" in notice.why
        assert other not in str(notice)
