"""What is out of sight of who sees a part of the fleet."""

from fermata.store.database import Database
from fermata.store.foreign import names_out_of_sight


def find_foreign_names(whole: Database, view: Database, asked: frozenset[str]) -> frozenset[str]:
    """Those of `asked` that are names of something in the store that the view does not show."""
    return names_out_of_sight(whole, view, asked)
