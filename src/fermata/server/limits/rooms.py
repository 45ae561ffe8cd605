"""How many requests are answered at the same time, of each caller and of all."""

from collections import Counter

from fermata.server.limits.bounds import Room


class Rooms:
    """Places of one kind of work. For the thread of the event loop alone."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._held = Counter[str]()
        self._all = 0

    @property
    def is_full(self) -> bool:
        """True when nobody gets a place, whoever it is."""
        return self._all >= self._room.all

    def has_place(self, caller: str) -> bool:
        """True when this caller may hold one more, if there is one."""
        return self._held[caller] < self._room.each

    def take(self, caller: str) -> None:
        """The place is the caller's until it is given back."""
        self._held[caller] += 1
        self._all += 1

    def give_back(self, caller: str) -> None:
        """Once for each `take`."""
        self._held[caller] -= 1
        self._all -= 1
        if not self._held[caller]:
            del self._held[caller]
