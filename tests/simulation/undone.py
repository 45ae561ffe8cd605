"""What must hold of shared devices that are rolled back, and of the nodes behind them: a part of `proof_of_return`."""

from collections.abc import Iterator

from tests.simulation.facts import Effect, Instant, Truth
from tests.simulation.mirror import UNDO, Mirror, Row

from fermata.domain.ids import UpdateId


def find_rolled_back_since(effect: Effect, device: Truth, mirror: Mirror) -> Iterator[str]:
    """Nodes behind a device that is rolled back are checked after that, and stay empty meanwhile."""
    orders, checked_at = mirror.orders.get(device.name, {}), effect.truth.healthy_at
    for name, version in orders.items():
        update = mirror.catalogue.updates[UpdateId(name)]
        if not version or not update.needs_drain:
            continue
        row = mirror.row(effect.window, device.name)
        if device.busy_with == name and row is not None and row.state == "recovering":
            yield f"{effect.unit} went back while {name} is rolled back on {device.name}"
        is_back = device.versions[update.component] == version == device.targets.get(update.component)
        was_written = device.changed_at is not None and device.changed_at != device.repaired_at
        if is_back and was_written and (checked_at is None or checked_at < (device.changed_at or checked_at)):
            yield f"{effect.unit} went back, checked before {name} was rolled back on {device.name}"


def find_wrongly_proven(instant: Instant) -> Iterator[str]:
    """A device that came back is proven by exactly what it was ordered back to."""
    for before, after in instant.moves:
        if not isinstance(after, Row) or not isinstance(before, Row) or after.kind != "device":
            continue
        came_back = before.step.startswith((UNDO, "reset:" + UNDO)) and before.state in ("recovering", "resetting")
        if came_back and after.state == "proven":
            truth = instant.truth_of(after.unit)
            if not set(truth.versions.values()) & set(instant.mirror.orders.get(after.unit, {}).values()):
                yield f"{after.unit} is proven, ordered back to {instant.mirror.orders[after.unit]}: {truth.versions}"
