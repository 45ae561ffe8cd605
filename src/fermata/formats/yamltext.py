"""YAML text to values with their places. Aliases, tags and repeated keys are refused; nesting is bounded.

It builds on the parser's events, not on its loader: a loader drops the places and lets repeated keys pass.
"""

import re
from dataclasses import replace
from pathlib import Path

import yaml
from yaml.resolver import Resolver

from fermata.formats.faults import FaultLog, Place, quote
from fermata.formats.spots import Kind, Spot
from fermata.formats.text import read_text

YAML_BYTES_MAX = 32 * 2**20  # a bulk approval of every node of a large fleet has about 3 MiB
DEPTH_MAX = 20  # the formats nest 5 deep; the parser needs quadratic time for very deep nesting
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = Resolver()
_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")


class _Refused(Exception):
    """Reading cannot go on; the fault is in the log."""


def read_yaml(path: Path, log: FaultLog) -> Spot | None:
    """The document's root; None when there is none, with the faults in `log`."""
    text = read_text(path, log, bytes_max=YAML_BYTES_MAX)
    return None if text is None else parse_yaml(text, log)


def parse_yaml(text: str, log: FaultLog) -> Spot | None:
    """As `read_yaml`, of text at hand."""
    builder = _Builder(log)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(line=mark.line + 1, column=mark.column + 1) if mark else Place()
        log.add(f"Not valid YAML: {error.problem or error.context}.", place)
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))
        log.add(f"Not valid YAML: {error.reason}.", place)
        return None
    except _Refused:
        return None
    if builder.root is None:
        log.add("The file holds nothing but comments.")
    return builder.root


class _Level:
    """A collection that is being read; in a mapping `key` is the key whose value comes next."""

    def __init__(self, place: Place, key_place: Place | None, *, is_mapping: bool) -> None:
        self.place = place
        self.key_place = key_place
        self.is_mapping = is_mapping
        self.items: list[Spot] = []
        self.keys: dict[str, Spot] = {}
        self.key: str | None = None
        self.next_key_place: Place | None = None

    @property
    def awaits_key(self) -> bool:
        return self.is_mapping and self.key is None

    def path_of_next(self) -> str:
        start = self.place.field or ""
        if not self.is_mapping:
            return f"{start}[{len(self.items)}]"
        return f"{start}.{self.key}" if start and self.key else self.key or start

    def done(self) -> Spot:
        kind = Kind.MAPPING if self.is_mapping else Kind.LIST
        return Spot(kind=kind, place=self.place, key_place=self.key_place, items=tuple(self.items), keys=self.keys)


class _Builder:
    """Takes the events of one document one by one, without recursion."""

    def __init__(self, log: FaultLog) -> None:
        self.log = log
        self.root: Spot | None = None
        self._levels: list[_Level] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse("A second document starts here: a file holds one.", event)
            case yaml.AliasEvent():
                self.log.add("An alias (*) stands here: write the value out.", self._place(event))
                self._put(Spot(kind=Kind.NOTHING, place=self._place(event)))
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._put(self._levels.pop().done())
            case _:
                pass

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._levels) >= DEPTH_MAX:
            self._refuse(f"More than {DEPTH_MAX} levels deep.", event)
        if self._levels and self._levels[-1].awaits_key:
            self._refuse("A key is one text, not a collection.", event)
        self._fault_decoration(event)
        key_place = self._levels[-1].next_key_place if self._levels else None
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self._levels.append(_Level(self._place(event), key_place, is_mapping=is_mapping))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        place = self._place(event)
        self._fault_decoration(event)
        level = self._levels[-1] if self._levels else None
        if level and level.awaits_key:
            level.key = event.value
            level.next_key_place = replace(place, field=level.path_of_next())
            if event.value in level.keys:
                line = (level.keys[event.value].key_place or place).line
                self.log.add(f"Key {quote(event.value)} stands already on line {line}.", level.next_key_place)
            return
        kind = Kind.TEXT if event.style else _kind(event.value)
        self._put(Spot(kind=kind, place=place, raw=event.value))

    def _put(self, spot: Spot) -> None:
        if not self._levels:
            self.root = spot
            return
        level = self._levels[-1]
        if not level.is_mapping:
            level.items.append(spot)
        elif level.key is None:
            level.key = ""  # an alias as a key, already faulted
        else:
            level.keys.setdefault(level.key, replace(spot, key_place=level.next_key_place))
            level.key = None

    def _fault_decoration(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            self.log.add(f"A tag ({quote(event.tag)}) stands here: leave it out.", self._place(event))
        if event.anchor is not None:
            self.log.add(f"An anchor (&{event.anchor}) stands here: leave it out.", self._place(event))

    def _place(self, event: yaml.Event) -> Place:
        path = self._levels[-1].path_of_next() if self._levels else ""
        mark = event.start_mark
        assert mark is not None, "a parser's events carry their marks"
        return Place(line=mark.line + 1, column=mark.column + 1, field=path or None)

    def _refuse(self, sentence: str, event: yaml.Event) -> None:
        self.log.add(sentence, self._place(event))
        raise _Refused


def _kind(raw: str) -> Kind:
    """What YAML takes an unquoted scalar for."""
    tag = str(_RESOLVER.resolve(yaml.ScalarNode, raw, (True, False)))  # type: ignore[no-untyped-call]  # types-pyyaml
    match tag.removeprefix(_TAG):
        case "str":
            return Kind.TEXT
        case "null":
            return Kind.NOTHING
        case "bool":
            return Kind.FLAG
        case "int" if _INTEGER.fullmatch(raw):
            return Kind.INTEGER
        case "int" | "float" if _NUMBER.fullmatch(raw):
            return Kind.NUMBER
        case _:
            return Kind.BARE
