"""Writes a policy as `policy.yaml` has it: what `policy` reads again as the same policy."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import yaml

from fermata.domain import arm
from fermata.domain.policy import Customer, Freeze, Policy, PolicyRule, Scope
from fermata.domain.recurrence import RecurringWindow, say_recurrence

WIDTH = 120


def policy_document(policy: Policy) -> dict[str, Any]:
    """Plain values, by the keys of the file. Freezes are those that the policy itself states."""
    notice = policy.notice
    return {
        "customers": [_customer(customer) for customer in policy.customers.values()],
        "notice": {
            "regular_update": notice.regular_update,
            "regular_hardware": notice.regular_hardware,
            "critical_repair": notice.critical_repair,
            "critical_update": notice.critical_update,
        },
        "freezes": [_freeze(freeze) for freeze in policy.freezes],
    }


def write_document(document: Mapping[str, Any]) -> str:
    """The text of a file."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=WIDTH)


def _customer(customer: Customer) -> dict[str, Any]:
    flighting = customer.flighting
    return {
        "id": str(customer.id),
        "block": {
            "deployments": customer.deployments.value,
            "repairs": customer.repairs.value,
            "except_criticality": _words(customer.except_criticality),
        },
        "flighting": {"allowed_roles": _words(flighting.allowed_roles), "max_nodes": flighting.max_nodes},
        "approvers": list(customer.approvers),
        "rules": [_rule(rule) for rule in customer.rules],
        "windows": [_window(window) for window in customer.windows],
        "after_due": customer.after_due.value,
    }


def _rule(rule: PolicyRule) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": rule.id,
        "stance": rule.stance.value,
        "kind": _words(rule.kinds),
        "impact": _words(rule.impacts),
        "criticality": _words(rule.criticalities),
        "role": _words(rule.roles),
        "scope": _scope(rule.scope) if rule.scope is not None else None,
        "windows": list(rule.windows),
    }
    return {key: value for key, value in said.items() if value}


def _window(window: RecurringWindow) -> dict[str, Any]:
    minutes = int(window.duration.total_seconds()) // 60
    said = {
        "id": window.id,
        "start": _wall(window.start),
        "duration": f"{minutes // 60:02d}:{minutes % 60:02d}",
        "timezone": window.zone,
        "recur_every": say_recurrence(window.recurrence) if window.recurrence is not None else None,
        "expires": _wall(window.expires) if window.expires is not None else None,
    }
    return {key: value for key, value in said.items() if value is not None}


def _freeze(freeze: Freeze) -> dict[str, Any]:
    return {
        "id": str(freeze.id),
        "customer": str(freeze.customer),
        "scope": _scope(freeze.scope),
        "start": arm.iso(freeze.start),
        "end": arm.iso(freeze.end),
        "reason": freeze.reason,
    }


def _scope(scope: Scope) -> dict[str, str]:
    return {scope.level.value: scope.name}


def _wall(wall: datetime) -> str:
    return f"{wall:%Y-%m-%d %H:%M}"


def _words(found: Iterable[str]) -> list[str]:
    return sorted(str(word) for word in found)
