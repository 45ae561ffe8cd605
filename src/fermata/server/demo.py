"""What the board says of a simulated fleet."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoInfo:
    """Present where the fleet is simulated. `speed` is virtual seconds in a real one."""

    speed: float
