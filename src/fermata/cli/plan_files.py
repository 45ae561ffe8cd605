"""From a campaign's files to what the planner takes: inputs, hashes, and the id of the plan that they give."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from fermata.domain.hashing import content_sha256, to_plain
from fermata.domain.plans import InputHashes, Plan
from fermata.domain.policy import ConsentEntry
from fermata.formats.approvals import decode_approvals
from fermata.formats.changes import Change
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document
from fermata.formats.ledger import LedgerMaker
from fermata.formats.plans import read_plan
from fermata.formats.scenario import Scenario, input_hashes, read_scenario
from fermata.formats.workloads import read_workloads
from fermata.planning.checker import check_hashes
from fermata.planning.inputs import Asked, PlanningInput
from fermata.services.errors import Refusal
from fermata.wiring import clocks

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One plan to be made."""

    inputs: PlanningInput
    hashes: InputHashes
    plan_id: str


def read_folder(folder: Path, workloads: Path | None, changes: Sequence[Change] = ()) -> Scenario:
    """The scenario of a folder, as if `changes` stood in it, with the map of the file `workloads` in place of its own.
    Raises BadInput.
    """
    scenario = read_scenario(folder, changes)
    if workloads is None:
        return scenario
    return replace(scenario, workloads=read_workloads(workloads, scenario.fleet))


def order_plan(scenario: Scenario, approvals: Path | None, *, now: datetime | None, asked: Asked) -> Order:
    """The plan of a folder's files; `approvals` in place of the folder's own. Raises BadInput for those."""
    if approvals is not None:
        scenario = replace(scenario, ledger=_read_ledger(scenario, approvals))
    inputs = PlanningInput(
        fleet=scenario.fleet,
        catalogue=scenario.flown,
        policy=scenario.policy,
        campaign=scenario.campaign,
        ledger=scenario.ledger,
        now=now or scenario.campaign.planned_as_of or clocks.utc_now(),
        seed=asked.seed,
        confidence=asked.confidence,
        max_breach=asked.max_breach,
        workloads=scenario.workloads,
    )
    hashes = input_hashes(scenario)
    return Order(inputs=inputs, hashes=hashes, plan_id=derive_plan_id(inputs, hashes))


def read_planned(path: Path, folder: Path, workloads: Path | None) -> tuple[Plan, PlanningInput]:
    """A plan file with the files it was made from, as of its own moment. Raises Refusal when those changed since."""
    plan = read_plan(path)
    scenario = read_folder(folder, workloads)
    refusal = check_hashes(plan, input_hashes(scenario))
    if refusal is not None:
        raise Refusal(refusal)
    inputs = PlanningInput(
        fleet=scenario.fleet,
        catalogue=scenario.flown,
        policy=scenario.policy,
        campaign=scenario.campaign,
        ledger=scenario.ledger,
        now=plan.created_at,
        workloads=scenario.workloads,
    )
    return plan, inputs


def derive_plan_id(inputs: PlanningInput, hashes: InputHashes) -> str:
    """The id of the plan that these inputs give: shaped like a minted one, yet equal for equal inputs."""
    parent = (inputs.parent.id, inputs.observed) if inputs.parent is not None else ()
    given = {name: value for name, value in to_plain(hashes).items() if value is not None}
    content = (given, inputs.now, inputs.seed, inputs.ledger, inputs.confidence, inputs.max_breach, *parent)
    digest = hashlib.sha256(content_sha256(content).encode()).digest()
    milliseconds = int(inputs.now.timestamp() * 1000)
    number = (milliseconds << 80) | int.from_bytes(digest[:10])
    return "plan_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def _read_ledger(scenario: Scenario, path: Path) -> tuple[ConsentEntry, ...]:
    document = Document(log=FaultLog(path))
    placed = decode_approvals(path, document)
    raise_faults([document.log])
    ledger = LedgerMaker(scenario.fleet, scenario.catalogue, scenario.policy, scenario.campaign, document.log).entries(
        placed
    )
    raise_faults([document.log])
    return ledger
