"""Whose rows are whose: one entry for every table, in the order in which entries refer to each other.

A condition speaks of the table itself and of tables above it, whose rows are filtered already where it is asked: the
same text is the filter of the query layer on both databases. What no condition can split is closed as a whole, or is
read whole and cut where it is decoded (`cut_bodies`).
"""
# ruff: noqa: S608 - texts of our own alone: who looks stands in a table or in a setting

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fermata.domain.reasons import SENTENCES
from fermata.domain.run_states import Desired, RunState

SOMEBODY = "not shown"
RUN_EVENTS = frozenset(  # what is told of a run itself is how it stands, which everybody sees
    {
        "run.started",
        *(f"run.{state}" for state in RunState),
        *(f"run.asked_to_{desired}" for desired in Desired),
    }
)
ELSEWHERE = "This waits for something outside of what you may see."
EMPTY_LIST, EMPTY_OBJECT = "{list}", "{object}"  # stand for the database's own JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Which rows somebody sees: those for which `rows` is true. `instead`: what they see in the place of columns."""

    rows: str
    instead: Mapping[str, str] = field(default_factory=dict)


ALL = Owner(rows="1 = 1")  # belongs to nobody: names of plans and campaigns, numbers of releases
CLOSED = Owner(rows="1 = 0")  # of several at once, or nobody's business: read whole and cut, or not at all
SIGHT = "fermata_sight"  # the rows of who looks: level and name

OWN_FIELDS = frozenset(  # of sentences: what is of the unit, the window or the update itself, or a number
    {
        "unit",
        "update",
        "updates",
        "window",
        "run",
        "step",
        "minutes",
        "at",
        "until",
        "time",
        "state",
        "due",
        "percent",
        "version",
        "tries",
        "units",
        "nodes",
        "ring",
        "day",
        "now",
        "back_by",
        "start",
        "end",
        "kind",
        "known",
        "wanted",
        "component",
        "most",
        "least",
    }
)
FIELD = re.compile(r"\{(\w*)")
SAFE_CODES = tuple(sorted(code.value for code, text in SENTENCES.items() if OWN_FIELDS.issuperset(FIELD.findall(text))))


def _of_cluster(table: str) -> Owner:
    return Owner(rows=f'{table}.cluster IN (SELECT "cluster".name FROM "cluster")')


def _of_window(table: str) -> Owner:
    own = f'window_run.run = {table}.run AND window_run."window" = {table}."window"'
    return Owner(rows=f"EXISTS (SELECT 1 FROM window_run WHERE {own})")


def _with_reason(owner: Owner, table: str, **more: str) -> Owner:
    """Sentences that may name others are told as one that names nobody; the code stays."""
    codes = ", ".join(f"'{code}'" for code in SAFE_CODES)
    told = (
        f"CASE WHEN {table}.reason IS NULL OR {table}.reason_code IN ({codes})"
        f" THEN {table}.reason ELSE '{ELSEWHERE}' END"
    )
    return Owner(rows=owner.rows, instead={"reason": told, **more})


def _in_scope(level: str, name: str) -> str:
    """A scope of consent or of a freeze that reaches what is seen."""
    return (
        f'(({level} = \'supercomputer\' AND {name} IN (SELECT "cluster".supercomputer FROM "cluster"))'
        f' OR ({level} = \'cluster\' AND {name} IN (SELECT "cluster".name FROM "cluster"))'
        f" OR ({level} = 'rack' AND {name} IN (SELECT node.rack FROM node))"
        f" OR ({level} = 'node' AND {name} IN (SELECT node.name FROM node))"
        f" OR ({level} = 'group' AND {name} IN (SELECT device.name FROM device)))"
    )


def _shared(supercomputer: str) -> str:
    """Stands for: some of the supercomputer is out of sight."""
    return f"{{shared {supercomputer}}}"


def _unless(others: str, column: str) -> str:
    """A person, where it may be no other customer's."""
    return f"CASE WHEN {others} THEN '{SOMEBODY}' ELSE {column} END"


def _said_of_all(table: str) -> dict[str, str]:
    """Who spoke of the whole of a supercomputer that others have a part of may be theirs. Reasons are told where they
    are decoded, to whom they name nobody else.
    """
    others = f"{table}.scope_level = 'supercomputer' AND {_shared(f'{table}.scope_name')}"
    return {"actor": _unless(others, f"{table}.actor"), "reason": "''"}


def _supercomputer_of(column: str) -> str:
    return f'{column} IN (SELECT "cluster".supercomputer FROM "cluster")'


def _at_path(table: str) -> Owner:
    """What a customer's clients put below its own subscription."""
    own = f"s.level = 'guid' AND substr({table}.path, 1, 51) = '/subscriptions/' || s.name"
    return Owner(rows=f"EXISTS (SELECT 1 FROM {SIGHT} s WHERE {own})")


