"""Which steps of a window wait for which: the plan's order, wherever a rule gives it a reason.

A device and a node behind it go their own ways except here. Conductor and rehearsal read it alike.
"""

from fermata.domain.ids import UpdateId
from fermata.domain.plans import DeviceApplyStep, DrainStep, NodeApplyStep, Step, VerifyStep
from fermata.domain.updates import Catalogue, Update


def node_waits(step: Step, device: DeviceApplyStep, catalogue: Catalogue) -> bool:
    """True when a node may not begin `step` before the devices of `device` that it hangs on are proven."""
    return device.end <= step.start and _is_tied(step, device, catalogue)


def device_waits(device: DeviceApplyStep, step: Step, catalogue: Catalogue) -> bool:
    """True when no device of `device` may begin before every node behind it has done `step`."""
    return step.end <= device.start and _is_tied(step, device, catalogue)


def _is_tied(step: Step, device: DeviceApplyStep, catalogue: Catalogue) -> bool:
    """True when it matters which of the two is first: what was planned side by side without a reason stays so."""
    if isinstance(step, DeviceApplyStep):
        return False
    if isinstance(step, VerifyStep):
        return True
    update = catalogue.updates[device.update]
    if isinstance(step, DrainStep):
        return update.needs_drain
    names = (step.update,) if isinstance(step, NodeApplyStep) else step.activates
    return any(_are_tied(name, update, catalogue) for name in names)


def _are_tied(name: UpdateId, on_device: Update, catalogue: Catalogue) -> bool:
    update = catalogue.updates[name]
    if frozenset((name, on_device.id)) in catalogue.conflicts:
        return True
    return _builds_on(update, on_device) or _builds_on(on_device, update)


def _builds_on(later: Update, earlier: Update) -> bool:
    return earlier.id in later.after or any(need.component == earlier.component for need in later.requires)
