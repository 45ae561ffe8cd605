"""Whose a node is, read from the node and nothing else, and what is written to take it and to give it back. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lightkube.models.core_v1 import Taint
from lightkube.models.meta_v1 import ManagedFieldsEntry
from lightkube.resources.core_v1 import Node

from fermata.adapters.kubernetes.marks import TEXT_MAX, read_steps, to_label
from fermata.adapters.step_trail import Op, Trail, window_of, write_trail
from fermata.domain.ids import StepKey

_TAKING = (Op.LOCK, Op.DRAIN)
NO_LABELS: Mapping[str, str | None] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One node with what we wrote there. `version`: of the object, for writes that nobody's may come between."""

    name: str
    version: str
    trail: Trail
    taints: tuple[Taint, ...]
    is_tainted: bool
    is_cordoned: bool
    cordoned_by: str
    conditions: Mapping[str, str]
    waiting: str

    @property
    def is_ours(self) -> bool:
        """No pod can begin on it, by our word."""
        return self.is_tainted and self.is_cordoned

    @property
    def is_open(self) -> bool:
        """We took it, and did not give it back."""
        return self.trail.last is not None and self.trail.last.op in _TAKING

    def say_holder(self) -> str | None:
        """Who holds a node that is not ours, or None when nobody does."""
        if not self.is_cordoned or self.is_tainted:
            return None
        return f"{self.name} is cordoned by {self.cordoned_by or 'somebody'}"

    def say_lost(self) -> str:
        """What became of our hold."""
        return self.say_holder() or f"{self.name} was uncordoned by somebody, or nobody locked it"


def read_hold(prefix: str, node: Node) -> Hold:
    """What the node says."""
    meta, spec, status = node.metadata, node.spec, node.status
    assert meta is not None
    annotations = meta.annotations or {}
    taints = tuple((spec.taints if spec is not None else None) or ())
    is_cordoned = spec is not None and spec.unschedulable is True
    return Hold(
        name=meta.name or "",
        version=meta.resourceVersion or "",
        trail=read_steps(annotations, f"{prefix}/steps"),
        taints=taints,
        is_tainted=any(taint.key == f"{prefix}/held" for taint in taints),
        is_cordoned=is_cordoned,
        cordoned_by=_find_manager(meta.managedFields or ()) if is_cordoned else "",
        conditions={c.type: c.status for c in (status.conditions if status is not None else None) or ()},
        waiting=annotations.get(f"{prefix}/waiting", ""),
    )


def write_taking(hold: Hold, prefix: str, trail: Trail, key: StepKey) -> dict[str, Any]:
    """The patch that cordons and taints a node, or leaves it so."""
    window = window_of(key)
    held = Taint(key=f"{prefix}/held", value=to_label(window) or None, effect="NoSchedule")
    notes = {"window": window, "reason": f"maintenance, step {key}", "override": None}
    taints = hold.taints if hold.is_tainted else (*hold.taints, held)
    spec = {"unschedulable": True, "taints": [t.to_dict() for t in taints]}
    return _patch(hold, prefix, trail, notes, spec, {f"{prefix}/held": "true"})


def write_leaving(hold: Hold, prefix: str, trail: Trail, *, is_back: bool) -> dict[str, Any]:
    """The patch that takes our taint off. `is_back`: pods may begin there; else it stays cordoned, and is not ours."""
    left = f"left out of service by {prefix}, which holds it no more"
    notes = {"window": None, "reason": None if is_back else left, "waiting": None}
    spec: dict[str, Any] = {"taints": [t.to_dict() for t in hold.taints if t.key != f"{prefix}/held"] or None}
    if is_back:
        spec["unschedulable"] = None
    return _patch(hold, prefix, trail, notes, spec, {f"{prefix}/held": None})


def write_note(hold: Hold, prefix: str, trail: Trail, waiting: str) -> dict[str, Any]:
    """The patch that tells how a drain stands. `waiting`: what it waits for, "" for nothing."""
    return _patch(hold, prefix, trail, {"waiting": waiting[:TEXT_MAX] or None}, {})


def _patch(
    hold: Hold,
    prefix: str,
    trail: Trail,
    notes: Mapping[str, str | None],
    spec: Mapping[str, Any],
    labels: Mapping[str, str | None] = NO_LABELS,
) -> dict[str, Any]:
    """A merge patch of this version of the node: the server refuses it when somebody wrote meanwhile. The label says
    what the taint does, for who can select by labels alone.
    """
    annotations = {f"{prefix}/{name}": text for name, text in notes.items()}
    annotations[f"{prefix}/steps"] = write_trail(trail)
    meta = {"resourceVersion": hold.version, "annotations": annotations}
    return {"metadata": meta | ({"labels": dict(labels)} if labels else {}), "spec": dict(spec)}


def _find_manager(entries: Sequence[ManagedFieldsEntry]) -> str:
    """Which program wrote `unschedulable` last, and when, as far as the server knows."""
    found: list[tuple[datetime, str]] = []
    for entry in entries:
        fields: Any = entry.fieldsV1
        if isinstance(fields, dict) and "f:unschedulable" in fields.get("f:spec", {}) and entry.time is not None:
            found.append((entry.time, entry.manager or "somebody"))
    if not found:
        return ""
    at, who = max(found)
    return f"{who} since {at:%Y-%m-%d %H:%MZ}"
