"""Which update must be active before which, and how few reboots that takes. The planner's reading of `after` and
`requires`; the checker has its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fermata.domain.ids import UpdateId
from fermata.domain.updates import Requirement, Update
from fermata.domain.versions import is_at_least


class CircularOrder(Exception):
    """Updates wait for each other in a circle, so none of them can start; `updates` are those in or behind it."""

    def __init__(self, updates: frozenset[UpdateId]) -> None:
        super().__init__(", ".join(sorted(updates)))
        self.updates = updates


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What runs between two reboots, in waves: an update waits for those of earlier waves, never for its own."""

    waves: tuple[tuple[Update, ...], ...]

    @property
    def activates(self) -> tuple[Update, ...]:
        """The updates that the reboot at the end of this layer makes active, by id; empty: no reboot."""
        return tuple(sorted((u for wave in self.waves for u in wave if u.needs_reboot), key=lambda u: u.id))


def brings(update: Update, requirement: Requirement) -> bool:
    """True when `update` lifts the required component far enough."""
    return update.component == requirement.component and is_at_least(update.to_version, requirement.min_version)


def find_predecessors(updates: Iterable[Update]) -> dict[UpdateId, frozenset[UpdateId]]:
    """Of the given updates, those that must be active before each of them starts."""
    present = sorted(updates, key=lambda update: update.id)
    ids = {update.id for update in present}
    found: dict[UpdateId, frozenset[UpdateId]] = {}
    for update in present:
        bringing = {o.id for o in present if o is not update and any(brings(o, r) for r in update.requires)}
        found[update.id] = frozenset(ids & set(update.after)) | bringing
    return found


def find_layers(updates: Iterable[Update]) -> tuple[Layer, ...]:
    """The updates in the fewest layers: only what must come after a rebootful update waits for a later one.

    Raises CircularOrder when some wait for each other.
    """
    by_id = {update.id: update for update in updates}
    before = find_predecessors(by_id.values())
    place: dict[UpdateId, tuple[int, int]] = {}
    while len(place) < len(by_id):
        ready = [u for u in sorted(by_id) if u not in place and before[u] <= place.keys()]
        if not ready:
            raise CircularOrder(frozenset(by_id.keys() - place.keys()))
        for update in ready:
            place[update] = max((next_place(by_id[b], place[b]) for b in before[update]), default=(0, 0))
    layers: list[Layer] = []
    for number in sorted({layer for layer, _ in place.values()}):
        waves = sorted({wave for layer, wave in place.values() if layer == number})
        members = tuple(tuple(by_id[u] for u in sorted(place) if place[u] == (number, wave)) for wave in waves)
        layers.append(Layer(waves=members))
    return tuple(layers)


def next_place(update: Update, place: tuple[int, int]) -> tuple[int, int]:
    """The first layer and wave in which what waits for `update` may run when that runs at `place`."""
    layer, wave = place
    return (layer + 1, 0) if update.needs_reboot else (layer, wave + 1)
