"""Reads a bulk consent file, `approvals.yaml` or `approvals.csv`: who says what of which scope, in order."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from fermata.domain.orders import NO_TERMS, Terms
from fermata.domain.policy import Scope, ScopeLevel, Verdict
from fermata.formats.approval_terms import (
    TERM_COLUMNS,
    TERM_KEYS,
    check_term_columns,
    decode_terms,
    read_term_cells,
)
from fermata.formats.faults import FaultLog, Place, quote, raise_faults
from fermata.formats.fields import Document, Fields, Reference, check_choice
from fermata.formats.policy_rules import decode_scope
from fermata.formats.tablefiles import read_table
from fermata.formats.tables import Columns, Table, check_names, check_texts, check_times
from fermata.formats.tables import check_choice as check_choice_cells
from fermata.formats.values import parse_instant
from fermata.formats.yamltext import read_yaml

SUFFIXES = (".yaml", ".csv")
ROOT_KEYS = ("approvals",)
ENTRY_REQUIRED = ("verdict", "scope", "actor")
ENTRY_OPTIONAL = ("reason", "at", *TERM_KEYS)
COLUMNS = Columns(required=("verdict", "level", "name", "actor"), optional=("reason", "at", *TERM_COLUMNS))
VERDICTS = MappingProxyType(
    {
        "approve": Verdict.APPROVED,
        "withdraw": Verdict.WITHDRAWN,
        "decline": Verdict.DECLINED,
        "offer": Verdict.OFFERED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalOrder:
    """One entry of the file. `at` (UTC) is when the word was given; None when the file does not say."""

    verdict: Verdict
    scope: Scope
    actor: str
    reason: str
    at: datetime | None
    terms: Terms = NO_TERMS


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """An order with the place of its scope's name."""

    order: ApprovalOrder
    place: Place


def read_approvals(path: Path) -> tuple[ApprovalOrder, ...]:
    """The orders of a YAML or CSV file, in its order. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    placed = decode_approvals(path, document)
    raise_faults([document.log])
    return tuple(item.order for item in placed)


def decode_approvals(path: Path, document: Document) -> list[PlacedOrder]:
    """The orders; not to be used when the document's log has faults."""
    match path.suffix:
        case ".csv":
            return _from_csv(path, document)
        case ".yaml" | ".yml":
            return _from_yaml(path, document)
        case _:
            document.log.add(f"An approvals file ends in {' or '.join(SUFFIXES)}, not {quote(path.suffix)}.")
            return []


def _from_yaml(path: Path, document: Document) -> list[PlacedOrder]:
    root = read_yaml(path, document.log)
    if root is None:
        return []
    top = Fields(document, root, required=ROOT_KEYS)
    placed = []
    for spot in top.items("approvals"):
        fields = Fields(document, spot, required=ENTRY_REQUIRED, optional=ENTRY_OPTIONAL)
        verdict = fields.spot("verdict")
        scope = fields.spot("scope")
        order = ApprovalOrder(
            verdict=VERDICTS[check_choice(verdict, document.log, tuple(VERDICTS)) if verdict else "withdraw"],
            scope=decode_scope(fields, "scope", tuple(ScopeLevel)),
            actor=fields.name("actor"),
            reason=fields.text("reason"),
            at=fields.instant("at") if fields.has("at") else None,
            terms=decode_terms(fields),
        )
        place = next((name.place for name in scope.keys.values()), scope.place) if scope else spot.place
        placed.append(PlacedOrder(order=order, place=place))
    return placed


def _from_csv(path: Path, document: Document) -> list[PlacedOrder]:
    table = read_table(path, COLUMNS, document.log)
    if table is None:
        return []
    check_choice_cells(table, "verdict", tuple(VERDICTS))
    check_choice_cells(table, "level", tuple(level.value for level in ScopeLevel))
    check_names(table, ("name", "actor"))
    check_texts(table, "reason")
    check_times(table, "at")
    check_term_columns(table)
    return [] if len(document.log) else _orders(table, document)


def _orders(table: Table, document: Document) -> list[PlacedOrder]:
    blank = [""] * len(table.lines)
    reasons, times = table.columns.get("reason", blank), table.columns.get("at", blank)
    placed = []
    for row, (verdict, level, name, actor) in enumerate(
        zip(*(table.columns[column] for column in COLUMNS.required), strict=True)
    ):
        place = table.place(row, "name")
        document.references.append(Reference(kind=level, name=name, place=place))
        terms, companions = read_term_cells(table, row)
        document.references.extend([companions] if companions else [])
        order = ApprovalOrder(
            verdict=VERDICTS[verdict],
            scope=Scope(level=ScopeLevel(level), name=name),
            actor=actor,
            reason=reasons[row],
            at=parse_instant(times[row]),
            terms=terms,
        )
        placed.append(PlacedOrder(order=order, place=place))
    return placed
