"""Opens a store with everything that looks at it before anything is written."""

from fermata.store.database import Database, migrate
from fermata.store.sealing import SealKey
from fermata.store.servers import look_at_life


def open_database(url: str, *, seal_key: SealKey | None = None) -> Database:
    """Opens the store at a SQLAlchemy URL and brings its schema up to date. Raises StoreUnavailable, OtherRelease."""
    return Database(url, migrate(url), seal_key=seal_key, look_at_life=look_at_life)
