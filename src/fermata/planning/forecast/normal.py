"""The tail of the standard normal distribution for arrays, from a table: numpy has none."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FURTHEST = 8.0  # standard deviations: beyond, a step that still runs is one that hangs
_GRID: Floats = np.linspace(-FURTHEST, FURTHEST, 6401)
_LOG_SURVIVAL: Floats = np.array([math.log(0.5 * math.erfc(z / math.sqrt(2))) for z in _GRID])
_DENSITY_SCALE = 1 / math.sqrt(2 * math.pi)


def survival(z: Floats) -> Floats:
    """The probability of more than `z`."""
    found: Floats = np.exp(np.interp(z, _GRID, _LOG_SURVIVAL))
    return found


def draw_beyond(random: np.random.Generator, least: Floats) -> Floats:
    """Standard normal draws, each given that it is more than its `least`: the inverse of the survival function at a
    uniform share of what `least` leaves.
    """
    left = np.interp(least, _GRID, _LOG_SURVIVAL) + np.log1p(-random.random(least.shape))
    found: Floats = np.interp(-left, -_LOG_SURVIVAL, _GRID)
    return np.maximum(found, least)


def hazard(z: Floats) -> Floats:
    """The density at `z` over the survival: the mean of what is beyond `z`."""
    bounded = np.clip(z, -FURTHEST, FURTHEST)
    found: Floats = _DENSITY_SCALE * np.exp(-bounded * bounded / 2 - np.interp(bounded, _GRID, _LOG_SURVIVAL))
    return found
