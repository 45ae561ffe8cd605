"""What is wrong with a file: every fault with its place, a sentence, and the nearest known name.

Readers gather faults in a `FaultLog` for each file and raise them together as `BadInput`.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fermata.domain.names import Names

FAULTS_SHOWN = 50  # of each file in full; more than a person corrects before trying again
QUOTED_LENGTH_MAX = 60
FIELD_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a file. `line` and `column` count from 1, in characters; None where the file has none.

    In a table `column` is the column's number and `field` its name; elsewhere `field` is a key path or JSON pointer.
    """

    line: int | None = None
    column: int | None = None
    field: str | None = None


NOWHERE = Place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong. `suggestion` is the nearest known name, None when nothing is near."""

    file: str
    line: int | None
    column: int | None
    sentence: str
    suggestion: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        numbers = "".join(f":{number}" for number in (self.line, self.column) if number is not None)
        field = f" ({self.field})" if self.field else ""
        hint = f' Did you mean "{self.suggestion}"?' if self.suggestion else ""
        return f"{self.file}{numbers}{field}: {self.sentence}{hint}"


class BadInput(Exception):
    """Files that are refused. `faults` holds the first `FAULTS_SHOWN` of each file, `total` counts all of them."""

    def __init__(self, faults: tuple[Fault, ...], total: int) -> None:
        super().__init__(faults, total)
        self.faults = faults
        self.total = total

    def __str__(self) -> str:
        """One line for each fault, then how many more there are."""
        more = self.total - len(self.faults)
        lines = [str(fault) for fault in self.faults]
        return "\n".join([*lines, f"... and {more} more."] if more else lines)

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, with stable keys."""
        return {"total": self.total, "faults": [asdict(fault) for fault in self.faults]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    place: Place
    sentence: str
    wrong: str
    known: Names | None


class FaultLog:
    """The faults of one file while it is read. Nearest names are looked up only for the faults that are shown."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._entries: list[_Entry] = []
        self._places: set[Place] = set()

    def add(self, sentence: str, place: Place = NOWHERE, *, wrong: str = "", known: Names | None = None) -> None:
        """Record one fault; `wrong` is what was written in the place of one of the `known` names."""
        self._entries.append(_Entry(place=place, sentence=sentence, wrong=wrong, known=known))
        self._places.add(place)

    def has_fault_at(self, place: Place) -> bool:
        """True when a fault was recorded at exactly this place."""
        return place in self._places

    def __len__(self) -> int:
        return len(self._entries)

    def shown(self) -> tuple[Fault, ...]:
        """The first `FAULTS_SHOWN` faults in the order of the file."""
        ordered = sorted(self._entries, key=lambda entry: (entry.place.line or 0, entry.place.column or 0))
        return tuple(self._fault(entry) for entry in ordered[:FAULTS_SHOWN])

    def _fault(self, entry: _Entry) -> Fault:
        place = entry.place
        near = entry.known.nearest(entry.wrong) if entry.known else None
        return Fault(
            file=str(self.file),
            line=place.line,
            column=place.column,
            field=printable(place.field)[:FIELD_LENGTH_MAX] if place.field else None,
            sentence=printable(entry.sentence),
            suggestion=printable(near) if near else None,
        )


def raise_faults(logs: Iterable[FaultLog]) -> None:
    """Raise BadInput with the faults of all files, in the order of `logs`; return when there are none."""
    logs = list(logs)
    total = sum(len(log) for log in logs)
    if total:
        raise BadInput(tuple(fault for log in logs for fault in log.shown()), total)


def quote(value: object) -> str:
    """What was written, on one line, with control characters visible, and not too long."""
    text = printable(json.dumps(str(value), ensure_ascii=False))
    return text if len(text) <= QUOTED_LENGTH_MAX else f'{text[:QUOTED_LENGTH_MAX]}..."'


def printable(text: str) -> str:
    """What a file says must not move the cursor of a terminal nor fail to encode."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def one_of(values: Iterable[str]) -> str:
    """`a, b or c`."""
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last
