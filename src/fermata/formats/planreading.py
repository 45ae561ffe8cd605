"""Turns the values of a plan file into a plan, and lists everything about its form that is wrong."""

from datetime import datetime

from fermata.domain.ids import CampaignId, ClusterId, DeviceId, NodeId, PlanId, ServiceId, UpdateId, WindowId
from fermata.domain.plans import (
    SCHEMA,
    ConsentBasis,
    DeviceApplyStep,
    DrainStep,
    InputHashes,
    Mode,
    Move,
    NodeApplyStep,
    ObjectiveTerm,
    Plan,
    RebootStep,
    ServiceDay,
    SolverNote,
    Step,
    Unplanned,
    VerifyStep,
    Window,
)
from fermata.domain.reasons import Code, Reason
from fermata.formats.fields import Document, Fields, check_choice, check_unique
from fermata.formats.spots import Kind, Spot

ROOT_KEYS = (
    "schema",
    "id",
    "parent",
    "campaign",
    "created_at",
    "inputs",
    "consent",
    "windows",
    "unplanned",
    "objective",
    "solver",
)
ROOT_TOLD = ("diff",)  # what `fermata plan --json` tells people beside a re-plan; it follows from the two plans
ROOT_OPTIONAL = ("services",)
INPUT_KEYS = ("fleet_sha256", "updates_sha256", "policy_sha256", "campaign_sha256")
INPUT_OPTIONAL = ("workloads_sha256",)
WINDOW_KEYS = (
    "id",
    "cluster",
    "mode",
    "part",
    "parts",
    "start",
    "end",
    "nodes",
    "updates",
    "steps",
    "reboots_per_node",
    "end_confidence",
)
UNSURE_KEY = "unsure"
REASON_KEYS = ("reason", "sentence")
SPAN_KEYS = ("step", "start", "end")
NODE_APPLY_KEYS = ("step", "update", "batch", "batches", "nodes", "start", "end")
DEVICE_APPLY_KEYS = ("step", "update", "batch", "batches", "devices", "start", "end")
REBOOT_KEYS = ("step", "nodes", "activates", "start", "end")
STEP_NAMES = ("drain", "apply", "reboot", "verify")
UNPLANNED_KEYS = ("cluster", "nodes", "reason", "sentence")
OBJECTIVE_KEYS = ("term", "value", "bound")
SERVICE_KEYS = ("service", "geo", "day", "at", "nodes", "out", "lent", "remaining", "minimum", "moves")
MOVE_KEYS = ("from", "to", "lender", "nodes")
SOLVER_KEYS = ("status", "seconds", "seed")
STATUSES = ("optimal", "feasible")
VALUE_MAX = 2.0**53  # whole numbers up to here are exact
SEED_MAX = 2**63 - 1


def decode_plan(document: Document, root: Spot) -> Plan | None:
    """The plan; not to be used, or None, when the document's log has faults."""
    top = Fields(document, root, required=ROOT_KEYS, optional=(*ROOT_OPTIONAL, *ROOT_TOLD))
    schema = top.spot("schema")
    if schema is None:
        return None
    check_choice(schema, document.log, (SCHEMA,))
    inputs = top.fields("inputs", required=INPUT_KEYS, optional=INPUT_OPTIONAL)
    windows = tuple(_window(document, spot) for spot in top.items("windows"))
    ids = (spot.keys.get("id") for spot in top.items("windows") if spot.kind is Kind.MAPPING)
    check_unique(ids, document.log, "Window")
    return Plan(
        id=PlanId(top.name("id")),
        parent=PlanId(top.name("parent")) if top.has("parent") else None,
        campaign=CampaignId(top.name("campaign")),
        created_at=top.instant("created_at"),
        inputs=InputHashes(
            fleet=inputs.name("fleet_sha256"),
            updates=inputs.name("updates_sha256"),
            policy=inputs.name("policy_sha256"),
            campaign=inputs.name("campaign_sha256"),
            workloads=inputs.name("workloads_sha256") if inputs.spot("workloads_sha256") else None,
        ),
        consent=top.choice("consent", ConsentBasis),
        windows=windows,
        unplanned=tuple(_unplanned(document, spot) for spot in top.items("unplanned")),
        objective=tuple(_term(document, spot) for spot in top.items("objective")),
        solver=_solver(top.fields("solver", required=SOLVER_KEYS)),
        services=tuple(_service(document, spot) for spot in top.items("services")),
    )


def _window(document: Document, spot: Spot) -> Window:
    fields = Fields(document, spot, required=WINDOW_KEYS, optional=(UNSURE_KEY,))
    start, end = _span(fields)
    return Window(
        id=WindowId(fields.name("id")),
        cluster=ClusterId(fields.name("cluster")),
        mode=fields.choice("mode", Mode),
        part=fields.integer("part"),
        parts=fields.integer("parts"),
        start=start,
        end=end,
        nodes=tuple(NodeId(name) for name in fields.listed_names("nodes")),
        updates=tuple(UpdateId(name) for name in fields.listed_names("updates")),
        steps=tuple(_step(document, step) for step in fields.items("steps")),
        reboots_per_node=fields.integer("reboots_per_node"),
        end_confidence=fields.number("end_confidence", above=None, least=0.0, most=1.0),
        unsure=_unsure(fields.fields(UNSURE_KEY, required=REASON_KEYS)) if fields.has(UNSURE_KEY) else None,
    )


