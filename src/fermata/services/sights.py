"""What is out of sight of who sees a part of the fleet."""

from collections.abc import Mapping

from fermata.store.database import Database
from fermata.store.foreign import names_out_of_sight, phrases_by_sight


def find_foreign_names(whole: Database, view: Database, asked: frozenset[str]) -> frozenset[str]:
    """Those of `asked` that are names of something in the store that the view does not show."""
    return names_out_of_sight(whole, view, asked)


def find_phrases(whole: Database, view: Database) -> Mapping[str, bool]:
    """Names in the store that are no single word: whether the view does not show what each of them is of."""
    return phrases_by_sight(whole, view)
