"""Scale-in in chunks, for placement groups that take all of a call or nothing: what fails whole is tried in halves."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
CHUNK_MAX = 256  # nodes of one call to a placement group: two racks of the largest kind, and eight halvings to one node
CALLS_MAX = 64  # to one placement group at one instant; what is left is asked for again a little later


@dataclass(frozen=True, slots=True, kw_only=True)
class Carved(Generic[T]):
    """What came of it. `size`: how many to ask for at once next time. `refused`: one by one; `left`: not asked."""

    size: int
    refused: tuple[T, ...]
    left: tuple[T, ...]


def carve(
    items: Sequence[T],
    size: int,
    call: Callable[[Sequence[T]], bool],
    *,
    calls_max: int = CALLS_MAX,
) -> Carved[T]:
    """Asks for all items, `size` at once. `call` is False when the group refused a chunk as a whole and did nothing.

    A refused chunk is cut in halves, so that one bad node costs a few calls and not everybody's return; the size
    follows: half of what failed, twice what went through, within 1 and CHUNK_MAX. Nothing is asked for twice once it
    went through.
    """
    waiting = deque(items)
    halves: list[Sequence[T]] = []
    refused: list[T] = []
    calls = 0
    while (halves or waiting) and calls < calls_max:
        chunk = halves.pop() if halves else [waiting.popleft() for _ in range(min(size, len(waiting)))]
        calls += 1
        if call(chunk):
            size = min(CHUNK_MAX, max(size, 2 * len(chunk)))
        elif len(chunk) == 1:
            refused += chunk
        else:
            middle = len(chunk) // 2
            size = middle
            halves += [chunk[middle:], chunk[:middle]]
    left = [item for chunk in reversed(halves) for item in chunk]
    return Carved(size=size, refused=tuple(refused), left=(*left, *waiting))
