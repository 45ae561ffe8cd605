"""The keys of one mapping, asked for one by one. Whatever is wrong goes to the document's log.

Each question gives a value of the right type even when the file's is wrong, so that reading goes on to the next
fault; such a stand-in never leaves a reader, since a document with faults is refused as a whole.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import TypeVar

from fermata.domain.names import Names
from fermata.formats import values
from fermata.formats.faults import NOWHERE, FaultLog, Place, one_of, quote
from fermata.formats.spots import Kind, Spot

COMPONENT_OF = "component of "  # a kind of reference, followed by what has the component: node, or a kind of device
INTEGER_MAX = 10**9  # beyond every count of units, minutes or seconds that occurs
_TRUE = ("true", "yes", "on")

_E = TypeVar("_E", bound=StrEnum)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A name that another file must know: `kind` says what it names."""

    kind: str
    name: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is known about one file while it is read."""

    log: FaultLog
    references: list[Reference] = field(default_factory=list)


def say(spot: Spot) -> str:
    """A scalar as written, quoted; of a collection, what it is."""
    return str(spot.kind) if spot.kind in (Kind.MAPPING, Kind.LIST, Kind.NOTHING) else quote(spot.raw)


class Fields:
    """The values of a mapping that has the `required` keys and may have the `optional` ones."""

    def __init__(
        self, document: Document, spot: Spot | None, *, required: Sequence[str] = (), optional: Sequence[str] = ()
    ) -> None:
        self.document = document
        self.place = spot.place if spot else NOWHERE
        self._log = document.log
        self._spots = dict(spot.keys) if spot else {}
        if spot is None:
            return
        if spot.kind is not Kind.MAPPING:
            keys = one_of((*required, *optional))
            _fault(self._log, spot, f"{_label(spot)} is {spot.kind}; it must be a mapping with the keys {keys}.")
            return
        self._check_keys(required, optional)

    def _check_keys(self, required: Sequence[str], optional: Sequence[str]) -> None:
        missing = [key for key in required if key not in self._spots]
        known = Names((*required, *optional))
        for key in [key for key in self._spots if key not in known]:
            spot = self._spots.pop(key)
            near = Names(missing).nearest(key) or known.nearest(key)
            if near in missing:
                missing.remove(near)
            hint = f" Known here: {one_of((*required, *optional))}." if near is None else ""
            where = spot.key_place or spot.place
            self._log.add(
                f"Key {quote(key)} is unknown.{hint}", where, wrong=key, known=Names([near]) if near else None
            )
        for key in missing:
            self._log.add(f"Key {quote(key)} is missing.", self.place)

    def spot(self, key: str) -> Spot | None:
        """The value as it stands; None when the key is absent, which is faulted already where it matters."""
        return self._spots.get(key)

    def has(self, key: str) -> bool:
        """True when the key is there and not null."""
        found = self._spots.get(key)
        return found is not None and found.kind is not Kind.NOTHING

    def fault(self, key: str, sentence: str, *, wrong: str = "", known: Names | None = None) -> None:
        """Record a fault at the value of `key`, or at the mapping when the key is absent."""
        found = self._spots.get(key)
        self._log.add(sentence, found.place if found else self.place, wrong=wrong, known=known)

    def refer(self, kind: str, key: str) -> None:
        """Remember the names under `key` for the checks against other files."""
        found = self._spots.get(key)
        for spot in found.items if found and found.kind is Kind.LIST else [found]:
            if spot and spot.kind is Kind.TEXT:
                self.document.references.append(Reference(kind=kind, name=spot.raw, place=spot.place))

    def fields(self, key: str, *, required: Sequence[str] = (), optional: Sequence[str] = ()) -> "Fields":
        """The mapping under `key`; one without any key when it is absent."""
        return Fields(self.document, self._spots.get(key), required=required, optional=optional)

    def items(self, key: str) -> tuple[Spot, ...]:
        """The entries of the list under `key`; none when it is absent."""
        found = self._spots.get(key)
        if found is None:
            return ()
        if found.kind is not Kind.LIST:
            _fault(self._log, found, f"{_label(found)} is {found.kind}; it must be a list.")
        return found.items

    def name(self, key: str) -> str:
        """A name that something has."""
        return self._text(key, values.is_name, values.NAME_RULE)

    def version(self, key: str) -> str:
        """A known version: not empty."""
        return self._text(key, lambda raw: bool(raw) and values.is_version(raw), values.VERSION_RULE)

    def text(self, key: str) -> str:
        """One line of free text; empty when absent."""
        return self._text(key, values.is_text, f"it must be {values.TEXT_RULE}")

    def _text(self, key: str, is_good: Callable[[str], bool], rule: str) -> str:
        found = self._spots.get(key)
        return check_text(found, self._log, is_good, rule) if found else ""

    def names(self, key: str, *, versions: bool = False) -> tuple[str, ...]:
        """The names (or versions) of a list in its order, none twice; a single one may stand without brackets."""
        found = self._spots.get(key)
        if found is None:
            return ()
        good, rule = (values.is_version, values.VERSION_RULE) if versions else (values.is_name, values.NAME_RULE)
        seen: dict[str, None] = {}
        for spot in found.items if found.kind is Kind.LIST else (found,):
            name = check_text(spot, self._log, good, rule)
            if name and name in seen:
                _fault(self._log, spot, f"{quote(name)} stands here twice.")
            seen[name] = None
        return tuple(name for name in seen if name)

    def listed_names(self, key: str) -> tuple[str, ...]:
        """The names of a list as they stand, repeated ones too."""
        return tuple(check_text(spot, self._log, values.is_name, values.NAME_RULE) for spot in self.items(key))

    def choice(self, key: str, choices: type[_E]) -> _E:
        """One of an enumeration's values."""
        found = self._spots.get(key)
        allowed = [choice.value for choice in choices]
        return choices(check_choice(found, self._log, allowed) if found else allowed[0])

    def integer(self, key: str, *, least: int = 0, most: int = INTEGER_MAX) -> int:
        """A whole number within bounds, both included."""
        found = self._spots.get(key)
        if found is None:
            return least
        if found.kind is not Kind.INTEGER or not least <= int(found.raw) <= most:
            rule = f"it must be a whole number from {least} to {most}"
            _fault(self._log, found, f"{_label(found)} is {say(found)}; {rule}.")
            return least
        return int(found.raw)

    def number(
        self, key: str, *, above: float | None = 0.0, least: float = -INTEGER_MAX, most: float = INTEGER_MAX
    ) -> float:
        """A number greater than `above` (None: no such bound), at least `least` and at most `most`."""
        found = self._spots.get(key)
        if found is None:
            return most
        value = float(found.raw) if found.kind in (Kind.INTEGER, Kind.NUMBER) else None
        if value is None or not least <= value <= most or (above is not None and value <= above):
            start = f"from {least:g} to {most:g}" if above is None else f"above {above:g} and at most {most:g}"
            _fault(self._log, found, f"{_label(found)} is {say(found)}; it must be a number {start}.")
            return most
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        found = self._spots.get(key)
        if found is None:
            return False
        if found.kind is not Kind.FLAG:
            _fault(self._log, found, f"{_label(found)} is {say(found)}; it must be true or false.")
        return found.raw.lower() in _TRUE

    def instant(self, key: str) -> datetime:
        """An aware time, in UTC."""
        return self._parsed(key, values.parse_instant, values.INSTANT_RULE, datetime(values.YEAR_MIN, 1, 1, tzinfo=UTC))

    def day(self, key: str) -> date:
        """A calendar day."""
        return self._parsed(key, values.parse_day, values.DAY_RULE, date(values.YEAR_MIN, 1, 1))

    def clock(self, key: str) -> time:
        """A time of day."""
        return self._parsed(key, values.parse_clock, values.CLOCK_RULE, time(0))

    def _parsed(self, key: str, parse: Callable[[str], _T | None], rule: str, stand_in: _T) -> _T:
        found = self._spots.get(key)
        if found is None:
            return stand_in
        value = parse(found.raw)
        if value is None:
            _fault(self._log, found, f"{_label(found)} is {say(found)}; it must be {rule}.")
            return stand_in
        return value

    def reads(self, *keys: str) -> bool:
        """True when all `keys` are there and none of them has a fault, so that a rule between them makes sense."""
        spots = [self._spots.get(key) for key in keys]
        return all(spot is not None and not self._log.has_fault_at(spot.place) for spot in spots)


