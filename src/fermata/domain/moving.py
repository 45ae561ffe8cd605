"""`dataclasses.replace` for rows of units, at a fraction of the price: every decision asks for it several times."""

from dataclasses import fields
from typing import TYPE_CHECKING

from fermata.domain.operations import UnitOp

__all__ = ["moved"]

if TYPE_CHECKING:
    from dataclasses import replace as moved  # the same, so that fields and their types are checked
else:
    _NAMES = frozenset(field.name for field in fields(UnitOp))
    _set = object.__setattr__  # a frozen class has none of its own

    def moved(op: UnitOp, **changes: object) -> UnitOp:
        """A copy with these fields changed. Raises KeyError for a name that is no field."""
        if not changes.keys() <= _NAMES:
            raise KeyError(*sorted(changes.keys() - _NAMES))
        made = object.__new__(UnitOp)
        _set(made, "__dict__", {**op.__dict__, **changes})
        return made
