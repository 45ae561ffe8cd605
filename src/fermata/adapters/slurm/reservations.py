"""MAINT reservations ahead of windows: jobs that would not be over when a window begins do not begin on its nodes, so
that none has to be killed. They follow the plan as it moves, and nodes leave them as they go back.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fermata.adapters.slurm.commands import NotDone
from fermata.adapters.slurm.controller import Controller
from fermata.adapters.slurm.hostlist import compress, expand
from fermata.adapters.slurm.nodes import read_epoch, read_time
from fermata.domain.ahead import Ahead, Kept
from fermata.domain.ids import RunId, StepKey
from fermata.domain.observations import Accepted, Answer, Denied, Unsure
from fermata.ports import Ask, OutcomeUnknown, Refused

FLOATING = "_float"
_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One as Slurm has it."""

    name: str
    nodes: frozenset[str]
    starts_at: datetime | None
    ends_at: datetime | None
    floats: bool


def keep(controller: Controller, run: RunId, wanted: Sequence[Ahead], now: datetime) -> Kept:
    """Makes the reservations of a run as `wanted`, all of them: what is missing is created, what differs is moved, and
    what is not wanted any more is deleted at last, so that nodes are never free in between. Raises TryLater or Refused.
    """
    settings = controller.settings
    begin = _name(settings.owner, run, "")
    there = {each.name: each for each in read(controller, settings.owner) if each.name.startswith(begin)}
    lead = timedelta(hours=settings.reserve_hours_ahead)
    near = {_name_of(settings.owner, run, ahead): ahead for ahead in wanted if ahead.starts_at - now <= lead}
    if not lead:
        near = {}
    answers = {ahead.window: _keep_one(controller, name, ahead, there.get(name), now) for name, ahead in near.items()}
    left: dict[str, Answer] = {}
    for name in sorted(there.keys() - near.keys()):
        gone = _do(controller, "delete", f"reservationname={name}")
        if not isinstance(gone, Accepted):
            left[name] = gone
    return Kept(answers=answers, left=left)


def read(controller: Controller, owner: str) -> list[Reservation]:
    """Our reservations. Raises TryLater or Refused."""
    told = controller.reservations()
    try:
        found = _parse_lines(told) if isinstance(told, str) else _parse_json(told)
    except ValueError as error:
        raise Refused(f"Slurm's list of reservations is not understood: {error}") from error
    return [each for each in found if each.name.startswith(f"{owner}_")]


def nodes_reserved(controller: Controller, owner: str) -> Mapping[str, frozenset[str]]:
    """The nodes of our reservations, by their names."""
    return {each.name: each.nodes for each in read(controller, owner)}


def names_of(owner: str, key: StepKey) -> tuple[str, str]:
    """What the reservations are called that a step's window may have."""
    run, window = key.split("/")[:2]
    name = _name(owner, run, window)
    return name, name + FLOATING


def let_go(controller: Controller, owner: str, asks: Sequence[Ask]) -> None:
    """Takes nodes out of the reservations of the windows that they go back from: those of a later window stay. Raises
    TryLater, Refused or OutcomeUnknown; then the nodes are still drained.
    """
    going: dict[str, set[str]] = defaultdict(set)
    for ask in asks:
        for name in names_of(owner, ask.key):
            going[name].add(ask.unit)
    for each in read(controller, owner) if going else ():
        left = each.nodes - going.get(each.name, set())
        if left == each.nodes:
            continue
        answer = (
            _do(controller, "update", f"reservationname={each.name}", f"nodes={compress(left)}")
            if left
            else _do(controller, "delete", f"reservationname={each.name}")
        )
        match answer:
            case Denied(why=why):
                raise Refused(why)
            case Unsure():
                raise OutcomeUnknown(f"the reservation {each.name} may have changed")
            case _:
                continue


def _keep_one(controller: Controller, name: str, ahead: Ahead, there: Reservation | None, now: datetime) -> Answer:
    if ahead.floats is None and there is not None and _is_late(there, ahead, now):
        gone = _do(controller, "delete", f"reservationname={name}")  # one that has begun cannot begin anew
        if not isinstance(gone, Accepted):
            return gone
        there = None
    begins = f"starttime={_say(ahead.starts_at)}"
    if ahead.floats is not None:
        begins = f"starttime=now+{max(1, ahead.floats // timedelta(minutes=1))}minutes"
    minutes = max(1, (ahead.ends_at - ahead.starts_at) // timedelta(minutes=1))
    words = [f"reservationname={name}", f"nodes={compress(ahead.nodes)}"]
    if there is None:
        flags = "maint,ignore_jobs" + (",time_float" if ahead.floats is not None else "")
        user = f"user={controller.settings.reservation_user}"
        return _do(controller, "create", "reservation", *words, begins, f"duration={minutes}", user, f"flags={flags}")
    is_same = there.nodes == ahead.nodes
    if ahead.floats is None:
        is_same = is_same and (there.starts_at, there.ends_at) == (ahead.starts_at, ahead.ends_at)
        words += [begins, f"endtime={_say(ahead.ends_at)}"]
    return Accepted() if is_same else _do(controller, "update", *words)


def _is_late(there: Reservation, ahead: Ahead, now: datetime) -> bool:
    return there.starts_at is not None and there.starts_at <= now and there.starts_at != ahead.starts_at


def _do(controller: Controller, *words: str) -> Answer:
    try:
        controller.act(*words)
    except NotDone as error:
        return Unsure() if error.is_away else Denied(why=error.why)
    except Refused as error:
        return Denied(why=error.why)
    except OutcomeUnknown:
        return Unsure()
    return Accepted()


def _name_of(owner: str, run: RunId, ahead: Ahead) -> str:
    """Of a floating one it is another, so that it is there before the one with a fixed start is given up."""
    return _name(owner, run, ahead.window) + (FLOATING if ahead.floats is not None else "")


def _name(owner: str, run: str, window: str) -> str:
    return "_".join([owner, _NAME.sub("_", run), _NAME.sub("_", window)])


def _say(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}"


def _parse_lines(text: str) -> list[Reservation]:
    found = []
    for line in text.splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split())
        if "ReservationName" not in fields:
            continue
        nodes = fields.get("Nodes", "")
        found.append(
            Reservation(
                name=fields["ReservationName"],
                nodes=frozenset(expand("" if nodes == "(null)" else nodes)),
                starts_at=read_time(fields.get("StartTime", "")),
                ends_at=read_time(fields.get("EndTime", "")),
                floats="TIME_FLOAT" in fields.get("Flags", ""),
            )
        )
    return found


def _parse_json(told: Sequence[Mapping[str, Any]]) -> list[Reservation]:
    return [
        Reservation(
            name=str(each.get("name")),
            nodes=frozenset(expand(str(each.get("node_list") or ""))),
            starts_at=read_epoch(each.get("start_time")),
            ends_at=read_epoch(each.get("end_time")),
            floats="TIME_FLOAT" in str(each.get("flags")),
        )
        for each in told
    ]
