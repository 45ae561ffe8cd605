"""MAINT reservations ahead of windows: jobs that would not be over when a window begins do not begin on its nodes, so
that none has to be killed. They follow the plan as it moves, and nodes leave them as they go back.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fermata.adapters.slurm.commands import NotDone
from fermata.adapters.slurm.controller import Controller
from fermata.adapters.slurm.hostlist import compress, expand
from fermata.adapters.slurm.nodes import read_epoch, read_time
from fermata.domain.observations import Accepted, Answer, Denied, Unsure
from fermata.ports import OutcomeUnknown, Refused

_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Nodes that are kept free for a window, `[starts_at, ends_at)`, UTC. `floats`: the window has no fixed start yet:
    instead, no job that could last longer than this begins on the nodes, from now on and for as long as it stands.
    """

    window: str
    nodes: frozenset[str]
    starts_at: datetime
    ends_at: datetime
    floats: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One as Slurm has it."""

    name: str
    nodes: frozenset[str]
    starts_at: datetime | None
    ends_at: datetime | None
    floats: bool


def keep(controller: Controller, owner: str, wanted: Sequence[Ahead]) -> Mapping[str, Answer]:
    """Makes our reservations as `wanted`, all of them: what is missing is created, what differs is moved, and what is
    not wanted any more is deleted. The answers by window. Raises TryLater or Refused.
    """
    there = {each.name: each for each in read(controller, owner)}
    names = {_name(owner, ahead.window): ahead for ahead in wanted}
    for name in sorted(there.keys() - names.keys()):
        _do(controller, "delete", f"reservationname={name}")
    return {ahead.window: _keep_one(controller, name, ahead, there.get(name)) for name, ahead in names.items()}


def read(controller: Controller, owner: str) -> list[Reservation]:
    """Our reservations. Raises TryLater or Refused."""
    told = controller.reservations()
    try:
        found = _parse_lines(told) if isinstance(told, str) else _parse_json(told)
    except ValueError as error:
        raise Refused(f"Slurm's list of reservations is not understood: {error}") from error
    return [each for each in found if each.name.startswith(f"{owner}_")]


def nodes_reserved(controller: Controller, owner: str) -> frozenset[str]:
    """All nodes in reservations of ours."""
    return frozenset[str]().union(*(each.nodes for each in read(controller, owner)))


def let_go(controller: Controller, owner: str, nodes: Collection[str]) -> None:
    """Takes nodes out of our reservations. Raises TryLater, Refused or OutcomeUnknown; then they are still drained."""
    if not nodes:
        return
    for each in read(controller, owner):
        left = each.nodes - frozenset(nodes)
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


def _keep_one(controller: Controller, name: str, ahead: Ahead, there: Reservation | None) -> Answer:
    if there is not None and there.floats != (ahead.floats is not None):
        gone = _do(controller, "delete", f"reservationname={name}")  # the flag cannot be taken off
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


def _do(controller: Controller, *words: str) -> Answer:
    try:
        controller.act(*words)
    except (NotDone, Refused) as error:
        return Denied(why=error.why)
    except OutcomeUnknown:
        return Unsure()
    return Accepted()


def _name(owner: str, window: str) -> str:
    return f"{owner}_{_NAME.sub('_', window)}"


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
            floats="TIME_FLOAT" in (each.get("flags") or ()),
        )
        for each in told
    ]
