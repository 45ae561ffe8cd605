"""Whose an instance is and how it stands, read from what Azure says of it, and the tags that we write there. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from azure.mgmt.compute.models import InstanceViewStatus, VirtualMachine, VirtualMachineScaleSetVM

from fermata.adapters.step_trail import Mark, Op, Step, Trail, read_trail, window_of, write_trail
from fermata.domain.ids import StepKey

TAG_MAX = 256  # characters of the value of a tag
STEP_TAGS_MAX = 8  # of the 50 tags that an instance may have
_TAKING = (Op.LOCK, Op.DRAIN)


class Power(StrEnum):
    """Power states that we tell apart, as the instance view names them. OTHER: stopped, or not known."""

    RUNNING = "running"
    STARTING = "starting"
    DEALLOCATING = "deallocating"
    DEALLOCATED = "deallocated"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """An instance's protection policy. `version`: of the object, for a write that nobody's may come between."""

    scale_in: bool = False
    actions: bool = False
    version: str | None = None

    @property
    def is_any(self) -> bool:
        """It cannot be scaled in."""
        return self.scale_in or self.actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One instance with what we wrote there. `protection` None: not looked at. `failure`: why Azure's last operation
    on it failed; "" when it did not. `version`: of the object.
    """

    node: str
    scale_set: str
    vm: str
    location: str
    version: str | None
    tags: Mapping[str, str]
    trail: Trail
    power: Power
    is_changing: bool
    failure: str
    agent_is_ready: bool
    versions: Mapping[str, str]
    protection: Protection | None = None
    held_by: str = ""

    @property
    def is_ours(self) -> bool:
        """Our tag, and it cannot be scaled in."""
        return bool(self.held_by) and self.protection is not None and self.protection.is_any

    @property
    def is_open(self) -> bool:
        """We took it, and were not asked to give it back."""
        return self.trail.last is not None and self.trail.last.op in _TAKING

    def say_holder(self) -> str | None:
        """Who holds an instance that has no tag of ours, or None when nobody does."""
        if self.held_by or self.protection is None:
            return None
        if self.protection.is_any:
            return f"{self.node} is protected from scale-in by somebody else: whoever set it takes it off"
        if self.power is Power.OTHER:
            return f"{self.node} is stopped and keeps its machine, by somebody else: whoever stopped it starts it"
        return None

    def say_lost(self) -> str:
        """What became of our hold."""
        return self.say_holder() or f"{self.node} lost its protection or our tag, or nobody locked it"


def read_hold(prefix: str, node: str, vm: VirtualMachine) -> Hold:
    """What Azure says of an instance."""
    tags = dict(vm.tags or {})
    properties = vm.properties
    view = properties.instance_view if properties is not None else None
    statuses = (view.statuses if view is not None else None) or ()
    power = next((s.code.split("/")[1] for s in statuses if s.code and s.code.startswith("PowerState/")), "")
    parent = properties.virtual_machine_scale_set if properties is not None else None
    agent = view.vm_agent if view is not None else None
    ready = [status.code == "ProvisioningState/succeeded" for status in (agent.statuses if agent else None) or ()]
    known = {
        "osVersion": view.os_version if view is not None else None,
        "agentVersion": agent.vm_agent_version if agent is not None else None,
    }
    return Hold(
        node=node,
        scale_set=(parent.id or "").rsplit("/", 1)[-1] if parent is not None else "",
        vm=vm.name or "",
        location=vm.location,
        version=vm.etag,
        tags=tags,
        trail=read_trail(_join(prefix, tags)),
        power=Power(power) if power in set(Power) else Power.OTHER,
        is_changing=str(properties.provisioning_state if properties else "").lower() in ("creating", "updating"),
        failure=_find_failure(statuses),
        agent_is_ready=all(ready),
        versions={name: found for name, found in known.items() if found},
        held_by=_find(tags, f"{prefix}-held"),
    )


def read_protection(instance: VirtualMachineScaleSetVM) -> Protection:
    """What the scale set says of it."""
    policy = instance.properties.protection_policy if instance.properties is not None else None
    if policy is None:
        return Protection(version=instance.etag)
    return Protection(
        scale_in=bool(policy.protect_from_scale_in),
        actions=bool(policy.protect_from_scale_set_actions),
        version=instance.etag,
    )


def asking(hold: Hold, prefix: str, op: Op, key: StepKey, at: datetime, generation: int) -> Hold:
    """With a step that is asked for; what is taken is ours from then on."""
    trail = hold.trail.hearing(key, generation).adding(Step(op=op, key=key, at=at, mark=Mark.ASKED))
    held_by = window_of(key) or "held" if op in _TAKING else hold.held_by
    reason = f"maintenance, step {key}"
    return write_tags(hold, prefix, trail, held_by=held_by, reason=reason)


def ending(hold: Hold, prefix: str, key: StepKey, at: datetime) -> Hold:
    """With a step done; what is given back or released is ours no more."""
    step = hold.trail.find(key)
    trail = hold.trail.done(key, at)
    if step is not None and step.op in _TAKING:
        return write_tags(hold, prefix, trail, held_by=hold.held_by, reason=_find(hold.tags, f"{prefix}-reason"))
    left = f"left out of service by {prefix}, which holds it no more"
    is_left = step is not None and step.op is Op.RELEASE
    return write_tags(hold, prefix, trail, held_by="", reason=left if is_left else "")


def write_tags(hold: Hold, prefix: str, trail: Trail, *, held_by: str, reason: str) -> Hold:
    """With these tags and everybody else's. What is over is written as an empty value, not left out: so it ends where
    a write replaces all tags, and where it adds to them.
    """
    pieces = _split(trail)
    ours = {f"{prefix}-held": held_by, f"{prefix}-reason": reason}
    ours |= {f"{prefix}-steps-{number}": piece for number, piece in enumerate(pieces)}
    old = {name.lower(): "" for name in hold.tags if name.lower().startswith(f"{prefix}-steps-")}
    kept = {name: value for name, value in hold.tags.items() if name.lower() not in ours | old}
    tags = kept | old | {name: value[:TAG_MAX] for name, value in ours.items() if value or _has(hold.tags, name)}
    return replace(hold, tags=tags, trail=trail, held_by=held_by)


def _split(trail: Trail) -> list[str]:
    """As values of tags; the oldest steps are forgotten where they do not fit."""
    text = write_trail(trail)
    while len(text) > TAG_MAX * STEP_TAGS_MAX and len(trail.steps) > 1:
        trail = replace(trail, steps=trail.steps[1:], heard=dict(list(trail.heard.items())[-2:]))
        text = write_trail(trail)
    return [text[start : start + TAG_MAX] for start in range(0, len(text), TAG_MAX)]


def _join(prefix: str, tags: Mapping[str, str]) -> str:
    return "".join(_find(tags, f"{prefix}-steps-{number}") for number in range(STEP_TAGS_MAX))


def _find(tags: Mapping[str, str], name: str) -> str:
    """Names of tags are the same in any case."""
    return next((value or "" for key, value in tags.items() if key.lower() == name), "")


def _has(tags: Mapping[str, str], name: str) -> bool:
    return any(key.lower() == name for key in tags)


def _find_failure(statuses: list[InstanceViewStatus] | tuple[()]) -> str:
    """Such as `ProvisioningState/failed/AllocationFailed`, with its message."""
    for status in statuses:
        parts = (status.code or "").split("/")
        if len(parts) >= 2 and parts[0] == "ProvisioningState" and parts[1] == "failed":
            return ": ".join(text for text in (parts[2] if len(parts) > 2 else "", status.message or "") if text)
    return ""
