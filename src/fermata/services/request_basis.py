"""What requests follow from, as the store has it: remembered from one look to the next, so that a look after one node
changed costs one node.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Fleet
from fermata.domain.ids import CampaignId, PlanId, WindowId
from fermata.domain.ledger import Decisions
from fermata.domain.plans import DeviceApplyStep, Plan, Window
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.request_basis import Basis, found_basis
from fermata.domain.run_states import NOT_OPENED_YET
from fermata.domain.updates import Catalogue
from fermata.services.fleets import keep_fleet, read_changes, read_fleet
from fermata.services.observed import find_rows
from fermata.store import consent as consent_store
from fermata.store import fleet_changes, inventory, plans
from fermata.store.database import Connection, recall, remember

_TOLD, _PLANS = "what requests follow from", "units of plans in force"  # under which it is remembered


@dataclass(frozen=True, kw_only=True)
class Told:
    """All of it at one moment. `change`, `word`: the last change of the fleet, and of the ledger, that is in it."""

    basis: Basis
    catalogue: Catalogue
    ledger: tuple[ConsentEntry, ...]
    change: int
    word: int


def read_told(conn: Connection, fleet: Fleet | None = None) -> Told:
    """What the store holds now. `fleet`: if it is at hand, and nothing is remembered.

    Raises NotStored before all inputs are imported.
    """
    catalogue, policy = inventory.load_catalogue(conn), inventory.load_policy(conn, known=True)
    before: Told | None = recall(conn, _TOLD)
    found = _move_on(conn, before, policy) if before is not None and before.catalogue == catalogue else None
    if found is None:
        found = _read_anew(conn, catalogue, policy, before, fleet)
    if found is not before and found.basis.fleet is not fleet:  # one at hand may say less than the store does
        remember(conn, _TOLD, found)
        keep_fleet(conn, found.basis.fleet, found.change)
    return found


def _move_on(conn: Connection, before: Told, policy: Policy) -> Told | None:
    """What was told before with all that changed since; None when that would take as long as reading all."""
    change, word = fleet_changes.last_change(conn), consent_store.last_seq(conn)
    basis, ledger = before.basis, before.ledger
    if word != before.word or not _says_the_same(policy, basis.policy):
        ledger = (*ledger, *consent_store.load_ledger(conn, after_seq=before.word))
        basis = basis.said_anew(policy, Decisions(basis.fleet, ledger))
    if change != before.change:
        changes = read_changes(conn, basis.fleet, before.change)
        if changes is None:
            return None
        basis = basis.moved_on(before.catalogue, changes.nodes, changes.devices)
    if basis is before.basis:
        return before
    return Told(basis=basis, catalogue=before.catalogue, ledger=ledger, change=change, word=word)


def _says_the_same(policy: Policy, before: Policy) -> bool:
    return policy == before and policy.notified == before.notified  # which equality leaves out


def _read_anew(
    conn: Connection, catalogue: Catalogue, policy: Policy, before: Told | None, fleet: Fleet | None
) -> Told:
    ledger = before.ledger if before is not None else ()
    ledger = (*ledger, *consent_store.load_ledger(conn, after_seq=before.word if before is not None else 0))
    return Told(
        basis=found_basis(fleet or read_fleet(conn), catalogue, policy, ledger),
        catalogue=catalogue,
        ledger=ledger,
        change=fleet_changes.last_change(conn),
        word=consent_store.last_seq(conn),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stay:
    """Units that a window of a plan works on, and when it ends."""

    window: WindowId
    end: datetime
    units: frozenset[str]


def units_to_come(conn: Connection, now: datetime) -> frozenset[str]:
    """Nodes and devices with a time to come in a plan in force."""
    known: Mapping[PlanId, tuple[_Stay, ...]] = recall(conn, _PLANS) or {}
    stays: dict[PlanId, tuple[_Stay, ...]] = {}
    found: set[str] = set()
    for campaign in inventory.list_campaigns(conn):
        name = plans.published_plan_id(conn, campaign.id)
        if name is not None:
            stays[name] = known[name] if name in known else tuple(_stays(plans.load_plan(conn, name)))
            found.update(_to_come(conn, campaign.id, stays[name], now))
    remember(conn, _PLANS, stays)
    return frozenset(found)


def _to_come(conn: Connection, campaign: CampaignId, stays: tuple[_Stay, ...], now: datetime) -> Iterator[str]:
    rows = find_rows(conn, campaign)
    for stay in stays:
        row = rows.get(stay.window)
        if now < stay.end if row is None else row.state in NOT_OPENED_YET:
            yield from stay.units


def _stays(plan: Plan) -> Iterator[_Stay]:
    for window in plan.windows:
        yield _Stay(window=window.id, end=window.end, units=frozenset(_units(window)))


def _units(window: Window) -> Iterator[str]:
    yield from window.nodes
    for step in window.steps:
        if isinstance(step, DeviceApplyStep):
            yield from step.devices
