"""Updates that wait for each other in a circle, for the checker: no order of a window brings them."""

from collections.abc import Sequence

from fermata.domain.ids import UpdateId
from fermata.domain.updates import Update
from fermata.domain.versions import is_at_least


def find_circular(due: Sequence[Update]) -> frozenset[UpdateId]:
    """What is left of `due` when all that need not wait for any that is left have gone, again and again."""
    left = {update.id: update for update in due}
    while left:
        free = [name for name, update in left.items() if not any(_waits_for(update, o) for o in left.values())]
        if not free:
            break
        for name in free:
            del left[name]
    return frozenset(left)


def _waits_for(update: Update, other: Update) -> bool:
    return other.id in update.after or any(
        other is not update and other.component == need.component and is_at_least(other.to_version, need.min_version)
        for need in update.requires
    )
