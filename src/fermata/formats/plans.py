"""Writes and reads plans, schema `fermata.plan/1`. The same plan gives the same bytes.

The reader judges form only; whether a plan keeps the rules is the checker's to say.
"""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_never

from fermata.domain.plans import (
    SCHEMA,
    DeviceApplyStep,
    DrainStep,
    InputHashes,
    NodeApplyStep,
    ObjectiveTerm,
    Plan,
    RebootStep,
    ServiceDay,
    Step,
    Unplanned,
    VerifyStep,
    Window,
)
from fermata.domain.reasons import Reason
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document
from fermata.formats.jsontext import read_json
from fermata.formats.planreading import decode_plan


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """JSON-ready, keys in the order of the schema. Raises ValueError for a window or step not on whole seconds."""
    return {
        "schema": SCHEMA,
        "id": plan.id,
        "parent": plan.parent,
        "campaign": plan.campaign,
        "created_at": _time(plan.created_at.replace(microsecond=0)),
        "inputs": _inputs(plan.inputs),
        "consent": plan.consent.value,
        "windows": [_window(window) for window in plan.windows],
        "unplanned": [_unplanned(part) for part in plan.unplanned],
        "objective": [_term(term) for term in plan.objective],
        "solver": {"status": plan.solver.status, "seconds": plan.solver.seconds, "seed": plan.solver.seed},
    } | ({"services": [_service(line) for line in plan.services]} if plan.inputs.workloads or plan.services else {})


def plan_to_bytes(plan: Plan) -> bytes:
    """The file's bytes: UTF-8, two spaces of indent, a final line break. Raises ValueError as `plan_to_json`."""
    return json.dumps(plan_to_json(plan), ensure_ascii=False, allow_nan=False, indent=2).encode() + b"\n"


def write_plan(plan: Plan, path: Path) -> None:
    """Write the file whole or not at all. Raises OSError when there is no room or no right."""
    write_whole(plan_to_bytes(plan), path)


def write_whole(data: bytes, path: Path) -> None:
    """Puts `data` in the file's place, or leaves what is there. Raises OSError when there is no room or no right."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_plan(path: Path) -> Plan:
    """Read the file. Raises BadInput with all its faults, each with a JSON pointer to its place."""
    document = Document(log=FaultLog(path))
    root = read_json(path, document.log)
    plan = decode_plan(document, root) if root else None
    raise_faults([document.log])
    assert plan is not None, "a plan without faults is read"
    return plan


def _time(at: datetime) -> str:
    if at.microsecond:
        raise ValueError(f"plans are made of whole seconds, not {at.isoformat()}")
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def _inputs(hashes: InputHashes) -> dict[str, str]:
    """The workload map only where there was one: the four others are the contract."""
    four = {
        "fleet_sha256": hashes.fleet,
        "updates_sha256": hashes.updates,
        "policy_sha256": hashes.policy,
        "campaign_sha256": hashes.campaign,
    }
    return four | ({"workloads_sha256": hashes.workloads} if hashes.workloads else {})


def _window(window: Window) -> dict[str, Any]:
    return {
        "id": window.id,
        "cluster": window.cluster,
        "mode": window.mode.value,
        "part": window.part,
        "parts": window.parts,
        "start": _time(window.start),
        "end": _time(window.end),
        "nodes": list(window.nodes),
        "updates": list(window.updates),
        "steps": [_step(step) for step in window.steps],
        "reboots_per_node": window.reboots_per_node,
        "end_confidence": window.end_confidence,
    } | ({"unsure": _unsure(window.unsure)} if window.unsure is not None else {})


def _unsure(why: Reason) -> dict[str, str]:
    return {"reason": why.code.value, "sentence": why.sentence}


def _step(step: Step) -> dict[str, Any]:
    span = {"start": _time(step.start), "end": _time(step.end)}
    match step:
        case DrainStep() | VerifyStep():
            return {"step": step.step} | span
        case DeviceApplyStep():
            return _apply(step, devices=list(step.devices)) | span
        case NodeApplyStep():
            return _apply(step, nodes=step.nodes) | span
        case RebootStep():
            return {"step": step.step, "nodes": step.nodes, "activates": list(step.activates)} | span
        case _:
            assert_never(step)


def _apply(step: DeviceApplyStep | NodeApplyStep, **units: int | Sequence[str]) -> dict[str, Any]:
    return {"step": "apply", "update": step.update, "batch": step.batch, "batches": step.batches} | units


def _unplanned(part: Unplanned) -> dict[str, Any]:
    return {
        "cluster": part.cluster,
        "nodes": list(part.nodes),
        "reason": part.reason.code.value,
        "sentence": part.reason.sentence,
    }


def _service(line: ServiceDay) -> dict[str, Any]:
    return {
        "service": line.service,
        "geo": line.geo,
        "day": line.day.isoformat(),
        "at": _time(line.at),
        "nodes": line.nodes,
        "out": line.out,
        "lent": line.lent,
        "remaining": line.remaining,
        "minimum": line.minimum,
        "moves": [
            {"from": move.from_cluster, "to": move.to_cluster, "lender": move.lender, "nodes": move.nodes}
            for move in line.moves
        ],
    }


def _term(term: ObjectiveTerm) -> dict[str, Any]:
    return {"term": term.term, "value": _number(term.value), "bound": _number(term.bound)}


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value
