"""An open store for each test, on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from fermata.store.database import Database


@pytest.fixture
def db(store_url: str) -> Iterator[Database]:
    """A migrated, empty store."""
    database = Database(store_url)
    yield database
    database.close()
