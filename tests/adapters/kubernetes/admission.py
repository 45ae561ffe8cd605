"""A ValidatingAdmissionPolicy evaluated as an API server of 1.30 does it, with an evaluator of CEL of another make. It
leaves out cost budgets, and the checks of types that a server makes of an expression.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import celpy
import yaml
from celpy import celtypes
from celpy.adapter import json_to_cel

PAGE = Path(__file__).parents[3] / "examples" / "kubernetes" / "keep-pods-off.yaml"


@dataclass(frozen=True)
class Request:
    """One write. `resource` with its subresource; `old` None: there was nothing."""

    operation: str
    resource: str
    user: str
    new: dict[str, Any] | None = None
    old: dict[str, Any] | None = None
    groups: tuple[str, ...] = ("system:authenticated",)
    namespace_labels: dict[str, str] = field(default_factory=dict)


def refusals(request: Request, nodes: list[dict[str, Any]]) -> list[str]:
    """What it is refused with. `nodes`: all that there are, of which policies have their parameters."""
    documents = list(yaml.safe_load_all(PAGE.read_text(encoding="utf-8")))
    policies = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "ValidatingAdmissionPolicy"}
    bindings = [d["spec"] for d in documents if d["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert sorted(policies) == sorted(binding["policyName"] for binding in bindings)
    return [why for each in bindings for why in _apply(policies[each["policyName"]], each, request, nodes)]


def _apply(policy: Any, binding: Any, request: Request, nodes: list[dict[str, Any]]) -> list[str]:
    assert policy["failurePolicy"] == "Fail"
    assert binding["validationActions"] == ["Deny"]
    rules = policy["matchConstraints"]["resourceRules"]
    if not any(request.resource in rule["resources"] and request.operation in rule["operations"] for rule in rules):
        return []
    selected = binding.get("matchResources", {}).get("namespaceSelector", {}).get("matchExpressions", ())
    if any(request.namespace_labels.get(each["key"]) in each["values"] for each in selected):
        return []
    told = []
    for param in _params(policy, binding, nodes):
        known = _Known(request, param, {each["name"]: each["expression"] for each in policy.get("variables", ())})
        if not all(known.evaluate(each["expression"]) for each in policy.get("matchConditions", ())):
            continue
        broken = [each for each in policy["validations"] if not known.evaluate(each["expression"])]
        told += [str(known.evaluate(each["messageExpression"])) for each in broken]
    return told


def _params(policy: Any, binding: Any, nodes: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    if "paramKind" not in policy:
        return [None]
    assert policy["paramKind"] == {"apiVersion": "v1", "kind": "Node"}
    assert binding["paramRef"]["parameterNotFoundAction"] == "Allow"
    wanted = binding["paramRef"]["selector"]["matchLabels"].items()
    return [node for node in nodes if wanted <= node["metadata"].get("labels", {}).items()]


class _Known:
    def __init__(self, request: Request, param: dict[str, Any] | None, variables: dict[str, str]) -> None:
        user = {"username": request.user, "groups": list(request.groups)}
        self._values: dict[str, Any] = {
            "request": json_to_cel({"operation": request.operation, "userInfo": user}),
            "object": json_to_cel(request.new),
            "oldObject": json_to_cel(request.old),
            "params": json_to_cel(param),
        }
        found = celtypes.MapType()
        for name, expression in variables.items():
            found[celtypes.StringType(name)] = self.evaluate(expression)
        self._values["variables"] = found

    def evaluate(self, expression: str) -> Any:
        environment = celpy.Environment()
        return environment.program(environment.compile(expression)).evaluate(self._values)