def _fault(log: FaultLog, spot: Spot, sentence: str, *, wrong: str = "", known: Names | None = None) -> None:
    """Record a fault of a value, unless it has one already: the first says enough."""
    if not log.has_fault_at(spot.place):
        log.add(sentence, spot.place, wrong=wrong, known=known)


def _label(spot: Spot) -> str:
    return spot.place.field or "The document"


def check_text(spot: Spot, log: FaultLog, is_good: Callable[[str], bool], rule: str) -> str:
    """The text of `spot`; "" when it is none, with the fault in `log`."""
    if spot.kind in (Kind.INTEGER, Kind.NUMBER, Kind.FLAG, Kind.BARE):
        _fault(log, spot, f"{_label(spot)} is {spot.kind}; it must be text: write it in quotes, {quote(spot.raw)}.")
        return ""
    if spot.kind is not Kind.TEXT:
        _fault(log, spot, f"{_label(spot)} is {spot.kind}; it must be text.")
        return ""
    if not is_good(spot.raw):
        _fault(log, spot, f"{_label(spot)} is {say(spot)}: {rule}.")
        return ""
    return spot.raw


def check_choice(spot: Spot, log: FaultLog, allowed: Sequence[str]) -> str:
    """One of the `allowed` values; the first of them when it is none, with the fault in `log`."""
    if spot.kind is Kind.TEXT and spot.raw in allowed:
        return spot.raw
    sentence = f"{_label(spot)} is {say(spot)}; it must be {one_of(allowed)}."
    _fault(log, spot, sentence, wrong=spot.raw, known=Names(allowed))
    return allowed[0]


def check_zone(fields: Fields, key: str) -> str:
    """An IANA time zone name."""
    zone = fields.name(key)
    if zone and zone not in values.time_zones():
        fields.fault(key, f"Time zone {quote(zone)} does not exist.", wrong=zone, known=values.time_zones())
    return zone


def check_unique(spots: Iterable[Spot | None], log: FaultLog, what: str) -> None:
    """Fault every name that an earlier one of `spots` has too."""
    first: dict[str, Place] = {}
    for spot in spots:
        if spot is None or spot.kind is not Kind.TEXT:
            continue
        if spot.raw in first:
            place = first[spot.raw]
            where = f"on line {place.line}" if place.line else f"at {place.field}"
            _fault(log, spot, f"{what} {quote(spot.raw)} stands already {where}.")
        else:
            first[spot.raw] = spot.place
