"""Values with their places, whatever file they stood in, and the trees of them that YAML and JSON give."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fermata.formats.faults import Place


class Kind(StrEnum):
    """What a value is, in the words of a fault."""

    MAPPING = "a mapping"
    LIST = "a list"
    TEXT = "text"
    INTEGER = "a whole number"
    NUMBER = "a number"
    FLAG = "a truth value"
    NOTHING = "empty"
    BARE = "a special value of YAML"  # an octal or hexadecimal number, a timestamp, minutes and seconds, infinity


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One value where it stands. `raw` is a scalar's text as written; `keys` and `items` belong to the collections.

    `place` is that of the value, `key_place` that of the key it stands under.
    """

    kind: Kind
    place: Place
    key_place: Place | None = None
    raw: str = ""
    items: tuple["Spot", ...] = ()
    keys: Mapping[str, "Spot"] = field(default_factory=dict, hash=False)
