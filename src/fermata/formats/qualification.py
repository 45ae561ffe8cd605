"""Reads `qualification.yaml`: what an update has to show before it is production-ready."""

from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from fermata.domain.ids import TeamId
from fermata.domain.qualification import Need, QualificationRule, Ring
from fermata.domain.updates import Criticality
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document, Fields, check_choice, check_unique
from fermata.formats.spots import Kind, Spot
from fermata.formats.yamltext import read_yaml

ROOT_KEYS = ("rules",)
RULE_REQUIRED = ("id", "needs")
RULE_OPTIONAL = ("criticality", "owner_team", "target")
NEED_REQUIRED = ("ring", "signal", "nodes")
NEED_OPTIONAL = ("same_sku",)

_E = TypeVar("_E", bound=StrEnum)


def read_qualification(path: Path) -> tuple[QualificationRule, ...]:
    """The rules of the file `path`, in its order. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    root = read_yaml(path, document.log)
    rules: tuple[QualificationRule, ...] = ()
    if root is not None:
        top = Fields(document, root, required=ROOT_KEYS)
        spots = top.items("rules")
        entries = [Fields(document, spot, required=RULE_REQUIRED, optional=RULE_OPTIONAL) for spot in spots]
        check_unique((entry.spot("id") for entry in entries), document.log, "Rule")
        rules = tuple(_rule(document, entry) for entry in entries)
    raise_faults([document.log])
    return rules


def _rule(document: Document, entry: Fields) -> QualificationRule:
    needs = [Fields(document, spot, required=NEED_REQUIRED, optional=NEED_OPTIONAL) for spot in entry.items("needs")]
    return QualificationRule(
        id=entry.name("id"),
        criticalities=frozenset(_choices(document, entry.spot("criticality"), Criticality)),
        owner_teams=frozenset(TeamId(name) for name in entry.names("owner_team")),
        targets=frozenset(entry.names("target")),
        needs=tuple(_need(fields) for fields in needs),
    )


def _need(fields: Fields) -> Need:
    return Need(
        ring=fields.choice("ring", Ring),
        signal=fields.name("signal"),
        nodes=fields.integer("nodes", least=1),
        same_sku=fields.flag("same_sku"),
    )


def _choices(document: Document, found: Spot | None, choices: type[_E]) -> tuple[_E, ...]:
    """One, or a list."""
    if found is None:
        return ()
    allowed = [choice.value for choice in choices]
    spots = found.items if found.kind is Kind.LIST else (found,)
    return tuple(choices(check_choice(spot, document.log, allowed)) for spot in spots)
