"""What of a line of the journal is told to who sees a part of the fleet: the story of its own windows and orders.

Which lines those are, the store's views say. Of them a fact is told that is listed here, each of the window, the unit
or the order that the line is about; why, if the conductor said it in a sentence of its own that names nobody else.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fermata.store.parts import Told, tell_each
from fermata.store.tenancy.owners import SAFE_CODES, SOMEBODY

_CONDUCTOR = "conductor"
_SAFE = frozenset(SAFE_CODES)
_HELD = frozenset({"cluster", "nodes"})
_STEP = frozenset({"window", "step", "attempt", "minutes", "state"})
_ORDER = frozenset({"request", "kind", "target", "impact", "criticality", "due_at"})
_FORECAST = frozenset({"kept", "promised"})
OWN_FACTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "window.waiting": _HELD,
        "window.missed": _HELD,
        "window.skipped": _HELD,
        "window.cancelled": _HELD,
        "window.opened": frozenset({"cluster", "taken", "in_service", "out_of_service", "left_out"}),
        "window.ready": frozenset({"cluster", "customer", "back", "taken", "ready_at"}),
        "window.closed": frozenset({"cluster", "taken", "behind_minutes", "residue"}),
        "forecast.at_risk": _FORECAST,
        "forecast.safe_again": _FORECAST,
        "step.begun": frozenset({"step", "attempt", "units"}),
        **dict.fromkeys(("step.failed", "step.ended", "step.not_called"), _STEP),
        **dict.fromkeys(("unit.proven", "unit.failed", "unit.handed_over", "unit.resumed", "unit.tail"), _STEP),
        **dict.fromkeys(("node.returned", "node.kept_out", "node.left_out", "device.left_out"), _STEP),
        **dict.fromkeys(
            (f"order.{event}" for event in ("opened", "started", "completed", "superseded", "cancelled")), _ORDER
        ),
    }
)


def cut_facts(event: str, actor: str, said: tuple[Mapping[str, Any], str], tell: Told) -> tuple[dict[str, Any], str]:
    """What may be told of the facts and the reason of a line; a fact that names others is not there."""
    data, why = said
    own = OWN_FACTS.get(event, frozenset())
    facts = {key: tell_each(value, tell) for key, value in data.items() if key in own}
    told = _told(why, tell) if actor == _CONDUCTOR else ""
    return {key: value for key, value in facts.items() if value != SOMEBODY}, told


def _told(why: str, tell: Told) -> str:
    """`CODE: sentence`, as reasons are written, of a code whose sentence is about what the line is about."""
    code, _, _ = why.partition(": ")
    told = tell(why) if code in _SAFE else ""
    return "" if told == SOMEBODY else told
