"""An open store for each test, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fermata.store.database import Database


@pytest.fixture
def db(store_url: str, tmp_path: Path) -> Iterator[Database]:
    """A migrated, empty store."""
    database = Database(store_url, seal_key=tmp_path / "seal")
    yield database
    database.close()
