"""A word on work orders is its giver's: it never speaks for a customer whose nodes came afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from tests.constraints import world as w
from tests.services.orders import DAY, LUMEN, POLICY, REPAIR, S, begin, both, codes, opened, prepare, say, shown, state

from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import ClusterId, CustomerId, NodeId, RackId
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.work_orders import Word
from fermata.services.errors import Refusal
from fermata.services.inventory import import_fleet
from fermata.store import journal, work_orders
from fermata.store.database import Database

RACK = RackId("alpha-r1")  # lumen's alone at first
FLEET = both()


def nodes(fleet: Fleet, change: Callable[[Node], Node | None]) -> Fleet:
    """The fleet with each node changed, or left out for None."""
    made = {name: change(node) for name, node in fleet.nodes.items()}
    return replace(fleet, nodes={name: node for name, node in made.items() if node is not None})


def without(name: str) -> Fleet:
    return nodes(FLEET, lambda node: None if node.name == name else node)


def moved(name: str, **to: object) -> Fleet:
    return nodes(FLEET, lambda node: replace(node, **to) if node.name == name else node)  # type: ignore[arg-type]


def sold(fleet: Fleet = FLEET, name: str = "alpha", customer: str = "meridian") -> Fleet:
    cluster: Cluster = replace(fleet.clusters[ClusterId(name)], customer=CustomerId(customer))
    return replace(fleet, clusters={**fleet.clusters, cluster.name: cluster})


def arrive(db: Database, fleet: Fleet) -> None:
    import_fleet(db, fleet, now=w.NOW + DAY, actor="operator-1")


def taken_back(db: Database) -> Mapping[str, str]:
    with db.read() as conn:
        return {word.scope.name: word.actor for word in work_orders.load_words(conn) if word.word is Word.WITHDRAWN}


def in_rack(fleet: Fleet) -> list[NodeId]:
    return sorted(node.name for node in fleet.nodes.values() if node.rack == RACK and node.cluster == "alpha")


SCOPES = [None, Scope(level=ScopeLevel.RACK, name=RACK)]


@pytest.mark.parametrize("scope", SCOPES, ids=["supercomputer", "rack"])
@pytest.mark.parametrize("actor", ["ann", "eve"])
def test_a_word_on_a_place_does_not_speak_for_another_customers_node_that_comes_there(
    db: Database, scope: Scope | None, actor: str
) -> None:
    """Not even when its giver may speak for that customer too: it was not asked about this node."""
    prepare(db)
    opened(db, f"rack {RACK}")
    say(db, REPAIR, actor=actor, scope=scope)
    assert state(db) is S.APPROVED
    arrive(db, moved("beta-n01", rack=RACK))
    assert state(db) is S.PARTLY_APPROVED
    assert taken_back(db) == {"beta-n01": "operator-1"}
    with pytest.raises(Refusal) as refused:
        begin(db)
    assert codes(refused) == [Code.APPROVAL_WITHDRAWN]
    say(db, REPAIR, actor="bob", scope=Scope(level=ScopeLevel.NODE, name="beta-n01"))
    assert state(db) is S.APPROVED


@pytest.mark.parametrize("scope", SCOPES, ids=["supercomputer", "rack"])
def test_it_speaks_for_a_node_of_its_own_customer_that_comes_there(db: Database, scope: Scope | None) -> None:
    prepare(db)
    opened(db, f"rack {RACK}")
    say(db, REPAIR, actor="ann", scope=scope)
    arrive(db, moved("alpha-n00", rack=RACK))
    assert state(db) is S.APPROVED
    assert taken_back(db) == {}


@pytest.mark.parametrize(
    "text", ["", "cluster alpha", f"rack {RACK}", *(f"node {name}" for name in in_rack(FLEET)[:1])]
)
def test_it_ends_where_the_nodes_are_sold(db: Database, text: str) -> None:
    prepare(db)
    opened(db, f"rack {RACK}")
    level, _, name = text.partition(" ")
    scope = Scope(level=ScopeLevel(level), name=name) if text else None
    say(db, REPAIR, actor="ann", scope=scope)
    arrive(db, sold())
    assert state(db) is not S.APPROVED
    assert all(cover.covered == 0 for cover in shown(db).coverage)
    expected = in_rack(FLEET)[:1] if level == "node" else in_rack(FLEET)
    assert sorted(taken_back(db)) == expected
    arrive(db, replace(sold(), devices={}))
    assert sorted(taken_back(db)) == expected, "taken back once"


@pytest.mark.parametrize("level", ["node", "cluster"])
@pytest.mark.parametrize(("customer", "stands"), [("lumen", True), ("meridian", False)])
def test_a_node_that_left_and_came_back_keeps_its_word_only_for_who_may_have_said_it(
    db: Database, level: str, customer: str, stands: bool
) -> None:
    """All of the cluster is away for a time, so nobody is there to be sold."""
    prepare(db)
    name = in_rack(FLEET)[0]
    opened(db, f"node {name}")
    say(db, REPAIR, actor="ann", scope=Scope(level=ScopeLevel(level), name=name if level == "node" else "alpha"))
    arrive(db, nodes(FLEET, lambda node: None if node.cluster == "alpha" else node))
    arrive(db, sold(customer=customer))
    assert (state(db) is S.APPROVED) is stands
    assert sorted(taken_back(db)) == ([] if stands else [name])


def test_a_no_of_another_customer_ends_too(db: Database) -> None:
    prepare(db)
    opened(db, f"rack {RACK}")
    say(db, REPAIR, Word.DECLINED, actor="ann", until=w.NOW + DAY / 2, reason="exam week")
    arrive(db, moved("beta-n01", rack=RACK))
    assert taken_back(db) == {"beta-n01": "operator-1"}


def test_orders_that_have_begun_and_those_that_are_over_are_left_alone(db: Database) -> None:
    prepare(db)
    opened(db, f"rack {RACK}")
    say(db, REPAIR, actor="ann")
    begin(db)
    arrive(db, moved("beta-n01", rack=RACK))
    assert taken_back(db) == {}
    assert state(db) is S.IN_PROGRESS
    arrive(db, sold())
    assert taken_back(db) == {}, "its people have the nodes"


def test_the_journal_says_why_a_word_was_taken_back(db: Database) -> None:
    prepare(db, policy=replace(POLICY, customers={**POLICY.customers, LUMEN.id: LUMEN}))
    opened(db, f"rack {RACK}")
    say(db, REPAIR, actor="ann")
    arrive(db, moved("beta-n01", rack=RACK))
    with db.read() as conn:
        (line,) = [entry for entry in journal.read(conn) if entry.event == "consent.withdrawn"]
    assert line.subject == "node:beta-n01"
    assert line.why == "beta-n01 is there for meridian, who said nothing of supercomputer sc-both and has to be asked"