def _customer_of(column: str) -> str:
    return f'{column} IN (SELECT "cluster".customer FROM "cluster")'


_SEEN_CLUSTERS = (
    f"EXISTS (SELECT 1 FROM {SIGHT} s WHERE (s.level = 'customer' AND s.name = \"cluster\".customer)"
    " OR (s.level = 'supercomputer' AND s.name = \"cluster\".supercomputer)"
    " OR (s.level = 'cluster' AND s.name = \"cluster\".name))"
)
_IN_SERVICE_BEFORE = (
    "(SELECT count(*) FROM node WHERE node.state = 'in_service' OR EXISTS (SELECT 1 FROM unit_op"
    " WHERE unit_op.run = run.id AND unit_op.unit = node.name AND unit_op.kind = 'node'"
    " AND unit_op.in_service_before))"
)
_SUBJECTS = " OR ".join(
    f"journal.subject IN (SELECT '{kind}:' || {named} FROM {table})"
    for kind, named, table in (
        ("node", "node.name", "node"),
        ("device", "device.name", "device"),
        ("group", "device.name", "device"),
        ("rack", "node.rack", "node"),
        ("cluster", '"cluster".name', '"cluster"'),
        ("supercomputer", '"cluster".supercomputer', '"cluster"'),
        ("window", 'window_run."window"', "window_run"),
        ("request", "request.id", "request"),
        ("freeze", '"freeze".id', '"freeze"'),
    )
)
OWN_ORDER = "{own order}"  # stands for: the line's work order is about something in sight
OWN_ORDER_HERE = " OR ".join(  # where columns that are not shown may be asked
    f"json_extract(journal.data, '$.target') IN (SELECT '{kind} ' || {named} FROM {table})"
    for kind, named, table in (
        ("node", "node.name", "node"),
        ("device", "device.name", "device"),
        ("rack", "node.rack", "node"),
        ("cluster", '"cluster".name', '"cluster"'),
    )
)
_STORY = (  # of runs and plans what everybody knows of them, of orders those about something in sight
    f"(substr(journal.event, 1, 6) = 'order.' AND {OWN_ORDER})"
    " OR (journal.event = 'plan.published' AND journal.subject IN"
    " (SELECT 'plan:' || window_run.plan FROM window_run))"
    f" OR (journal.event IN ({', '.join(sorted(map(repr, RUN_EVENTS)))}) AND journal.subject IN"
    " (SELECT 'run:' || window_run.run FROM window_run))"
    " OR (substr(journal.event, 1, 7) = 'window.' AND journal.subject IN"
    " (SELECT 'window:' || window_run.run || '/' || window_run.\"window\" FROM window_run))"
    " OR (substr(journal.event, 1, 6) = 'train.' AND journal.subject IN (SELECT 'train:' || train.id FROM train))"
)
_FREEZE = '"freeze"'  # a word of PostgreSQL's own
_SHARED_CLUSTER = _shared('"cluster".supercomputer')
_REQUESTS = "{column} IN (SELECT request.id FROM request)"

