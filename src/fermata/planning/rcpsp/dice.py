"""Seeded dice that are drawn in blocks: a list schedule draws many numbers, and one at a time is slow."""

from collections.abc import Sequence

import numpy as np

_BLOCK = 4096  # draws at once: beyond it, speed grows no more


class Dice:
    """Draws that are the same on every machine for the same seed."""

    def __init__(self, seed: int) -> None:
        self._numbers = np.random.default_rng(seed)
        self._block: list[float] = []

    def share(self) -> float:
        """A number from 0 up to, not including, 1."""
        if not self._block:
            self._block = self._numbers.random(_BLOCK).tolist()
        return self._block.pop()

    def below(self, limit: int) -> int:
        """A whole number from 0 up to, not including, `limit`."""
        return int(self.share() * limit)

    def weighted(self, weights: Sequence[float]) -> int:
        """An index, as likely as its weight says; weights are above 0."""
        left = self.share() * sum(weights)
        for index, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return index
        return len(weights) - 1

    def several(self, count: int, limit: int) -> tuple[int, ...]:
        """`count` different whole numbers below `limit`, all of them when there are fewer."""
        numbers = list(range(limit))
        for place in range(min(count, limit)):
            other = place + self.below(limit - place)
            numbers[place], numbers[other] = numbers[other], numbers[place]
        return tuple(numbers[:count])
