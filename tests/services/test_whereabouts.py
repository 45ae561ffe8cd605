"""Where things lie that a request names, however many it names."""

import pytest
from sqlalchemy import event
from tests.constraints import world as w

from fermata.authority.needs_words import Kind, Named
from fermata.authority.places import WHOLE_FLEET
from fermata.services.inventory import ImportSet, import_set
from fermata.services.whereabouts import find_places
from fermata.store.database import Database

MANY = 2000
STATEMENTS_MAX = 40  # two tables in parts of 500 names, and what is read once


@pytest.mark.parametrize("kind", [Kind.NODE, Kind.UNIT, Kind.RACK, Kind.REQUEST, Kind.WORK_ORDER, Kind.WINDOW])
def test_thousands_of_names_take_a_few_statements_whether_they_are_known_or_not(db: Database, kind: Kind) -> None:
    given = ImportSet(fleet=w.fleet(), catalogue=w.catalogue(), policy=w.scenario().policy)
    import_set(db, given, now=w.NOW, actor="ann")
    statements = []
    event.listen(db.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    found = find_places(db, [Named(kind, f"nobody-{number}") for number in range(MANY)])
    assert set(found.values()) == {frozenset({WHOLE_FLEET})}
    assert len(statements) <= STATEMENTS_MAX
