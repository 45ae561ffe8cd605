"""`KEY=VALUE` changes to a scenario's files, in the files' own words, made while they are read: `--what-if`.

A change goes into the tree of values before anything is judged, so that it is refused exactly as a file would be.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from fermata.domain.names import Names
from fermata.formats.faults import FaultLog, Place, one_of, quote, raise_faults
from fermata.formats.spots import Kind, Spot
from fermata.formats.yamltext import parse_yaml

NOTHING = ("none", "null", "")  # VALUE that takes the key, or the entry of a list, away
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_PATH = re.compile(r"[^.\[\]]+(\[\d+\])*(\.[^.\[\]]+(\[\d+\])*)*")


class ChangedFile(StrEnum):
    """Which file of a scenario a change goes into."""

    CAMPAIGN = "campaign.yaml"
    POLICY = "policy.yaml"
    UPDATES = "updates.yaml"


_BY_ID = {"freezes": ChangedFile.POLICY, "teams": ChangedFile.UPDATES}  # lists whose entries are named by their id
_SHORT = {"teams": "at_once"}  # what an entry's VALUE alone means


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change: `steps` are the keys and list numbers that lead to the value; `text` is KEY=VALUE as given."""

    file: ChangedFile
    steps: tuple[str | int, ...]
    value: str
    text: str


def parse_change(text: str, *, keys: Sequence[str]) -> Change:
    """Reads KEY=VALUE; `keys` are those of campaign.yaml. Raises ValueError, with a sentence, for what is none."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ValueError(f"'{text}' is no change; write KEY=VALUE, such as limits[0].at_once=1900")
    first = re.split(r"[.\[]", key, maxsplit=1)[0]
    known = (*keys, *_BY_ID)
    if first not in known:
        near = Names(known).nearest(first)
        hint = f"did you mean {near}?" if near else f"known are {one_of(sorted(known))}"
        raise ValueError(f"'{first}' is nothing that can be changed; {hint}")
    if first in _BY_ID:
        rest = key.removeprefix(first).removeprefix(".")
        if not rest:
            raise ValueError(f"'{text}' names none of the {first}; write {first}.ID=..., with the id of one")
        return Change(file=_BY_ID[first], steps=(first, rest), value=value.strip(), text=text)
    if not _PATH.fullmatch(key):
        raise ValueError(f"'{key}' is no path to a value; write it like limits[0].at_once or daily_window.start")
    steps = tuple(int(number) if number else name for name, number in _STEP.findall(key))
    return Change(file=ChangedFile.CAMPAIGN, steps=steps, value=value.strip(), text=text)


def apply_changes(root: Spot | None, changes: Sequence[Change], log: FaultLog, file: ChangedFile) -> Spot | None:
    """The tree with those of `changes` that are of `file`, one after the other; what does not fit goes to `log`."""
    for change in changes:
        if root is not None and change.file is file:
            steps = _find_by_id(root, change, log) if change.steps[0] in _BY_ID else change.steps
            if steps:
                root = _put(root, steps, _read_value(change, steps), log) or root
    return root


def _find_by_id(root: Spot, change: Change, log: FaultLog) -> tuple[str | int, ...]:
    """The steps with the entry's number in the place of its id, which may hold dots; () when there is no such entry."""
    noun, rest = str(change.steps[0]), str(change.steps[1])
    entries = root.keys[noun].items if noun in root.keys else ()
    ids = {spot.keys["id"].raw: number for number, spot in enumerate(entries) if "id" in spot.keys}
    found = max((name for name in ids if rest == name or rest.startswith(f"{name}.")), key=len, default=None)
    if found is None:
        place = Place(field=f"{noun}.{rest}")
        sentence = f"There is none of the {noun} with the id {quote(rest)} (of {quote(change.text)})."
        log.add(sentence, place, wrong=rest, known=Names(ids))
        return ()
    keys = rest.removeprefix(found).removeprefix(".")
    if not keys and noun in _SHORT and change.value.lower() not in NOTHING:
        keys = _SHORT[noun]
    return (noun, ids[found], *(keys.split(".") if keys else ()))


def _read_value(change: Change, steps: Sequence[str | int]) -> Spot | None:
    """None takes the value away. A scalar is read as YAML reads it, but what only looks special is text."""
    if change.value.lower() in NOTHING:
        return None
    path = _path(steps)
    scratch = FaultLog(Path(change.text))
    found = parse_yaml(change.value, scratch)
    raise_faults([scratch])
    assert found is not None, "text without faults has a value"
    return _placed(found, path)


def _placed(spot: Spot, path: str) -> Spot:
    """The value as if it stood at that path of the file; it has no line there."""
    place = Place(field=path)
    return replace(
        spot,
        kind=Kind.TEXT if spot.kind is Kind.BARE else spot.kind,
        place=place,
        key_place=place,
        items=tuple(_placed(item, f"{path}[{number}]") for number, item in enumerate(spot.items)),
        keys={key: _placed(value, f"{path}.{key}") for key, value in spot.keys.items()},
    )


def _put(spot: Spot, steps: Sequence[str | int], value: Spot | None, log: FaultLog, path: str = "") -> Spot | None:
    """`spot` with the value at the end of `steps`; None, with a fault, where they lead nowhere."""
    step, rest = steps[0], steps[1:]
    here = f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}" if path else step
    if isinstance(step, int):
        return _put_item(spot, step, rest, value, log, here)
    if spot.kind is not Kind.MAPPING:
        log.add(f"{path} is {spot.kind}; it has no {quote(step)}.", Place(field=here))
        return None
    inner = value
    if rest:
        start = spot.keys.get(step) or Spot(kind=Kind.MAPPING, place=Place(field=here))
        inner = _put(start, rest, value, log, here)
        if inner is None:
            return None
    others = {key: found for key, found in spot.keys.items() if key != step or inner is not None}
    return replace(spot, keys={**others, **({step: inner} if inner is not None else {})})


def _put_item(
    spot: Spot, step: int, rest: Sequence[str | int], value: Spot | None, log: FaultLog, here: str
) -> Spot | None:
    """One number beyond the last entry adds one."""
    if spot.kind is not Kind.LIST or step > len(spot.items) or (step == len(spot.items) and (rest or value is None)):
        what = f"a list of {len(spot.items)}, counted from 0" if spot.kind is Kind.LIST else str(spot.kind)
        log.add(f"There is no entry {step}: it is {what}.", Place(field=here))
        return None
    inner = _put(spot.items[step], rest, value, log, here) if rest else value
    if rest and inner is None:
        return None
    kept = [*spot.items[:step], *([inner] if inner is not None else []), *spot.items[step + 1 :]]
    return replace(spot, items=tuple(kept))


def _path(steps: Sequence[str | int]) -> str:
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
