"""The tail of the standard normal distribution for arrays, from a table: numpy has none."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FURTHEST = 8.0  # standard deviations: beyond, a step that still runs is one that hangs
_GRID: Floats = np.linspace(-FURTHEST, FURTHEST, 6401)
_LOG_SURVIVAL: Floats = np.array([math.log(0.5 * math.erfc(z / math.sqrt(2))) for z in _GRID])
_SLOPE: Floats = np.diff(_LOG_SURVIVAL) / np.diff(_GRID)
_PER_UNIT = len(_SLOPE) / (2 * FURTHEST)
_LEAST_LEFT = 1e-15  # of -log(survival): what is nearer to certain is beyond FURTHEST
_FIRST, _LAST = math.log(_LEAST_LEFT), math.log(-_LOG_SURVIVAL[-1])
_INVERSE: Floats = np.interp(np.exp(np.linspace(_FIRST, _LAST, 8001)), -_LOG_SURVIVAL, _GRID)  # even in log(-log)
_PER_LOG = (len(_INVERSE) - 1) / (_LAST - _FIRST)
_DENSITY_SCALE = 1 / math.sqrt(2 * math.pi)


def survival(z: Floats) -> Floats:
    """The probability of more than `z`."""
    found: Floats = _log_survival(np.clip(z, -FURTHEST, FURTHEST))
    return np.exp(found, out=found)


def draw_beyond(random: np.random.Generator, least: Floats) -> Floats:
    """Standard normal draws, each given that it is more than its `least`: the inverse of the survival function at a
    uniform share of what `least` leaves.
    """
    left = _log_survival(np.clip(least, -FURTHEST, FURTHEST)) + np.log1p(-random.random(least.shape))
    place = (np.log(np.maximum(-left, _LEAST_LEFT)) - _FIRST) * _PER_LOG
    row = np.minimum(place.astype(np.intp), len(_INVERSE) - 2)
    found: Floats = _INVERSE[row] + (_INVERSE[row + 1] - _INVERSE[row]) * np.minimum(place - row, 1.0)
    return np.maximum(found, least)


def hazard(z: Floats) -> Floats:
    """The density at `z` over the survival: the mean of what is beyond `z`."""
    bounded = np.clip(z, -FURTHEST, FURTHEST)
    found: Floats = _DENSITY_SCALE * np.exp(-bounded * bounded / 2 - _log_survival(bounded))
    return found


def _log_survival(bounded: Floats) -> Floats:
    """From the table, between its rows as np.interp has it, which would search for the row: here they are even."""
    row = np.minimum(((bounded + FURTHEST) * _PER_UNIT).astype(np.intp), len(_SLOPE) - 1)
    found: Floats = _SLOPE[row] * (bounded - _GRID[row]) + _LOG_SURVIVAL[row]
    return found
