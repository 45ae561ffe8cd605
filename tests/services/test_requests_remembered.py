"""What a process remembers of a store between two looks is never told from what is read anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from tests.conftest import copy_sqlite
from tests.constraints import world as w
from tests.properties import walks
from tests.properties.walks import Change, Put, Walk, Word

from fermata.domain.fleet import Fleet, NodeState
from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.domain.pending_lines import PendingFilter
from fermata.services import fleets
from fermata.services.inventory import ImportSet, import_fleet, import_set
from fermata.services.requests import list_pending, list_requests, refresh_in, refresh_requests, watch_requests
from fermata.store import consent, inventory
from fermata.store.database import Database

ALL = PendingFilter()
SERIAL = count(1)
UP = {"nic_fw": "2.0"}
START = [Put(number, walks.NAMES[number % 3], number % 2, UP, NodeState.IN_SERVICE) for number in range(6)]


def prepare(db: Database, walk: Walk) -> None:
    walk.take(START)
    given_ = ImportSet(fleet=walk.fleet(), catalogue=walks.CATALOGUE, policy=walks.policy(told=False))
    import_set(db, given_, now=w.NOW, actor="operator-1")


def compare(db: Database) -> None:
    """With a store that was opened just now."""
    anew = Database(db.url)
    assert list_requests(db, ALL, now=w.NOW, ended=True) == list_requests(anew, ALL, now=w.NOW, ended=True)
    assert list_pending(db, ALL) == list_pending(anew, ALL)
    anew.close()


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    heard: list[str] = []

    def hear(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
        heard.append(" ".join(statement.split()))

    event.listen(db.engine, "before_cursor_execute", hear)
    yield heard
    event.remove(db.engine, "before_cursor_execute", hear)


def reads_of_nodes(db: Database, look: Callable[[], object]) -> list[str]:
    with statements(db) as heard:
        look()
    return [each for each in heard if "FROM node" in each]


def test_a_look_after_one_node_changed_reads_one_node(db: Database) -> None:
    prepare(db, Walk())
    refresh_requests(db, now=w.NOW)
    assert reads_of_nodes(db, lambda: watch_requests(db, now=w.NOW)) == []
    with db.begin() as conn:
        inventory.record_versions(conn, {NodeId("n1"): {"nic_fw": "1.0"}})
    (query,) = reads_of_nodes(db, lambda: refresh_requests(db, now=w.NOW))
    assert "WHERE node.name IN" in query
    assert reads_of_nodes(db, lambda: list_requests(db, ALL, now=w.NOW)) == []
    compare(db)


def look_and_fail(db: Database, fleet: Fleet) -> None:
    with db.begin() as conn:
        inventory.save_fleet(conn, fleet)
        refresh_in(conn, now=w.NOW, why="a test")
        raise RuntimeError


def test_what_was_worked_out_in_a_transaction_that_failed_is_forgotten(db: Database) -> None:
    walk = Walk()
    prepare(db, walk)
    refresh_requests(db, now=w.NOW)
    walk.take([walks.Take(1)])
    with pytest.raises(RuntimeError):
        look_and_fail(db, walk.fleet())
    compare(db)
    with db.begin() as conn:
        inventory.record_versions(conn, {NodeId("n2"): {"nic_fw": "1.0"}})  # takes the number that is free again
    compare(db)


def test_what_another_process_writes_is_seen(db: Database) -> None:
    prepare(db, Walk())
    refresh_requests(db, now=w.NOW)
    other = Database(db.url)
    with other.begin() as conn:
        inventory.record_versions(conn, {NodeId("n3"): {"nic_fw": "1.0", "agent": "2.0"}})
        consent.append_entry(conn, walks.YES[0].numbered(1))
    other.close()
    compare(db)


def test_a_cluster_that_changes_hands_is_seen(db: Database) -> None:
    walk = Walk()
    prepare(db, walk)
    refresh_requests(db, now=w.NOW)
    fleet = walk.fleet()
    alpha = replace(fleet.clusters[ClusterId("alpha")], customer=walks.MERIDIAN, supercomputer=walks.TWO)
    import_fleet(db, replace(fleet, clusters={**fleet.clusters, alpha.name: alpha}), now=w.NOW, actor="operator-1")
    compare(db)


def test_another_catalogue_or_policy_is_seen(db: Database) -> None:
    prepare(db, Walk())
    refresh_requests(db, now=w.NOW)
    fewer = {name: update for name, update in walks.CATALOGUE.updates.items() if name != UpdateId("os")}
    import_set(db, ImportSet(catalogue=replace(walks.CATALOGUE, updates=fewer)), now=w.NOW, actor="operator-1")
    compare(db)
    import_set(db, ImportSet(policy=w.scenario().policy), now=w.NOW, actor="operator-1")
    compare(db)


def test_more_changes_than_are_worth_following_are_read_whole(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = Walk()
    prepare(db, walk)
    refresh_requests(db, now=w.NOW)
    monkeypatch.setattr(fleets, "CHANGES_MIN", 2)
    with db.begin() as conn:
        inventory.record_versions(conn, {NodeId(f"n{number}"): {"nic_fw": "1.0"} for number in range(3)})
    (query,) = reads_of_nodes(db, lambda: refresh_requests(db, now=w.NOW))
    assert "WHERE" not in query
    compare(db)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.one_of(walks.changes, walks.changes, walks.words()), min_size=1, max_size=5))
def test_any_walk_ends_where_a_store_opened_anew_stands(
    sqlite_template: Path, tmp_path: Path, steps: list[list[Change] | Word]
) -> None:
    path = tmp_path / f"{next(SERIAL)}.sqlite"
    copy_sqlite(sqlite_template, path)
    db, walk = Database(f"sqlite:///{path}"), Walk()
    prepare(db, walk)
    for step in steps:
        if isinstance(step, Word):
            with db.begin() as conn:
                consent.append_entry(conn, step.numbered(next(SERIAL)))
        else:
            walk.take(step)
            import_fleet(db, walk.fleet(), now=w.NOW, actor="operator-1")
        compare(db)
    db.close()
