"""`dataclasses.replace` for rows of units, at half the price: every decision asks for it several times."""

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING

from fermata.domain.operations import UnitOp

__all__ = ["moved"]

if TYPE_CHECKING:
    from dataclasses import replace as moved  # the same, so that fields and their types are checked
else:
    _NAMES = tuple(field.name for field in fields(UnitOp))
    _read = attrgetter(*_NAMES)
    _WRITES = tuple(getattr(UnitOp, name).__set__ for name in _NAMES)
    _WRITE = dict(zip(_NAMES, _WRITES, strict=True))

    def moved(op: UnitOp, **changes: object) -> UnitOp:
        """A copy with these fields changed. Raises KeyError for a name that is no field."""
        made = object.__new__(UnitOp)
        for write, value in zip(_WRITES, _read(op), strict=True):
            write(made, value)
        for name, value in changes.items():
            _WRITE[name](made, value)
        return made