OWNERS: Mapping[str, Owner] = MappingProxyType(
    {
        "alembic_version": ALL,
        "cluster": Owner(rows=_SEEN_CLUSTERS, instead={"source": "NULL"}),
        "node": Owner(rows=_of_cluster("node").rows, instead={"source": "NULL", "said": "NULL"}),
        "device": Owner(rows=_of_cluster("device").rows, instead={"source": "NULL", "said": "NULL"}),
        "last_good": Owner(rows="last_good.name IN (SELECT node.name FROM node)"),
        "device_last_good": Owner(rows="device_last_good.name IN (SELECT device.name FROM device)"),
        "fleet_change": Owner(
            rows="1 = 1",  # numbers of changes, so that what is remembered is read again; names nobody needs
            instead={"kind": "'cluster'", "name": "''"},
        ),
        "document": CLOSED,
        "snapshot": CLOSED,
        "plan": Owner(rows="1 = 1", instead={"windows": "0", "nodes": "0", "unplanned": "0", "body": "''"}),
        "publication": ALL,
        "window_run": _with_reason(_of_cluster("window_run"), "window_run", left_out=EMPTY_LIST),
        "unit_op": _with_reason(_of_cluster("unit_op"), "unit_op"),
        "train": _of_cluster("train"),
        "rider": _with_reason(_of_cluster("rider"), "rider"),
        "run": Owner(
            rows="1 = 1",
            instead={
                "baseline_nodes": "(SELECT count(*) FROM node)",
                "baseline_in_service": _IN_SERVICE_BEFORE,
                "limits_allowed": EMPTY_LIST,
            },
        ),
        "run_sample": CLOSED,
        "deadline_risk": CLOSED,
        "replan": CLOSED,
        "gate": CLOSED,
        "signal": CLOSED,
        "forecast": Owner(rows=_of_window("forecast").rows, instead={"body": EMPTY_OBJECT}),
        "capacity_entry": _of_window("capacity_entry"),
        "gate_failure": _of_window("gate_failure"),
        "handover": _of_window("handover"),
        "lease": CLOSED,
        "sign_in": CLOSED,
        "sign_in_origin": CLOSED,
        "logout_token": CLOSED,
        "store_server": CLOSED,
        "api_token": CLOSED,
        "break_glass": CLOSED,
        "journal_cut": CLOSED,
        "recovery_order": Owner(rows=_of_window("recovery_order").rows, instead={"why": f"'{SOMEBODY}'"}),
        "repair_spell": _of_cluster("repair_spell"),
        "repair_window": _of_window("repair_window"),
        "room_line": Owner(rows=_of_window("room_line").rows, instead={"body": EMPTY_OBJECT}),
        "tail_item": Owner(rows=_of_window("tail_item").rows, instead={"retry_why": "''"}),
        "window_account": _of_cluster("window_account"),
        "window_jobs": Owner(rows=_of_window("window_jobs").rows, instead={"body": EMPTY_OBJECT}),
        "request": Owner(rows=_supercomputer_of("request.supercomputer"), instead={"body": "''"}),
        "request_state": Owner(rows=_REQUESTS.format(column="request_state.id")),
        "request_key": CLOSED,
        "consent_entry": Owner(
            rows=f"{_REQUESTS.format(column='consent_entry.request')}"
            f" AND {_in_scope('consent_entry.scope_level', 'consent_entry.scope_name')}",
            instead=_said_of_all("consent_entry"),
        ),
        "order_word": Owner(
            rows=f"{_REQUESTS.format(column='order_word.request')}"
            f" AND {_in_scope('order_word.scope_level', 'order_word.scope_name')}",
            instead={**_said_of_all("order_word"), "orders": EMPTY_LIST},
        ),
        "work_order": CLOSED,
        "freeze": Owner(
            rows=f"{_customer_of(_FREEZE + '.customer')}"
            f" AND {_in_scope(_FREEZE + '.scope_level', _FREEZE + '.scope_name')}",
            instead={"reason": "''"},
        ),
        "freeze_ending": CLOSED,
        "freeze_exemption": CLOSED,
        "intent": Owner(
            rows="intent.kind IN ('fleet', 'brake', 'run')"
            " OR (intent.kind = 'node' AND intent.scope IN (SELECT node.name FROM node))"
            " OR (intent.kind = 'window' AND EXISTS (SELECT 1 FROM window_run"
            " WHERE window_run.run || '/' || window_run.\"window\" = intent.scope))",
            instead={"why": f"'{SOMEBODY}'"},  # words of those who do the work, to each other
        ),
        "inventory_hold": CLOSED,
        "inventory_source": CLOSED,
        "journal": Owner(
            rows=f"{_SUBJECTS} OR {_STORY}",
            instead={
                "data": EMPTY_OBJECT,
                "why": "''",
                "hash": "NULL",
                "actor": _unless(
                    "EXISTS (SELECT 1 FROM request WHERE journal.subject = 'request:' || request.id"
                    f" AND {_shared('request.supercomputer')})"
                    " OR EXISTS (SELECT 1 FROM \"cluster\" WHERE journal.subject = 'supercomputer:' ||"
                    f' "cluster".supercomputer AND {_SHARED_CLUSTER})'
                    " OR substr(journal.event, 1, 6) = 'order.'",  # of a rack that others stand in, too
                    "journal.actor",
                ),
            },
        ),
        "maintenance_plan": _at_path("maintenance_plan"),
        "maintenance_request": _at_path("maintenance_request"),
        "system_topic": _at_path("system_topic"),
        "subscription": CLOSED,
        "notice": Owner(
            rows=f"{_customer_of('notice.customer')} AND {_supercomputer_of('notice.supercomputer')}",
            instead={
                "actor": _unless(_shared("notice.supercomputer"), "notice.actor"),
                "why": "''",
                "facts": EMPTY_OBJECT,
            },
        ),
        "notified": Owner(
            rows=f"{_customer_of('notified.customer')} AND {_supercomputer_of('notified.supercomputer')}"
        ),
        "delivery": Owner(
            rows="delivery.notice IN (SELECT notice.seq FROM notice WHERE notice.customer IN"
            f" (SELECT s.name FROM {SIGHT} s WHERE s.level = 'customer'))",
            instead={"why": "''"},
        ),
    }
)
