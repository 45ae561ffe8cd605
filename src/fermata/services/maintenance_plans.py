"""Maintenance plans that clients put: an approval for one time, of what the plan's scope of updates names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from fermata.domain.ids import UpdateId
from fermata.domain.orders import Terms
from fermata.domain.policy import Conditions, Scope, Verdict
from fermata.domain.updates import NODE_TARGET, Criticality, Impact, Update
from fermata.services import consent
from fermata.services.errors import refuse_all, refusing_unknown
from fermata.services.event_approvals import Hearing
from fermata.store import maintenance_plans
from fermata.store.database import Database

FIRMWARE_ENDS = ("fw", "firmware", "bios")  # of a component's name: what is not certain to be firmware is none


class UpdateScope(StrEnum):
    """Which updates a plan is for, in the words of a coming part of Azure's interface. A flight of racks is no plan's:
    it flies with all nodes behind a device, and a plan speaks for its own resource alone.
    """

    NODE_FLIGHT = "FlightingNodeFirmwareUpdates"
    NODE_FIRMWARE = "QualifiedNodeFirmwareUpdates"
    RACK_FIRMWARE = "QualifiedRackFirmwareUpdates"
    NODE_ALL = "QualifiedNodeAllUpdates"
    RACK_ALL = "QualifiedRackAllUpdates"
    NODE_CRITICAL_IMPACTLESS = "CriticalNodeImpactlessUpdates"
    RACK_CRITICAL_IMPACTLESS = "CriticalRackImpactlessUpdates"
    NODE_CRITICAL_IMPACTFUL = "CriticalNodeImpactfulUpdates"
    RACK_CRITICAL_IMPACTFUL = "CriticalRackImpactfulUpdates"
    CUSTOM = "Custom"  # all that is pending

    @property
    def is_flight(self) -> bool:
        """True when it is for a flight, which no other scope includes."""
        return self is UpdateScope.NODE_FLIGHT


RACK_FLIGHT = "FlightingRackFirmwareUpdates"


@dataclass(frozen=True, slots=True, kw_only=True)
class PutPlan:
    """A plan as it was put: work from `start` on, nodes back by `end` (UTC). `path`: its id. `updates`: what it
    approved, one alone of flights; `version`: the only one of them that was meant, "" for any.
    """

    path: str
    name: str
    start: datetime
    end: datetime
    scope: UpdateScope
    description: str = ""
    version: str = ""
    updates: tuple[UpdateId, ...] = ()


def covers(plan: PutPlan, update: Update) -> bool:
    """True of an update that the plan is for, among flights if it is for one, else among what is pending."""
    return MEANT[plan.scope](update) and plan.version in ("", update.to_version)


def put_plan(hearing: Hearing, place: Scope, plan: PutPlan) -> bool:
    """Approves the plan's updates on the place for its time, and keeps the plan: both or neither. True when the plan is
    new. Putting the same again says nothing more. Raises Refusal.
    """
    conditions = Conditions(not_before=plan.start, not_after=plan.end)
    flight = plan.updates[0] if plan.scope.is_flight else None  # promoted meanwhile, it is refused
    order = consent.Order(
        scope=place,
        verdict=Verdict.APPROVED,
        reason=hearing.why,
        terms=Terms(only=frozenset(plan.updates), flight=flight, conditions=conditions),
    )
    with refusing_unknown(), hearing.db.begin() as conn:
        (outcome,) = consent.decide_in(conn, [order], now=hearing.now, new_id=hearing.new_id)
        refuse_all([outcome.refused] if outcome.refused is not None else [])
        is_new = plan.path.lower() not in maintenance_plans.load_plans(conn, plan.path.lower())
        maintenance_plans.save_plan(conn, plan.path.lower(), _plain(plan))
    hearing.desk.look(again=True)
    return is_new


def list_put_plans(db: Database, below: str) -> Sequence[PutPlan]:
    """Those of one resource: `below` is what their ids begin with."""
    with db.read() as conn:
        found = maintenance_plans.load_plans(conn, below.lower())
    return tuple(_read(body) for body in found.values())


def _plain(plan: PutPlan) -> dict[str, Any]:
    return {
        "path": plan.path,
        "name": plan.name,
        "start": plan.start.astimezone(UTC).isoformat(),
        "end": plan.end.astimezone(UTC).isoformat(),
        "scope": plan.scope.value,
        "description": plan.description,
        "version": plan.version,
        "updates": list(plan.updates),
    }


def _read(body: Mapping[str, Any]) -> PutPlan:
    return PutPlan(
        path=body["path"],
        name=body["name"],
        start=datetime.fromisoformat(body["start"]),
        end=datetime.fromisoformat(body["end"]),
        scope=UpdateScope(body["scope"]),
        description=body["description"],
        version=body["version"],
        updates=tuple(UpdateId(name) for name in body["updates"]),
    )


def _is_of_node(update: Update) -> bool:
    return update.target == NODE_TARGET


def _is_firmware(update: Update) -> bool:
    return update.component.lower().endswith(FIRMWARE_ENDS)


def _critical(*, of_node: bool, impactless: bool) -> Callable[[Update], bool]:
    def fits(update: Update) -> bool:
        is_urgent = update.criticality is not Criticality.REGULAR
        return is_urgent and _is_of_node(update) is of_node and (update.impact is Impact.IMPACTLESS) is impactless

    return fits


MEANT: Mapping[UpdateScope, Callable[[Update], bool]] = {
    UpdateScope.NODE_FLIGHT: lambda update: _is_of_node(update) and _is_firmware(update),
    UpdateScope.NODE_FIRMWARE: lambda update: _is_of_node(update) and _is_firmware(update),
    UpdateScope.RACK_FIRMWARE: lambda update: not _is_of_node(update) and _is_firmware(update),
    UpdateScope.NODE_ALL: _is_of_node,
    UpdateScope.RACK_ALL: lambda update: not _is_of_node(update),
    UpdateScope.NODE_CRITICAL_IMPACTLESS: _critical(of_node=True, impactless=True),
    UpdateScope.RACK_CRITICAL_IMPACTLESS: _critical(of_node=False, impactless=True),
    UpdateScope.NODE_CRITICAL_IMPACTFUL: _critical(of_node=True, impactless=False),
    UpdateScope.RACK_CRITICAL_IMPACTFUL: _critical(of_node=False, impactless=False),
    UpdateScope.CUSTOM: lambda _update: True,
}
