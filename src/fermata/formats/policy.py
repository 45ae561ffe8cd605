"""Reads `policy.yaml`: what each customer blocks, the advance notice promised, and freezes. Customers' own rules are
read by `policy_rules`.
"""

from collections.abc import Sequence
from pathlib import Path

from fermata.domain.fleet import Role
from fermata.domain.ids import CustomerId, FreezeId
from fermata.domain.policy import Blocked, Customer, Flighting, Freeze, Notice, Policy
from fermata.domain.updates import Criticality
from fermata.formats.changes import Change, ChangedFile, apply_changes
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document, Fields, check_choice, check_unique
from fermata.formats.policy_rules import decode_after_due, decode_rules, decode_scope, decode_windows
from fermata.formats.spots import Spot
from fermata.formats.yamltext import read_yaml

ROOT_REQUIRED = ("customers",)
ROOT_OPTIONAL = ("notice", "freezes")
CUSTOMER_REQUIRED = ("id", "block", "approvers")
CUSTOMER_OPTIONAL = ("flighting", "rules", "windows", "after_due")
BLOCK_REQUIRED = ("deployments", "repairs")
BLOCK_OPTIONAL = ("except_criticality",)
FLIGHTING_KEYS = ("allowed_roles", "max_nodes")
NOTICE_KEYS = ("regular_update", "regular_hardware", "critical_repair", "critical_update")
FREEZE_KEYS = ("id", "customer", "scope", "start", "end", "reason")

NOTICE_DAYS_MAX = 3650
NO_FLIGHTING = Flighting(allowed_roles=frozenset(), max_nodes=0)  # a customer who says nothing gets no flights


def read_policy(path: Path) -> Policy:
    """Read the file `path`. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    policy = decode_policy(path, document)
    raise_faults([document.log])
    assert policy is not None, "a policy without faults is read"
    return policy


def decode_policy(path: Path, document: Document, changes: Sequence[Change] = ()) -> Policy | None:
    """The policy, with `changes`; not to be used, or None, when the document's log has faults."""
    root = apply_changes(read_yaml(path, document.log), changes, document.log, ChangedFile.POLICY)
    return None if root is None else decode_root(document, root)


def decode_root(document: Document, root: Spot) -> Policy:
    """As `decode_policy`, of values at hand."""
    top = Fields(document, root, required=ROOT_REQUIRED, optional=ROOT_OPTIONAL)
    customers = [
        Fields(document, spot, required=CUSTOMER_REQUIRED, optional=CUSTOMER_OPTIONAL)
        for spot in top.items("customers")
    ]
    freezes = [Fields(document, spot, required=FREEZE_KEYS) for spot in top.items("freezes")]
    check_unique((customer.spot("id") for customer in customers), document.log, "Customer")
    check_unique((freeze.spot("id") for freeze in freezes), document.log, "Freeze")
    rules = [_customer(fields) for fields in customers]
    return Policy(
        customers={rule.id: rule for rule in rules},
        notice=_notice(top.fields("notice", optional=NOTICE_KEYS)),
        freezes=tuple(_freeze(fields) for fields in freezes),
    )


def _customer(fields: Fields) -> Customer:
    block = fields.fields("block", required=BLOCK_REQUIRED, optional=BLOCK_OPTIONAL)
    windows = decode_windows(fields)
    return Customer(
        id=CustomerId(fields.name("id")),
        deployments=block.choice("deployments", Blocked),
        repairs=block.choice("repairs", Blocked),
        except_criticality=frozenset(Criticality(c) for c in _choices(block, "except_criticality", list(Criticality))),
        flighting=_flighting(fields) if fields.has("flighting") else NO_FLIGHTING,
        approvers=fields.names("approvers"),
        rules=decode_rules(fields, windows),
        windows=windows,
        after_due=decode_after_due(fields),
    )


def _flighting(fields: Fields) -> Flighting:
    flighting = fields.fields("flighting", required=FLIGHTING_KEYS)
    return Flighting(
        allowed_roles=frozenset(_choices(flighting, "allowed_roles", list(Role))),
        max_nodes=flighting.integer("max_nodes"),
    )


def _choices(fields: Fields, key: str, allowed: Sequence[str]) -> tuple[str, ...]:
    spots = fields.items(key)
    check_unique(spots, fields.document.log, "Value")
    return tuple(check_choice(spot, fields.document.log, [str(value) for value in allowed]) for spot in spots)


def _notice(fields: Fields) -> Notice:
    promised = Notice()

    def days(key: str, otherwise: int) -> int:
        return fields.integer(key, most=NOTICE_DAYS_MAX) if fields.spot(key) else otherwise

    return Notice(
        regular_update=days("regular_update", promised.regular_update),
        regular_hardware=days("regular_hardware", promised.regular_hardware),
        critical_repair=days("critical_repair", promised.critical_repair),
        critical_update=days("critical_update", promised.critical_update),
    )


def _freeze(fields: Fields) -> Freeze:
    fields.refer("policy_customer", "customer")
    start, end = fields.instant("start"), fields.instant("end")
    if fields.reads("start", "end") and end <= start:
        fields.fault("end", "The freeze ends before it has started.")
    return Freeze(
        id=FreezeId(fields.name("id")),
        customer=CustomerId(fields.name("customer")),
        scope=decode_scope(fields, "scope"),
        start=start,
        end=end,
        reason=fields.text("reason"),
    )
