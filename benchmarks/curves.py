"""How figures grow with the fleet: seconds = a * nodes ** exponent, fitted by least squares over the logarithms."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

STEEP = 1.1  # an exponent above this is removed or explained
LEAST_SECONDS = 0.001  # what is quicker is the clock's own


@dataclass(frozen=True, kw_only=True)
class Fit:
    """An exponent, and over how many sizes it was found."""

    exponent: float
    points: int

    @property
    def is_steep(self) -> bool:
        """True when somebody has to say why."""
        return round(self.exponent, 2) > STEEP


def fit(seconds: Mapping[int, float]) -> Fit | None:
    """Of seconds by nodes; None where fewer than two sizes are measurable."""
    points = [(math.log(nodes), math.log(took)) for nodes, took in seconds.items() if took >= LEAST_SECONDS and nodes]
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return None
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return Fit(exponent=exponent, points=len(points))
