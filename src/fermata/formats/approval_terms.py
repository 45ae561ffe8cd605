"""Reads what an entry of an approvals file says beside yes and no: items, conditions, until when."""

from collections.abc import Sequence
from datetime import datetime

from fermata.domain.ids import UpdateId
from fermata.domain.orders import NO_TERMS, WITH_LEVELS, Terms
from fermata.domain.policy import AfterDue, Conditions, Scope, ScopeLevel
from fermata.formats.faults import quote
from fermata.formats.fields import Fields, Reference
from fermata.formats.policy_rules import decode_scope
from fermata.formats.tables import Table, check_choice, check_texts, check_times
from fermata.formats.values import parse_instant

TERM_KEYS = ("only", "without", "flight", "conditions", "until", "then")
CONDITION_KEYS = ("not_before", "not_after", "nodes_per_day", "with_updates", "with_scope")
TERM_COLUMNS = ("only", "without", "flight", *CONDITION_KEYS, "until", "then")
NODES_MOST = 1_000_000
BETWEEN = ";"  # of several names in one cell


def decode_terms(fields: Fields) -> Terms:
    """The terms of a YAML entry; NO_TERMS when it has none of the keys."""
    if not any(fields.has(key) for key in TERM_KEYS):
        return NO_TERMS
    return Terms(
        only=_updates(fields.names("only")) if fields.has("only") else None,
        without=_updates(fields.names("without")),
        flight=UpdateId(fields.name("flight")) if fields.has("flight") else None,
        conditions=_decode_conditions(fields) if fields.has("conditions") else None,
        until=fields.instant("until") if fields.has("until") else None,
        then=fields.choice("then", AfterDue) if fields.has("then") else None,
    )


def _decode_conditions(fields: Fields) -> Conditions:
    said = fields.fields("conditions", optional=CONDITION_KEYS)
    return Conditions(
        not_before=said.instant("not_before") if said.has("not_before") else None,
        not_after=said.instant("not_after") if said.has("not_after") else None,
        nodes_per_day=said.integer("nodes_per_day", least=1, most=NODES_MOST) if said.has("nodes_per_day") else None,
        with_updates=_updates(said.names("with_updates")),
        with_scope=decode_scope(said, "with_scope", WITH_LEVELS) if said.has("with_scope") else None,
    )


def check_term_columns(table: Table) -> None:
    """Fault every cell that cannot be read. Two members that do not go together are judged with the request."""
    for column in ("not_before", "not_after", "until"):
        check_times(table, column)
    for column in ("only", "without", "flight", "with_updates", "with_scope"):
        check_texts(table, column)
    if "then" in table.columns:
        check_choice(table, "then", ("", *(word.value for word in AfterDue)))
    for row, cell in enumerate(table.columns.get("nodes_per_day", ())):
        if cell and not (cell.isascii() and cell.isdigit() and 1 <= int(cell) <= NODES_MOST):
            place = table.place(row, "nodes_per_day")
            table.log.add(f"{quote(cell)} is not a whole number from 1 to {NODES_MOST}.", place)
    for row, cell in enumerate(table.columns.get("with_scope", ())):
        level, _, name = cell.partition(":")
        if cell and (level not in {word.value for word in WITH_LEVELS} or not name):
            place = table.place(row, "with_scope")
            words = ", ".join(word.value for word in WITH_LEVELS)
            table.log.add(f"{quote(cell)} is not a level ({words}) and a name, such as rack:r004.", place)


def read_term_cells(table: Table, row: int) -> tuple[Terms, Reference | None]:
    """The terms of a row of a table without faults, and the scope that they name, for the check against the fleet."""
    cells = {column: table.columns[column][row] for column in TERM_COLUMNS if column in table.columns}
    said = {column: cell for column, cell in cells.items() if cell}
    if not said:
        return NO_TERMS, None
    level, _, name = said.get("with_scope", "").partition(":")
    scope = Scope(level=ScopeLevel(level), name=name) if name else None
    conditions = Conditions(
        not_before=_instant(said, "not_before"),
        not_after=_instant(said, "not_after"),
        nodes_per_day=int(said["nodes_per_day"]) if "nodes_per_day" in said else None,
        with_updates=_listed(said, "with_updates"),
        with_scope=scope,
    )
    terms = Terms(
        only=_listed(said, "only") if "only" in said else None,
        without=_listed(said, "without"),
        flight=UpdateId(said["flight"]) if "flight" in said else None,
        conditions=conditions if said.keys() & set(CONDITION_KEYS) else None,
        until=_instant(said, "until"),
        then=AfterDue(said["then"]) if "then" in said else None,
    )
    reference = Reference(kind=level, name=name, place=table.place(row, "with_scope")) if scope else None
    return terms, reference


def _listed(said: dict[str, str], column: str) -> frozenset[UpdateId]:
    names = (name.strip() for name in said.get(column, "").split(BETWEEN))
    return _updates([name for name in names if name])


def _instant(said: dict[str, str], column: str) -> datetime | None:
    return parse_instant(said[column]) if column in said else None


def _updates(names: Sequence[str]) -> frozenset[UpdateId]:
    return frozenset(UpdateId(name) for name in names)