def _unsure(fields: Fields) -> Reason:
    return Reason(code=fields.choice("reason", Code), sentence=fields.text("sentence"))


def _span(fields: Fields) -> tuple[datetime, datetime]:
    start, end = fields.instant("start"), fields.instant("end")
    if fields.reads("start", "end") and end < start:
        fields.fault("end", "It lies before the start.")
    return start, end


def _step(document: Document, spot: Spot) -> Step:
    """Which keys a step has follows from its name; an apply step is one of devices when it lists devices."""
    named = spot.keys.get("step")
    match named.raw if named else "":
        case "drain" | "verify":
            fields = Fields(document, spot, required=SPAN_KEYS)
            start, end = _span(fields)
            is_drain = named is not None and named.raw == "drain"
            return DrainStep(start=start, end=end) if is_drain else VerifyStep(start=start, end=end)
        case "reboot":
            return _reboot(Fields(document, spot, required=REBOOT_KEYS))
        case "apply" if "devices" in spot.keys:
            return _device_apply(Fields(document, spot, required=DEVICE_APPLY_KEYS))
        case "apply":
            return _node_apply(Fields(document, spot, required=NODE_APPLY_KEYS))
        case _:
            fields = Fields(document, spot, required=("step",), optional=(*NODE_APPLY_KEYS, "devices", "activates"))
            if named is not None:
                check_choice(named, document.log, STEP_NAMES)
            start, end = _span(fields)
            return DrainStep(start=start, end=end)


def _reboot(fields: Fields) -> RebootStep:
    start, end = _span(fields)
    return RebootStep(
        nodes=fields.integer("nodes"),
        activates=tuple(UpdateId(name) for name in fields.listed_names("activates")),
        start=start,
        end=end,
    )


def _device_apply(fields: Fields) -> DeviceApplyStep:
    start, end = _span(fields)
    return DeviceApplyStep(
        update=UpdateId(fields.name("update")),
        devices=tuple(DeviceId(name) for name in fields.listed_names("devices")),
        batch=fields.integer("batch"),
        batches=fields.integer("batches"),
        start=start,
        end=end,
    )


def _node_apply(fields: Fields) -> NodeApplyStep:
    start, end = _span(fields)
    return NodeApplyStep(
        update=UpdateId(fields.name("update")),
        batch=fields.integer("batch"),
        batches=fields.integer("batches"),
        nodes=fields.integer("nodes"),
        start=start,
        end=end,
    )


def _unplanned(document: Document, spot: Spot) -> Unplanned:
    fields = Fields(document, spot, required=UNPLANNED_KEYS)
    return Unplanned(
        cluster=ClusterId(fields.name("cluster")),
        nodes=tuple(NodeId(name) for name in fields.listed_names("nodes")),
        reason=Reason(code=fields.choice("reason", Code), sentence=fields.text("sentence")),
    )


def _service(document: Document, spot: Spot) -> ServiceDay:
    fields = Fields(document, spot, required=SERVICE_KEYS)
    return ServiceDay(
        service=ServiceId(fields.name("service")),
        geo=fields.name("geo"),
        day=fields.day("day"),
        at=fields.instant("at"),
        nodes=fields.integer("nodes"),
        out=fields.integer("out"),
        lent=fields.integer("lent"),
        remaining=fields.integer("remaining"),
        minimum=fields.integer("minimum"),
        moves=tuple(_move(document, move) for move in fields.items("moves")),
    )


def _move(document: Document, spot: Spot) -> Move:
    fields = Fields(document, spot, required=MOVE_KEYS)
    return Move(
        from_cluster=ClusterId(fields.name("from")),
        to_cluster=ClusterId(fields.name("to")),
        lender=ServiceId(fields.name("lender")),
        nodes=fields.integer("nodes", least=1),
    )


def _term(document: Document, spot: Spot) -> ObjectiveTerm:
    fields = Fields(document, spot, required=OBJECTIVE_KEYS)
    return ObjectiveTerm(
        term=fields.text("term"),
        value=fields.number("value", above=None, least=-VALUE_MAX, most=VALUE_MAX),
        bound=fields.number("bound", above=None, least=-VALUE_MAX, most=VALUE_MAX),
    )


def _solver(fields: Fields) -> SolverNote:
    status = fields.spot("status")
    return SolverNote(
        status=check_choice(status, fields.document.log, STATUSES) if status else STATUSES[0],
        seconds=fields.number("seconds", above=None, least=0.0),
        seed=fields.integer("seed", most=SEED_MAX),
    )
